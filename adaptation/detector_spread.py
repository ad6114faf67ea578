"""How far a detector's keypoints scatter: of each joint, by its confidence, and which of them are outliers.

What changes from frame to frame faster than people move is the detector's: the spread of a joint is that of
its fourth differences in time, outliers are far from the median of the neighbouring frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from poseshift.adaptation.confidence_fit import cut_levels, fit_factors, level_of
from poseshift.adaptation.detector_tracks import (
    FOURTH,
    FOURTH_NORM,
    WINDOW,
    Bool,
    Float64,
    Track,
)
from poseshift.augmentation.detector_noise import ConfidenceLevel
from poseshift.geometry.skeleton import HUMAN36M_17

_MAD_TO_DEVIATION = 1.4826

TOO_FEW = (
    f"no view of the target shows a joint in {WINDOW} successive frames, so the detector's noise cannot be "
    "told from motion; take more frames (`frame_step: 1`), or state the noise: `detector_noise: fixed`"
)

FARTHEST_SPREADS, FARTHEST_SIZE = 6.0, 0.05
"""A joint is an outlier when it is farther from its neighbours' median than so many spreads, and than this
share of the person's size."""

_LEAST_SPREAD = 1e-5

FEWEST_FRAMES = 100
"""Below so many windows of a joint its spread is that of all joints together."""


def spread_of_joints(tracks: list[Track], lost: list[Bool]) -> Float64:
    """Deviation of each joint on each axis, (joints,), by fourth differences of what is not lost."""
    joined = np.concatenate([track.fourth_differences(out) for track, out in zip(tracks, lost, strict=True)])
    fourth = joined.transpose(1, 0, 2).reshape(joined.shape[1], -1)
    if not np.isfinite(fourth).any():
        raise ValueError(TOO_FEW)
    usual = np.nanmedian(np.abs(fourth))
    of_joint = np.array(
        [np.nanmedian(np.abs(one)) if np.isfinite(one).sum() >= FEWEST_FRAMES else usual for one in fourth]
    )
    return of_joint * _MAD_TO_DEVIATION / FOURTH_NORM


@dataclass(frozen=True)
class SpreadByConfidence:
    """Spreads by confidence: of each joint (joints,), factors of levels, and shares (joints, levels)."""

    spread: Float64
    levels: tuple[ConfidenceLevel, ...]
    shares: Float64

    def spread_of(self, track: Track) -> Float64:
        """Spread of the joints of a track in each frame, (frames, joints)."""
        return self.spread * factors_at(self.levels, track.sure)

    def shares_of(self, joint: int) -> tuple[float, ...]:
        """How often a joint is of each level; empty where there are none."""
        return tuple(round(float(one), 4) for one in self.shares[joint]) if self.levels else ()


def spread_by_confidence(
    tracks: list[Track], lost: list[Bool], spread: Float64, computed: list[str], count: int
) -> SpreadByConfidence:
    """Fit how spreads depend on confidence; computed joints show nothing of it."""
    alike = SpreadByConfidence(spread, (), np.ones((len(spread), 1)))
    if count < 2:
        return alike
    edges = cut_levels(np.concatenate([track.sure[track.sure > 0] for track in tracks]), count)
    if len(edges) < 2:
        return alike
    weights = (FOURTH / FOURTH_NORM) ** 2
    squares, shares = [], []
    own = [name not in computed for name in HUMAN36M_17.joint_names]
    for track, out in zip(tracks, lost, strict=True):
        fourth = track.fourth_differences(out)
        of_level = np.eye(len(edges))[level_of(track.sure, edges)]  # (frames, joints, levels)
        mixed = sliding_window_view(of_level, WINDOW, axis=0) @ weights  # (windows, joints, levels)
        squares.append((fourth / (FOURTH_NORM * np.maximum(spread, _LEAST_SPREAD)[:, None])) ** 2)
        shares.append(mixed)
    squared, mixture = np.concatenate(squares), np.concatenate(shares)
    counted = np.isfinite(squared) & np.array(own)[None, :, None]
    rows = np.broadcast_to(mixture[:, :, None], (*squared.shape, len(edges)))[counted]
    if len(rows) < FEWEST_FRAMES * len(edges):
        return alike
    factors = fit_factors(squared[counted], rows)
    expected = np.sqrt(mixture @ factors**2)[..., None]
    again = np.nanmedian((np.sqrt(squared) / expected).transpose(0, 2, 1).reshape(-1, len(spread)), axis=0)
    base = np.where(np.isfinite(again), spread * again * _MAD_TO_DEVIATION, spread)
    levels = tuple(
        ConfidenceLevel(up_to=float(edge), factor=round(float(factor), 4))
        for edge, factor in zip(edges, factors, strict=True)
    )
    return SpreadByConfidence(base, levels, _level_shares(tracks, edges))


def _level_shares(tracks: list[Track], edges: Float64) -> Float64:
    """How often each joint, where it is seen, is of each level, (joints, levels)."""
    sure = np.concatenate([track.sure for track in tracks])
    of_level = np.eye(len(edges))[level_of(sure, edges)] * (sure > 0)[..., None]
    counts = of_level.sum(axis=0)
    usual = counts.sum(axis=0)
    some = np.where(counts.sum(axis=-1, keepdims=True) > 0, counts, usual)
    return np.asarray(some / some.sum(axis=-1, keepdims=True))


def factors_at(levels: Sequence[ConfidenceLevel], sure: NDArray[np.floating]) -> Float64:
    """Spread over that of the joint where its detector is as sure as this, of the shape of ``sure``."""
    edges = np.array([one.up_to for one in levels])
    factors = np.array([one.factor for one in levels])
    return np.asarray(factors[level_of(sure, edges)], dtype=np.float64)


def outliers_of(track: Track, spread: Float64) -> Bool:
    """Joints that are far from the median of the frames around them (Hampel), (frames, joints).

    Spreads are those of the joints, (joints,), or of the joints in each frame.
    """
    half = WINDOW // 2
    padded = np.pad(track.places, ((half, half), (0, 0), (0, 0)), constant_values=np.nan)
    windows = sliding_window_view(padded, WINDOW, axis=0)
    enough = np.isfinite(windows).sum(axis=-1) >= 3
    median = np.where(enough, _nanmedian(windows), np.nan)
    away = track.over_size(np.linalg.norm(track.places - median, axis=-1), 0)
    return np.asarray(np.nan_to_num(away) > np.maximum(FARTHEST_SPREADS * spread, FARTHEST_SIZE))


def _nanmedian(windows: Float64) -> Float64:
    """Median of the last axis where there is a number, lower middle of an even count; NaN where none is."""
    count = np.isfinite(windows).sum(axis=-1)
    ordered = np.sort(windows, axis=-1)  # NaN last
    middle: Float64 = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[..., None], axis=-1)[..., 0]
    return middle
