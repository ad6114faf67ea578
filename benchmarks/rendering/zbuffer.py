"""Hard pictures of meshes by a z-buffer: what soft pictures are compared with, and masks of true bodies.

NumPy, face by face, and no code of :mod:`poseshift.training.rendering`: an oracle that shares its mistakes
would be none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
NOTHING = -1
"""Label of pixels that no face covers."""


def hard_labels(
    pixels: Float64,
    depth: Float64,
    faces: NDArray[np.int64],
    labels: NDArray[np.int64],
    size_px: tuple[int, int],
) -> NDArray[np.int64]:
    """Label of the nearest face at the centre of every pixel.

    Parameters
    ----------
    pixels : array of shape (vertices, 2)
        Where vertices are seen; pixel i has its centre at i + 0.5.
    depth : array of shape (vertices,)
        Metres, all in front of the camera.
    faces : array of shape (faces, 3)
        Rows of the vertices.
    labels : array of shape (faces,)
        What is drawn.
    size_px : tuple of int
        Width and height.

    Returns
    -------
    array (height, width), :data:`NOTHING` where there is no face.
    """
    width, height = size_px
    drawn = np.full((height, width), NOTHING, dtype=np.int64)
    nearest = np.full((height, width), np.inf)
    for corners, label in zip(faces, labels, strict=True):
        (ax, ay), (bx, by), (cx, cy) = pixels[corners]
        doubled = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        left, right = max(0, int(min(ax, bx, cx) - 0.5)), min(width, int(max(ax, bx, cx) + 1.5))
        top, bottom = max(0, int(min(ay, by, cy) - 0.5)), min(height, int(max(ay, by, cy) + 1.5))
        if left >= right or top >= bottom or abs(doubled) < 1e-12:
            continue
        y, x = np.mgrid[top:bottom, left:right] + 0.5
        b = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / doubled
        c = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / doubled
        a = 1 - b - c
        here = 1 / (a / depth[corners[0]] + b / depth[corners[1]] + c / depth[corners[2]])
        window = nearest[top:bottom, left:right]
        visible = (a >= 0) & (b >= 0) & (c >= 0) & (here < window)
        window[visible] = here[visible]
        drawn[top:bottom, left:right][visible] = label
    return drawn
