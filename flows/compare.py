"""The share of the gap that an adaptation closes, with its interval.

Source-only, adapted and target-supervised lifters are measured on the same test sequences, so the sequences
are resampled together: each draw of the bootstrap takes the same sequences for all three. Errors are averaged
over seeds first, as in :func:`training.evaluation.results.pool_seeds`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.evaluation.intervals import Estimate, Float64, draw_weights
from training.evaluation.results import EvaluationResult, pool_seeds

BOUNDS_PER_CENT = (2.5, 97.5)

Seeds = Sequence[EvaluationResult]
"""One result per training seed."""


def gap_closed(source_only: Seeds, adapted: Seeds, reference: Seeds, bootstrap_seed: int) -> Estimate | None:
    """Share of the MPJPE gap between source-only and target-supervised lifters that an adaptation closes.

    Parameters
    ----------
    source_only, adapted, reference : sequences of EvaluationResult
        One result per seed, all under the same protocol on the same snapshot.
    bootstrap_seed : int
        Of the draws.

    Returns
    -------
    Estimate or None
        1 closes the gap, 0 does nothing, a negative share harms. None when there is no gap to close. The
        bounds are None when sequences are fewer than two or when some draw has no gap.

    Raises
    ------
    ValueError
        When the results do not measure the same sequences under the same protocol.
    """
    pool_seeds([*source_only, *adapted, *reference], bootstrap_seed)  # refuses what cannot be compared
    before, after, best = (_sequence_errors(seeds) for seeds in (source_only, adapted, reference))
    sequences = len(before)
    everything = _means(source_only[0], np.ones((1, sequences)))
    value = _share(everything @ before, everything @ after, everything @ best)
    if np.isnan(value).any():
        return None
    draws = _means(source_only[0], draw_weights(sequences, bootstrap_seed))
    shares = _share(draws @ before, draws @ after, draws @ best)
    if sequences < 2 or np.isnan(shares).any():
        return Estimate(value=float(value[0]), low=None, high=None)
    low, high = np.percentile(shares, BOUNDS_PER_CENT)
    return Estimate(value=float(value[0]), low=float(low), high=float(high))


def _sequence_errors(seeds: Seeds) -> Float64:
    """MPJPE of each sequence, mean over seeds, (sequences,)."""
    of_seeds = np.array([[row.mpjpe_mm for row in result.per_sequence] for result in seeds])
    return np.asarray(of_seeds.mean(axis=0), dtype=np.float64)


def _means(result: EvaluationResult, weights: Float64) -> Float64:
    """Turn draws (draws, sequences) into weights that give the protocol's mean over sequences."""
    frames = weights * np.array([row.frames for row in result.per_sequence])
    names, group = np.unique(
        [row.action if result.averaging == "actions" else "all" for row in result.per_sequence],
        return_inverse=True,
    )
    per_group = frames @ (group[:, None] == np.arange(len(names))).astype(np.float64)
    occurring = np.count_nonzero(per_group, axis=1)
    totals: Float64 = np.where(per_group > 0, per_group, 1.0)[:, group]
    return np.asarray(frames / totals / occurring[:, None], dtype=np.float64)


def _share(before: Float64, after: Float64, best: Float64) -> Float64:
    """(before - after) / (before - best), NaN where there is no gap."""
    gap = before - best
    share = np.full(len(gap), np.nan)
    np.divide(before - after, gap, out=share, where=gap > 0)
    return share
