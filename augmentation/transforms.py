"""The three operators of pose augmentation: bone angles, bone lengths, rotation; and the exchange of lengths.

They follow PoseAug (Gong et al., CVPR 2021) as its released code has them: bone directions are moved by
offsets and normalised, lengths are scaled by mirrored factors, the body is turned about its root. All are
differentiable in poses and parameters, and work on any registered skeleton. Where the augmented body then
stands in front of its camera is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from poseshift.augmentation.anatomy import anatomy
from poseshift.augmentation.clips import middle_root
from poseshift.geometry.arrays import align_leading, norm
from poseshift.geometry.bones import bone_directions, directions_and_lengths, from_bones
from poseshift.geometry.constants import constant, indices
from poseshift.geometry.rotation import axis_angle_to_matrix, rotate
from poseshift.geometry.skeleton import Skeleton

LENGTH_LIMIT = 0.2
"""Largest relative change of a bone's length."""


@dataclass(frozen=True)
class PoseParameters:
    """Parameters of the operators, one set per clip.

    Attributes
    ----------
    angles : Tensor
        (n, bones, 3), offsets of the bones' unit vectors.
    gains : Tensor
        (n, groups), relative changes of length of the mirrored groups, see :func:`length_gains`.
    axis_angle : Tensor
        (n, 3), rotation in radians, see :func:`rotation_vector`.
    """

    angles: Tensor
    gains: Tensor
    axis_angle: Tensor

    def flat(self) -> Tensor:
        """All numbers of each clip in one row, (n, 3 bones + groups + 3)."""
        return torch.cat([self.angles.flatten(1), self.gains, self.axis_angle], dim=1)


@dataclass(frozen=True)
class AngledPose:
    """Poses with moved bone directions.

    Attributes
    ----------
    positions : Tensor
        (..., joints, 3), metres.
    change : Tensor
        (..., bones), ``1 - n' . n`` of each bone: 0 unmoved, 1 at a right angle, 2 reversed.
    directions : Tensor
        (..., bones, 3), the unit vectors n'.
    lengths : Tensor
        (..., bones), metres.
    """

    positions: Tensor
    change: Tensor
    directions: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Augmented:
    """A pose after each of the operators, all (n, frames, joints, 3) in metres.

    Roots stay where they are, but for those of other frames than the middle one, which turn with the body.

    Attributes
    ----------
    angled : Tensor
        With moved bone directions.
    change : Tensor
        (n, frames, bones), how far they moved.
    lengthened : Tensor
        With scaled lengths, too.
    rotated : Tensor
        Turned about the root of the middle frame, too.
    rotation : Tensor
        (n, 3, 3), by what it is turned.
    """

    angled: Tensor
    change: Tensor
    lengthened: Tensor
    rotated: Tensor
    rotation: Tensor


def apply(positions: Tensor, parameters: PoseParameters, skeleton: Skeleton) -> Augmented:
    """Apply bone angles, then bone lengths, then the rotation.

    Parameters
    ----------
    positions : Tensor
        (n, frames, joints, 3), metres; every frame of a clip gets the clip's parameters.
    parameters : PoseParameters
        One set per clip.
    skeleton : Skeleton
        Names the bones.
    """
    angled = move_directions(positions, parameters.angles, skeleton)
    # As `scale_lengths` has it, but for bones that are known already.
    factors = align_leading(_factors(parameters.gains, skeleton), positions.ndim - 1, trailing=1)
    root = positions[..., skeleton.root, :]
    lengthened: Tensor = from_bones(root, angled.directions, angled.lengths * factors, skeleton)
    rotation: Tensor = axis_angle_to_matrix(parameters.axis_angle)
    return Augmented(
        angled=angled.positions,
        change=angled.change,
        lengthened=lengthened,
        rotated=_turned(lengthened, rotation, skeleton),
        rotation=rotation,
    )


def move_directions(positions: Tensor, offsets: Tensor, skeleton: Skeleton) -> AngledPose:
    """Move the bones' unit vectors: ``n' = (n + d) / |n + d|``, but for the trunk's; lengths stay.

    ``d = n - n'`` applied to the result gives the pose back.

    Parameters
    ----------
    positions : Tensor
        (*rows, ..., joints, 3), metres.
    offsets : Tensor
        (*rows, bones, 3), d, without unit.
    skeleton : Skeleton
        Names the bones.
    """
    directions, lengths = directions_and_lengths(positions, skeleton)
    trunk = anatomy(skeleton).trunk
    free = constant(tuple(float(bone not in trunk) for bone in range(len(skeleton.bones))), positions)[
        :, None
    ]
    moved = _unit(directions + free * align_leading(offsets, positions.ndim, trailing=2))
    kept = torch.where(free > 0, moved, directions)
    root = positions[..., skeleton.root, :]
    return AngledPose(
        positions=from_bones(root, kept, lengths, skeleton),
        change=1 - (kept * directions).sum(dim=-1),
        directions=kept,
        lengths=lengths,
    )


def scale_lengths(positions: Tensor, gains: Tensor, skeleton: Skeleton) -> Tensor:
    """Scale the bones: ``l' = l (1 + g)``, mirrored bones alike, the trunk's last bone not at all.

    A gain of ``-g / (1 + g)`` undoes a gain of ``g``.

    Parameters
    ----------
    positions : Tensor
        (*rows, ..., joints, 3), metres.
    gains : Tensor
        (*rows, groups), in the order of :attr:`poseshift.augmentation.anatomy.Anatomy.length_groups`.
    skeleton : Skeleton
        Names the bones.
    """
    return scale_bones(positions, _factors(gains, skeleton), skeleton)


def _factors(gains: Tensor, skeleton: Skeleton) -> Tensor:
    """Factors of the bones' lengths, (*rows, bones), of the gains of their groups."""
    body = anatomy(skeleton)
    free = constant(tuple(float(group != body.kept_length) for group in range(body.groups)), gains)
    factors: Tensor = 1 + (free * gains).index_select(-1, indices(body.length_groups, gains))
    return factors


def scale_bones(positions: Tensor, factors: Tensor, skeleton: Skeleton) -> Tensor:
    """Scale every bone by its factor and keep directions and roots.

    Parameters
    ----------
    positions : Tensor
        (*rows, ..., joints, 3), metres.
    factors : Tensor
        (*rows, bones), of the lengths.
    skeleton : Skeleton
        Names the bones.
    """
    directions, lengths = directions_and_lengths(positions, skeleton)
    scaled = lengths * align_leading(factors, lengths.ndim, trailing=1)
    return cast(Tensor, from_bones(positions[..., skeleton.root, :], directions, scaled, skeleton))


def turn(positions: Tensor, axis_angle: Tensor, skeleton: Skeleton) -> Tensor:
    """Turn clips about the root of their middle frame; the negated vector turns them back.

    The root's way is turned with the body, so that who walks forward goes on walking forward.

    Parameters
    ----------
    positions : Tensor
        (n, frames, joints, 3), metres.
    axis_angle : Tensor
        (n, 3), radians.
    skeleton : Skeleton
        Names the root.
    """
    return _turned(positions, axis_angle_to_matrix(axis_angle), skeleton)


def _turned(positions: Tensor, rotation: Tensor, skeleton: Skeleton) -> Tensor:
    root = middle_root(positions, skeleton.root)
    return cast(Tensor, rotate(positions - root, rotation) + root)


def turn_up(up: Tensor | None, rotation: Tensor) -> Tensor | None:
    """Turn the directions against gravity (n, 3) as :func:`turn` turns bodies; None where they are unknown.

    Parameters
    ----------
    up : Tensor or None
        (n, 3), unit vectors.
    rotation : Tensor
        (n, 3, 3).
    """
    return None if up is None else rotate(up[:, None], rotation)[:, 0]


def with_lengths(positions: Tensor, lengths: Tensor, skeleton: Skeleton) -> Tensor:
    """Give poses other bone lengths and keep their directions and roots.

    Parameters
    ----------
    positions : Tensor
        (*rows, ..., joints, 3), metres.
    lengths : Tensor
        (*rows, bones), for example another subject's, metres.
    skeleton : Skeleton
        Names the bones.
    """
    directions = bone_directions(positions, skeleton)
    aligned = align_leading(lengths, directions.ndim - 1, trailing=1)
    return cast(Tensor, from_bones(positions[..., skeleton.root, :], directions, aligned, skeleton))


def length_gains(outputs: Tensor) -> Tensor:
    """Bound a network's outputs to relative changes of length: ``0.2 tanh(o)``."""
    return LENGTH_LIMIT * torch.tanh(outputs)


def rotation_vector(outputs: Tensor) -> Tensor:
    """Bound a network's outputs (..., 3) to an axis-angle vector: ``pi tanh(o)`` on each axis."""
    return torch.pi * torch.tanh(outputs)


def _unit(vectors: Tensor) -> Tensor:
    """Normalise; the zero vector stays zero and has gradient zero."""
    length = cast(Tensor, norm(vectors))[..., None]
    return vectors / torch.where(length == 0, torch.ones_like(length), length)
