"""Confidence intervals by resampling people.

Neighbouring frames resemble each other, and so do all the views and trials of one person: the unit that is
drawn is a person, with every sequence and camera. Where a data set names recordings and not people, as the
test set of MPI-INF-3DHP does, it is the recording. Percentile bootstrap after Efron; with few people, such as
those six, such intervals are known to come out too narrow, and with fewer than five there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poseshift.storage.model import FrozenModel

Float64 = NDArray[np.float64]

RESAMPLES = 2000
FEWEST_PEOPLE = 5
"""With fewer people than this there is no interval: two that happen to agree would give one of no width."""

_PERCENTILES = (2.5, 97.5)


class Estimate(FrozenModel):
    """A figure with its 95 % interval over people; ``low`` and ``high`` are None with fewer than five."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.1f}"
        return f"{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]"


def draw_weights(people: Sequence[str], seed: int) -> Float64:
    """Draw people with replacement, as many as there are.

    Parameters
    ----------
    people : Sequence[str]
        (sequences,) the person, or recording, that each sequence shows.
    seed : int
        Of the draws.

    Returns
    -------
    array (RESAMPLES, sequences), how often each resample holds each sequence, all of a person alike; no row
    with fewer than :data:`FEWEST_PEOPLE` people.

    Examples
    --------
    >>> draw_weights(["S9", "S11"], seed=0).shape
    (0, 2)
    """
    names, person = np.unique(np.asarray(people), return_inverse=True)
    count = len(names)
    if count < FEWEST_PEOPLE:
        return np.empty((0, len(people)))
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    return drawn[:, person].astype(np.float64)


def estimate(values: Float64, frames: Float64, groups: Sequence[str], weights: Float64) -> Estimate:
    """Mean of groups of sequences, with its interval over people.

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
    if not len(weights):
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
