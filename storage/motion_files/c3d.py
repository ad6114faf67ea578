"""C3D, the marker files of motion laboratories, by the library ezc3d: millimetres, one point per joint.

Axes are those of the motion, and the file's parameters X_SCREEN and Y_SCREEN say which of them is up. The
library is an optional one: ``pip install poseshift[c3d]``.
"""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from poseshift.storage.motion_files.motion import Motion

_MOST_FRAMES = 65_535
"""Frame numbers are two bytes in a file's header, and readers go by it."""


def require() -> None:
    """Raise ModuleNotFoundError, with what to install, where ezc3d is missing."""
    if find_spec("ezc3d") is None:
        raise ModuleNotFoundError(
            "C3D files need the library ezc3d, which is not installed: pip install 'poseshift[c3d]', or "
            "leave c3d out of --format"
        )


def encode(motion: Motion) -> bytes:
    """Write a motion as C3D.

    Raises
    ------
    ModuleNotFoundError
        Without ezc3d.
    ValueError
        The motion has more frames than the format counts.
    """
    require()
    if int(motion.frame[-1]) + 1 > _MOST_FRAMES:
        raise ValueError(
            f"trial {motion.key.path!r} has {len(motion.frame):,} frames, but C3D counts {_MOST_FRAMES:,} at "
            "most; leave c3d out of --format"
        )
    import ezc3d  # optional, and its library is large

    file = ezc3d.c3d()
    point = file["parameters"]["POINT"]
    point["UNITS"]["value"] = ["mm"]
    point["RATE"]["value"] = [motion.fps]
    point["LABELS"]["value"] = list(motion.skeleton.joint_names)
    file.add_parameter("POINT", "X_SCREEN", "+X")
    file.add_parameter("POINT", "Y_SCREEN", "+Z" if motion.axes == "world" else "-Y")
    file["header"]["points"]["first_frame"] = int(motion.frame[0])
    placed = 1000 * np.moveaxis(motion.positions.astype(np.float64), 0, -1)  # (joints, 3, n)
    file["data"]["points"] = np.concatenate(
        [placed.swapaxes(0, 1), np.ones((1, placed.shape[0], placed.shape[2]))]
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "motion.c3d"
        file.write(str(path))
        return path.read_bytes()
