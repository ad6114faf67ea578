"""Keypoints of a target as tracks: successive frames of one person in one view, with sides exchanged back.

What a detector does wrong is read off them, in units of the person's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from poseshift.preprocessing.domain.swaps import LIMBS, find_swaps, mend_swaps, sides
from poseshift.storage.columns import CameraPoses
from poseshift.storage.schema import Float32

Float64 = NDArray[np.float64]

Bool = NDArray[np.bool_]

FOURTH = np.array([1.0, -4.0, 6.0, -4.0, 1.0])

FOURTH_NORM = float(np.sqrt((FOURTH**2).sum()))

_SIZE_FRAMES = 51

WINDOW = 5
"""Frames that a joint is compared within, the frame itself included."""

CLEAR_SIZE = 0.06
"""Sides whose joints are nearer to each other, over the person's size, may be exchanged unnoticed: rates of
exchanged sides are counted where they are farther apart."""

_LEAST_SURE = 1e-6
"""What a joint that was seen counts as, where its detector is not sure of it at all."""


@dataclass(frozen=True)
class Track:
    """One person in one view at successive frames.

    Attributes
    ----------
    places : array of float64 of shape (frames, joints, 2)
        Pixels; NaN where not seen. Sides are exchanged back.
    size : array of float64 of shape (frames,)
        Larger side of the person's box, pixels; its median over a second or so, which noise leaves as it is.
    swapped : mapping of name to (frames,) bool
        Where legs and arms were exchanged.
    clear : mapping of name to (frames,) bool
        Where exchanging them would show.
    sure : array of float32 of shape (frames, joints)
        How sure the detector is, from 0 to 1; 1 where keypoints have no confidences.
    """

    places: Float64
    sure: Float32
    size: Float64
    swapped: dict[str, Bool]
    clear: dict[str, Bool]

    def over_size(self, residual: Float64, first: int) -> Float64:
        """Residuals (n, joints, ...) in pixels of the frames from ``first`` on, over the person's size."""
        size = self.size[first : first + len(residual)]
        return np.asarray(residual / size.reshape(-1, *([1] * (residual.ndim - 1))))

    def fourth_differences(self, lost: Bool) -> Float64:
        """Fourth differences in time of what is not lost, (windows, joints, 2), over the person's size."""
        kept = np.where(lost[..., None], np.nan, self.places)
        return self.over_size(sliding_window_view(kept, WINDOW, axis=0) @ FOURTH, WINDOW // 2)


def tracks_of(target: CameraPoses) -> Iterator[Track]:
    """Cut the target into successive frames of one view, and exchange sides back."""
    spacing = target.frame_spacing
    for rows in np.split(np.arange(len(target)), np.flatnonzero(~target.follows_on) + 1):
        if len(rows) < WINDOW:
            continue
        seen = target.keypoints_px[rows].astype(np.float64)
        sure = np.ones(seen.shape[:2]) if target.confidence is None else target.confidence[rows]
        fps = target.trials[target.trial[rows[0]]].fps / spacing
        yield _track(seen, sure, fps)


def _track(seen: Float64, sure: NDArray[np.floating], fps: float) -> Track:
    there = np.asarray(np.isfinite(seen).all(axis=-1, keepdims=True))
    marks = np.where(there, np.maximum(sure, _LEAST_SURE)[..., None], 0)
    with_marks = np.concatenate([np.where(there, seen, 0), marks], axis=-1).astype(np.float32)
    found = find_swaps(with_marks, fps)
    mended = mend_swaps(with_marks, found)
    places = np.where(mended[..., 2:] > 0, mended[..., :2], np.nan).astype(np.float64)
    size = _size(places, there)
    swapped = {limbs: np.zeros(len(seen), dtype=np.bool_) for limbs in LIMBS}
    for swap in found:
        swapped[swap.limbs][swap.first : swap.last + 1] = True
    clear = {}
    for limbs in LIMBS:
        left, right = sides(limbs)
        apart = np.linalg.norm(places[:, left] - places[:, right], axis=-1).min(axis=-1) / size
        clear[limbs] = np.asarray(np.nan_to_num(apart) > CLEAR_SIZE)
    return Track(places, mended[..., 2], size, swapped, clear)


def _size(seen: Float64, there: Bool) -> Float64:
    """Larger side of the box, (frames,): running median; the track's where fewer than two joints are seen."""
    low = np.where(there, seen, np.inf).min(axis=1)
    high = np.where(there, seen, -np.inf).max(axis=1)
    sides_px = np.where(there.sum(axis=(1, 2)) >= 2, (high - low).max(axis=-1), np.nan)
    usual = np.nanmedian(sides_px) if np.isfinite(sides_px).any() else np.nan
    whole = np.where(sides_px > 0, sides_px, usual)
    half = min(_SIZE_FRAMES, len(whole)) // 2
    windows = sliding_window_view(np.pad(whole, half, mode="edge"), 2 * half + 1)
    size: Float64 = np.median(windows, axis=-1)
    return size
