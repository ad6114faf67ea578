"""An npz of matrices, frame by frame: ``world_to_camera`` or ``camera_to_world``, (frames, 3 or 4, 4).

NaN where a frame has no pose. ``frame``, where there is one, numbers the matrices; else they count from 0.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import is_zipfile

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera_path import CameraPath
from poseshift.geometry.rotation import is_rotation
from poseshift.preprocessing.domain.trajectories.formats import Trajectory, TrajectoryFormat, trajectory
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.exchange.npz import ExchangeError, read_npz

_KEYS = ("world_to_camera", "camera_to_world")
_ORTHOGONAL = 1e-4


def recognises(path: Path) -> bool:
    """Whether it is an npz."""
    return path.suffix == ".npz" and is_zipfile(path)


def read(path: Path, camera: str) -> Trajectory:
    """Read the poses of the file's camera."""
    del camera
    try:
        content = read_npz(path)
    except ExchangeError as error:
        raise _error(path, error.problem) from error
    named = [key for key in _KEYS if key in content]
    if len(named) != 1:
        raise _error(path, f"arrays {', '.join(content)}")
    try:
        given = np.asarray(content[named[0]], dtype=np.float64)
        frame = np.asarray(content.get("frame", np.arange(len(given))), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _error(path, f"arrays that are no numbers ({error})") from error
    if given.ndim != 3 or given.shape[1:] not in ((3, 4), (4, 4)) or frame.shape != given.shape[:1]:
        raise _error(path, f"{named[0]} of shape {given.shape} for {len(frame)} frames")
    known = np.isfinite(given).all(axis=(1, 2))
    rotation, vector = _rotations(path, given[known, :3, :3]), given[known, :3, 3]
    to_camera = named[0] == "world_to_camera"
    poses = CameraPath(rotation, vector) if to_camera else CameraPath.at(vector, rotation.mT)
    return trajectory(path, frame[known], "frames", poses)


def _rotations(path: Path, given: NDArray[np.float64]) -> NDArray[np.float64]:
    """Check rotations, and make those that were written in few digits orthogonal."""
    if not is_rotation(given, _ORTHOGONAL).all():
        raise _error(path, "a matrix whose 3x3 part is no rotation")
    first, _, second = np.linalg.svd(given)
    return np.asarray(first @ second)


def _error(path: Path, found: str) -> RawDataError:
    return RawDataError(
        path,
        found=found,
        expected="world_to_camera or camera_to_world, (frames, 3 or 4, 4), and frame, (frames,), or none",
        remedy="Write one of them by np.savez, NaN where a frame has no pose.",
    )


MATRICES = TrajectoryFormat("matrices", "npz with world_to_camera or camera_to_world", recognises, read)
