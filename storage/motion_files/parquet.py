"""Parquet: the table of the CSV with numbers as numbers; one row per frame, metres in the motion's own axes.

The library is an optional one: ``pip install poseshift[parquet]``. What the CSV loses (joint tree, camera,
axes) is in the file's metadata, under ``poseshift``, as JSON.
"""

from __future__ import annotations

import io
import json
from importlib.util import find_spec

import numpy as np

from poseshift.storage.motion_files.motion import Motion


def require() -> None:
    """Raise ModuleNotFoundError, with what to install, where pyarrow is missing."""
    if find_spec("pyarrow") is None:
        raise ModuleNotFoundError(
            "Parquet files need the library pyarrow, which is not installed: pip install "
            "'poseshift[parquet]', or leave parquet out of --format"
        )


def encode(motion: Motion) -> bytes:
    """Write a motion as Parquet.

    Raises
    ------
    ModuleNotFoundError
        Without pyarrow.
    """
    require()
    import pyarrow  # optional, and its library is large
    import pyarrow.parquet

    columns = {"frame": motion.frame, "time_s": motion.seconds}
    for joint, name in enumerate(motion.skeleton.joint_names):
        for place, axis in enumerate("xyz"):
            columns[f"{name}_{axis}_m"] = np.ascontiguousarray(motion.positions[:, joint, place])
        columns[f"{name}_error_m"] = np.ascontiguousarray(motion.error_m[:, joint])
        columns[f"{name}_interpolated"] = np.ascontiguousarray(motion.interpolated[:, joint])
    facts = {
        "subject": motion.key.subject,
        "trial": motion.key.trial,
        "camera": motion.camera,
        "fps": motion.fps,
        "axes": motion.axes,
        "error_kind": motion.error_kind,
        "joint_names": motion.skeleton.joint_names,
        "parents": motion.skeleton.parents,
        "to_camera": None if motion.to_camera is None else [part.tolist() for part in motion.to_camera],
    }
    table = pyarrow.table(columns).replace_schema_metadata({"poseshift": json.dumps(facts)})
    content = io.BytesIO()
    pyarrow.parquet.write_table(table, content)
    return content.getvalue()
