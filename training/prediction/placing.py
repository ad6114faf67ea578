"""Standing a motion on the floor: the lowest foot of the whole trial is put at height zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.skeleton import Skeleton

Float64 = NDArray[np.float64]

_LOWEST_PERCENTILE = 2.0
"""Of the lower foot's height over all frames: single wrong frames do not decide where the floor is."""


def floor_height(positions: Float64, skeleton: Skeleton) -> float:
    """Height of the lowest foot over a trial, metres.

    Parameters
    ----------
    positions : array of shape (n, joints, 3)
        World axes, z up.
    skeleton : Skeleton
        Names the ankles, which stand for the feet: there is no joint below them.

    Raises
    ------
    ValueError
        It has no ankles.
    """
    ankles = [index for index, name in enumerate(skeleton.joint_names) if name.endswith("_ankle")]
    if not ankles:
        raise ValueError(f"{skeleton.name} has no ankles to find the floor by")
    return float(np.percentile(positions[:, ankles, 2].min(axis=1), _LOWEST_PERCENTILE))
