"""Frame rates of columns: rows a second, and rows from one frame of a clip to the next."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from poseshift.storage.columns import CameraPoses


def sampling_hz(poses: CameraPoses) -> float:
    """Frames per second between neighbouring rows of one view, the median; NaN where no view has two rows."""
    step = np.diff(poses.frame)
    neighbours = poses.same_view & (step > 0)
    if not neighbours.any():
        return math.nan
    fps = np.array([trial.fps for trial in poses.trials])[poses.trial[1:][neighbours]]
    return float(np.median(fps / step[neighbours]))


RATE_TOLERANCE = 0.1
"""Share by which two frame rates may differ and still be the same: 29.97 is as good as 30."""


def rows_per_frame(poses: CameraPoses, hz: float) -> NDArray[np.float64]:
    """Rows from one frame to the next of clips at ``hz`` frames per second, (n,) by the trial of each row.

    1 where the rates agree within :data:`RATE_TOLERANCE`: rows at 50 Hz give 2 for clips at 25 Hz. A rate
    that is nearly a multiple is meant as one: rows at 59.94 Hz give 2 for clips at 30 Hz.
    """
    spacing = _rates(poses) / hz
    nearest = np.maximum(np.rint(spacing), 1)
    tolerance = np.where(nearest == 1, RATE_TOLERANCE, _NEARLY_WHOLE)
    spacing = np.where(np.abs(spacing / nearest - 1) <= tolerance, nearest, spacing)
    return np.asarray(spacing[poses.trial])


_NEARLY_WHOLE = 0.01


def slowest_hz(poses: CameraPoses) -> float:
    """Rows per second of the trial that has the fewest.

    Clips of all trials can be had at this rate without frames that nobody recorded.
    """
    return float(_rates(poses)[np.unique(poses.trial)].min())


def _rates(poses: CameraPoses) -> NDArray[np.float64]:
    """Rows per second of every trial, (trials,)."""
    return np.array([trial.fps for trial in poses.trials]) / poses.frame_spacing
