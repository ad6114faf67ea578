"""What test-time optimisation goes by: answers to latent inputs, and how far they project off keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from poseshift.geometry.arrays import norm
from poseshift.geometry.constants import mask
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.projection import distort, normalise, rays_of, rays_to_px, to_screen
from poseshift.geometry.rays import FEWEST_JOINTS, absolute_on_rays
from poseshift.geometry.skeleton import Skeleton, skeleton
from poseshift.training.batches import Batch
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.encoding import Encoded, Encoding
from poseshift.training.flip import encode_both, mirror_scaled, scaled_of
from poseshift.training.lifters.lifter import Scaled, ScaledLifter

COORDINATES = 2
"""Channels of every encoding that are coordinates, the first ones; others, such as what was seen, stay."""

WIDEST_RAY = 1.0
"""Of the release: projected joints are seen at most 45 degrees off either axis."""

_NOTHING = 1e-6
"""Keeps a least-squares root defined where next to nothing was seen."""


@dataclass(frozen=True)
class Side:
    """Clips as they are, or mirrored: from latent inputs to answers in the camera's own axes.

    Attributes
    ----------
    lifter : ScaledLifter
        What answers.
    encoding, encoded : Encoding or Encoded
        What it is shown.
    mirrored : Skeleton or None
        The joint set where clips are mirrored; answers are then mirrored back.
    """

    lifter: ScaledLifter
    encoding: Encoding
    encoded: Encoded
    mirrored: Skeleton | None

    @property
    def keypoints(self) -> Tensor:
        """The keypoints as the lifter sees them, (batch, frames, joints, 2): where latent inputs begin."""
        return self.encoded.inputs[..., :COORDINATES]

    def answer(self, latent: Tensor) -> Scaled:
        """Lift latent inputs (batch, frames, joints, 2)."""
        rest = self.encoded.inputs[..., COORDINATES:]
        seen = replace(self.encoded, inputs=torch.cat([latent, rest], dim=-1))
        answer = scaled_of(self.lifter, self.encoding, seen)
        return answer if self.mirrored is None else mirror_scaled(answer, self.mirrored)


def both_sides(trained: TrainedLifter, batch: Batch) -> tuple[Side, Side]:
    """Encode clips as they are, and mirrored."""
    lifter, encoding = trained.scaled, trained.encoding
    joint_set = skeleton(lifter.skeleton)
    plain, mirrored = encode_both(encoding, batch.keypoints_px, batch.intrinsics, joint_set)
    return Side(lifter, encoding, plain, None), Side(lifter, encoding, mirrored, joint_set)


@dataclass(frozen=True)
class Target:
    """The keypoints of the frames answered for, and from where poses are projected.

    Attributes
    ----------
    rays, screen : Tensor
        (batch, frames, joints, 2), the keypoints as rays and in screen coordinates.
    known : Tensor
        (batch, frames, joints), 1 for a joint that was seen, else 0.
    fit, judge : Tensor
        (joints,), 1 for the joints that are fitted, and for those by which clips are judged.
    intrinsics : Intrinsics
        Leading dimensions (batch,).
    root : Tensor or None
        (batch, frames, 1, 3) where it is given; None where it follows from pose and keypoints.
    """

    rays: Tensor
    screen: Tensor
    known: Tensor
    fit: Tensor
    judge: Tensor
    intrinsics: Intrinsics
    root: Tensor | None

    @classmethod
    def of(cls, trained: TrainedLifter, batch: Batch, *, given: bool, half_by: int | None) -> Target:
        """Take the keypoints of a batch.

        Parameters
        ----------
        trained : TrainedLifter
            Says which frames are answered for.
        batch : Batch
            The clips.
        given : bool
            Whether the root is the true one.
        half_by : int or None
            Seed by which half of the joints is chosen to be fitted, the others to judge by; None takes all
            for both.

        Raises
        ------
        ValueError
            The root is to be given and there is no 3D.
        """
        lifter = trained.lifter
        joint_set = skeleton(lifter.skeleton)
        centre = slice(lifter.frames // 2, lifter.frames // 2 + 1)
        answered = slice(None) if lifter.output == "all" else centre
        seen = batch.keypoints_px[:, answered]
        known = seen.isfinite().all(dim=-1)
        seen = torch.where(known[..., None], seen, batch.intrinsics.centre_px[:, None, None])
        root = batch.positions_camera[:, answered, joint_set.root : joint_set.root + 1] if given else None
        if root is not None and not bool(root.isfinite().all()):
            raise ValueError(
                "the true root is asked for, but these poses have no 3D; use the root `lsq`, which needs none"
            )
        fit, judge = _parts(joint_set.joints, half_by)
        return cls(
            rays=normalise(seen, batch.intrinsics),
            screen=to_screen(seen, batch.intrinsics.size_px),
            known=known.to(seen.dtype),
            fit=mask(fit, seen).to(seen.dtype),
            judge=mask(judge, seen).to(seen.dtype),
            intrinsics=batch.intrinsics,
            root=root,
        )

    def place(self, answer: Scaled) -> Tensor:
        """Put an answer before the camera, (batch, frames, joints, 3) metres.

        Where the root is not given, it is the least-squares one of the fitted joints that were seen, each
        weighing as much as the lifter is sure of it; of all that were seen, where these are fewer than four.
        """
        if self.root is not None:
            return answer.positions + self.root
        sure = (-answer.log_scale.detach().squeeze(-1)).exp() * self.known
        fitted = sure * self.fit
        enough = ((fitted > 0).sum(dim=-1) >= FEWEST_JOINTS)[..., None]
        weights = torch.where(enough, fitted, sure + _NOTHING)
        return cast(Tensor, absolute_on_rays(answer.positions, self.rays, weights))

    def distances(self, answer: Scaled) -> Tensor:
        """Distances of projected joints from their keypoints, screen coordinates, (batch, frames, joints)."""
        rays = rays_of(self.place(answer)).clamp(-WIDEST_RAY, WIDEST_RAY)
        pixels = rays_to_px(distort(rays, self.intrinsics), self.intrinsics)
        return cast(Tensor, norm(to_screen(pixels, self.intrinsics.size_px) - self.screen))

    def fitted(self, answers: Sequence[Scaled]) -> Tensor:
        """Mean distance of the fitted joints that were seen, summed over answers, (batch,)."""
        return self._distance(answers, self.fit)

    def judged(self, answers: Sequence[Scaled]) -> Tensor:
        """Mean distance of the joints that were seen and judge, summed over answers, (batch,)."""
        return self._distance(answers, self.judge)

    def _distance(self, answers: Sequence[Scaled], chosen: Tensor) -> Tensor:
        weights = self.known * chosen
        distances = torch.stack([self.distances(one) for one in answers]).sum(dim=0)
        total: Tensor = (distances * weights).sum(dim=(1, 2))
        return total / weights.sum(dim=(1, 2)).clamp(min=1)


def _parts(joints: int, half_by: int | None) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """Choose the joints that are fitted and those that judge; of an odd number, more are fitted."""
    if half_by is None:
        return (True,) * joints, (True,) * joints
    order = torch.randperm(joints, generator=torch.Generator().manual_seed(half_by)).tolist()
    chosen = set(order[: (joints + 1) // 2])
    fit = tuple(joint in chosen for joint in range(joints))
    return fit, tuple(not one for one in fit)
