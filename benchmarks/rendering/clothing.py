"""Masks of people who wear something: labels of some parts grown over the background."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt


def clothed(
    labels: NDArray[np.int64], worn: Collection[int], width_px: float, background: int
) -> NDArray[np.int64]:
    """Grow labels over the background.

    Parameters
    ----------
    labels : array of shape (height, width)
        Of a bare body.
    worn : collection of int
        Labels that clothing covers.
    width_px : float
        By how much.
    background : int
        Its label; no other label is covered.
    """
    covered = np.isin(labels, list(worn))
    if not covered.any():
        return labels
    distance, (rows, columns) = distance_transform_edt(~covered, return_indices=True)
    grown = (labels == background) & (distance <= width_px)
    return np.where(grown, labels[rows, columns], labels)
