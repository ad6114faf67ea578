"""Test-time optimisation: the lifter's input is moved until its answer projects onto the keypoints.

Follows Wang et al., "Uncertainty-Aware Testing-Time Optimization for 3D Human Pose Estimation" (TMM 2025),
and its release. The weights stay; what is optimised is a latent input z for every clip, which starts as the
keypoints, and another for their mirror image. Two terms hold it: the answer stays near the first one, the
nearer the surer the lifter is, and its projection meets the keypoints.

The release projects with the true root. Here the root follows from pose and keypoints by least squares, each
joint weighing as much as the lifter is sure of it. The true root is there for comparison alone, and is named
an oracle wherever its results are shown. What the release does not have either: half of the joints may be
held out, by whose projection each clip is stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from poseshift.adaptation.projection import Side, Target, both_sides
from poseshift.geometry.arrays import norm
from poseshift.storage.columns import CameraPoses
from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import Float32
from poseshift.training.batches import Batch
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.evaluation.answering import Clips, Mapper, clips_of, lift_rows
from poseshift.training.evaluation.scaled import Predicted, packed, unpacked
from poseshift.training.flip import averaged
from poseshift.training.lifters.lifter import Scaled

_FRAMES_AT_ONCE = 2048
"""Frames whose activations are kept for a step at once."""


class TestTimeOptimisation(FrozenModel):
    """How the input is optimised. Weights, rate and number of steps are the release's."""

    __test__ = False  # not a test case, whatever pytest thinks of its name

    iterations: int = Field(default=4, ge=1, description="Steps of Adam.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Of Adam.")
    uncertainty_weight: float = Field(
        default=0.005, ge=0, description="Weight of the distance from the first answer, over the scale."
    )
    projection_weight: float = Field(
        default=1.0, ge=0, description="Weight of the distance from the keypoints, in screen coordinates."
    )
    root: Literal["lsq", "given"] = Field(
        default="lsq",
        description="Where the pose is projected from: where its keypoints say, or the true root, an oracle.",
    )
    stop: Literal["held-out", "iterations"] = Field(
        default="held-out",
        description="A clip ends before the projection of half of the joints, which are not fitted, gets "
        "worse; or after all steps, as in the release.",
    )
    seed: int = Field(default=0, ge=0, description="Of the choice of that half.")

    def __str__(self) -> str:
        roots = {
            "lsq": "root by least squares",
            "given": "ORACLE: root given from the truth, which no real use has",
        }
        stops = {"held-out": "stopped by held-out joints", "iterations": "never stopped early"}
        return f"uao, {roots[self.root]}; {self.iterations} steps, {stops[self.stop]}"


PUBLISHED = TestTimeOptimisation(root="given", stop="iterations")
"""The release's settings; the root is an oracle."""

TestTimeName = Literal["uao", "uao-oracle"]
"""What commands may ask for."""

TEST_TIMES: Mapping[TestTimeName, TestTimeOptimisation] = MappingProxyType(
    {"uao": TestTimeOptimisation(), "uao-oracle": PUBLISHED}
)
"""What that is."""


@dataclass(frozen=True)
class Optimised:
    """What each clip has come to.

    Attributes
    ----------
    answer : Scaled
        Of the frames answered for, camera axes: the mean of the plain and the mirrored one.
    latents : tuple of Tensor
        (batch, frames, joints, 2) twice, the inputs that the plain and the mirrored one answer to.
    steps : Tensor
        (batch,) int64, after how many steps.
    judged : Tensor
        (steps tried + 1, batch), the distance from the keypoints before and after each step, in screen
        coordinates and summed over both: of the joints held out, or of all where none are.
    """

    answer: Scaled
    latents: tuple[Tensor, ...]
    steps: Tensor
    judged: Tensor


def predict_optimised(
    trained: TrainedLifter, poses: CameraPoses, settings: TestTimeOptimisation, *, over: Mapper = map
) -> Predicted:
    """Lift every row with its input optimised; as :func:`~poseshift.training.evaluation.answering.predict`.

    Parameters
    ----------
    trained : TrainedLifter
        A lifter that tells the scale of its answers.
    poses : CameraPoses
        Rows on the skeleton of the lifter; their 3D is looked at only where the root is ``given``.
    settings : TestTimeOptimisation
        How.
    over : Mapper
        How the batches are worked on.

    Raises
    ------
    ValueError
        The lifter tells no scale, or the root is to be given and the poses have no 3D.
    """
    batch_size = max(1, _FRAMES_AT_ONCE // trained.scaled.frames)
    how = partial(optimise_clips, trained, settings)
    return unpacked(lift_rows(trained, poses, how, batch_size=batch_size, over=over))


def optimise_clips(trained: TrainedLifter, settings: TestTimeOptimisation, clips: Clips) -> Float32:
    """Optimise some clips: poses and scales packed as one array, (n, 1 or frames, joints, 4)."""
    batch = clips_of(clips)
    return packed(trained, optimise(trained, batch, settings).answer, clips, batch)


def optimise(trained: TrainedLifter, batch: Batch, settings: TestTimeOptimisation) -> Optimised:
    """Optimise the inputs of a batch of clips; each clip is a problem of its own, whatever stands beside it.

    Parameters
    ----------
    trained : TrainedLifter
        A lifter that tells scales, in evaluation mode. Its weights and their gradients stay as they are.
    batch : Batch
        Clips as long as the lifter expects.
    settings : TestTimeOptimisation
        How.

    Raises
    ------
    ValueError
        The root is to be given and the clips have no 3D.
    """
    by = settings.seed if settings.stop == "held-out" else None
    target = Target.of(trained, batch, given=settings.root == "given", half_by=by)
    sides = both_sides(trained, batch)
    latents = [side.keypoints.clone().requires_grad_() for side in sides]
    optimizer = torch.optim.Adam(latents, lr=settings.learning_rate)
    with torch.enable_grad():
        answers = _answers(sides, latents)
        first = [_detached(answer) for answer in answers]
        reached = _Reached(averaged(*first), tuple(latent.detach().clone() for latent in latents))
        judged = [target.judged(answers)]
        going = torch.ones(len(batch), dtype=torch.bool, device=latents[0].device)
        steps = torch.zeros_like(going, dtype=torch.int64)
        for step in range(1, settings.iterations + 1):
            loss = settings.uncertainty_weight * _from_first(answers, first)
            loss = loss + settings.projection_weight * target.fitted(answers)
            # Summed, not averaged, over clips: a clip's gradient does not depend on how many there are.
            for latent, gradient in zip(latents, torch.autograd.grad(loss.sum(), latents), strict=True):
                latent.grad = gradient
            optimizer.step()
            answers = _answers(sides, latents)
            judged.append(target.judged(answers))
            if settings.stop == "held-out":
                going = going & (judged[-1] <= judged[-2])
            reached = reached.moved(going, answers, latents)
            steps = torch.where(going, step, steps)
    return Optimised(reached.answer, reached.latents, steps, torch.stack(judged).detach())


def _answers(sides: Sequence[Side], latents: Sequence[Tensor]) -> tuple[Scaled, Scaled]:
    plain, mirrored = (side.answer(latent) for side, latent in zip(sides, latents, strict=True))
    return plain, mirrored


def _detached(answer: Scaled) -> Scaled:
    return Scaled(answer.positions.detach(), answer.log_scale.detach())


@dataclass(frozen=True)
class _Reached:
    """The last answers and inputs that clips have come to before they were stopped."""

    answer: Scaled
    latents: tuple[Tensor, ...]

    def moved(self, going: Tensor, answers: tuple[Scaled, Scaled], latents: Sequence[Tensor]) -> _Reached:
        """Take what is new of the clips that go on, (batch,) bool."""
        row = going[:, None, None, None]
        new = _detached(averaged(*answers))
        return _Reached(
            Scaled(
                torch.where(row, new.positions, self.answer.positions),
                torch.where(row, new.log_scale, self.answer.log_scale),
            ),
            tuple(
                torch.where(row, one.detach(), old) for one, old in zip(latents, self.latents, strict=True)
            ),
        )


def _from_first(answers: Sequence[Scaled], first: Sequence[Scaled]) -> Tensor:
    """Distances from the first answers over the scale, which is taken as it is, (batch,).

    Mean over frames and joints, the root, which is where it was, among them as in the release; sum over the
    plain and the mirrored answer.
    """
    away = []
    for answer, start in zip(answers, first, strict=True):
        over_scale = (-answer.log_scale.detach().squeeze(-1)).exp()
        away.append((norm(answer.positions - start.positions) * over_scale).mean(dim=(1, 2)))
    return torch.stack(away).sum(dim=0)
