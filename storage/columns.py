"""Reading a store into columns: every frame of every camera as one row, ready for a training device.

The rows of one (trial, camera) stand together in the order of their frames, so that a clip is a run of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geometry.camera import Camera, Intrinsics
from storage.schema import Float32, TrialKey


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
        """The given rows, with the tables unchanged."""
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
        tables = [camera.intrinsics for camera in self.cameras]
        return Intrinsics(
            focal_px=np.stack([table.focal_px for table in tables]),
            centre_px=np.stack([table.centre_px for table in tables]),
            size_px=np.stack([table.size_px for table in tables]),
            radial=np.stack([table.radial for table in tables]),
            tangential=np.stack([table.tangential for table in tables]),
        )
