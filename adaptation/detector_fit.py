"""A detector's errors, fitted to the keypoints of a target without any 3D.

What changes from frame to frame faster than people move is the detector's: the spread of a joint is that of
its fourth differences in time, outliers are far from the median of the neighbouring frames, and exchanged
sides are found as in :mod:`poseshift.preprocessing.domain.swaps`. Joints that are always the same weighted
sum of others are computed and not seen. Errors that last longer than a few frames, such as a joint that is
always found too high, do not show here; where frames are few per second, motion counts as spread.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from poseshift.adaptation.confidence_fit import cut_levels, fit_factors, level_of
from poseshift.augmentation.detector_noise import (
    ConfidenceLevel,
    DetectorErrors,
    DetectorNoise,
    JointErrors,
    NoiseFixed,
    NoiseOff,
    Swaps,
)
from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.preprocessing.domain.swaps import LIMBS, find_swaps, mend_swaps, sides
from poseshift.storage.columns import CameraPoses
from poseshift.storage.schema import Float32

Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

_LOG = logging.getLogger(__name__)

_FOURTH = np.array([1.0, -4.0, 6.0, -4.0, 1.0])
_FOURTH_NORM = float(np.sqrt((_FOURTH**2).sum()))
_MAD_TO_DEVIATION = 1.4826
_SIZE_FRAMES = 51
_WINDOW = 5
"""Frames that a joint is compared within, the frame itself included."""

_TOO_FEW = (
    f"no view of the target shows a joint in {_WINDOW} successive frames, so the detector's noise cannot be "
    "told from motion; take more frames (`frame_step: 1`), or state the noise: `detector_noise: fixed`"
)

FARTHEST_SPREADS, FARTHEST_SIZE = 6.0, 0.05
"""A joint is an outlier when it is farther from its neighbours' median than so many spreads, and than this
share of the person's size."""

CLEAR_SIZE = 0.06
"""Sides whose joints are nearer to each other, over the person's size, may be exchanged unnoticed: rates of
exchanged sides are counted where they are farther apart."""

ASSEMBLED_SIZE, ASSEMBLED_SHARE = 0.002, 0.98
"""How near a joint must be to a weighted sum of others, over the person's size, and in which share of the
frames, to count as computed."""

_LEAST_SURE = 1e-6
"""What a joint that was seen counts as, where its detector is not sure of it at all."""

_LEAST_SPREAD = 1e-5

PREDICTION_LEVELS = 5
"""Levels of confidence by which the spread of keypoints is told that are lifted."""

FEWEST_FRAMES = 100
"""Below so many windows of a joint its spread is that of all joints together."""


@dataclass(frozen=True)
class _Track:
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


def errors_of(noise: DetectorNoise, target: CameraPoses | None) -> DetectorErrors | None:
    """Find the errors that labelled poses are given; None for none.

    Parameters
    ----------
    noise : DetectorNoise
        What a method says.
    target : CameraPoses or None
        The target's keypoints, NaN where a joint was not seen; needed to fit errors.

    Raises
    ------
    ValueError
        Errors are to be fitted and there is no target.
    """
    if isinstance(noise, NoiseOff):
        return None
    if isinstance(noise, NoiseFixed):
        return noise.errors
    if target is None:
        raise ValueError(
            "detector noise is to be fitted to a target's keypoints and there is no target; add `target:` to "
            "the recipe, or state the noise: `detector_noise: fixed`"
        )
    return fit_errors(target, noise.confidence_levels).at_least(noise.least_spread)


def fit_errors(target: CameraPoses, confidence_levels: int = 1) -> DetectorErrors:
    """Fit a detector's errors to the keypoints of a target.

    Parameters
    ----------
    target : CameraPoses
        On the joints of Human3.6M; NaN where a joint was not seen. No 3D is looked at.
    confidence_levels : int
        In how many levels of the detector's confidence the spread is told.

    Raises
    ------
    ValueError
        Another joint set, or no view has five successive frames.
    """
    if target.skeleton != HUMAN36M_17.name:
        raise ValueError(
            f"detector noise is fitted to {HUMAN36M_17.name} keypoints; these are {target.skeleton}"
        )
    tracks = [track for track in _tracks(target) if len(track.places) >= _WINDOW]
    if not tracks:
        raise ValueError(_TOO_FEW)
    assembled = _assembled(tracks)
    lost = [np.zeros(track.places.shape[:2], dtype=np.bool_) for track in tracks]
    spread = _spread(tracks, lost)
    for _ in range(2):  # spreads without the outliers, outliers by those spreads
        lost = [_outliers(track, spread) for track in tracks]
        spread = _spread(tracks, lost)
    told = _told(tracks, lost, spread, [*assembled], confidence_levels)
    if told.levels:  # a joint that its detector is unsure of is an outlier later
        lost = [_outliers(track, told.spread_of(track)) for track in tracks]
        told = _told(tracks, lost, spread, [*assembled], confidence_levels)
    spread = told.spread
    whole = np.asarray(np.isfinite(target.keypoints_px).all(axis=-1))
    dropped, dropped_frames = _dropped(target, whole)
    filled = _filled_spread(tracks, lost, dropped_frames, spread)
    outliers = np.concatenate(lost).sum(axis=0) / np.maximum(
        1, sum(np.isfinite(track.places).all(axis=-1).sum(axis=0) for track in tracks)
    )
    fitted = DetectorErrors(
        joints={
            name: JointErrors(
                spread=round(float(spread[joint]), 5),
                outliers=round(float(outliers[joint]), 5),
                dropped=round(float(min(dropped[joint], 0.9)), 5),
                filled_spread=round(float(filled[joint]), 5) if dropped[joint] > 0 else 0.0,
                level_shares=told.shares_of(joint),
            )
            for joint, name in enumerate(HUMAN36M_17.joint_names)
        },
        swaps=_swaps(tracks),
        dropped_frames=dropped_frames,
        truncated=_truncated(target, whole),
        assembled=assembled,
        levels=told.levels,
    )
    _LOG.info("detector's errors by %d target keypoints: %s", len(target), fitted.words)
    return fitted


def keypoint_spreads(target: CameraPoses) -> Float64 | None:
    """Spread of every keypoint on each axis over the person's size, by how sure its detector is.

    Parameters
    ----------
    target : CameraPoses
        NaN where a joint was not seen: its spread is that of what is filled in over time.

    Returns
    -------
    array of float64 of shape (n, joints) or None
        None where keypoints have no confidences, or where they do not let their noise be told.
    """
    if target.confidence is None or target.skeleton != HUMAN36M_17.name:
        return None
    try:
        errors = fit_errors(target, PREDICTION_LEVELS)
    except ValueError as error:
        _LOG.warning("error estimates say nothing of the keypoints: %s", error)
        return None
    joints = [errors.joints[name] for name in HUMAN36M_17.joint_names]
    spread = np.broadcast_to([one.spread for one in joints], target.confidence.shape)
    if errors.levels:
        spread = spread * _factors(errors.levels, target.confidence)
    missing = ~np.isfinite(target.keypoints_px).all(axis=-1)
    filled = np.maximum(spread, [one.filled_spread for one in joints])
    return np.asarray(np.where(missing, filled, spread), dtype=np.float64)


def _tracks(target: CameraPoses) -> Iterator[_Track]:
    """Cut the target into successive frames of one view, and exchange sides back."""
    spacing = target.frame_spacing
    for rows in np.split(np.arange(len(target)), np.flatnonzero(~target.follows_on) + 1):
        if len(rows) < _WINDOW:
            continue
        seen = target.keypoints_px[rows].astype(np.float64)
        sure = np.ones(seen.shape[:2]) if target.confidence is None else target.confidence[rows]
        fps = target.trials[target.trial[rows[0]]].fps / spacing
        yield _track(seen, sure, fps)


def _track(seen: Float64, sure: NDArray[np.floating], fps: float) -> _Track:
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
    return _Track(places, mended[..., 2], size, swapped, clear)


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


def _fourth(track: _Track, out: Bool) -> Float64:
    """Fourth differences in time of what is not lost, (windows, joints, 2), pixels."""
    kept = np.where(out[..., None], np.nan, track.places)
    return np.asarray(sliding_window_view(kept, _WINDOW, axis=0) @ _FOURTH)


def _spread(tracks: list[_Track], lost: list[Bool]) -> Float64:
    """Deviation of each joint on each axis, (joints,), by fourth differences of what is not lost."""
    parts = [
        track.over_size(_fourth(track, out), _WINDOW // 2) for track, out in zip(tracks, lost, strict=True)
    ]
    joined = np.concatenate(parts)
    fourth = joined.transpose(1, 0, 2).reshape(joined.shape[1], -1)
    if not np.isfinite(fourth).any():
        raise ValueError(_TOO_FEW)
    usual = np.nanmedian(np.abs(fourth))
    of_joint = np.array(
        [np.nanmedian(np.abs(one)) if np.isfinite(one).sum() >= FEWEST_FRAMES else usual for one in fourth]
    )
    return of_joint * _MAD_TO_DEVIATION / _FOURTH_NORM


@dataclass(frozen=True)
class _Told:
    """Spreads by confidence: of each joint (joints,), factors of levels, and shares (joints, levels)."""

    spread: Float64
    levels: tuple[ConfidenceLevel, ...]
    shares: Float64

    def spread_of(self, track: _Track) -> Float64:
        """Spread of the joints of a track in each frame, (frames, joints)."""
        return self.spread * _factors(self.levels, track.sure)

    def shares_of(self, joint: int) -> tuple[float, ...]:
        """How often a joint is of each level; empty where there are none."""
        return tuple(round(float(one), 4) for one in self.shares[joint]) if self.levels else ()


def _told(tracks: list[_Track], lost: list[Bool], spread: Float64, computed: list[str], count: int) -> _Told:
    """Fit how spreads depend on confidence; computed joints show nothing of it."""
    alike = _Told(spread, (), np.ones((len(spread), 1)))
    if count < 2:
        return alike
    edges = cut_levels(np.concatenate([track.sure[track.sure > 0] for track in tracks]), count)
    if len(edges) < 2:
        return alike
    weights = (_FOURTH / _FOURTH_NORM) ** 2
    squares, shares = [], []
    own = [name not in computed for name in HUMAN36M_17.joint_names]
    for track, out in zip(tracks, lost, strict=True):
        fourth = track.over_size(_fourth(track, out), _WINDOW // 2)
        of_level = np.eye(len(edges))[level_of(track.sure, edges)]  # (frames, joints, levels)
        mixed = sliding_window_view(of_level, _WINDOW, axis=0) @ weights  # (windows, joints, levels)
        squares.append((fourth / (_FOURTH_NORM * np.maximum(spread, _LEAST_SPREAD)[:, None])) ** 2)
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
    return _Told(base, levels, _level_shares(tracks, edges))


def _level_shares(tracks: list[_Track], edges: Float64) -> Float64:
    """How often each joint, where it is seen, is of each level, (joints, levels)."""
    sure = np.concatenate([track.sure for track in tracks])
    of_level = np.eye(len(edges))[level_of(sure, edges)] * (sure > 0)[..., None]
    counts = of_level.sum(axis=0)
    usual = counts.sum(axis=0)
    some = np.where(counts.sum(axis=-1, keepdims=True) > 0, counts, usual)
    return np.asarray(some / some.sum(axis=-1, keepdims=True))


def _factors(levels: Sequence[ConfidenceLevel], sure: NDArray[np.floating]) -> Float64:
    """Spread over that of the joint where its detector is as sure as this, of the shape of ``sure``."""
    edges = np.array([one.up_to for one in levels])
    factors = np.array([one.factor for one in levels])
    return np.asarray(factors[level_of(sure, edges)], dtype=np.float64)


def _outliers(track: _Track, spread: Float64) -> Bool:
    """Joints that are far from the median of the frames around them (Hampel), (frames, joints).

    Spreads are those of the joints, (joints,), or of the joints in each frame.
    """
    half = _WINDOW // 2
    padded = np.pad(track.places, ((half, half), (0, 0), (0, 0)), constant_values=np.nan)
    windows = sliding_window_view(padded, _WINDOW, axis=0)
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


def _dropped(target: CameraPoses, whole: Bool) -> tuple[Float64, float]:
    """Share of the frames with a person that each joint is not seen in, and mean length of a gap."""
    person = np.asarray(whole.any(axis=1))
    if not person.any():
        raise ValueError("the target shows no person in any frame; select other frames or another detector")
    gaps = np.asarray(~whole & person[:, None])
    starts = gaps.copy()
    starts[1:] &= ~(gaps[:-1] & target.same_view[:, None])
    share = gaps[person].mean(axis=0)
    return share, round(float(gaps.sum() / max(1, starts.sum())), 2) if gaps.any() else 1.0


def _filled_spread(tracks: list[_Track], lost: list[Bool], gap: float, spread: Float64) -> Float64:
    """Deviation of a straight line over a gap from what is seen in its middle, (joints,)."""
    reach = int(np.ceil((gap + 1) / 2))
    parts = []
    for track, out in zip(tracks, lost, strict=True):
        kept = np.where(out[..., None], np.nan, track.places)
        if len(kept) > 2 * reach:
            ends = (kept[: -2 * reach] + kept[2 * reach :]) / 2
            parts.append(track.over_size(kept[reach:-reach] - ends, reach))
    if not parts:
        return spread
    away = np.concatenate(parts)
    squares = (np.where(np.isfinite(away), away, 0) ** 2).sum(axis=(0, 2))
    counted = np.isfinite(away).sum(axis=(0, 2))
    # A joint that is never seen before, in and after the middle is filled as badly as the others.
    usual = squares.sum() / max(1, counted.sum())
    of_joint = np.where(counted > 0, squares / np.maximum(1, counted), usual)
    # The middle and both ends are noisy (1 + 1/4 + 1/4); the filled joint has the ends' noise alone.
    motion = np.maximum(0, of_joint - 1.5 * spread**2)
    return np.asarray(np.sqrt(motion + 0.5 * spread**2))


def _swaps(tracks: list[_Track]) -> Swaps:
    """Count exchanged sides where they show."""
    swapped, clear = (
        {limbs: np.concatenate([getattr(track, what)[limbs] for track in tracks]) for limbs in LIMBS}
        for what in ("swapped", "clear")
    )
    both = clear["legs"] & clear["arms"]
    body = _rate(swapped["legs"] & swapped["arms"], both)
    alone = {limbs: max(0.0, _rate(swapped[limbs], clear[limbs]) - body) for limbs in LIMBS}
    marks = np.concatenate(
        [np.append(track.swapped[limbs] & track.clear[limbs], False) for track in tracks for limbs in LIMBS]
    )
    begins = int((np.diff(np.append(False, marks).astype(np.int8)) == 1).sum())
    return Swaps(
        body=body,
        legs=round(alone["legs"], 5),
        arms=round(alone["arms"], 5),
        frames=round(max(1.0, float(marks.sum()) / begins), 2) if begins else 1.0,
    )


def _rate(marks: Bool, among: Bool) -> float:
    return round(min(0.5, float(marks[among].mean())), 5) if among.any() else 0.0


def _truncated(target: CameraPoses, whole: Bool) -> bool:
    """Whether no joint is ever seen outside its image."""
    sizes = np.array([camera.size_px for camera in target.cameras], dtype=np.float64)[target.camera]
    seen = np.where(whole[..., None], target.keypoints_px, 0)
    return bool(((seen >= 0) & (seen <= sizes[:, None])).all())


_TRUNK_PARTS = {
    "pelvis": ("left_hip", "right_hip"),
    "spine": ("left_hip", "right_hip", "left_shoulder", "right_shoulder"),
    "thorax": ("left_shoulder", "right_shoulder"),
    "head": ("left_shoulder", "right_shoulder", "nose"),
}


def _assembled(tracks: list[_Track]) -> dict[str, dict[str, float]]:
    """Find joints that are weighted sums of others, whose weights sum to one."""
    places = np.concatenate([track.over_size(track.places, 0) for track in tracks])
    index = HUMAN36M_17.joint_names.index
    found = {}
    for name, parts in _TRUNK_PARTS.items():
        base, *others = (places[:, index(part)] for part in parts)
        wanted = places[:, index(name)] - base
        directions = np.stack([other - base for other in others], axis=-1)
        known = np.isfinite(wanted).all(axis=-1) & np.isfinite(directions).all(axis=(1, 2))
        if known.sum() < FEWEST_FRAMES:
            continue
        matrix, aim = directions[known].reshape(-1, len(others)), wanted[known].reshape(-1)
        weights, *_ = np.linalg.lstsq(matrix, aim, rcond=None)
        away = np.linalg.norm((matrix @ weights - aim).reshape(-1, 2), axis=-1)
        if (away < ASSEMBLED_SIZE).mean() >= ASSEMBLED_SHARE:
            values = [1 - float(weights.sum()), *map(float, weights)]
            found[name] = {part: round(value, 4) for part, value in zip(parts, values, strict=True)}
    return found
