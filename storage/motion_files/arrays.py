"""NumPy's npz of plain arrays: everything that is known of a motion, without pickles.

=================  =======================================================================================
``positions``      (n, joints, 3) float32, metres; axes as ``axes`` says
``error``          (n, joints) float32, metres: estimates of the joints' errors, see ``error_kind``
``interpolated``   (n, joints) bool: keypoint not seen, interpolated in time
``frame``          (n,) int32, frame in the trial; ``fps`` frames per second
``joint_names``    (joints,) text; ``parents`` (joints,) int32, -1 for the root
``axes``           ``world`` (z up, floor at 0) or ``camera`` (x right, y down, z forward)
``rotation``       (3, 3), and ``translation`` (3,) metres: ``X_camera = R X + t``; absent where fused
``subject``, ...   text: ``subject``, ``trial``, ``camera``, ``error_kind``
=================  =======================================================================================
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from poseshift.storage.motion_files.motion import Motion


def encode(motion: Motion) -> bytes:
    """Write a motion as npz."""
    content = io.BytesIO()
    arrays: dict[str, Any] = {
        "positions": motion.positions,
        "error": motion.error_m,
        "interpolated": motion.interpolated,
        "frame": motion.frame,
        "fps": np.array(motion.fps),
        "joint_names": np.array(motion.skeleton.joint_names),
        "parents": np.array(motion.skeleton.parents, dtype=np.int32),
        "axes": np.array(motion.axes),
        "subject": np.array(motion.key.subject),
        "trial": np.array(motion.key.trial),
        "camera": np.array(motion.camera),
        "error_kind": np.array(motion.error_kind),
    }
    if motion.to_camera is not None:
        arrays["rotation"], arrays["translation"] = motion.to_camera
    np.savez_compressed(content, **arrays)
    return content.getvalue()
