"""How well a detector places joints that it is sure or unsure of, by what changes from frame to frame.

The variance of a fourth difference in time is a weighted sum of those of its five frames, each of which has
its own confidence. Levels of confidence are cut so that they hold equally many joints, and the variances of
all levels are fitted together by weighted least squares (variance components); a detector that is surer is
not taken to place a joint worse.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, nnls

from poseshift.storage.schema import Float32

Float64 = NDArray[np.float64]

_ROUNDS = 8
_LARGEST = 12.0
"""Squares beyond so many times what is expected are motion or outliers: of normal ones, 0.05 % are."""

_ROWS = 200_000
"""Differences that are fitted, at most."""

_LEAST_FACTOR = 0.05


def cut_levels(confidence: Float32, count: int) -> Float64:
    """Largest confidence of each level, (levels,), of four digits; fewer where many joints are equally sure.

    Parameters
    ----------
    confidence : array of float32 of shape (n,)
        Of joints that were seen.
    count : int
        Levels wanted.
    """
    edges = np.quantile(confidence.astype(np.float64), np.arange(1, count + 1) / count, method="higher")
    return np.unique(np.minimum(np.ceil(edges * 1e4) / 1e4, 1.0))


def level_of(confidence: NDArray[np.floating], edges: Float64) -> NDArray[np.intp]:
    """Level of each confidence, of any shape; above the last edge it is the last."""
    return np.minimum(np.searchsorted(edges, confidence), len(edges) - 1)


def fit_factors(squares: Float64, shares: Float64) -> Float64:
    """Fit the spread of each level, over that at which squared differences are one, (levels,).

    Parameters
    ----------
    squares : array of float64 of shape (n,)
        Squared differences over those that are expected of a joint.
    shares : array of float64 of shape (n, levels)
        Which share of a difference's variance is of frames of each level; rows sum to one.
    """
    step = max(1, -(-len(squares) // _ROWS))
    squares, shares = squares[::step], shares[::step]
    variance = np.full(shares.shape[1], max(float(np.median(squares)) / _MEDIAN_SQUARE, _LEAST_FACTOR**2))
    for _ in range(_ROUNDS):
        expected = shares @ variance
        weighted = shares / expected[:, None]
        aim = np.minimum(squares / expected, _LARGEST)
        reduced, rotation = np.linalg.qr(weighted)[::-1]
        variance, _ = nnls(reduced, rotation.T @ aim)
        variance = np.maximum(variance, _LEAST_FACTOR**2)
    ordered = isotonic_regression(variance, weights=shares.sum(axis=0) + 1e-9, increasing=False)
    return np.sqrt(np.asarray(ordered.x, dtype=np.float64))


_MEDIAN_SQUARE = 0.4549
"""Median of the square of a normal variable of variance one."""
