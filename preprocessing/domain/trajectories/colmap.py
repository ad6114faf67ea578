"""COLMAP's ``images.txt``: world to camera, by the names of images.

Two lines per image: ``IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME`` and its points, which are not read. The
last number in a name is the number of the frame. Where names have folders, those of the folder with the
camera's name are read. The world's unit and axes are arbitrary, unless the model was aligned.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

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

_POSE = 8
_FIELDS = 10


def recognises(path: Path) -> bool:
    """Whether the first line that is no comment has a pose, a camera, and the name of an image."""
    return path.suffix != ".npz" and _image(first_line(path)) is not None


def read(path: Path, camera: str) -> Trajectory:
    """Read the poses of one camera's images."""
    lines = lines_of(path)
    while lines and not lines[0]:
        lines.pop(0)
    poses: dict[PurePosixPath, list[float]] = {}
    for line in lines[::2]:
        found = _image(line)
        if found is None:
            raise _error(path, f"{line[:60]!r} as an image")
        name, pose = found
        poses[PurePosixPath(name)] = pose
    folders = {name.parent for name in poses}
    if len(folders) > 1:
        poses = {name: pose for name, pose in poses.items() if name.parent.name == camera}
        if not poses:
            named = ", ".join(sorted(str(folder) for folder in folders))
            raise _error(path, f"images in the folders {named}, none of them called after camera {camera!r}")
    numbers = [_number(path, name) for name in poses]
    table = np.array(list(poses.values()))
    rotation = from_quaternions(path, table[:, [1, 2, 3, 0]])
    return trajectory(path, np.array(numbers, dtype=np.float64), "frames", CameraPath(rotation, table[:, 4:]))


def _image(line: str) -> tuple[str, list[float]] | None:
    """Part the line of an image into its name and pose (qw qx qy qz tx ty tz)."""
    parts = line.split(maxsplit=_FIELDS - 1)
    values = numbers_in(" ".join(parts[:_POSE]))
    if len(parts) != _FIELDS or values is None or not parts[_POSE].isdigit() or numbers_in(parts[-1]):
        return None
    return parts[-1], values[1:]


def _number(path: Path, name: PurePosixPath) -> int:
    digits = re.findall(r"\d+", name.stem)
    if not digits:
        raise _error(path, f"an image {name} without a number")
    return int(digits[-1])


def _error(path: Path, found: str) -> RawDataError:
    return RawDataError(
        path,
        found=found,
        expected="COLMAP's images.txt: two lines per image, whose names end in numbers of frames",
        remedy="Write the model by `colmap model_converter --output_type TXT`, of one video, or of a folder "
        "of images per camera.",
    )


COLMAP = TrajectoryFormat("colmap", "COLMAP's images.txt, world to camera", recognises, read)
