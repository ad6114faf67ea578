"""Triangulating one point from several rays: the linear method, and how far its answer is from what was seen.

Hartley and Zisserman, Multiple View Geometry, 12.2 (linear triangulation), on undistorted ray coordinates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


def triangulate(rays: Float64, rotations: Float64, translations: Float64) -> Float64:
    """Find the points that rays of several cameras meet in.

    Parameters
    ----------
    rays : array of shape (views, ..., 2)
        Undistorted ray coordinates; NaN where a view does not see a point.
    rotations : array of shape (views, 3, 3)
        World to camera; (views, n, 3, 3) of cameras that move, against rays (views, n, ..., 2).
    translations : array of shape (views, 3)
        ``X_camera = R X_world + t``; (views, n, 3) of cameras that move.

    Returns
    -------
    array of shape (..., 3)
        In the world and unit of the translations; NaN where fewer than two views see a point, or where it
        comes to lie behind one of those.
    """
    placed = np.concatenate(
        [rotations, translations[..., None]], axis=-1
    )  # (views, 3, 4) or (views, n, 3, 4)
    seen = np.asarray(np.isfinite(rays).all(axis=-1))
    known = np.where(seen[..., None], rays, 0.0)
    leading = placed.shape[:-2]
    broadcast = placed.reshape(*leading, *(1,) * (rays.ndim - 1 - len(leading)), 3, 4)
    rows = known[..., :, None] * broadcast[..., 2:, :] - broadcast[..., :2, :]  # (views, ..., 2, 4)
    rows = np.where(seen[..., None, None], rows, 0.0)
    stacked = np.moveaxis(rows, 0, -3).reshape(*rays.shape[1:-1], 2 * len(placed), 4)
    scale = np.linalg.norm(translations, axis=-1).mean() or 1.0  # so that the unit does not matter
    stacked = stacked * np.array([1.0, 1.0, 1.0, 1.0 / scale])
    homogeneous = np.linalg.svd(stacked)[2][..., -1, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        points = scale * homogeneous[..., :3] / homogeneous[..., 3:]
    depths = (broadcast[..., 2, :3] * points).sum(axis=-1) + broadcast[..., 2, 3]
    usable = (seen.sum(axis=0) >= 2) & ((depths > 0) | ~seen).all(axis=0)
    return np.where(usable[..., None], points, np.nan)
