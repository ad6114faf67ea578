"""Cameras: one representation for both data sets, and the mathematics of projection.

``X_camera = R X_world + t`` in metres; camera axes x right, y down, z forward; pixels x right, y down.
Distortion is a named model: ``human36m`` is the toolkit's own formula (not OpenCV's, which doubles the
tangential cross terms), ``none`` is a pinhole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Array = Any
"""A NumPy array or a torch tensor: whatever array-api-compat understands."""


@dataclass(frozen=True)
class Distortion:
    """Lens distortion: ``human36m`` with radial (k1, k2, k3) and tangential (p1, p2), or ``none``."""

    model: Literal["none", "human36m"] = "none"
    radial: tuple[float, float, float] = (0.0, 0.0, 0.0)
    tangential: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Camera:
    """One calibrated camera, as stores hold it.

    Attributes
    ----------
    name : the data set's own name for the camera (``"54138969"``, ``"0"``, ``"TS1"``).
    size_px : (width, height) of the image.
    focal_px, centre_px : (x, y) of focal length and principal point.
    distortion : lens model.
    rotation : R, 3x3 row-major, world to camera.
    translation : t in metres, ``X_camera = R X_world + t``.
    """

    name: str
    size_px: tuple[int, int]
    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    distortion: Distortion = Distortion()
    rotation: tuple[tuple[float, float, float], ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def intrinsics(self) -> Intrinsics:
        """This camera's intrinsics as float64 NumPy arrays without leading dimensions."""
        return Intrinsics(
            focal_px=np.asarray(self.focal_px, dtype=np.float64),
            centre_px=np.asarray(self.centre_px, dtype=np.float64),
            size_px=np.asarray(self.size_px, dtype=np.float64),
            radial=np.asarray(self.distortion.radial, dtype=np.float64),
            tangential=np.asarray(self.distortion.tangential, dtype=np.float64),
        )


@dataclass(frozen=True)
class Intrinsics:
    """Intrinsics of one or of many cameras, as arrays that broadcast against poses.

    Attributes
    ----------
    focal_px, centre_px, size_px : (..., 2), x then y (width then height).
    radial : (..., 3), k1 k2 k3 of the ``human36m`` model; zeros for a pinhole.
    tangential : (..., 2), p1 p2; zeros for a pinhole.
    """

    focal_px: Array
    centre_px: Array
    size_px: Array
    radial: Array
    tangential: Array

    def __getitem__(self, index: Any) -> Intrinsics:
        """Select along the leading dimensions, for example one row per pose."""
        return Intrinsics(
            focal_px=self.focal_px[index],
            centre_px=self.centre_px[index],
            size_px=self.size_px[index],
            radial=self.radial[index],
            tangential=self.tangential[index],
        )
