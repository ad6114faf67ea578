"""A body of capsules along the bones of a skeleton: needs no licensed file, and can be put on any joints."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from poseshift.geometry.arrays import norm
from poseshift.geometry.bones import bone_directions, bone_lengths, from_bones, root_first
from poseshift.geometry.rotation import axis_angle_to_matrix
from poseshift.geometry.skeleton import Skeleton
from poseshift.training.rendering.body_model import PARTS, Posed

RADII_M: Mapping[str, float] = MappingProxyType(
    {
        "head": 0.09,
        "torso": 0.11,
        "upper_arm": 0.045,
        "lower_arm": 0.035,
        "upper_leg": 0.075,
        "lower_leg": 0.05,
    }
)
"""Radii of a body with girth 1, metres; roughly those of an adult. Sides are alike."""

LIMBS_M = 2.86
"""Length of all bones of arms and legs together of the body that :data:`RADII_M` are of, metres."""

_AROUND, _CAP_RINGS = 8, 2

_PART_OF_BONE = (
    (r"knee|(?<!up)leg$", "upper_leg"),
    (r"ankle|foot|toe|heel", "lower_leg"),
    (r"elbow|forearm", "upper_arm"),
    (r"wrist|hand|thumb|pinky|index", "lower_arm"),
    (r"head|nose|eye|ear|mouth", "head"),
)
"""Patterns of the name of a bone's far joint, the first that is found; all others are of the torso."""


class CapsuleBody:
    """Capsules along the bones of a skeleton.

    Each bone is one capsule; girth and length are its factors. The part of the body that a bone belongs to is
    told by the name of its far joint: the bone that ends in an elbow is an upper arm.

    Parameters
    ----------
    skeleton : Skeleton
        Whose bones; any, by its parents.
    rest : Tensor
        (joints, 3) metres, the pose that rotations start from. It gives :meth:`pose` directions and lengths;
        :meth:`on_joints` does not look at it.
    """

    def __init__(self, skeleton: Skeleton, rest: Tensor) -> None:
        self.skeleton = skeleton
        self.rest = rest
        self.bone_parts = tuple(
            _part(skeleton.joint_names[child], child, skeleton) for _, child in skeleton.bones
        )
        radial, axial, end, faces = _template()
        bones, vertices = len(skeleton.bones), len(end)
        self._radial, self._axial, self._end = (one.to(rest) for one in (radial, axial, end))
        self.faces = torch.cat([faces + vertices * bone for bone in range(bones)]).to(rest.device)
        numbers = torch.tensor([PARTS.index(part) for part in self.bone_parts], device=rest.device)
        self.part_of_bone = numbers
        self.priors = one_hot(numbers.repeat_interleave(len(faces)), len(PARTS)).to(rest)
        radii = [RADII_M[part.removeprefix("left_").removeprefix("right_")] for part in self.bone_parts]
        self._radii = rest.new_tensor(radii)

    @property
    def bones(self) -> int:
        """Number of bones; shapes have twice as many parameters."""
        return len(self.skeleton.bones)

    def size(self, joints: Tensor) -> Tensor:
        """Length of all bones of arms and legs over :data:`LIMBS_M`, (batch, joints, 3) -> (batch,).

        A lifter's answer need not have the size of the person. Girths times this make its capsules as thick
        for its size as those of an adult are.
        """
        limbs = self.part_of_bone >= PARTS.index("left_upper_arm")
        lengths: Tensor = bone_lengths(joints, self.skeleton)
        return lengths[:, limbs].sum(dim=1) / LIMBS_M

    def pose(self, rotations: Tensor, shape: Tensor, translation: Tensor) -> Posed:
        """Pose bodies by rotations of their joints; see the protocol.

        Parameters
        ----------
        rotations : Tensor
            (batch, joints, 3) axis and angle, each in the axes of the joint's parent; a joint turns the bones
            that leave it.
        shape : Tensor
            (batch, 2 bones) factors of girths, then of lengths.
        translation : Tensor
            (batch, 3) place of the root, metres.
        """
        turned = axis_angle_to_matrix(rotations)
        world: dict[int, Tensor] = {}
        for joint in root_first(self.skeleton):
            parent = self.skeleton.parents[joint]
            own = turned[:, joint]
            world[joint] = own if parent < 0 else world[parent] @ own
        girths, factors = shape[:, : self.bones], shape[:, self.bones :]
        rest: Tensor = bone_directions(self.rest, self.skeleton)
        directions = torch.stack(
            [world[parent] @ rest[bone] for bone, (parent, _) in enumerate(self.skeleton.bones)], dim=1
        )
        lengths: Tensor = bone_lengths(self.rest, self.skeleton)
        joints: Tensor = from_bones(translation, directions, lengths * factors, self.skeleton)
        return self.on_joints(joints, girths)

    def on_joints(self, joints: Tensor, girths: Tensor) -> Posed:
        """Put capsules between joints, such as a lifter's answer placed before its camera.

        Parameters
        ----------
        joints : Tensor
            (batch, joints, 3), metres.
        girths : Tensor
            (batch, bones) factors of the radii.
        """
        parents, children = zip(*self.skeleton.bones, strict=True)
        start, end = joints[:, list(parents)], joints[:, list(children)]
        along, across, beside = _frames(end - start)
        offset = (
            self._radial[:, 0, None] * across[:, :, None]
            + self._radial[:, 1, None] * beside[:, :, None]
            + self._axial[:, None] * along[:, :, None]
        )
        axis = start[:, :, None] + self._end[:, None] * (end - start)[:, :, None]
        radii = (self._radii * girths)[..., None, None]
        return Posed((axis + radii * offset).flatten(1, 2), joints)


def _part(name: str, joint: int, skeleton: Skeleton) -> str:
    """Name the part of the bone that ends in a joint."""
    limb = next((part for pattern, part in _PART_OF_BONE if re.search(pattern, name.lower())), "torso")
    if not limb.endswith(("arm", "leg")):
        return limb
    return f"{'left' if joint in skeleton.left else 'right'}_{limb}"


def _frames(vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Three orthonormal axes (..., 3), the first along vectors; how the others turn is of no account."""
    length = norm(vectors)[..., None]
    upwards = torch.zeros_like(vectors)
    upwards[..., 2] = 1
    along = torch.where(length > 1e-9, vectors / length.clamp(min=1e-9), upwards)
    # The axis of the world that the bone is least along: its cross product is never short.
    least = one_hot(along.detach().abs().argmin(dim=-1), 3).to(along)
    across = torch.linalg.cross(along, least)
    across = across / norm(across)[..., None]
    return along, across, torch.linalg.cross(along, across)


def _template() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One capsule: per vertex its place across the axis, along it from an end, and which end; its faces."""
    radial, axial, end = [], [], []
    # From the pole of the first end over both equators to the pole of the other.
    latitudes = [(-math.pi / 2 * ring / _CAP_RINGS, 0.0) for ring in range(_CAP_RINGS - 1, -1, -1)]
    latitudes += [(-latitude, 1.0) for latitude, _ in reversed(latitudes)]
    for latitude, which in latitudes:
        for step in range(_AROUND):
            angle = 2 * math.pi * step / _AROUND
            radial.append((math.cos(latitude) * math.cos(angle), math.cos(latitude) * math.sin(angle)))
            axial.append(math.sin(latitude))
            end.append(which)
    rings = len(latitudes)
    poles = (rings * _AROUND, rings * _AROUND + 1)
    radial += [(0.0, 0.0)] * 2
    axial += [-1.0, 1.0]
    end += [0.0, 1.0]

    faces = []
    for step in range(_AROUND):
        following = (step + 1) % _AROUND
        for ring in range(rings - 1):
            a, b = ring * _AROUND + step, ring * _AROUND + following
            faces += [(a, b, b + _AROUND), (a, b + _AROUND, a + _AROUND)]
        last = (rings - 1) * _AROUND
        faces += [(poles[0], following, step), (poles[1], last + step, last + following)]
    return (
        torch.tensor(radial, dtype=torch.float64),
        torch.tensor(axial, dtype=torch.float64),
        torch.tensor(end, dtype=torch.float64),
        torch.tensor(faces),
    )
