"""Tracks of people before cameras of any attitude: what finding the vertical is learned and judged by.

Free motion is changed in content (people who lean, lie, stand on their heads or hold still, beside what they
do anyway), given other bodies, and seen by cameras whose attitude is drawn from what cameras of people are
held like: mostly level, looking down by some tens of degrees, seldom rolled. Keypoints are a detector's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from poseshift.adaptation.orientation import rotation_between, up_from_angles
from poseshift.adaptation.vertical.motions import Motions
from poseshift.augmentation.bodies import BodyDiversity, DiverseBodies
from poseshift.augmentation.draws import draw_directions, draw_normal, draw_uniform
from poseshift.augmentation.random_augmentation import RandomAugmentation, RandomAugmentationConfig
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.projection import rays_of
from poseshift.geometry.rotation import axis_angle_to_matrix, rotate
from poseshift.geometry.skeleton import Skeleton, skeleton
from poseshift.training.batches import Batch

JOINT_SET = "human36m_17"
"""Of the motion, and of what is learned from it."""

SECONDS = 10.0
"""Longest time that a track covers; a longer recording is several tracks."""

POSES = 16
"""Poses of a track that are looked at, evenly spread over it."""

POSTURES: Mapping[str, float] = MappingProxyType(
    {"as they are": 0.4, "leaning": 0.3, "lying": 0.25, "anyhow": 0.05}
)
"""How often people keep the posture of their recording, are turned to lean or lie, or are turned anyhow.
Nearly as often each, so that the interval holds for each, not for upright people at the cost of others."""

_LEANING_DEGREES, _LYING_DEGREES = 28.0, (55.0, 115.0)
_STILL_SHARE = 0.15
_DISTANCE_M = (2.0, 12.0)
_FIELD = (0.55, 0.4)
_NEAREST_M = 0.6
_NOISE_OF_SIZE, _LOST_SHARE, _SWAPPED_SHARE = 0.014, 0.01, 0.02


def draw_attitudes(count: int, generator: torch.Generator) -> Tensor:
    """Draw directions against gravity in camera axes, (count, 3): the prior of where up is.

    Of ten cameras nine are held nearly level (their roll deviates by 6 degrees, in every seventh by 20) and
    look down by -20 to 80 degrees, mostly by little; one is mounted anyhow.
    """
    like = torch.empty(0)
    kind = draw_uniform((count,), 0, 1, like, generator)
    usual = 12 + 15 * draw_normal((count,), like, generator)
    steep = draw_uniform((count,), -20, 85, like, generator)
    pitch = torch.where(draw_uniform((count,), 0, 1, like, generator) < 0.6, usual, steep)
    deviation = torch.where(draw_uniform((count,), 0, 1, like, generator) < 1 / 7, 20.0, 6.0)
    roll = deviation * draw_normal((count,), like, generator)
    held = up_from_angles(torch.deg2rad(pitch.clamp(-89, 89)), torch.deg2rad(roll))
    return torch.where(kind[:, None] < 0.9, held, draw_directions(count, like, generator))


@dataclass(frozen=True)
class Tracks:
    """Tracks of single people before cameras.

    Attributes
    ----------
    rays : Tensor
        (n, poses, joints, 2), undistorted ray coordinates (x/z, y/z).
    up : Tensor
        (n, 3), unit vectors against gravity in camera axes.
    positions : Tensor
        (n, poses, joints, 3), metres, camera axes.
    """

    rays: Tensor
    up: Tensor
    positions: Tensor


class SceneSource:
    """Draws tracks from motion.

    Parameters
    ----------
    motions : Motions
        Whose.
    """

    def __init__(self, motions: Motions) -> None:
        self.motions = motions
        self._joint_set: Skeleton = skeleton(JOINT_SET)
        self._bodies = DiverseBodies(BodyDiversity(), self._joint_set)
        self._limbs = RandomAugmentation(RandomAugmentationConfig(rotation="none"), self._joint_set)

    def rows(self, people: int, tracks: int, generator: torch.Generator) -> Tensor:
        """Draw rows (people x tracks,): people alike often, then rows of each."""
        drawn = torch.randint(len(self.motions.people), (people,), generator=generator)
        found = []
        for person in drawn.tolist():
            own = torch.nonzero(self.motions.person == person)[:, 0]
            found.append(own[torch.randint(len(own), (tracks,), generator=generator)])
        return torch.cat(found)

    def act(self, rows: Tensor, turns: Tensor, poses: int, generator: torch.Generator) -> Tensor:
        """Cut out what people do about given rows, in another posture.

        Parameters
        ----------
        rows : Tensor
            (n,), rows of the motions.
        turns : Tensor
            (n, 3), turn of each body about its root in the world: axis and angle.
        poses : int
            Poses of every track.
        generator : torch.Generator
            Draws how long tracks are, and who holds still.

        Returns
        -------
        Tensor
            (n, poses, joints, 3), metres, z up; the middle pose's root is the origin.
        """
        world = self._in_posture(self._recordings(rows, poses, generator), turns, generator)
        return world - world[:, poses // 2, self._joint_set.root][:, None, None]

    def show(self, world: Tensor, rotation: Tensor, generator: torch.Generator) -> Tracks:
        """Put tracks before cameras; every one anywhere in its camera's image, in a body of its own.

        Parameters
        ----------
        world : Tensor
            (n, poses, joints, 3), metres, z up.
        rotation : Tensor
            (n, 3, 3), from the world to the camera's axes.
        generator : torch.Generator
            Draws bodies, places and errors of keypoints.
        """
        seen = rotate(world, rotation)
        seen = seen + self._places(seen, generator)[:, None, None]
        batch = Batch(seen, seen[..., :2], unit_intrinsics(len(world)))
        positions = self._limbs(self._bodies(batch, generator), generator).positions_camera
        shift = (_NEAREST_M - positions[..., 2].amin(dim=(1, 2))).clamp(min=0)
        positions = positions + shift[:, None, None, None] * torch.tensor([0.0, 0.0, 1.0])
        return Tracks(self._detected(rays_of(positions), generator), rotation[..., 2], positions)

    def _recordings(self, rows: Tensor, poses: int, generator: torch.Generator) -> Tensor:
        """Cut out poses evenly spread over up to ten seconds, (n, poses, joints, 3)."""
        motions = self.motions
        like = motions.positions
        longest = SECONDS / motions.seconds[rows]
        length = longest * draw_uniform((len(rows),), 0, 1, like, generator) ** 1.5
        still = draw_uniform((len(rows),), 0, 1, like, generator) < _STILL_SHARE
        length = torch.where(still, torch.zeros_like(length), length)
        offsets = length[:, None] * torch.linspace(-0.5, 0.5, poses)
        wanted = (rows[:, None] + offsets.round().long()).clamp(
            motions.first[rows, None], motions.last[rows, None]
        )
        return motions.positions[wanted]

    def _in_posture(self, world: Tensor, turns: Tensor, generator: torch.Generator) -> Tensor:
        """Turn bodies about their roots; who does not stand hardly travels."""
        root = world[:, :, self._joint_set.root : self._joint_set.root + 1]
        middle = root[:, root.shape[1] // 2, None]
        travels = (turns.norm(dim=-1) < math.radians(40)).float()[:, None, None, None]
        share = torch.maximum(travels, draw_uniform((len(world), 1, 1, 1), 0, 0.3, world, generator))
        turned: Tensor = rotate(world - root, axis_angle_to_matrix(turns))
        return turned + middle + share * (root - middle)

    def _places(self, seen: Tensor, generator: torch.Generator) -> Tensor:
        """Draw where the middle pose stands before the camera, (n, 3) metres."""
        count = len(seen)
        near, far = (math.log(one) for one in _DISTANCE_M)
        depth = draw_uniform((count,), near, far, seen, generator).exp()
        x, y = (draw_uniform((count,), -side, side, seen, generator) for side in _FIELD)
        return depth[:, None] * torch.stack([x, y, torch.ones_like(x)], dim=-1)

    def _detected(self, rays: Tensor, generator: torch.Generator) -> Tensor:
        """Give rays a detector's errors: noise with the person's size, lost joints, sides exchanged."""
        low, high = rays.amin(dim=2, keepdim=True), rays.amax(dim=2, keepdim=True)
        size = (high - low).amax(dim=-1, keepdim=True)
        quality = draw_uniform((len(rays), 1, 1, 1), 0, 1.5, rays, generator)
        swapped = draw_uniform(rays.shape[:2], 0, 1, rays, generator) < _SWAPPED_SHARE
        seen = torch.where(swapped[..., None, None], rays[:, :, list(self._joint_set.mirrored)], rays)
        # A detector's idea of a joint stays the same over a track; its noise does not.
        constant = draw_normal((len(rays), 1, *rays.shape[2:]), rays, generator)
        seen = seen + quality * _NOISE_OF_SIZE * size * (draw_normal(rays.shape, rays, generator) + constant)
        lost = draw_uniform(rays.shape[:3], 0, 1, rays, generator) < _LOST_SHARE
        anywhere = low + draw_uniform(rays.shape, 0, 1, rays, generator) * (high - low)
        return torch.where(lost[..., None], anywhere, seen)


def draw_postures(postures: Tensor, generator: torch.Generator) -> Tensor:
    """Draw turns of bodies in the world, (n, 3) axis and angle, for numbers (n,) of :data:`POSTURES`."""
    count = len(postures)
    like = torch.empty(0)
    about = draw_uniform((count,), 0, 2 * math.pi, like, generator)
    level = torch.stack([about.cos(), about.sin(), torch.zeros_like(about)], dim=-1)
    lean = (_LEANING_DEGREES * draw_normal((count,), like, generator)).abs()
    lie = draw_uniform((count,), *_LYING_DEGREES, like, generator)
    anyhow = 180 * draw_uniform((count,), 0, 1, like, generator)
    angle = torch.stack([torch.zeros_like(lean), lean, lie, anyhow])[postures, torch.arange(count)]
    axis = torch.where((postures == 3)[:, None], draw_directions(count, like, generator), level)
    return torch.deg2rad(angle)[:, None] * axis


def choose_postures(count: int, generator: torch.Generator) -> Tensor:
    """Draw numbers of :data:`POSTURES`, (count,), by their shares."""
    return torch.multinomial(
        torch.tensor(list(POSTURES.values())), count, replacement=True, generator=generator
    )


def draw_rotations(up: Tensor, generator: torch.Generator) -> Tensor:
    """Draw rotations (n, 3, 3) from a world with z up to cameras of given verticals (n, 3)."""
    heading = draw_uniform((len(up),), 0, 2 * math.pi, up, generator)
    z = torch.tensor([0.0, 0.0, 1.0]).expand(len(up), 3)
    return rotation_between(z, up, heading)


def unit_intrinsics(count: int) -> Intrinsics:
    """Cameras whose pixels are rays."""
    return Intrinsics(
        focal_px=torch.ones(count, 2),
        centre_px=torch.zeros(count, 2),
        size_px=torch.full((count, 2), 2.0),
        radial=torch.zeros(count, 3),
        tangential=torch.zeros(count, 2),
    )
