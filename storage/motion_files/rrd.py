"""Recordings of the viewer Rerun: joints as points and bones as lines.

Time lines are ``time`` and ``frame``. Entities are ``motion/joints`` and ``motion/bones``, metres in the
motion's own axes, and ``motion`` says which of them is up. The library is an optional one: ``pip install
poseshift[rrd]``. Rerun reads recordings of its last versions alone; keep one of the other formats.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from poseshift.storage.motion_files.motion import Motion


def require() -> None:
    """Raise ModuleNotFoundError, with what to install, where the library is missing."""
    if find_spec("rerun") is None:
        raise ModuleNotFoundError(
            "Recordings of Rerun need the library rerun-sdk, which is not installed: pip install "
            "'poseshift[rrd]', or leave rrd out of --format"
        )


def encode(motion: Motion) -> bytes:
    """Write a motion as a recording.

    Raises
    ------
    ModuleNotFoundError
        Without rerun-sdk.
    """
    require()
    import rerun  # optional, and its library is large

    recording = rerun.RecordingStream(
        "poseshift", recording_id=f"{motion.key.path} {motion.camera}", send_properties=False
    )
    stream = recording.binary_stream()
    axes = rerun.ViewCoordinates.RIGHT_HAND_Z_UP if motion.axes == "world" else rerun.ViewCoordinates.RDF
    recording.log("motion", axes, static=True)
    recording.log(
        "motion/joints", rerun.Points3D.from_fields(labels=list(motion.skeleton.joint_names)), static=True
    )
    times = [
        rerun.TimeColumn("frame", sequence=motion.frame.astype(np.int64)),
        rerun.TimeColumn("time", duration=motion.seconds),
    ]
    positions = motion.positions.astype(np.float32)
    frames, joints = positions.shape[:2]
    points = rerun.Points3D.columns(positions=positions.reshape(-1, 3)).partition([joints] * frames)
    recording.send_columns("motion/joints", indexes=times, columns=points)
    ends = np.array(motion.skeleton.bones)
    strips = positions[:, ends].reshape(-1, 2, 3)  # (frames * bones, ends, 3)
    lines = rerun.LineStrips3D.columns(strips=list(strips)).partition([len(ends)] * frames)
    recording.send_columns("motion/bones", indexes=times, columns=lines)
    content: bytes | None = stream.read(flush=True)
    if not content:
        raise RuntimeError(f"rerun-sdk wrote nothing of trial {motion.key.path!r}")
    return content
