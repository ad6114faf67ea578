"""The vector ``w0`` of Human3.6M's toolkit: where its numbers are, and the cameras that they describe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from poseshift.geometry.camera import Camera, Distortion
from poseshift.geometry.rotation import euler_xyz

_CAMERAS, _SUBJECTS = 4, 11
_EXTRINSIC_NUMBERS, _INTRINSIC_NUMBERS = 6, 9

W0_LENGTH = _CAMERAS * (_SUBJECTS * _EXTRINSIC_NUMBERS + _INTRINSIC_NUMBERS)
"""Numbers in ``w0``: 300."""


def extrinsics_start(camera_index: int, subject_index: int) -> int:
    """Where the six extrinsic numbers of a camera and a subject begin, both counted from 0."""
    return _EXTRINSIC_NUMBERS * (_SUBJECTS * camera_index + subject_index)


def intrinsics_start(camera_index: int) -> int:
    """Where the nine intrinsic numbers of a camera begin: after the extrinsics of all."""
    return extrinsics_start(_CAMERAS, 0) + _INTRINSIC_NUMBERS * camera_index


@dataclass(frozen=True)
class ToolkitCalibration:
    """One camera of Human3.6M as ``w0`` describes it; fields as in `poseshift.geometry.camera.Camera`."""

    rotation: tuple[tuple[float, float, float], ...]
    translation: tuple[float, float, float]
    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    radial: tuple[float, float, float]
    tangential: tuple[float, float]

    def camera(self, name: str, size_px: tuple[int, int]) -> Camera:
        """Add the name and the image size, which ``w0`` does not hold."""
        return Camera(
            name=name,
            size_px=size_px,
            focal_px=self.focal_px,
            centre_px=self.centre_px,
            distortion=Distortion("human36m", self.radial, self.tangential),
            rotation=self.rotation,
            translation=self.translation,
        )


def decode_w0(w0: Any, camera_index: int, subject_index: int) -> ToolkitCalibration:
    """Calibration of one camera and subject from the vector ``w0`` of Human3.6M's ``metadata.xml``.

    ``w0`` holds six extrinsic numbers for each of 4 cameras times 11 subjects (three angles of
    ``R = Rx Ry Rz`` and the camera's position T in millimetres, ``X_camera = R (X_world - T)``), then nine
    intrinsic ones per camera (fx fy cx cy k1 k2 k3 p1 p2).

    Parameters
    ----------
    w0 : Any
        (300,) numbers.
    camera_index : int
        0 to 3, in the order 54138969, 55011271, 58860488, 60457274.
    subject_index : int
        0 to 10, for S1 to S11.

    Raises
    ------
    ValueError : w0 has another length.
    IndexError : an index is out of range.
    """
    values = np.asarray(w0, dtype=np.float64)
    if values.shape != (W0_LENGTH,):
        raise ValueError(
            f"w0 has shape {values.shape}, expected ({W0_LENGTH},): copy it whole from metadata.xml"
        )
    if not (0 <= camera_index < _CAMERAS and 0 <= subject_index < _SUBJECTS):
        raise IndexError(
            f"camera {camera_index} of subject {subject_index} is not in w0: cameras count from 0 to "
            f"{_CAMERAS - 1}, subjects from 0 to {_SUBJECTS - 1}"
        )
    start = extrinsics_start(camera_index, subject_index)
    angles, position_mm = values[start : start + 3], values[start + 3 : start + 6]
    rotation = euler_xyz(angles)
    translation = -rotation @ position_mm / 1000.0
    start = intrinsics_start(camera_index)
    fx, fy, cx, cy, k1, k2, k3, p1, p2 = values[start : start + 9].tolist()
    tx, ty, tz = translation.tolist()
    return ToolkitCalibration(
        rotation=tuple((x, y, z) for x, y, z in rotation.tolist()),
        translation=(tx, ty, tz),
        focal_px=(fx, fy),
        centre_px=(cx, cy),
        radial=(k1, k2, k3),
        tangential=(p1, p2),
    )
