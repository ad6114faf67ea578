"""Viewpoints from a lifter's own answers: where up is in front of each target camera.

At first poses are turned at random, so that the lifter learns to answer from any side. From then on the
lifter's averaged weights (:mod:`poseshift.adaptation.mean_teacher`) answer for target keypoints every so
often; the bodies' long axes, from ankles to head, pooled over a camera's poses, show where up is in its axes;
and source poses are turned to there. "Pseudo-Label-Guided Global Transforms" (arXiv 2504.12699) has the idea
of pseudo-labels for orientation; its way from pose to orientation is not public. No label of the target is
used. :mod:`poseshift.adaptation.gravity` finds the same directions with a network of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from poseshift.adaptation.global_position import GlobalPositionAlignment
from poseshift.adaptation.gravity import CameraGravity, FoundGravity
from poseshift.adaptation.mean_teacher import MeanTeacher, standing_still
from poseshift.adaptation.vertical.axes import long_axes, pooled_axis
from poseshift.adaptation.vertical.finder import shipped_finder
from poseshift.augmentation.clips import middle
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.model import FrozenModel
from poseshift.training.batches import Batch, BatchTransform
from poseshift.training.flip import lift
from poseshift.training.transforms import TrainingRun


class PseudoLabelConfig(FrozenModel):
    """When target keypoints are answered for, and by what."""

    first: float = Field(
        default=0.3, gt=0, lt=1, description="Share of the run's steps that are taught at random viewpoints."
    )
    every: int = Field(default=200, ge=1, description="Steps between one set of pseudo-labels and the next.")
    poses_per_camera: int = Field(
        default=256, ge=1, description="Target poses answered for, evenly spread over those a camera sees."
    )
    ema_decay: float = Field(
        default=0.99, gt=0, lt=1, description="Decay of the average of the lifter's weights that answers."
    )


class PseudoLabelAlignment:
    """Turn poses by the lifter's own answers: a :class:`poseshift.training.transforms.StatefulTransform`.

    Parameters
    ----------
    config : PseudoLabelConfig
        When target keypoints are answered for, and by what.
    position : GlobalPositionAlignment
        Places clips; its target keypoints are answered for.
    at_random : BatchTransform
        Turns and places a batch before there are pseudo-labels.
    aligned : callable
        Makes what turns and places a batch afterwards, from directions against gravity (cameras, 3).
    """

    def __init__(
        self,
        config: PseudoLabelConfig,
        position: GlobalPositionAlignment,
        at_random: BatchTransform,
        aligned: Callable[[Tensor], BatchTransform],
    ) -> None:
        self.config = config
        self._position = position
        self._at_random = at_random
        self._aligned = aligned
        self._teacher = MeanTeacher(config.first, config.every, config.ema_decay)
        self._up: Tensor | None = None

    def attach(self, run: TrainingRun) -> None:
        """Begin a run; see the protocol."""
        self._teacher.attach(run)
        self._up = None

    def state_dict(self) -> dict[str, Any]:
        """Step, teacher, and what it has said."""
        return {**self._teacher.state_dict(), "up": self._up}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self._teacher.load_state_dict(state)
        self._up = state["up"]

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Turn and place a batch; let the teacher follow the lifter, and answer when it is time."""
        since = self._teacher.follow()
        if since < 0:
            return self._at_random(batch, generator)
        if self._up is None or self._teacher.is_time(since):
            self._up = self.gravity(tuple(map(str, range(self._cameras)))).up.to(batch.positions_camera)
        return self._aligned(self._up)(batch, generator)

    @torch.no_grad()
    def gravity(self, names: tuple[str, ...]) -> CameraGravity:
        """Find where up is in front of each camera by the teacher's answers as they are now.

        Parameters
        ----------
        names : tuple of str
            Names of the target's cameras, in the order of its table.
        """
        run, teacher = self._teacher.ready()
        joint_set = skeleton(teacher.skeleton)
        found = []
        for number, name in enumerate(names):
            rows = torch.nonzero(self._position.camera == number)[:, 0]
            if len(rows) == 0:
                found.append(FoundGravity.without_poses(name))
                continue
            chosen = torch.linspace(0, len(rows) - 1, min(len(rows), self.config.poses_per_camera))
            chosen_rows = rows[chosen.long().to(rows.device)]
            seen = self._position.seen(chosen_rows)
            clips = standing_still(seen, teacher.frames)
            answers = lift(teacher, run.encoding, clips, seen.intrinsics)
            axes = self._position.from_camera(long_axes(middle(answers), joint_set), chosen_rows)
            axis = pooled_axis(axes)
            pooled = FoundGravity.pooled(name, axis, axes)
            interval = shipped_finder().axis_interval(axis, pooled.spread_degrees or 0.0)
            found.append(pooled.model_copy(update={"interval_degrees": interval, "kind": "pseudo-labels"}))
        return CameraGravity(cameras=tuple(found))

    @property
    def _cameras(self) -> int:
        return int(self._position.camera.max()) + 1
