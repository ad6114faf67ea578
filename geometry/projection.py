"""The mathematics of projection: from a world to a camera, through its lens to pixels, and back.

``X_camera = R X_world + t`` in metres; camera axes x right, y down, z forward; pixels x right, y down. The
lens of batches is that of the Human3.6M toolkit, or none; those of :mod:`poseshift.geometry.lens` are removed
when keypoints are read into columns, so that nothing here meets them. Points behind the camera are not caught
here: a caller who may have them looks at the sign of z. Results have the library, dtype and device of the
points.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace

from poseshift.geometry.arrays import Array as Array
from poseshift.geometry.arrays import align_leading, like
from poseshift.geometry.camera import Camera
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.rotation import rotate, rotate_back


def world_to_camera(points_world: Array, rotation: Any, translation: Any) -> Array:
    """World to camera coordinates: ``R X + t``.

    Parameters
    ----------
    points_world : array of shape (..., 3)
        Metres (or any unit that the translation has too).
    rotation : Any of shape (3, 3)
        Or (*rows, 3, 3) against points (*rows, ..., joints, 3).
    translation : Any of shape (3,)
        Or (*rows, 3).

    Returns
    -------
    array (..., 3).

    Examples
    --------
    A camera two metres above the floor that looks along the world's y.

    >>> rotation = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    >>> world_to_camera(np.array([[0.0, 5.0, 2.0]]), rotation, np.array([0.0, 2.0, 0.0])).tolist()
    [[0.0, 0.0, 5.0]]
    """
    translation = align_leading(like(translation, points_world), points_world.ndim, trailing=1)
    return rotate(points_world, rotation) + translation


def camera_to_world(points_camera: Array, rotation: Any, translation: Any) -> Array:
    """Camera to world coordinates: ``R^T (X - t)``; shapes as in `world_to_camera`."""
    translation = align_leading(like(translation, points_camera), points_camera.ndim, trailing=1)
    return rotate_back(points_camera - translation, rotation)


def rays_of(points_camera: Array) -> Array:
    """Ray coordinates ``(x/z, y/z)`` of points (..., 3) in camera axes -> (..., 2)."""
    return points_camera[..., :2] / points_camera[..., 2:3]


def distort(rays: Array, intrinsics: Intrinsics) -> Array:
    """Lens distortion of ray coordinates, by the formula of the Human3.6M toolkit.

    With ``r2 = x^2 + y^2`` and ``s = 1 + k1 r2 + k2 r2^2 + k3 r2^3 + p1 y + p2 x``:
    ``x' = s x + p2 r2``, ``y' = s y + p1 r2``. OpenCV's model has ``2 p1 y + 2 p2 x`` in place of
    ``p1 y + p2 x``: about 0.1 px where people stand, and up to 0.6 px in the corners.

    Parameters
    ----------
    rays : array of shape (*rows, ..., joints, 2)
        Undistorted.
    intrinsics : Intrinsics
        Leading dimensions (*rows); zero coefficients leave the rays as they are.

    Returns
    -------
    array of the shape of the rays.
    """
    if intrinsics.radial.shape[-1] == 0:
        return rays
    xp = array_namespace(rays)
    x, y = rays[..., 0], rays[..., 1]
    scale, (shift_x, shift_y) = _distortion_terms(x, y, x * x + y * y, *_coefficients(rays, intrinsics))
    return xp.stack([scale * rays[..., 0] + shift_x, scale * rays[..., 1] + shift_y], axis=-1)


def undistort(rays: Array, intrinsics: Intrinsics) -> Array:
    """Inverse of `distort`, by Newton's method from the distorted rays.

    A fixed number of steps, so that it runs without a host synchronisation and is differentiable; exact to
    below 1e-9 within the field of view of the Human3.6M cameras in float64.

    Parameters
    ----------
    rays : array of shape (*rows, ..., joints, 2)
        Distorted.
    intrinsics : Intrinsics
        Leading dimensions (*rows).

    Returns
    -------
    array of the shape of the rays.
    """
    if intrinsics.radial.shape[-1] == 0:
        return rays
    xp = array_namespace(rays)
    radial, tangential = _coefficients(rays, intrinsics)
    k1, twice_k2, k3 = radial[..., 0], 2 * radial[..., 1], radial[..., 2]
    p1, p2 = tangential[..., 0], tangential[..., 1]
    twice_p1, twice_p2 = 2 * p1, 2 * p2
    goal_x, goal_y = rays[..., 0], rays[..., 1]
    x, y = goal_x, goal_y
    for _ in range(_NEWTON_STEPS):
        r2 = x * x + y * y
        scale, (shift_x, shift_y) = _distortion_terms(x, y, r2, radial, tangential)
        growth = 2 * (k1 + r2 * (twice_k2 + r2 * 3 * k3))
        scale_dx, scale_dy = growth * x + p2, growth * y + p1
        xx, xy = scale + x * scale_dx + twice_p2 * x, x * scale_dy + twice_p2 * y
        yx, yy = y * scale_dx + twice_p1 * x, scale + y * scale_dy + twice_p1 * y
        error_x, error_y = scale * x + shift_x - goal_x, scale * y + shift_y - goal_y
        determinant = xx * yy - xy * yx
        x, y = (
            x - (yy * error_x - xy * error_y) / determinant,
            y - (xx * error_y - yx * error_x) / determinant,
        )
    return xp.stack([x, y], axis=-1)


def project(points_camera: Array, intrinsics: Intrinsics) -> Array:
    """Pixels of points in camera axes, lens distortion included.

    Parameters
    ----------
    points_camera : array of shape (*rows, ..., joints, 3)
        Metres, z > 0.
    intrinsics : Intrinsics
        Leading dimensions (*rows).

    Returns
    -------
    array (*rows, ..., joints, 2), pixels.

    Examples
    --------
    A point one metre to the right at four metres, focal length 1000 px: 250 px right of the principal point.

    >>> camera = Camera(name="c", size_px=(1000, 800), focal_px=(1000.0, 1000.0), centre_px=(500.0, 400.0))
    >>> project(np.array([[1.0, 0.0, 4.0]]), camera.intrinsics).tolist()
    [[750.0, 400.0]]
    """
    return rays_to_px(distort(rays_of(points_camera), intrinsics), intrinsics)


def project_apart(coordinates_world: Array, camera: Camera) -> tuple[Array, Array]:
    """Pixels of points in the world whose coordinates lie apart, in operations on whole arrays.

    The formulas of `world_to_camera` and `project`, in their order, so that float64 gives the same bits.
    Where coordinates are the last axis, NumPy's loops are three numbers long; this takes a fifth of the time.

    Parameters
    ----------
    coordinates_world : array of shape (3, ...)
        Metres, float64: x, y and z of all points, before the camera.
    camera : Camera
        Who sees them.

    Returns
    -------
    x, y : arrays (...), pixels.

    Examples
    --------
    >>> camera = Camera(name="c", size_px=(1000, 800), focal_px=(1000.0, 1000.0), centre_px=(500.0, 400.0))
    >>> x, y = project_apart(np.array([[1.0], [0.0], [4.0]]), camera)
    >>> x.tolist(), y.tolist()
    ([750.0], [400.0])
    """
    intrinsics = camera.intrinsics
    x, y, z = coordinates_world
    across, down, depth = (
        x * to_x + y * to_y + z * to_z + shift
        for (to_x, to_y, to_z), shift in zip(camera.rotation, camera.translation, strict=True)
    )
    across, down = across / depth, down / depth
    squared = across * across + down * down
    scale, shifts = _distortion_terms(across, down, squared, intrinsics.radial, intrinsics.tangential)
    pixels = (
        (scale * ray + shift) * focal + centre
        for ray, shift, focal, centre in zip(
            (across, down), shifts, intrinsics.focal_px, intrinsics.centre_px, strict=True
        )
    )
    return next(pixels), next(pixels)


def rays_to_px(rays: Array, intrinsics: Intrinsics) -> Array:
    """Pinhole pixels of ray coordinates: ``f x + c``, without distortion; shapes as in `distort`."""
    return rays * _field(intrinsics.focal_px, rays) + _field(intrinsics.centre_px, rays)


def normalise(keypoints_px: Array, intrinsics: Intrinsics) -> Array:
    """Ray coordinates ``(x/z, y/z)`` of pixels: ``K^-1`` and the inverse of the distortion.

    Parameters
    ----------
    keypoints_px : array of shape (*rows, ..., joints, 2)
    intrinsics : Intrinsics
        Leading dimensions (*rows).

    Returns
    -------
    array of the shape of the keypoints, undistorted, without unit.

    Examples
    --------
    >>> camera = Camera(name="c", size_px=(1000, 800), focal_px=(1000.0, 1000.0), centre_px=(500.0, 400.0))
    >>> normalise(np.array([[750.0, 400.0]]), camera.intrinsics).tolist()
    [[0.25, 0.0]]
    """
    centred = keypoints_px - _field(intrinsics.centre_px, keypoints_px)
    return undistort(centred / _field(intrinsics.focal_px, keypoints_px), intrinsics)


def undistort_px(keypoints_px: Array, intrinsics: Intrinsics) -> Array:
    """Pixels that a pinhole with the same focal length and principal point would have seen."""
    return rays_to_px(normalise(keypoints_px, intrinsics), intrinsics)


def unproject(keypoints_px: Array, depth: Array, intrinsics: Intrinsics) -> Array:
    """Points in camera axes from pixels and depths; inverse of `project`.

    Parameters
    ----------
    keypoints_px : array of shape (*rows, ..., joints, 2)
    depth : array of shape (*rows, ..., joints)
        Metres, z of each point.
    intrinsics : Intrinsics
        Leading dimensions (*rows).

    Returns
    -------
    array (*rows, ..., joints, 3), metres.

    Examples
    --------
    >>> camera = Camera(name="c", size_px=(1000, 800), focal_px=(1000.0, 1000.0), centre_px=(500.0, 400.0))
    >>> unproject(np.array([[750.0, 400.0]]), np.array([4.0]), camera.intrinsics).tolist()
    [[1.0, 0.0, 4.0]]
    """
    xp = array_namespace(keypoints_px)
    depth = like(depth, keypoints_px)[..., None]
    return xp.concat([normalise(keypoints_px, intrinsics) * depth, depth], axis=-1)


def to_screen(keypoints_px: Array, size_px: Any) -> Array:
    """Screen coordinates of VideoPose3D: ``2 x / w - 1`` and ``2 y / w - h / w``.

    Both axes are divided by the width, so that the aspect ratio stays.

    Parameters
    ----------
    keypoints_px : array of shape (*rows, ..., joints, 2)
    size_px : Any
        (2,) or (*rows, 2), width and height.

    Returns
    -------
    array of the shape of the keypoints; x in [-1, 1] inside the image.

    Examples
    --------
    The width becomes 2 and both axes keep one scale.

    >>> to_screen(np.array([[0.0, 0.0], [500.0, 400.0], [1000.0, 800.0]]), (1000, 800)).tolist()
    [[-1.0, -0.8], [0.0, 0.0], [1.0, 0.8]]
    """
    size = _field(size_px, keypoints_px)
    return (2 * keypoints_px - size) / size[..., 0:1]


def from_screen(keypoints_screen: Array, size_px: Any) -> Array:
    """Pixels of screen coordinates: inverse of `to_screen`, same shapes."""
    size = _field(size_px, keypoints_screen)
    return (keypoints_screen * size[..., 0:1] + size) / 2


_NEWTON_STEPS = 6


def _field(values: Any, points: Array) -> Array:
    """One field of the intrinsics, in the kind of the points and aligned with their leading dimensions."""
    return align_leading(like(values, points), points.ndim, trailing=1)


def _coefficients(rays: Array, intrinsics: Intrinsics) -> tuple[Array, Array]:
    return _field(intrinsics.radial, rays), _field(intrinsics.tangential, rays)


def _distortion_terms(
    x: Array, y: Array, r2: Array, radial: Array, tangential: Array
) -> tuple[Array, tuple[Array, Array]]:
    """Factor of both coordinates, and the shift of each."""
    p1, p2 = tangential[..., 0], tangential[..., 1]
    polynomial = 1 + r2 * (radial[..., 0] + r2 * (radial[..., 1] + r2 * radial[..., 2]))
    return polynomial + p1 * y + p2 * x, (p2 * r2, p1 * r2)
