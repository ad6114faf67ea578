"""The turn between the two worlds: 3DHP measures in millimetres with y up, the project in metres with z up.

The turn is a quarter about x, ``(x, y, z) -> (x, -z, y)``. It happens once, when a raw file is read;
extrinsics are turned with it so that ``X_camera = R X_world + t`` holds on both sides. Camera coordinates are
not touched.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseshift.geometry.camera import Camera

Float64 = NDArray[np.float64]

MM_PER_M = 1000.0

TURN: Float64 = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Q with ``X_project = Q X_3dhp`` (both in the same unit); a signed permutation, so turning loses nothing."""


def world_from_3dhp(positions_mm: ArrayLike) -> Float64:
    """Turn points of the 3DHP world into the project's.

    Parameters
    ----------
    positions_mm : ArrayLike of shape (..., 3)
        Millimetres, y up.

    Returns
    -------
    (..., 3), metres, z up.
    """
    return np.asarray(positions_mm, dtype=np.float64) @ TURN.T / MM_PER_M


def world_to_3dhp(positions: ArrayLike) -> Float64:
    """Turn points of the project's world back into the 3DHP world: the inverse of :func:`world_from_3dhp`.

    Parameters
    ----------
    positions : ArrayLike of shape (..., 3)
        Metres, z up.

    Returns
    -------
    (..., 3), millimetres, y up.
    """
    return np.asarray(positions, dtype=np.float64) @ TURN * MM_PER_M


def camera_from_3dhp(
    *,
    name: str,
    size_px: tuple[int, int],
    focal_px: tuple[float, float],
    centre_px: tuple[float, float],
    rotation: ArrayLike,
    translation_mm: Sequence[float],
) -> Camera:
    """Make a project camera of a calibration that is written in the 3DHP world.

    Parameters
    ----------
    name, size_px, focal_px, centre_px : str or tuple[int, int] or tuple[float, float]
        As in :class:`poseshift.geometry.camera.Camera`.
    rotation : ArrayLike of shape (3, 3)
        3DHP world (y up) to camera.
    translation_mm : Sequence[float] of shape (3,)
        ``X_camera = R X_world + t`` in millimetres.

    Returns
    -------
    A pinhole camera whose extrinsics refer to the project's world.
    """
    turned = np.asarray(rotation, dtype=np.float64) @ TURN.T
    x, y, z = (value / MM_PER_M for value in translation_mm)
    return Camera(
        name=name,
        size_px=size_px,
        focal_px=focal_px,
        centre_px=centre_px,
        # + 0.0 turns the negative zeros that the signed permutation leaves into plain ones
        rotation=tuple((float(a), float(b), float(c)) for a, b, c in turned + 0.0),
        translation=(x, y, z),
    )


def extrinsics_to_3dhp(camera: Camera) -> tuple[Float64, Float64]:
    """Rotation (3, 3) and translation (3,) in millimetres of a camera, in terms of the 3DHP world (y up)."""
    rotation = np.asarray(camera.rotation, dtype=np.float64) @ TURN
    return rotation, np.asarray(camera.translation, dtype=np.float64) * MM_PER_M
