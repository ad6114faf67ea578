"""What a layout of trajectories is: poses of one camera, numbered by seconds or by frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera_path import CameraPath
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.registry import Registry

Float64 = NDArray[np.float64]
Times = Literal["seconds", "frames"]
"""What the numbers of a trajectory count."""

_UNIT_LENGTH = 0.01
"""By how much a quaternion's length may differ from 1, which rounding to few digits explains."""


@dataclass(frozen=True)
class Trajectory:
    """Poses of one camera.

    Attributes
    ----------
    numbers : array of shape (n,)
        Rising; seconds or frames.
    times : Times
        Which of them.
    path : CameraPath
        The poses, in the unit of the file; camera axes are x right, y down, z forward.
    """

    numbers: Float64
    times: Times
    path: CameraPath


@dataclass(frozen=True)
class TrajectoryFormat:
    """One layout of trajectories.

    Attributes
    ----------
    name : str
        As messages call it.
    description : str
        One sentence.
    recognises : callable
        Whether a file looks like it.
    read : callable
        Reads the poses of a camera, given by its name; raises RawDataError.
    """

    name: str
    description: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, str], Trajectory]


TRAJECTORY_FORMATS = Registry[TrajectoryFormat]("trajectory format")
"""Every layout of trajectories by name; a user's own is one more call of ``add``."""


def lines_of(path: Path) -> list[str]:
    """Read the lines of a text file that are no comments, empty ones included; RawDataError: no text."""
    try:
        with path.open(encoding="utf-8") as file:
            return [line.strip() for line in file if not line.lstrip().startswith("#")]
    except UnicodeDecodeError as error:
        raise RawDataError(
            path,
            found=f"no text in UTF-8 (from byte {error.start} on)",
            expected="a trajectory as text",
            remedy="Write it again by the program that it comes from.",
        ) from error


def first_line(path: Path) -> str:
    """Read the first line that is neither empty nor a comment; empty where there is none, or no text."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return next((line.strip() for line in file if line.strip() and not line.lstrip().startswith("#")), "")


def numbers_in(line: str) -> list[float] | None:
    """Read numbers that are parted by spaces; None where something else is among them."""
    try:
        return [float(part) for part in line.split()]
    except ValueError:
        return None


def from_quaternions(path: Path, quaternions_xyzw: Float64) -> Float64:
    """Turn quaternions (n, 4), x y z w, into matrices (n, 3, 3); RawDataError for one that is no rotation."""
    from scipy.spatial.transform import Rotation  # a tenth of a second, which other commands are spared

    lengths = np.linalg.norm(quaternions_xyzw, axis=1)
    bad = ~(np.abs(lengths - 1) <= _UNIT_LENGTH)
    if bad.any():
        raise RawDataError(
            path,
            found=f"a quaternion of length {lengths[bad][0]:g} (pose {int(np.argmax(bad)) + 1})",
            expected="unit quaternions",
            remedy="Look at the order of the columns, or write the poses again.",
        )
    return np.asarray(Rotation.from_quat(quaternions_xyzw).as_matrix())


def trajectory(path: Path, numbers: Float64, times: Times, poses: CameraPath) -> Trajectory:
    """Put poses in the order of their numbers.

    Raises
    ------
    RawDataError
        There is none, a number comes twice, or a pose is not finite.
    """
    order = np.argsort(numbers, kind="stable")
    found = Trajectory(numbers[order], times, poses[order])
    twice = np.flatnonzero(np.diff(found.numbers) <= 0)
    if not len(numbers) or len(twice) or not np.isfinite(numbers).all() or not found.path.known.all():
        what = "no poses" if not len(numbers) else "numbers that are not finite"
        raise RawDataError(
            path,
            found=f"two poses at {found.numbers[twice[0]]:g}" if len(twice) else what,
            expected="one pose at each moment, in finite numbers",
            remedy="Write the trajectory again, and leave out the moments in which the camera was lost.",
        )
    return found
