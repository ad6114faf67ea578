"""Poses of the target's own people, by the lifter's answers to their keypoints: learned from in turn.

A source shows other postures, seen from elsewhere, than the target does. While a lifter is being trained, its
averaged weights (:mod:`poseshift.adaptation.mean_teacher`) answer every so often for target
keypoints, and closed form puts each answer on its rays. The answers that re-project best become pseudo-labels
in two ways. *Transferred*: a source pose is turned as the pseudo-pose stands (pitch, roll and heading of its
trunk) and placed at its root. *Own*: the pseudo-pose itself, with bodies and bones varied, is a training
pose; its keypoints are projected anew, so that both belong together even where the answer was wrong.
"Pseudo-Label-Guided Global Transforms" (arXiv 2504.12699) has the idea of orientations by pseudo-labels.
No label of the target is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import Tensor

from poseshift.adaptation.global_position import GlobalPositionAlignment, at_least
from poseshift.adaptation.mean_teacher import MeanTeacher, standing_still
from poseshift.augmentation.bodies import body_axes
from poseshift.augmentation.clips import middle, middle_root
from poseshift.augmentation.draws import draw_normal, draw_rows
from poseshift.geometry.bones import bone_lengths
from poseshift.geometry.projection import normalise
from poseshift.geometry.rays import absolute_on_rays, onto_rays
from poseshift.geometry.rotation import axis_angle_to_matrix, compose, rotate, transpose
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.model import FrozenModel
from poseshift.training.batches import Batch, BatchTransform
from poseshift.training.flip import lift_flip_averaged
from poseshift.training.transforms import TrainingRun


class SelfTrainingConfig(FrozenModel):
    """When target keypoints are answered for, which answers are believed, and what is made of them."""

    first: float = Field(
        default=0.25, gt=0, lt=1, description="Share of the run's steps that learn without pseudo-poses."
    )
    every: int = Field(default=200, ge=1, description="Steps between one set of pseudo-poses and the next.")
    poses: int = Field(default=4096, ge=2, description="Target poses answered for each time.")
    kept: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="Share of the answers that is believed: those that re-project best.",
    )
    ema_decay: float = Field(
        default=0.99, gt=0, lt=1, description="Decay of the average of the lifter's weights that answers."
    )
    transferred: float = Field(
        default=0.75,
        ge=0,
        lt=1,
        description="Share of a batch that is source poses turned and placed as pseudo-poses are.",
    )
    own: float = Field(
        default=0.0, ge=0, lt=1, description="Share of a batch that is pseudo-poses themselves."
    )
    jitter_degrees: float = Field(
        default=10.0,
        ge=0,
        description="Deviation, about each axis, of a random turn that covers the error of the answers.",
    )

    @model_validator(mode="after")
    def _leaves_the_source(self) -> SelfTrainingConfig:
        if self.transferred + self.own >= 1:
            raise ValueError(
                "`transferred` and `own` leave nothing of the source; let them sum to less than 1"
            )
        return self


@dataclass(frozen=True)
class PseudoPoses:
    """Answers to target keypoints that are believed.

    Attributes
    ----------
    positions : Tensor
        (n, joints, 3), metres, camera axes, on the rays of their keypoints.
    rows : Tensor
        (n,), the target pose that each answers for.
    """

    positions: Tensor
    rows: Tensor


class SelfTraining:
    """Learn from pseudo-poses beside the source: a :class:`poseshift.training.transforms.StatefulTransform`.

    Parameters
    ----------
    config : SelfTrainingConfig
        When, which and how many.
    position : GlobalPositionAlignment
        Its target keypoints are answered for.
    usual : sequence of BatchTransform
        What turns, varies and places source poses otherwise.
    varied : sequence of BatchTransform
        What varies bodies and bones of poses whose place and orientation come from pseudo-poses.
    """

    def __init__(
        self,
        config: SelfTrainingConfig,
        position: GlobalPositionAlignment,
        usual: Sequence[BatchTransform],
        varied: Sequence[BatchTransform],
    ) -> None:
        self.config = config
        self._position = position
        self._usual, self._varied = tuple(usual), tuple(varied)
        self._teacher = MeanTeacher(config.first, config.every, config.ema_decay)
        self._pseudo: PseudoPoses | None = None

    def attach(self, run: TrainingRun) -> None:
        """Begin a run; see the protocol."""
        self._teacher.attach(run)
        self._pseudo = None

    def state_dict(self) -> dict[str, Any]:
        """Step, teacher, and what it has answered."""
        known = self._pseudo
        pseudo = None if known is None else {"positions": known.positions, "rows": known.rows}
        return {**self._teacher.state_dict(), "pseudo": pseudo}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self._teacher.load_state_dict(state)
        self._pseudo = None if state["pseudo"] is None else PseudoPoses(**state["pseudo"])

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Let the teacher follow the lifter, answer when it is time, and make the batch."""
        since = self._teacher.follow()
        if since < 0:
            return _through(self._usual, batch, generator)
        if self._pseudo is None or self._teacher.is_time(since):
            self._pseudo = self.answered(generator)
        transferred, own = (round(share * len(batch)) for share in (self.config.transferred, self.config.own))
        made = _through(self._usual, batch[transferred + own :], generator)
        if transferred:
            made = made.joined(self._transferred(batch[:transferred], self._pseudo, generator))
        if own:
            made = made.joined(self._own(batch[transferred : transferred + own], self._pseudo, generator))
        return made

    @torch.no_grad()
    def answered(self, generator: torch.Generator) -> PseudoPoses:
        """Answer for random target poses by the teacher as it is now; keep those that re-project best."""
        run, teacher = self._teacher.ready()
        joint_set = skeleton(teacher.skeleton)
        rows = self._position.draw(self.config.poses, generator)
        seen = self._position.seen(rows)
        clips = standing_still(seen, teacher.frames)
        relative = middle(lift_flip_averaged(teacher, run.encoding, clips, seen.intrinsics, joint_set))
        rays = normalise(seen.keypoints_px, seen.intrinsics)
        certain = torch.ones_like(rays[..., 0])
        absolute = absolute_on_rays(relative, rays, certain)
        missed = (absolute[..., :2] - rays * absolute[..., 2:3]).norm(dim=-1).mean(dim=-1)
        # Relative to the body, so that small answers are not believed for their size.
        score = missed / bone_lengths(relative, joint_set).sum(dim=-1)
        best = score.argsort()[: max(1, round(self.config.kept * len(rows)))]
        return PseudoPoses(onto_rays(absolute, rays, certain)[best], rows[best])

    def _transferred(self, batch: Batch, pseudo: PseudoPoses, generator: torch.Generator) -> Batch:
        """Turn source poses as pseudo-poses stand, and put them where those are, as large as those look."""
        joint_set = self._position.joint_set
        varied = _through(self._varied, batch, generator)
        chosen = draw_rows(len(pseudo.rows), len(batch), generator)
        model = pseudo.positions[chosen]
        pose = middle(varied.positions_camera)
        turn = compose(body_axes(model, joint_set), transpose(body_axes(pose, joint_set)))
        turn = compose(self._jitter(len(batch), model, generator), turn)
        relative = varied.positions_camera - middle_root(varied.positions_camera, joint_set.root)
        size = (bone_lengths(pose, joint_set).sum(dim=-1) / bone_lengths(model, joint_set).sum(dim=-1))[
            :, None
        ]
        root = model[:, joint_set.root] * size
        return self._seen(rotate(relative, turn), root, pseudo.rows[chosen])

    def _own(self, batch: Batch, pseudo: PseudoPoses, generator: torch.Generator) -> Batch:
        """Take pseudo-poses, vary their bodies and bones, and put them where their keypoints are."""
        joint_set = self._position.joint_set
        chosen = draw_rows(len(pseudo.rows), len(batch), generator)
        model = pseudo.positions[chosen]
        still = model[:, None].expand(-1, batch.positions_camera.shape[1], -1, -1)
        rows = pseudo.rows[chosen]
        seen = self._position.seen(rows)
        clips = Batch.seen(still, seen.intrinsics)
        varied = _through(self._varied, clips, generator).positions_camera
        relative = varied - middle_root(varied, joint_set.root)
        turn = self._jitter(len(batch), model, generator)
        rays = normalise(seen.keypoints_px, seen.intrinsics)
        relative = rotate(relative, turn)
        root = absolute_on_rays(middle(relative), rays, torch.ones_like(rays[..., 0]))[:, joint_set.root]
        return self._seen(relative, root, rows)

    def _seen(self, relative: Tensor, root: Tensor, rows: Tensor) -> Batch:
        """Put poses with their roots where they are asked to be, no nearer than they may come."""
        intrinsics = self._position.seen(rows).intrinsics
        depth = at_least(self._position.config.nearest_m, root[:, 2], relative)[:, None]
        placed = relative + (root * depth / root[:, 2:3])[:, None, None]
        return Batch.seen(placed, intrinsics)  # where up is, nobody knows

    def _jitter(self, count: int, like: Tensor, generator: torch.Generator) -> Tensor:
        deviation = math.radians(self.config.jitter_degrees)
        turns: Tensor = axis_angle_to_matrix(deviation * draw_normal((count, 3), like, generator))
        return turns


def _through(transforms: Sequence[BatchTransform], batch: Batch, generator: torch.Generator) -> Batch:
    through = batch
    for transform in transforms:
        through = transform(through, generator)
    return through
