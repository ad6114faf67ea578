"""Other bodies and other joint definitions than the source's: a population in place of a few people.

Two laboratories differ in whom they film and in where inside a body they place a joint: one has its hips
88 mm from the pelvis, the other 112 mm. A lifter that was taught by one body and one definition answers with
them.
Here every clip gets a stature, proportions and a placement of the trunk's joints of its own, drawn and not
learned; motion, viewpoint and the root's place stay. Nothing of a target is used.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from poseshift.augmentation.anatomy import anatomy
from poseshift.augmentation.draws import draw_normal
from poseshift.augmentation.transforms import scale_bones
from poseshift.geometry.arrays import align_leading
from poseshift.geometry.constants import constant, indices, mask
from poseshift.geometry.skeleton import Skeleton
from poseshift.storage.model import FrozenModel
from poseshift.training.batches import Batch
from poseshift.training.flip import MIRROR_X

LARGEST_DEVIATIONS = 2.5
"""Draws farther from the mean than so many standard deviations are brought back to that bound."""


class BodyDiversity(FrozenModel):
    """How different the bodies are."""

    stature_spread: float = Field(
        default=0.07, ge=0, lt=0.3, description="Standard deviation of the logarithm of a body's size."
    )
    proportion_spread: float = Field(
        default=0.08,
        ge=0,
        lt=0.3,
        description="Standard deviation of the logarithm of each bone's length, mirrored bones alike.",
    )
    joint_spread_m: float = Field(
        default=0.02,
        ge=0,
        lt=0.1,
        description=(
            "Standard deviation, on each axis of the body, of where the joints of trunk, neck and head and "
            "the first joints of the limbs are placed."
        ),
    )


class DiverseBodies:
    """Give every clip a body of its own: a ``BatchTransform``.

    Parameters
    ----------
    config : BodyDiversity
        How different the bodies are.
    skeleton : Skeleton
        Joint set of the poses.
    """

    places_anew: ClassVar[Literal[True]] = True

    def __init__(self, config: BodyDiversity, skeleton: Skeleton) -> None:
        self.config = config
        self._skeleton = skeleton
        self._placed = _placed_joints(skeleton)

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Draw one body per clip."""
        positions = batch.positions_camera
        sized = positions
        if self.config.stature_spread > 0 or self.config.proportion_spread > 0:
            sized = scale_bones(positions, self._factors(positions, generator), self._skeleton)
        if self.config.joint_spread_m > 0:
            sized = placed_anew(sized, self._offsets(positions, generator), self._skeleton)
        return Batch.seen(sized, batch.intrinsics, batch.up_camera)

    def _factors(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the factors of the bones' lengths, (n, bones)."""
        groups = anatomy(self._skeleton)
        size = _bounded((len(like), 1), like, generator) * self.config.stature_spread
        each = _bounded((len(like), groups.groups), like, generator) * self.config.proportion_spread
        return (size + each).exp()[:, indices(groups.length_groups, like)]

    def _offsets(self, like: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the joints' offsets in the body's axes, (n, joints, 3): the same left and right, mirrored."""
        joints = self._skeleton.joints
        drawn = _bounded((len(like), joints, 3), like, generator) * self.config.joint_spread_m
        offsets = torch.zeros_like(drawn)
        for joint in self._placed:
            twin = self._skeleton.mirrored[joint]
            if twin == joint:
                offsets[:, joint, 1:] = drawn[:, joint, 1:]
            elif joint < twin:
                offsets[:, joint] = drawn[:, joint]
                offsets[:, twin] = drawn[:, joint] * constant(MIRROR_X, drawn)
        return offsets


def placed_anew(positions: Tensor, offsets: Tensor, skeleton: Skeleton) -> Tensor:
    """Place joints elsewhere in the body, each by an offset in the body's own axes.

    Parameters
    ----------
    positions : Tensor
        (n, frames, joints, 3), metres.
    offsets : Tensor
        (n, joints, 3), metres: to the body's left, up along the trunk, and forward. Joints above the hips
        turn with the shoulders, the others with the hips.
    skeleton : Skeleton
        Names the joints.
    """
    hips, shoulders = _girdles(skeleton)
    top, bottom = anatomy(skeleton).trunk[-1], skeleton.root
    along = positions[..., skeleton.bones[top][1], :] - positions[..., bottom, :]
    lower, upper = (
        _axes(along, positions[..., left, :] - positions[..., right, :]) for left, right in (hips, shoulders)
    )
    with_hips = mask(tuple(joint in (bottom, *hips) for joint in range(skeleton.joints)), positions)
    axes = torch.where(with_hips[:, None, None], lower[..., None, :, :], upper[..., None, :, :])
    shift = (axes * align_leading(offsets, positions.ndim, trailing=2)[..., None, :]).sum(dim=-1)
    moved: Tensor = positions + shift
    return moved


def body_axes(poses: Tensor, skeleton: Skeleton) -> Tensor:
    """Axes of bodies by their hips and trunks, as columns: to the body's left, up, forward.

    Parameters
    ----------
    poses : Tensor
        (..., joints, 3), metres.
    skeleton : Skeleton
        Names the joints.

    Returns
    -------
    Tensor
        (..., 3, 3), rotations.
    """
    (left, right), _ = _girdles(skeleton)
    top = skeleton.bones[anatomy(skeleton).trunk[-1]][1]
    along = poses[..., top, :] - poses[..., skeleton.root, :]
    return _axes(along, poses[..., left, :] - poses[..., right, :])


def _axes(along: Tensor, left: Tensor) -> Tensor:
    """Axes of a body as columns (..., 3, 3): to its left, up along the trunk, forward."""
    up = torch.nn.functional.normalize(along, dim=-1)
    forward = torch.nn.functional.normalize(torch.linalg.cross(left, up, dim=-1), dim=-1)
    return torch.stack([torch.linalg.cross(up, forward, dim=-1), up, forward], dim=-1)


def _girdles(skeleton: Skeleton) -> tuple[tuple[int, int], tuple[int, int]]:
    """First joints of the legs and of the arms, each (left, right)."""
    paired = dict(zip(skeleton.left, skeleton.right, strict=True))
    first = [limb[0] for limb in anatomy(skeleton).limbs if limb[0] in paired]
    hips = next(joint for joint in first if skeleton.parents[joint] == skeleton.root)
    shoulders = next(joint for joint in first if joint != hips)
    return (hips, paired[hips]), (shoulders, paired[shoulders])


def _placed_joints(skeleton: Skeleton) -> tuple[int, ...]:
    """Joints whose place is a matter of definition: the unpaired ones, and the first of every limb."""
    inside = {joint for limb in anatomy(skeleton).limbs for joint in limb[1:]}
    return tuple(joint for joint in range(skeleton.joints) if joint not in inside)


def _bounded(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return draw_normal(shape, like, generator).clamp(-LARGEST_DEVIATIONS, LARGEST_DEVIATIONS)
