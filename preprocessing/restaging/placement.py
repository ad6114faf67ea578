"""Where a clip is played: on the floor, in the part of a room that the cameras see, facing anywhere.

A placement is a turn about the vertical and a shift, so bodies and motion stay what they were. Placements are
drawn from a seed; of several draws the one is taken that keeps most joints inside the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project, project_apart, world_to_camera

Array = npt.NDArray[np.float64]

ANKLES = [3, 6]
ANKLE_HEIGHT_M = 0.06
"""Height of the ankle joint of a foot that stands; its sole is then on the floor."""

DRAWS = 24
NEAREST_M = 0.6
"""No joint comes nearer to a camera's plane than this, so that all of it can be projected."""

SAMPLED_FRAMES = 120


@dataclass(frozen=True)
class Placement:
    """A turn about the vertical axis, then a shift: ``X = Rz(heading) x + shift``.

    Attributes
    ----------
    heading_rad : float
        Counter-clockwise.
    shift_m : tuple[float, float, float] of shape (x, y, z)
    """

    heading_rad: float
    shift_m: tuple[float, float, float]

    def apply(self, positions: npt.ArrayLike) -> Array:
        """Place (..., 3) positions; float64."""
        cosine, sine = np.cos(self.heading_rad), np.sin(self.heading_rad)
        turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        placed: Array = np.asarray(positions, dtype=np.float64) @ turn.T + np.asarray(self.shift_m)
        return placed


@dataclass(frozen=True)
class Stage:
    """A place to move in, with the cameras that see it.

    Attributes
    ----------
    cameras : tuple[Camera, ...]
        In the project's world.
    centre_m : tuple[float, float]
        (x, y) on the floor.
    spread_m : float
        Clips begin their centre at most so far from it, in x and in y.
    """

    cameras: tuple[Camera, ...]
    centre_m: tuple[float, float]
    spread_m: float


def ring_stage(cameras: Sequence[Camera], spread_m: float) -> Stage:
    """Stage inside a ring of cameras: the point nearest to all their optical axes, on the floor plan."""
    normal = np.zeros((2, 2))
    target = np.zeros(2)
    for camera in cameras:
        axis = np.asarray(camera.rotation)[2, :2]
        axis = axis / np.linalg.norm(axis)
        across = np.eye(2) - np.outer(axis, axis)
        normal += across
        target += across @ np.asarray(camera.centre)[:2]
    x, y = np.linalg.solve(normal, target)
    return Stage(tuple(cameras), (float(x), float(y)), spread_m)


def frontal_stage(camera: Camera, distance_m: float, spread_m: float) -> Stage:
    """Stage before one camera, at a distance along its viewing direction on the floor plan."""
    axis = np.asarray(camera.rotation)[2, :2]
    x, y = np.asarray(camera.centre)[:2] + distance_m * axis / np.linalg.norm(axis)
    return Stage((camera,), (float(x), float(y)), spread_m)


def floor_shift(positions: npt.ArrayLike) -> float:
    """Vertical shift that stands the lower ankle at its height and leaves no joint under the floor.

    The lowest hundredth of frames is not asked, so that a single bad frame does not lift the clip; the floor
    is: a hand that carries a cartwheel counts.
    """
    heights = np.asarray(positions, dtype=np.float64)[..., 2]
    standing = ANKLE_HEIGHT_M - np.percentile(heights[:, ANKLES].min(axis=1), 1)
    return float(max(standing, -heights.min()))


def draw_placement(positions: npt.ArrayLike, stage: Stage, rng: np.random.Generator) -> Placement | None:
    """Draw where a clip is played.

    Parameters
    ----------
    positions : npt.ArrayLike
        (frames, 17, 3) metres, z up.
    stage : Stage
        Where.
    rng : np.random.Generator
        Draws headings and places.

    Returns
    -------
    placement : the best of the draws, or None when in each of them some joint comes too near to a camera.
    """
    joints = np.asarray(positions, dtype=np.float64)
    sampled = joints[:: max(1, len(joints) // SAMPLED_FRAMES)]
    path = joints[:, 0, :2]
    middle = (path.min(axis=0) + path.max(axis=0)) / 2
    lift = floor_shift(joints)
    drawn = []
    for _ in range(DRAWS):
        heading = float(rng.uniform(-np.pi, np.pi))
        x, y = rng.uniform(-stage.spread_m, stage.spread_m, 2) + stage.centre_m
        turned = Placement(heading, (0.0, 0.0, 0.0)).apply([*middle, 0.0])
        drawn.append(Placement(heading, (float(x - turned[0]), float(y - turned[1]), lift)))
    seen = _share_seen(np.stack([placement.apply(sampled) for placement in drawn]), stage.cameras)
    return None if np.isnan(seen).all() else drawn[int(np.nanargmax(seen))]


def inside_image(positions_camera: npt.ArrayLike, camera: Camera) -> npt.NDArray[np.bool_]:
    """(frames, joints): whether joints in front of a camera are projected into its image."""
    pixels = np.asarray(project(np.asarray(positions_camera), camera.intrinsics))
    return np.asarray(((pixels >= 0) & (pixels < np.asarray(camera.size_px))).all(axis=-1))


def to_camera(positions_world: npt.ArrayLike, camera: Camera) -> Array:
    """(..., 3) metres from the world into a camera's axes."""
    rotation, translation = np.asarray(camera.rotation), np.asarray(camera.translation)
    return np.asarray(world_to_camera(np.asarray(positions_world), rotation, translation))


def _share_seen(positions: Array, cameras: Sequence[Camera]) -> Array:
    """Mean share of joints inside the images of each draw; NaN where a joint comes too near to a camera.

    Parameters
    ----------
    positions : Array
        (draws, frames, joints, 3) metres in the world.
    cameras : sequence of Camera

    Returns
    -------
    (draws,)
    """
    apart = np.ascontiguousarray(np.moveaxis(positions, -1, 0))
    seen = []
    near = np.zeros(len(positions), dtype=bool)
    for camera in cameras:
        depth = np.tensordot(camera.rotation[2], apart, axes=1) + camera.translation[2]
        near |= depth.min(axis=(1, 2)) < NEAREST_M
        with np.errstate(all="ignore"):  # draws that are too near may be anywhere
            x, y = project_apart(apart, camera)
        width, height = camera.size_px
        seen.append(((x >= 0) & (x < width) & (y >= 0) & (y < height)).mean(axis=(1, 2)))
    return np.where(near, np.nan, np.mean(seen, axis=0))
