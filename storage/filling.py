"""Straight lines over gaps in time: where a joint that was not seen is taken to be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseshift.storage.schema import Float32


def fill_gaps(keypoints: Float32, frames: NDArray[np.integer]) -> Float32:
    """Interpolate each joint linearly in time where it is NaN.

    Before the first frame that has the joint it stays where it is in that one, and after the last likewise.

    Parameters
    ----------
    keypoints : array of float32 of shape (n, joints, 2)
        Of one view; every joint is there in some frame.
    frames : array of integers of shape (n,)
        Frame numbers, rising.

    Returns
    -------
    array of float32 of shape (n, joints, 2)
        What was there is unchanged.
    """
    seen = np.isfinite(keypoints).all(axis=-1)
    row = np.arange(len(frames))[:, None]
    before = np.maximum.accumulate(np.where(seen, row, -1))
    after = np.minimum.accumulate(np.where(seen, row, len(frames))[::-1])[::-1]
    before, after = np.where(before < 0, after, before), np.where(after == len(frames), before, after)
    time = np.asarray(frames, dtype=np.float64)
    span = time[after] - time[before]
    share = (time[:, None] - time[before]) / np.where(span > 0, span, 1)
    share = np.where(span > 0, share, 0)[..., None]
    joint = np.arange(keypoints.shape[1])
    first, last = keypoints[before, joint].astype(np.float64), keypoints[after, joint].astype(np.float64)
    return np.asarray(first + share * (last - first), dtype=np.float32)


def fill_short_gaps(keypoints: Float32, frames: NDArray[np.integer], fps: float, longest_s: float) -> Float32:
    """Fill as :func:`fill_gaps`, where a joint is seen again within so many seconds.

    Before the first frame that has the joint, and after the last, it is held for as long.

    Parameters
    ----------
    keypoints : array of float32 of shape (n, joints, 2)
        Of one view; NaN where a joint was not seen.
    frames : array of integers of shape (n,)
        Frame numbers, rising.
    fps : float
        Frames per second.
    longest_s : float
        Longest time without the joint that is filled, seconds; joints that are missing for longer stay NaN.
    """
    seen = np.isfinite(keypoints).all(axis=-1)
    there = seen.any(axis=0)
    if seen.all() or not there.any():
        return keypoints
    time = np.asarray(frames, dtype=np.float64)[:, None] / fps
    before = np.maximum.accumulate(np.where(seen, time, -np.inf), axis=0)
    after = np.minimum.accumulate(np.where(seen, time, np.inf)[::-1], axis=0)[::-1]
    missing = after - before - 1 / fps  # from the first frame without the joint to the last
    held = np.minimum(time - before, after - time)
    short = np.where(np.isfinite(missing), missing, held) <= longest_s + 1e-9
    filled = keypoints.copy()
    filled[:, there] = fill_gaps(keypoints[:, there], frames)
    return np.where((seen | short)[..., None], filled, np.float32(np.nan))
