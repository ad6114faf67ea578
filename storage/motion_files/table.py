"""CSV: one row per frame; metres in the motion's own axes, errors, and marks of what is interpolated.

Columns: ``frame``, ``time_s``, and for each joint ``<joint>_x_m``, ``_y_m``, ``_z_m``, ``<joint>_error_m``
and ``<joint>_interpolated`` (0 or 1).
"""

from __future__ import annotations

import csv
import io

from poseshift.storage.motion_files.motion import Motion


def encode(motion: Motion) -> bytes:
    """Write a motion as CSV."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    columns = ("x_m", "y_m", "z_m", "error_m", "interpolated")
    names = [f"{joint}_{column}" for joint in motion.skeleton.joint_names for column in columns]
    rows.writerow(["frame", "time_s", *names])
    frames = zip(
        motion.frame, motion.seconds, motion.positions, motion.error_m, motion.interpolated, strict=True
    )
    for frame, seconds, positions, errors, interpolated in frames:
        row = [str(frame), f"{seconds:.6f}"]
        for place, error, mark in zip(positions, errors, interpolated, strict=True):
            row += [*(f"{value:.6f}" for value in place), f"{error:.6f}", str(int(mark))]
        rows.writerow(row)
    return text.getvalue().encode()
