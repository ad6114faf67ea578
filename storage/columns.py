"""Reading a store into columns: every frame of every camera as one row, ready for a training device.

The rows of one (trial, camera) stand together in the order of their frames, so that a clip is a run of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import zarr
from numpy.typing import NDArray

from geometry.camera import Camera, Intrinsics, stack_intrinsics, world_to_camera
from storage.arrays import DETECTION_PREFIX, read_array, read_attributes, trial_group
from storage.schema import Float32, TrialKey
from storage.store import PoseStore


@dataclass(frozen=True)
class TrialInfo:
    """What the columns need to know of a trial."""

    key: TrialKey
    action: str
    subaction: str
    fps: float


@dataclass(frozen=True)
class Selection:
    """Which rows of a store are wanted. None means all.

    Attributes
    ----------
    subjects, actions, cameras : names to keep.
    frame_step : keep every n-th frame, counted from each trial's first.
    valid_only : drop frames that the data set marks as invalid.
    positions : ``annotated`` or the height-normalised ``universal`` 3D (3DHP).
    keypoints : ``ground_truth`` or the name of a detector.
    """

    subjects: tuple[str, ...] | None = None
    actions: tuple[str, ...] | None = None
    cameras: tuple[str, ...] | None = None
    frame_step: int = 1
    valid_only: bool = True
    positions: Literal["annotated", "universal"] = "annotated"
    keypoints: str = "ground_truth"


@dataclass(frozen=True)
class CameraPoses:
    """Poses before cameras, in columns.

    Attributes
    ----------
    positions_camera : (n, joints, 3), metres, camera axes, absolute (root included).
    keypoints_px : (n, joints, 2), pixels.
    camera : (n,) int32, row of ``cameras``.
    trial : (n,) int32, row of ``trials``.
    frame : (n,) int32, frame number in its trial.
    activity : (n,) int8, 3DHP test activity, 0 where the data set has none.
    cameras, trials : the tables that the indices point into.
    skeleton : name of the joint set.
    snapshot : identifier of the store snapshot that was read.
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

    def __len__(self) -> int:
        return int(self.positions_camera.shape[0])

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> CameraPoses:
        """Take the given rows, with the tables unchanged."""
        return CameraPoses(
            positions_camera=self.positions_camera[rows],
            keypoints_px=self.keypoints_px[rows],
            camera=self.camera[rows],
            trial=self.trial[rows],
            frame=self.frame[rows],
            activity=self.activity[rows],
            cameras=self.cameras,
            trials=self.trials,
            skeleton=self.skeleton,
            snapshot=self.snapshot,
        )

    @property
    def intrinsics(self) -> Intrinsics:
        """Intrinsics of the camera table, arrays of shape (cameras, ...); index with ``camera``."""
        return stack_intrinsics(self.cameras)


_EVERYTHING = Selection()


def read_camera_poses(store: PoseStore, selection: Selection = _EVERYTHING) -> CameraPoses:
    """Read the selected frames of every selected camera, poses turned into camera axes.

    Parameters
    ----------
    store : the store, at the snapshot that it was opened at.
    selection : which rows are wanted.

    Returns
    -------
    CameraPoses
        Rows sorted by trial, then camera (in the trial's own order), then frame. The tables hold the trials
        and cameras that have rows; equal calibrations share one row of the camera table.

    Raises
    ------
    ValueError
        When nothing is selected, or a selected trial has no universal positions or no such detections.
    """
    root = store.root
    keys = store.keys()
    pieces = [piece for key in keys if (piece := _select(root, key, selection)) is not None]
    if not pieces:
        raise ValueError(f"{store.location}: no trial, camera or frame matches {selection}")
    skeleton_joints = pieces[0].positions.shape[1]
    total = sum(piece.rows for piece in pieces)
    columns = CameraPoses(
        positions_camera=np.empty((total, skeleton_joints, 3), dtype=np.float32),
        keypoints_px=np.empty((total, skeleton_joints, 2), dtype=np.float32),
        camera=np.empty(total, dtype=np.int32),
        trial=np.empty(total, dtype=np.int32),
        frame=np.empty(total, dtype=np.int32),
        activity=np.zeros(total, dtype=np.int8),
        cameras=tuple(dict.fromkeys(camera for piece in pieces for camera in piece.cameras)),
        trials=tuple(piece.info for piece in pieces),
        skeleton=store.skeleton,
        snapshot=store.snapshot,
    )
    camera_rows = {camera: row for row, camera in enumerate(columns.cameras)}
    start = 0
    for trial, piece in enumerate(pieces):
        for number, camera in enumerate(piece.cameras):
            rows = slice(start, start + len(piece.frames))
            columns.positions_camera[rows] = world_to_camera(
                piece.positions, np.asarray(camera.rotation), np.asarray(camera.translation)
            )
            columns.keypoints_px[rows] = piece.keypoints[number]
            columns.camera[rows] = camera_rows[camera]
            columns.trial[rows] = trial
            columns.frame[rows] = piece.frames
            columns.activity[rows] = piece.activity
            start = rows.stop
    return columns


@dataclass(frozen=True)
class _Piece:
    """The selected part of one trial: positions (f, joints, 3) float64, keypoints (cameras, f, joints, 2)."""

    info: TrialInfo
    cameras: tuple[Camera, ...]
    positions: NDArray[np.float64]
    keypoints: Float32
    frames: NDArray[np.intp]
    activity: NDArray[np.int8]

    @property
    def rows(self) -> int:
        return len(self.cameras) * len(self.frames)


def _select(root: zarr.Group, key: TrialKey, selection: Selection) -> _Piece | None:
    if not _wanted(key.subject, selection.subjects):
        return None
    group = trial_group(root, key)
    attributes = read_attributes(group)
    if not _wanted(attributes.action, selection.actions):
        return None
    numbers = [i for i, camera in enumerate(attributes.cameras) if _wanted(camera.name, selection.cameras)]
    positions_name = "positions_world" if selection.positions == "annotated" else "positions_universal"
    keypoints_name = (
        "keypoints_2d" if selection.keypoints == "ground_truth" else DETECTION_PREFIX + selection.keypoints
    )
    for name in (positions_name, keypoints_name):
        if name not in attributes.digests:
            raise ValueError(
                f"trial {key.path!r} has no {name}; it has {', '.join(sorted(attributes.digests))}"
            )
    positions = read_array(group, positions_name)
    frames = np.arange(0, len(positions), selection.frame_step)
    if selection.valid_only and "valid" in attributes.digests:
        frames = frames[read_array(group, "valid")[frames]]
    if not numbers or not len(frames):
        return None
    activity = (
        read_array(group, "activity")[frames]
        if "activity" in attributes.digests
        else np.zeros(len(frames), dtype=np.int8)
    )
    keypoints = np.stack([read_array(group, keypoints_name, number)[frames, :, :2] for number in numbers])
    return _Piece(
        info=TrialInfo(key, attributes.action, attributes.subaction, attributes.fps),
        cameras=tuple(attributes.cameras[number] for number in numbers),
        positions=positions[frames].astype(np.float64),
        keypoints=keypoints,
        frames=frames,
        activity=activity,
    )


def _wanted(name: str, names: tuple[str, ...] | None) -> bool:
    return names is None or name in names
