"""Poses before cameras, in columns: every frame of every camera is one row, ready for a training device.

The rows of one (trial, camera) stand together in the order of their frames, so that a clip is a run of rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera, Rotation, stack_intrinsics
from poseshift.geometry.camera_path import CameraPath
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.skeleton import mapping
from poseshift.storage.schema import (
    Float32,
    PositionsKind,
    TrialKey,
    Vertical,
)


@dataclass(frozen=True)
class TrialInfo:
    """What the columns need to know of a trial; ``positions`` is the kind of 3D of its rows, None without."""

    key: TrialKey
    action: str
    subaction: str
    fps: float
    positions: PositionsKind | None = "annotated"


@dataclass(frozen=True)
class CameraMotion:
    """Poses of cameras that move, row by row.

    Attributes
    ----------
    path : CameraPath
        Of all rows; NaN in rows of cameras that stand still.
    upright : array of bool of shape (n,)
        Whether it is known that the world's z points up; False in rows of cameras that stand still.
    """

    path: CameraPath
    upright: NDArray[np.bool_]

    def take(self, rows: slice | NDArray[np.intp] | NDArray[np.bool_]) -> CameraMotion:
        """Take the given rows."""
        return CameraMotion(self.path[rows], self.upright[rows])


@dataclass(frozen=True)
class CameraPoses:
    """Poses before cameras, in columns.

    Attributes
    ----------
    positions_camera : array of float32 of shape (n, joints, 3)
        Metres, camera axes, absolute (root included).
    keypoints_px : array of float32 of shape (n, joints, 2)
        Pixels; NaN for a joint that a detector did not see.
    camera : array of int32
        (n,) int32, row of ``cameras``.
    trial : array of int32
        (n,) int32, row of ``trials``.
    frame : array of int32
        (n,) int32, frame number in its trial.
    activity : array of int8
        (n,) int8, 3DHP test activity, 0 where the data set has none.
    cameras, trials : tuple[Camera, ...] or tuple[TrialInfo, ...]
        The tables that the indices point into.
    skeleton : str
        Name of the joint set.
    snapshot : str
        Identifier of the store snapshot that was read.
    verticals : tuple[Vertical or None, ...]
        By row of ``cameras``, how sure a stated vertical is; empty where none was stated of any.
    rig : tuple[Rotation or None, ...]
        By row of ``cameras``, the rotation from the world of a rig of which it is not known where up is;
        empty where there is no such rig.
    confidence : array of float32 of shape (n, joints) or None
        How sure the detector is of each joint, from 0 to 1, that of joints it did not see as well; None where
        keypoints have none.
    motion : CameraMotion or None
        Poses of the cameras that move, which have no extrinsics in ``cameras``; None where all stand still.
        A row of ``cameras`` is of one world then.
    """

    positions_camera: Float32
    keypoints_px: Float32
    camera: NDArray[np.int32]
    trial: NDArray[np.int32]
    frame: NDArray[np.int32]
    activity: NDArray[np.int8]
    cameras: tuple[Camera, ...]
    trials: tuple[TrialInfo, ...]
    skeleton: str
    snapshot: str
    verticals: tuple[Vertical | None, ...] = ()
    rig: tuple[Rotation | None, ...] = ()
    confidence: Float32 | None = None
    motion: CameraMotion | None = None

    def __len__(self) -> int:
        return int(self.positions_camera.shape[0])

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> CameraPoses:
        """Take the given rows, with the tables unchanged."""
        keypoints_px = self.keypoints_px[rows]
        return replace(
            self,
            positions_camera=hidden_positions(*keypoints_px.shape[:2])
            if are_hidden(self.positions_camera)
            else self.positions_camera[rows],
            keypoints_px=keypoints_px,
            camera=self.camera[rows],
            trial=self.trial[rows],
            frame=self.frame[rows],
            activity=self.activity[rows],
            confidence=None if self.confidence is None else self.confidence[rows],
            motion=None if self.motion is None else self.motion.take(rows),
        )

    @property
    def ups(self) -> tuple[tuple[float, float, float] | None, ...]:
        """By row of ``cameras``, the unit vector against gravity; None where it is not known.

        In the camera's axes where it stands still, and in those of its world where it moves.
        """
        upright = self.moves.copy()
        if self.motion is not None:
            upright[np.unique(self.camera[self.motion.path.known & ~self.motion.upright])] = False
        pairs = zip(self.cameras, upright, strict=True)
        return tuple((0.0, 0.0, 1.0) if stands else camera.up for camera, stands in pairs)

    @property
    def turns(self) -> NDArray[np.float64] | None:
        """Rotations (n, 3, 3) to camera axes from axes that do not move; None where all cameras stand still.

        Those are a camera's own where it stands still (the identity), and the world's where it moves.
        """
        if self.motion is None:
            return None
        rotation = self.motion.path.rotation
        return np.where(np.isfinite(rotation), rotation, np.eye(3))

    @property
    def moves(self) -> NDArray[np.bool_]:
        """Whether each camera of the table moves, (cameras,)."""
        moving = np.zeros(len(self.cameras), dtype=np.bool_)
        if self.motion is not None:
            moving[np.unique(self.camera[self.motion.path.known])] = True
        return moving

    @property
    def intrinsics(self) -> Intrinsics:
        """Intrinsics of the camera table, arrays of shape (cameras, ...); index with ``camera``."""
        return stack_intrinsics(self.cameras)

    def unlabelled(self) -> CameraPoses:
        """Hide the 3D behind NaN, so that use of it cannot go unnoticed."""
        return replace(self, positions_camera=hidden_positions(*self.positions_camera.shape[:2]))

    def without_joints(self) -> CameraPoses:
        """Keep what is known of the rows alone: poses of no joints, which cost nothing to take rows of."""
        return replace(
            self,
            positions_camera=self.positions_camera[:, :0],
            keypoints_px=self.keypoints_px[:, :0],
            confidence=None,
        )

    def on_skeleton(self, name: str) -> CameraPoses:
        """Map the poses to another joint set; these are returned when they are on it already.

        Raises
        ------
        ValueError
            There is no mapping between the two.
        """
        if name == self.skeleton:
            return self
        try:
            joints = mapping(self.skeleton, name)
        except LookupError as error:
            raise ValueError(
                f"poses of {self.skeleton} cannot be mapped to {name}: {error.args[0]}"
            ) from error
        keypoints_px = np.asarray(joints.apply(self.keypoints_px), dtype=np.float32)
        return replace(
            self,
            positions_camera=hidden_positions(*keypoints_px.shape[:2])
            if are_hidden(self.positions_camera)
            else np.asarray(joints.apply(self.positions_camera), dtype=np.float32),
            keypoints_px=keypoints_px,
            skeleton=name,
            confidence=None if self.confidence is None else joints.least(self.confidence),
        )

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Whether each row has all of its keypoints, (n,)."""
        return np.asarray(np.isfinite(self.keypoints_px).all(axis=(1, 2)))

    def without_gaps(self) -> CameraPoses:
        """Take the rows that have all of their keypoints, which are the rows that can be learned from.

        Raises
        ------
        ValueError
            When there is none.
        """
        whole = self.whole
        if whole.all():
            return self
        if not whole.any():
            raise ValueError(
                f"none of the {len(self)} poses has all of its keypoints; select other frames or another "
                "detector"
            )
        return self.take(whole)

    @property
    def same_view(self) -> NDArray[np.bool_]:
        """Whether each row but the first is of the trial and camera of the row before it, (n - 1,)."""
        return np.asarray((np.diff(self.trial) == 0) & (np.diff(self.camera) == 0))

    @property
    def view_rows(self) -> list[NDArray[np.intp]]:
        """Rows of every view (trial and camera), in the order of the columns."""
        return np.split(np.arange(len(self)), np.flatnonzero(~self.same_view) + 1)

    @property
    def frame_spacing(self) -> int:
        """Least number of frames from one row to the next of its view; 1 where no view has two rows."""
        step = np.diff(self.frame)
        usual = step[self.same_view & (step > 0)]
        return int(usual.min()) if len(usual) else 1

    @property
    def follows_on(self) -> NDArray[np.bool_]:
        """Whether each row but the first is the row before it one frame spacing later, (n - 1,)."""
        return np.asarray(self.same_view & (np.diff(self.frame) == self.frame_spacing))

    @property
    def run_bounds(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """First and last row of each row's run (same trial, same camera, evenly spaced frames), (n,) each."""
        starts = np.flatnonzero(np.concatenate([[True], ~self.follows_on]))
        lengths = np.diff(np.append(starts, len(self)))
        return np.repeat(starts, lengths), np.repeat(starts + lengths - 1, lengths)


def hidden_positions(rows: int, joints: int) -> Float32:
    """NaN in place of 3D, (rows, joints, 3): a view of one number, which takes no memory."""
    return np.broadcast_to(np.float32(np.nan), (rows, joints, 3))


def are_hidden(positions: Float32) -> bool:
    """Whether it is what :func:`hidden_positions` gives."""
    return positions.strides == (0, 0, 0)
