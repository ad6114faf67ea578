"""TUM's trajectories: ``timestamp tx ty tz qx qy qz qw``, the camera's place and axes in the world.

What `evo`, ORB-SLAM and DROID-SLAM write. Timestamps are seconds; some programs write numbers of frames.
Unit and axes of the world are those of whoever made it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from poseshift.geometry.camera_path import CameraPath
from poseshift.preprocessing.domain.trajectories.formats import (
    Trajectory,
    TrajectoryFormat,
    first_line,
    from_quaternions,
    lines_of,
    numbers_in,
    trajectory,
)
from poseshift.preprocessing.errors import RawDataError

_COLUMNS = 8


def recognises(path: Path) -> bool:
    """Whether the first line that is no comment has eight numbers."""
    if path.suffix == ".npz":
        return False
    found = numbers_in(first_line(path))
    return found is not None and len(found) == _COLUMNS


def read(path: Path, camera: str) -> Trajectory:
    """Read the poses of the file's camera."""
    del camera
    rows = []
    for number, line in enumerate(filter(None, lines_of(path)), start=1):
        values = numbers_in(line)
        if values is None or len(values) != _COLUMNS:
            raise RawDataError(
                path,
                found=f"{line[:60]!r} as pose {number}",
                expected="timestamp tx ty tz qx qy qz qw",
                remedy="Write the trajectory again, in TUM's layout.",
            )
        rows.append(values)
    table = np.array(rows)
    to_camera = from_quaternions(path, table[:, 4:]).mT
    return trajectory(path, table[:, 0], "seconds", CameraPath.at(table[:, 1:4], to_camera))


TUM = TrajectoryFormat("tum", "TUM's text, timestamp tx ty tz qx qy qz qw, camera to world", recognises, read)
