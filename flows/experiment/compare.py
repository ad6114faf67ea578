"""What an adaptation gains, in millimetres and as a share of the gap, with intervals.

Source-only, adapted and target-supervised lifters are measured on the same test people, so the people are
resampled together: each draw of the bootstrap takes the same people for all three. Errors are averaged
over seeds first, as in :func:`poseshift.training.evaluation.results.pool_seeds`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poseshift.training.evaluation.intervals import Estimate, Float64, draw_weights
from poseshift.training.evaluation.results import EvaluationResult, pool_seeds

BOUNDS_PER_CENT = (2.5, 97.5)

Seeds = Sequence[EvaluationResult]
"""One result per training seed."""


def gain_mm(source_only: Seeds, adapted: Seeds, bootstrap_seed: int) -> Estimate:
    """MPJPE that an adaptation saves against source only, with the interval of the paired difference.

    Parameters
    ----------
    source_only, adapted : Seeds
        Sequences of EvaluationResult One result per seed, all under the same protocol on the same snapshot.
    bootstrap_seed : int
        Of the draws.

    Returns
    -------
    Estimate
        Millimetres; negative where the adaptation harms. Bounds are None with fewer than five people.

    Raises
    ------
    ValueError
        When the results do not measure the same sequences under the same protocol.
    """
    pool_seeds([*source_only, *adapted], bootstrap_seed)  # refuses what cannot be compared
    saved = _sequence_errors(source_only) - _sequence_errors(adapted)
    everything, draws = _resampled_means(source_only[0], bootstrap_seed)
    return _bounded(float((everything @ saved)[0]), draws @ saved)


def gap_closed(source_only: Seeds, adapted: Seeds, reference: Seeds, bootstrap_seed: int) -> Estimate | None:
    """Share of the MPJPE gap between source-only and target-supervised lifters that an adaptation closes.

    Parameters
    ----------
    source_only, adapted, reference : Seeds
        Sequences of EvaluationResult One result per seed, all under the same protocol on the same snapshot.
    bootstrap_seed : int
        Of the draws.

    Returns
    -------
    Estimate or None
        1 closes the gap, 0 does nothing, a negative share harms. None when there is no gap, or none that the
        test people can tell from zero (2.5th percentile of its draws): a share of nothing says nothing.
        The bounds are of the draws that have a gap, and None with fewer than five people.

    Raises
    ------
    ValueError
        When the results do not measure the same sequences under the same protocol.
    """
    pool_seeds([*source_only, *adapted, *reference], bootstrap_seed)  # refuses what cannot be compared
    saved = _sequence_errors(source_only) - _sequence_errors(adapted)
    gap = _sequence_errors(source_only) - _sequence_errors(reference)
    everything, draws = _resampled_means(source_only[0], bootstrap_seed)
    whole_gap, gaps = float((everything @ gap)[0]), draws @ gap
    if whole_gap <= 0 or (len(gaps) and np.percentile(gaps, BOUNDS_PER_CENT[0]) <= 0):
        return None
    there = gaps > 0
    return _bounded(float((everything @ saved)[0]) / whole_gap, (draws @ saved)[there] / gaps[there])


def _resampled_means(result: EvaluationResult, bootstrap_seed: int) -> tuple[Float64, Float64]:
    """Weights of sequence errors: of the mean (1, sequences) and of its draws (draws or 0, sequences)."""
    drawn = draw_weights([row.subject for row in result.per_sequence], bootstrap_seed)
    return _means(result, np.ones((1, len(result.per_sequence)))), _means(result, drawn)


def _bounded(value: float, draws: Float64) -> Estimate:
    if not len(draws):
        return Estimate(value=value, low=None, high=None)
    low, high = np.percentile(draws, BOUNDS_PER_CENT)
    return Estimate(value=value, low=float(low), high=float(high))


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
