"""Lens models beside those that batches compute with: OpenCV's polynomial model and its fisheye model.

Keypoints of such cameras are freed of the lens once, when they are read into columns; what learns sees
pinholes. The formulae are those of OpenCV's documentation ("Camera Calibration and 3D Reconstruction" and
"Fisheye camera model"), without the tilted sensor. NumPy, one camera at a time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera, Distortion
from poseshift.geometry.projection import distort, undistort

Float64 = NDArray[np.float64]

_NEWTON_STEPS = 30
_TOLERANCE = 1e-12
_WIDEST_DEGREES = 85.0
"""Rays further from the axis have no useful place in the image of a pinhole."""


def distort_rays(rays: Float64, camera: Camera) -> Float64:
    """Bend ray coordinates ``(x/z, y/z)`` as a camera's lens does, by whichever model it has.

    Parameters
    ----------
    rays : array of shape (..., 2)
        Undistorted.
    camera : Camera
        Of any lens model.

    Returns
    -------
    array of the shape of the rays.
    """
    lens = camera.distortion
    if lens.model == "opencv":
        return _opencv(rays, lens)
    if lens.model == "fisheye":
        return _fisheye(rays, lens)
    return np.asarray(distort(rays, camera.intrinsics))


def undistort_rays(rays: Float64, camera: Camera) -> Float64:
    """Invert :func:`distort_rays`; NaN where no ray inside the lens's range is bent to that place.

    Parameters
    ----------
    rays : array of shape (..., 2)
        Distorted; NaN stays NaN.
    camera : Camera
        Of any lens model.
    """
    lens = camera.distortion
    if lens.model == "opencv":
        return _opencv_inverse(rays, lens)
    if lens.model == "fisheye":
        return _fisheye_inverse(rays, lens)
    return np.asarray(undistort(rays, camera.intrinsics))


def rays_of_px(keypoints_px: Float64, camera: Camera) -> Float64:
    """Undistorted ray coordinates of pixels (..., 2)."""
    return undistort_rays((keypoints_px - camera.centre_px) / np.asarray(camera.focal_px), camera)


def px_of_points(points_camera: Float64, camera: Camera) -> Float64:
    """Pixels (..., 2) of points (..., 3) in camera axes; NaN behind the camera."""
    depth = points_camera[..., 2:]
    rays = points_camera[..., :2] / np.where(depth > 0, depth, np.nan)
    pixels: Float64 = distort_rays(rays, camera) * np.asarray(camera.focal_px) + camera.centre_px
    return pixels


def pinhole_px(keypoints_px: Float64, camera: Camera) -> Float64:
    """Pixels (..., 2) that :attr:`~poseshift.geometry.camera.Camera.pinhole` would have seen."""
    pixels: Float64 = rays_of_px(keypoints_px, camera) * np.asarray(camera.focal_px) + camera.centre_px
    return pixels


def _opencv(rays: Float64, lens: Distortion) -> Float64:
    k1, k2, k3, k4, k5, k6 = (*lens.radial, *(0.0,) * (6 - len(lens.radial)))
    p1, p2, s1, s2, s3, s4 = (*lens.tangential, *(0.0,) * (6 - len(lens.tangential)))
    x, y = rays[..., 0], rays[..., 1]
    r2 = x * x + y * y
    scale = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    return np.stack(
        [
            x * scale + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + r2 * (s1 + r2 * s2),
            y * scale + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + r2 * (s3 + r2 * s4),
        ],
        axis=-1,
    )


def _opencv_inverse(rays: Float64, lens: Distortion) -> Float64:
    """Newton's method with differences for derivatives, which twelve coefficients make short.

    A lens's polynomial turns back somewhere outside the image; places beyond have no ray, or a wrong one past
    the turn or on the other side of the axis, which are told by the determinant and by the direction.
    """
    found = rays.copy()
    step = 1e-7
    determinant = np.ones(rays.shape[:-1])
    for _ in range(_NEWTON_STEPS):
        error = _opencv(found, lens) - rays
        if not np.nanmax(np.abs(error), initial=0.0) > _TOLERANCE:
            break
        along_x, along_y = (
            (_opencv(found + offset, lens) - _opencv(found - offset, lens)) / (2 * step)
            for offset in (np.array([step, 0.0]), np.array([0.0, step]))
        )
        determinant = along_x[..., 0] * along_y[..., 1] - along_y[..., 0] * along_x[..., 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            found = found - np.stack(
                [
                    (along_y[..., 1] * error[..., 0] - along_y[..., 0] * error[..., 1]) / determinant,
                    (along_x[..., 0] * error[..., 1] - along_x[..., 1] * error[..., 0]) / determinant,
                ],
                axis=-1,
            )
    left = np.abs(_opencv(found, lens) - rays).max(axis=-1)
    reached = (left < 1e-6) & (determinant > 0) & ((found * rays).sum(axis=-1) > -1e-6)
    return np.where(reached[..., None], found, np.nan)


def _fisheye(rays: Float64, lens: Distortion) -> Float64:
    radius = np.linalg.norm(rays, axis=-1)
    angle = np.arctan(radius)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(radius > 1e-12, _fisheye_angle(angle, lens) / radius, 1.0)
    factor = np.where(np.isnan(radius), np.nan, factor)
    return rays * factor[..., None]


def _fisheye_angle(angle: Float64, lens: Distortion) -> Float64:
    k1, k2, k3, k4 = lens.radial
    squared = angle * angle
    bent: Float64 = angle * (1 + squared * (k1 + squared * (k2 + squared * (k3 + squared * k4))))
    return bent


def _fisheye_inverse(rays: Float64, lens: Distortion) -> Float64:
    k1, k2, k3, k4 = lens.radial
    bent = np.linalg.norm(rays, axis=-1)
    angle = np.minimum(bent, np.pi / 2)
    for _ in range(_NEWTON_STEPS):
        squared = angle * angle
        slope = 1 + squared * (3 * k1 + squared * (5 * k2 + squared * (7 * k3 + squared * 9 * k4)))
        with np.errstate(divide="ignore", invalid="ignore"):
            angle = angle - (_fisheye_angle(angle, lens) - bent) / slope
    reached = np.abs(_fisheye_angle(angle, lens) - bent) < 1e-9
    reached &= (angle >= 0) & (angle < np.radians(_WIDEST_DEGREES))
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(bent > 1e-12, np.tan(angle) / bent, 1.0)
    return np.where(reached[..., None], rays * factor[..., None], np.nan)
