"""Perspective rotation: seeing a person as a camera that looks straight at them would.

Follows PersPose, "Human Pose Estimation with Perspective Encoding and Perspective Rotation" (ICCV 2025), for
keypoints, where it needs no image warp: the camera is turned by the shortest rotation that brings the ray of
the person's centre onto the optical axis. That removes where in the image a person stands; the extent h
removes how large the person is seen, and is kept as an extra input. Everything here is in undistorted ray
coordinates (`poseshift.geometry.camera.normalise`), so intrinsics do not appear. Points turn with
`poseshift.geometry.rotation.rotate` and back with `rotate_back`.
"""

from __future__ import annotations

from array_api_compat import array_namespace

from poseshift.geometry.arrays import Array, align_leading, like
from poseshift.geometry.constants import constant
from poseshift.geometry.projection import rays_of
from poseshift.geometry.rotation import rotate_back


def box_centre(rays: Array) -> Array:
    """Centre of the bounding box of keypoints.

    Parameters
    ----------
    rays : array of shape (..., joints, 2)
        Rays or pixels.

    Returns
    -------
    array (..., 2).
    """
    xp = array_namespace(rays)
    return (xp.min(rays, axis=-2) + xp.max(rays, axis=-2)) / 2


def clip_centre(rays: Array) -> Array:
    """Median over the frames of a clip of the box centres: one centre, so that one rotation serves the clip.

    Parameters
    ----------
    rays : array of shape (..., frames, joints, 2)
        Rays or pixels.

    Returns
    -------
    array (..., 2).
    """
    xp = array_namespace(rays)
    ordered = xp.sort(box_centre(rays), axis=-2)
    frames = ordered.shape[-2]
    return (ordered[..., (frames - 1) // 2, :] + ordered[..., frames // 2, :]) / 2


def perspective_rotation(centre_ray: Array) -> Array:
    """Shortest rotation that turns a ray onto the optical axis.

    Parameters
    ----------
    centre_ray : array of shape (..., 2)
        Ray coordinates ``(x/z, y/z)``; any finite ray is in front of the camera.

    Returns
    -------
    array (..., 3, 3), R with ``R (x, y, 1) ~ (0, 0, 1)``; the camera axes turned onto the person.
    """
    xp = array_namespace(centre_ray)
    axis = _homogeneous(centre_ray)
    axis = axis / xp.sqrt(xp.sum(axis * axis, axis=-1, keepdims=True))
    across = axis[..., :2, None]
    tilt = across / (1 + axis[..., 2:, None])
    upper = constant(((1.0, 0.0), (0.0, 1.0)), axis) - tilt * axis[..., None, :2]
    return xp.concat([xp.concat([upper, -across], axis=-1), axis[..., None, :]], axis=-2)


def rotate_rays(rays: Array, rotation: Array) -> Array:
    """Ray coordinates seen by the turned camera.

    Parameters
    ----------
    rays : array of shape (*rows, ..., joints, 2)
    rotation : array
        (*rows, 3, 3) of `perspective_rotation`, or (3, 3).

    Returns
    -------
    array of the shape of the rays. A ray at a right angle or more to the new axis has no meaning there.
    """
    rotation = align_leading(like(rotation, rays), rays.ndim + 1, trailing=2)
    x, y, forward = (rotation[..., :, column] for column in range(3))
    return rays_of(rays[..., 0:1] * x + rays[..., 1:2] * y + forward)


def rotate_rays_back(rays: Array, rotation: Array) -> Array:
    """Inverse of `rotate_rays`, same shapes."""
    return rays_of(rotate_back(_homogeneous(rays), rotation))


def extent(rays: Array) -> Array:
    """Half width h of the smallest square about the optical axis that holds all keypoints.

    ``rays / h`` is in [-1, 1]; 1/h is the focal length, in half image widths, of the crop camera that the
    square makes.

    Parameters
    ----------
    rays : array of shape (..., joints, 2)
        After `rotate_rays`. Give (..., frames * joints, 2) for one extent per clip.

    Returns
    -------
    array (...), above zero unless all keypoints lie on the axis.
    """
    xp = array_namespace(rays)
    return xp.max(xp.abs(rays), axis=(-2, -1))


def _homogeneous(rays: Array) -> Array:
    xp = array_namespace(rays)
    return xp.concat([rays, xp.ones_like(rays[..., :1])], axis=-1)
