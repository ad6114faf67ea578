"""All that adaptation may know of a target: where keypoints are seen, and by which cameras."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray
from torch import Tensor

from poseshift.geometry.arrays import Array, like
from poseshift.geometry.camera import Camera, stack_intrinsics
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.projection import distort, normalise, rays_to_px
from poseshift.storage.columns import CameraPoses
from poseshift.storage.frame_rates import rows_per_frame, slowest_hz
from poseshift.storage.schema import Float32

_LOG = logging.getLogger(__name__)

Direction = tuple[float, float, float]

_Kind = TypeVar("_Kind", bound=np.generic)


@dataclass(frozen=True)
class TargetRuns:
    """Which target poses follow each other in time, so that clips can be cut of them.

    Attributes
    ----------
    first, last : array of shape (n,)
        First and last row of the run that each row belongs to.
    rows_per_frame : array of shape (n,)
        Rows from one frame of a clip to the next.
    hz : float
        Frames per second of the clips.
    """

    first: NDArray[np.intp]
    last: NDArray[np.intp]
    rows_per_frame: NDArray[np.float64]
    hz: float

    @classmethod
    def of(cls, poses: CameraPoses, hz: float | None) -> TargetRuns:
        """Find the runs of poses; clips have the poses' slowest rate where none is given."""
        rate = slowest_hz(poses) if hz is None else hz
        return cls(*poses.run_bounds, rows_per_frame(poses, rate), rate)

    def repeated(self, rows: int) -> TargetRuns:
        """Repeat all runs, one after the other, until there are so many rows; the last run may be cut."""
        within = np.arange(rows) % len(self.first)
        offset = np.arange(rows) - within
        return TargetRuns(
            self.first[within] + offset,
            np.minimum(self.last[within] + offset, rows - 1),
            self.rows_per_frame[within],
            self.hz,
        )

    def joined(self, others: TargetRuns) -> TargetRuns:
        """Put other runs after these."""
        count = len(self.first)
        return TargetRuns(
            np.concatenate([self.first, others.first + count]),
            np.concatenate([self.last, others.last + count]),
            np.concatenate([self.rows_per_frame, others.rows_per_frame]),
            self.hz,
        )


@dataclass(frozen=True)
class TargetKeypoints:
    """All that adaptation may know of the target: where keypoints are seen, and by which cameras.

    There is no field for 3D, so nothing built on this type can use it.

    Attributes
    ----------
    rays : Float32
        (n, joints, 2), undistorted ray coordinates (x/z, y/z) of the keypoints.
    camera : array
        (n,), row of ``cameras``.
    cameras : tuple of Camera
        The target's cameras; nothing but known viewpoints uses their extrinsics.
    skeleton : str
        Name of the joint set.
    dropped : int
        Poses left out because a keypoint was missing or all fell on one point.
    runs : TargetRuns or None
        Which poses follow each other; None where nothing is known of it.
    ups : tuple of (float, float, float) or None
        By row of ``cameras``, the unit vector against gravity by extrinsics, None where they do not say: in
        camera axes, or in those of the world of a camera that moves. None for those of ``cameras``.
    turns : Float32 or None
        (n, 3, 3), rotations from those axes to the camera's; None where all cameras stand still.
    """

    rays: Float32
    camera: NDArray[np.int32]
    cameras: tuple[Camera, ...]
    skeleton: str
    dropped: int
    runs: TargetRuns | None = None
    ups: tuple[Direction | None, ...] | None = None
    turns: Float32 | None = None

    @property
    def known_ups(self) -> tuple[Direction | None, ...]:
        """Directions of ``ups``, those of ``cameras`` where there are no others."""
        return tuple(camera.up for camera in self.cameras) if self.ups is None else self.ups

    @classmethod
    def from_poses(cls, poses: CameraPoses, clip_hz: float | None = None) -> TargetKeypoints:
        """Keep the keypoints of a selection and forget its 3D.

        Parameters
        ----------
        poses : CameraPoses
            The selection.
        clip_hz : float or None
            Frames per second of clips; None for the slowest rate of the poses.

        Raises
        ------
        ValueError
            When no pose has a size: every one lacks a keypoint or is a single point.
        """
        rays, usable = _rays_of(poses)
        dropped = int((~usable).sum())
        if not usable.any():
            raise ValueError(
                f"none of the {len(poses)} target poses can be used: their keypoints are missing or all on "
                "one point; select other frames or another detector"
            )
        if dropped:
            _LOG.warning(
                "%d of %d target poses have no usable keypoints and are left out", dropped, len(poses)
            )
        return cls(
            rays=rays if not dropped else rays[usable],
            camera=poses.camera[usable],
            cameras=poses.cameras,
            skeleton=poses.skeleton,
            dropped=dropped,
            runs=TargetRuns.of(poses.without_joints().take(usable), clip_hz),
            ups=poses.ups,
            turns=None if poses.turns is None else poses.turns[usable].astype(np.float32),
        )

    def __len__(self) -> int:
        return int(self.rays.shape[0])

    def joined(self, others: TargetKeypoints) -> TargetKeypoints:
        """Put other keypoints of the same joint set after these, the fewer repeated until both are as many.

        Half of what is drawn then stands where these stand, and half where the others do.
        """
        wanted = max(len(self), len(others))
        runs = None
        if self.runs is not None and others.runs is not None:
            runs = self.runs.repeated(wanted).joined(others.runs.repeated(wanted))
        return TargetKeypoints(
            rays=_as_many_of_both(self.rays, others.rays, wanted),
            camera=_as_many_of_both(self.camera, others.camera + np.int32(len(self.cameras)), wanted),
            cameras=(*self.cameras, *others.cameras),
            skeleton=self.skeleton,
            dropped=self.dropped + others.dropped,
            runs=runs,
            ups=self.known_ups + others.known_ups,
            turns=None
            if self.turns is None and others.turns is None
            else _as_many_of_both(self._turns(), others._turns(), wanted),
        )

    def _turns(self) -> Float32:
        """Rotations of all rows, the identity before cameras that stand still."""
        if self.turns is not None:
            return self.turns
        return np.broadcast_to(np.eye(3, dtype=np.float32), (len(self), 3, 3))


def _as_many_of_both(first: NDArray[_Kind], second: NDArray[_Kind], wanted: int) -> NDArray[_Kind]:
    """Put so many rows of each array after each other, in new memory; an array begins again at its end."""
    both = np.empty((2, wanted, *first.shape[1:]), dtype=first.dtype)
    for half, rows in zip(both, (first, second), strict=True):
        for begin in range(0, wanted, len(rows)):
            half[begin : begin + len(rows)] = rows[: wanted - begin]
    return both.reshape(2 * wanted, *first.shape[1:])


POSES_AT_ONCE = 1024
"""Of a block whose rays are computed: its arrays then stay in a processor's cache."""


def _rays_of(poses: CameraPoses) -> tuple[Float32, NDArray[np.bool_]]:
    """Rays of keypoints (n, joints, 2) in blocks, and which poses have all of them and a size, (n,)."""
    intrinsics = stack_intrinsics(poses.cameras)
    rays, usable = np.empty_like(poses.keypoints_px, dtype=np.float32), np.empty(len(poses), dtype=np.bool_)
    for begin in range(0, len(poses), POSES_AT_ONCE):
        rows = slice(begin, begin + POSES_AT_ONCE)
        # In Fortran's order one joint of many poses is a long row: no operation loops over two numbers.
        keypoints_px = np.asarray(poses.keypoints_px[rows], dtype=np.float64, order="F")
        found = normalise(keypoints_px, intrinsics[poses.camera[rows]])
        with np.errstate(invalid="ignore"):
            usable[rows] = np.isfinite(found).all(axis=(1, 2)) & (sides(found).sum(axis=-1) > 0)
        rays[rows] = found
    return rays, usable


@dataclass(frozen=True)
class TargetViews:
    """Target poses as their cameras see them.

    Attributes
    ----------
    keypoints_px : Tensor
        (n, joints, 2), pixels.
    intrinsics : Intrinsics
        Leading dimension (n,).
    """

    keypoints_px: Tensor
    intrinsics: Intrinsics


def sides(points: Array) -> Array:
    """Sides of the boxes around poses: largest minus smallest coordinate over the joints.

    Parameters
    ----------
    points : Array
        (..., joints, d).

    Returns
    -------
    Array
        (..., d).
    """
    xp = array_namespace(points)
    return xp.max(points, axis=-2) - xp.min(points, axis=-2)


def pixels_of(rays: Array, intrinsics: Intrinsics) -> Array:
    """Pixels of undistorted rays, lens distortion included.

    Parameters
    ----------
    rays : Array
        (*rows, ..., joints, 2), ray coordinates (x/z, y/z).
    intrinsics : Intrinsics
        Leading dimensions (*rows).

    Returns
    -------
    Array
        (*rows, ..., joints, 2), pixels.
    """
    return rays_to_px(distort(rays, intrinsics), intrinsics)


def on_device(intrinsics: Intrinsics, reference: Tensor) -> Intrinsics:
    """Give intrinsics the dtype and device of a tensor."""
    return intrinsics.map(lambda field: like(field, reference))
