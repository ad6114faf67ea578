"""Confidence intervals by resampling whole sequences.

Neighbouring frames resemble each other, so the unit that is drawn is a sequence (one trial before one
camera), with all its frames. Percentile bootstrap after Efron; with few sequences, such as the six of
MPI-INF-3DHP's test set, such intervals are known to come out too narrow. Views of the same trial count as
separate sequences.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poseshift.storage.model import FrozenModel

Float64 = NDArray[np.float64]

RESAMPLES = 2000
_PERCENTILES = (2.5, 97.5)


class Estimate(FrozenModel):
    """A figure with its 95 % interval; ``low`` and ``high`` are None with fewer than two sequences."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.1f}"
        return f"{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]"


def draw_weights(sequences: int, seed: int) -> Float64:
    """How often each resample holds each sequence: (RESAMPLES, sequences), rows sum to ``sequences``."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(sequences, np.full(sequences, 1 / sequences), size=RESAMPLES).astype(
        np.float64
    )


def estimate(values: Float64, frames: Float64, groups: Sequence[str], weights: Float64) -> Estimate:
    """Mean of groups of sequences, with its interval.

    The mean of a group is taken over its frames, and the mean of the groups over those that occur in the
    resample; a single group is the plain mean over frames.

    Parameters
    ----------
    values : array of float64
        (sequences,) mean of each sequence's frames; NaN where a sequence has none.
    frames : array of float64
        (sequences,) number of frames behind each value.
    groups : Sequence[str]
        (sequences,) the group (action) that each sequence belongs to.
    weights : array of float64 of shape (resamples, sequences)
        Of :func:`draw_weights`; the same for figures that are compared.

    Raises
    ------
    ValueError
        When no sequence has a value.
    """
    counted = np.where(np.isnan(values), 0.0, frames)
    if not counted.any():
        raise ValueError("no sequence has a value to average")
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    member = (group[:, None] == np.arange(len(names))).astype(np.float64)
    counts = member * counted[:, None]
    sums = counts * np.nan_to_num(values)[:, None]

    value = float(_group_mean(np.ones((1, len(values))), sums, counts)[0])
    if np.count_nonzero(counted) < 2:
        return Estimate(value=value, low=None, high=None)
    resampled = _group_mean(weights, sums, counts)
    low, high = np.percentile(resampled[~np.isnan(resampled)], _PERCENTILES)
    return Estimate(value=value, low=float(low), high=float(high))


def _group_mean(weights: Float64, sums: Float64, counts: Float64) -> Float64:
    """Mean over groups per resample: (resamples, sequences) and two (sequences, groups) -> (resamples,)."""
    total, number = weights @ sums, weights @ counts
    occurs = number > 0
    means = np.divide(total, number, out=np.zeros_like(total), where=occurs)
    groups = occurs.sum(axis=1)
    mean = np.full(len(weights), np.nan)
    np.divide(means.sum(axis=1), groups, out=mean, where=groups > 0)
    return mean
