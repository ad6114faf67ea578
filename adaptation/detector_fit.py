"""A detector's errors, fitted to the keypoints of a target without any 3D.

What changes from frame to frame faster than people move is the detector's: the spread of a joint is that of
its fourth differences in time, outliers are far from the median of the neighbouring frames, and exchanged
sides are found as in :mod:`poseshift.preprocessing.domain.swaps`. Joints that are always the same weighted
sum of others are computed and not seen. Errors that last longer than a few frames, such as a joint that is
always found too high, do not show here; where frames are few per second, motion counts as spread.
"""

from __future__ import annotations

import logging

import numpy as np

from poseshift.adaptation.detector_spread import (
    FEWEST_FRAMES,
    TOO_FEW,
    factors_at,
    outliers_of,
    spread_by_confidence,
    spread_of_joints,
)
from poseshift.adaptation.detector_tracks import WINDOW, Bool, Float64, Track, tracks_of
from poseshift.augmentation.detector_noise import (
    DetectorErrors,
    DetectorNoise,
    JointErrors,
    NoiseFixed,
    NoiseOff,
    Swaps,
)
from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.preprocessing.domain.swaps import LIMBS
from poseshift.storage.columns import CameraPoses

_LOG = logging.getLogger(__name__)

ASSEMBLED_SIZE, ASSEMBLED_SHARE = 0.002, 0.98
"""How near a joint must be to a weighted sum of others, over the person's size, and in which share of the
frames, to count as computed."""

PREDICTION_LEVELS = 5
"""Levels of confidence by which the spread of keypoints is told that are lifted."""


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
    tracks = [track for track in tracks_of(target) if len(track.places) >= WINDOW]
    if not tracks:
        raise ValueError(TOO_FEW)
    assembled = _assembled(tracks)
    lost = [np.zeros(track.places.shape[:2], dtype=np.bool_) for track in tracks]
    spread = spread_of_joints(tracks, lost)
    for _ in range(2):  # spreads without the outliers, outliers by those spreads
        lost = [outliers_of(track, spread) for track in tracks]
        spread = spread_of_joints(tracks, lost)
    told = spread_by_confidence(tracks, lost, spread, [*assembled], confidence_levels)
    if told.levels:  # a joint that its detector is unsure of is an outlier later
        lost = [outliers_of(track, told.spread_of(track)) for track in tracks]
        told = spread_by_confidence(tracks, lost, spread, [*assembled], confidence_levels)
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
        spread = spread * factors_at(errors.levels, target.confidence)
    missing = ~np.isfinite(target.keypoints_px).all(axis=-1)
    filled = np.maximum(spread, [one.filled_spread for one in joints])
    return np.asarray(np.where(missing, filled, spread), dtype=np.float64)


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


def _filled_spread(tracks: list[Track], lost: list[Bool], gap: float, spread: Float64) -> Float64:
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


def _swaps(tracks: list[Track]) -> Swaps:
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


def _assembled(tracks: list[Track]) -> dict[str, dict[str, float]]:
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
