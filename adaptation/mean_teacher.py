"""The averaged lifter that answers for target keypoints while the lifter itself is being trained.

A mean teacher (Tarvainen and Valpola, NeurIPS 2017) is steadier than the weights of any one step. What its
answers are used for is the business of whoever asks.
"""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from poseshift.adaptation.target_keypoints import TargetViews
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.transforms import TrainingRun


class MeanTeacher:
    """Follows a lifter in training and says when it is time to answer.

    Parameters
    ----------
    first : float
        Share of the run's steps before it is asked.
    every : int
        Steps between one time and the next.
    decay : float
        Of the average of the lifter's weights.
    """

    def __init__(self, first: float, every: int, decay: float) -> None:
        self.first, self.every, self.decay = first, every, decay
        self._run: TrainingRun | None = None
        self._average: AveragedModel | None = None
        self._step = 0

    def attach(self, run: TrainingRun) -> None:
        """Begin a run: the teacher is the lifter as it is."""
        average_of = get_ema_multi_avg_fn(self.decay)  # type: ignore[no-untyped-call]
        self._run, self._average = run, AveragedModel(run.lifter, multi_avg_fn=average_of, use_buffers=True)
        self._step = 0

    def state_dict(self) -> dict[str, Any]:
        """Step and weights."""
        return {"step": self._step, "teacher": self._in_run()[1].state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state, in which there may be more."""
        self._in_run()[1].load_state_dict(state["teacher"])
        self._step = state["step"]

    def follow(self) -> int:
        """Follow the lifter by a step.

        Returns
        -------
        int
            Steps since the first time that it was to be asked; negative before.
        """
        run, average = self._in_run()
        if self._step > 0:
            average.update_parameters(run.lifter)
        since = self._step - max(1, round(self.first * run.total_steps))
        self._step += 1
        return since

    def is_time(self, since: int) -> bool:
        """Whether answers are to be renewed, so many steps after the first time."""
        return since % self.every == 0

    def ready(self) -> tuple[TrainingRun, Lifter]:
        """Give the run, and the averaged lifter in evaluation mode."""
        run, average = self._in_run()
        lifter = cast(Lifter, average.module)
        lifter.eval()
        return run, lifter

    def _in_run(self) -> tuple[TrainingRun, AveragedModel]:
        if self._run is None or self._average is None:
            raise RuntimeError("pseudo-labels come from a lifter in training; give this to training.fit.fit")
        return self._run, self._average


def standing_still(seen: TargetViews, frames: int) -> Tensor:
    """Make clips (n, frames, joints, 2) of keypoints of single frames, as if people stood still."""
    return seen.keypoints_px[:, None].expand(-1, frames, -1, -1)
