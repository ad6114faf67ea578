"""Intrinsics of a test sequence beside its own annotations.

The test set's annotations are exact pinhole projections, but not always with the intrinsics of the
calibration file (that of TS2 is about 5 px off). How far a file is off is measured here, and where there is
none, focal length and principal point follow from 2D and 3D by linear least squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poseshift.geometry.skeleton import skeleton
from poseshift.preprocessing.mpi_inf_3dhp.layout import BLENDED_JOINTS
from poseshift.preprocessing.mpi_inf_3dhp.world import Float64

_JOINT_NAMES = skeleton("mpi_inf_3dhp_17").joint_names
_EXACT_JOINTS = [joint for joint, name in enumerate(_JOINT_NAMES) if name not in BLENDED_JOINTS]

_MIN_RAY_SPREAD = 1e-3  # about 1.5 px: below, focal length and principal point cannot be told apart


@dataclass(frozen=True)
class IntrinsicsEstimate:
    """Pinhole intrinsics and how well they explain the annotations.

    Attributes
    ----------
    focal_px, centre_px : tuple[float, float] of shape (x, y)
    residual_median_px, residual_max_px : float
        Distance between annotation and projection, over the joints used.
    """

    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    residual_median_px: float
    residual_max_px: float


def estimate_intrinsics(keypoints_px: Float64, positions_camera: Float64) -> IntrinsicsEstimate:
    """Fit ``u = fx x/z + cx`` and ``v = fy y/z + cy``.

    Hips and spine take no part, and neither do rows with missing values or with joints behind the camera.

    Parameters
    ----------
    keypoints_px : array of float64 of shape (N, 17, 2)
        Joints of ``mpi_inf_3dhp_17``.
    positions_camera : array of float64 of shape (N, 17, 3)
        Camera axes, any unit.

    Raises
    ------
    ValueError
        When no row can be used, or all joints lie in one line of sight so that the fit has no answer.
    """
    rays, pixels = _rays_and_pixels(keypoints_px, positions_camera)
    if len(rays) == 0 or (np.ptp(rays, axis=0) < _MIN_RAY_SPREAD).any():
        rows = len(rays) // len(_EXACT_JOINTS)
        raise ValueError(f"{rows} usable rows whose joints do not spread over the image")
    ray_mean, pixel_mean = rays.mean(axis=0), pixels.mean(axis=0)
    centred = rays - ray_mean
    focal = (centred * (pixels - pixel_mean)).sum(axis=0) / (centred**2).sum(axis=0)
    centre = pixel_mean - focal * ray_mean
    return _explained((float(focal[0]), float(focal[1])), (float(centre[0]), float(centre[1])), rays, pixels)


def measure_intrinsics(
    keypoints_px: Float64,
    positions_camera: Float64,
    focal_px: tuple[float, float],
    centre_px: tuple[float, float],
) -> IntrinsicsEstimate:
    """Measure how well given intrinsics explain the annotations: the rows of `estimate_intrinsics`.

    Parameters
    ----------
    keypoints_px : array of float64 of shape (N, 17, 2)
        Joints of ``mpi_inf_3dhp_17``.
    positions_camera : array of float64 of shape (N, 17, 3)
        Camera axes, any unit; at least one row can be used.
    focal_px, centre_px : tuple[float, float] of shape (x, y)
        The intrinsics.
    """
    return _explained(focal_px, centre_px, *_rays_and_pixels(keypoints_px, positions_camera))


def _rays_and_pixels(keypoints_px: Float64, positions_camera: Float64) -> tuple[Float64, Float64]:
    """Lines of sight ``(x/z, y/z)`` and pixels of all joints that can be used, one row each."""
    finite = np.isfinite(keypoints_px).all(axis=(1, 2)) & np.isfinite(positions_camera).all(axis=(1, 2))
    usable = finite & (positions_camera[..., 2] > 0).all(axis=1)
    positions = positions_camera[usable][:, _EXACT_JOINTS].reshape(-1, 3)
    pixels = keypoints_px[usable][:, _EXACT_JOINTS].reshape(-1, 2)
    return positions[:, :2] / positions[:, 2:], pixels


def _explained(
    focal_px: tuple[float, float], centre_px: tuple[float, float], rays: Float64, pixels: Float64
) -> IntrinsicsEstimate:
    residual = np.linalg.norm(rays * focal_px + centre_px - pixels, axis=-1)
    return IntrinsicsEstimate(
        focal_px=focal_px,
        centre_px=centre_px,
        residual_median_px=float(np.median(residual)),
        residual_max_px=float(residual.max()),
    )
