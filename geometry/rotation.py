"""Rotations: matrices, axis-angle vectors, the 6D form, Euler angles and the shortest turn between vectors.

Matrices act on column vectors, ``rotated = R v``; all rotations are right-handed. The 6D form is that of
Zhou et al., "On the Continuity of Rotation Representations in Neural Networks" (CVPR 2019). Quaternions
appear only inside, as the stable way back to axis-angle.
"""

from __future__ import annotations

from array_api_compat import array_namespace, device

from poseshift.geometry.arrays import Array, align_leading, like, norm
from poseshift.geometry.constants import constant


def rotate(points: Array, rotation: Array) -> Array:
    """Rotate points: ``R p``.

    Parameters
    ----------
    points : array of shape (..., 3)
    rotation : array
        (3, 3) for all points, or (*leading, 3, 3) against points (*leading, ..., joints, 3).

    Returns
    -------
    array (..., 3), of the dtype and device of the points.

    Examples
    --------
    >>> quarter_turn = axis_angle_to_matrix(np.array([0.0, 0.0, np.pi / 2]))
    >>> rotate(np.array([[1.0, 0.0, 0.0]]), quarter_turn).round(6).tolist()
    [[0.0, 1.0, 0.0]]
    """
    rotation = align_leading(like(rotation, points), points.ndim + 1, trailing=2)
    # Sums of columns instead of a matrix product: on a GPU a product may run in reduced precision (TF32,
    # autocast), which at four metres is millimetres.
    return (
        points[..., 0:1] * rotation[..., :, 0]
        + points[..., 1:2] * rotation[..., :, 1]
        + points[..., 2:3] * rotation[..., :, 2]
    )


def rotate_back(points: Array, rotation: Array) -> Array:
    """Rotate points by the inverse: ``R^T p``; shapes as in `rotate`.

    Examples
    --------
    >>> quarter_turn = axis_angle_to_matrix(np.array([0.0, 0.0, np.pi / 2]))
    >>> rotate_back(np.array([[0.0, 1.0, 0.0]]), quarter_turn).round(6).tolist()
    [[1.0, 0.0, 0.0]]
    """
    return rotate(points, transpose(like(rotation, points)))


def transpose(rotation: Array) -> Array:
    """Transpose of (..., 3, 3) matrices, the inverse of rotations."""
    return array_namespace(rotation).linalg.matrix_transpose(rotation)


def is_rotation(matrices: Array, tolerance: float) -> Array:
    """Whether matrices (..., 3, 3) are rotations, (...) bool; NaN and mirror images are none.

    Parameters
    ----------
    matrices : array of shape (..., 3, 3)
    tolerance : float
        By how much an entry of ``R R^T`` may differ from that of the identity.

    Examples
    --------
    >>> is_rotation(np.stack([np.eye(3), np.diag([1.0, 1.0, -1.0]), 1.01 * np.eye(3)]), 1e-3).tolist()
    [True, False, False]
    """
    xp = array_namespace(matrices)
    identity = xp.eye(3, dtype=matrices.dtype, device=device(matrices))
    away = xp.max(xp.abs(matrices @ transpose(matrices) - identity), axis=(-2, -1))
    return (away <= tolerance) & (xp.linalg.det(matrices) > 0)


def angle_between(one: Array, other: Array) -> Array:
    """Angles (...) in radians of the turns from rotations (..., 3, 3) to others.

    Examples
    --------
    >>> quarter_turn = axis_angle_to_matrix(np.array([0.0, 0.0, np.pi / 2]))
    >>> float(np.degrees(angle_between(np.eye(3), quarter_turn)).round(6))
    90.0
    """
    xp = array_namespace(one)
    return xp.acos(xp.clip((xp.sum(one * other, axis=(-2, -1)) - 1) / 2, -1, 1))


def compose(outer: Array, inner: Array) -> Array:
    """Matrix product ``outer inner`` of (..., 3, 3) rotations: first inner, then outer."""
    xp = array_namespace(outer, inner)
    return xp.sum(outer[..., :, :, None] * inner[..., None, :, :], axis=-2)


def axis_angle_to_matrix(axis_angle: Array) -> Array:
    """Rotation matrix of an axis-angle vector, by Rodrigues' formula.

    Parameters
    ----------
    axis_angle : array of shape (..., 3)
        Unit axis times angle in radians; zero is the identity.

    Returns
    -------
    array (..., 3, 3).

    Examples
    --------
    >>> axis_angle_to_matrix(np.array([0.0, 0.0, np.pi / 2])).round(6).tolist()
    [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    xp = array_namespace(axis_angle)
    squared = xp.sum(axis_angle * axis_angle, axis=-1)
    # sin(a)/a and (1-cos(a))/a^2 by their series near zero: below this bound the next term is under
    # machine precision, and the series has a gradient where the quotient has none.
    is_small = squared < 1e-6
    safe = xp.where(is_small, xp.ones_like(squared), squared)
    angle = xp.sqrt(safe)
    sine_ratio = xp.where(is_small, 1 - squared / 6 + squared * squared / 120, xp.sin(angle) / angle)
    half = xp.sin(angle / 2)
    cosine_ratio = xp.where(is_small, 0.5 - squared / 24 + squared * squared / 720, 2 * half * half / safe)
    generator = _cross_matrix(axis_angle)
    return (
        constant(_IDENTITY, axis_angle)
        + sine_ratio[..., None, None] * generator
        + cosine_ratio[..., None, None] * compose(generator, generator)
    )


def matrix_to_axis_angle(rotation: Array) -> Array:
    """Axis-angle vector of a rotation matrix, angle in [0, pi].

    Goes over the unit quaternion whose largest component is computed first (Shepperd's method), so it is
    accurate at the identity and at half turns alike.

    Parameters
    ----------
    rotation : array of shape (..., 3, 3)

    Returns
    -------
    array (..., 3), radians.

    Examples
    --------
    >>> matrix_to_axis_angle(axis_angle_to_matrix(np.array([0.0, 0.5, 0.0]))).round(6).tolist()
    [0.0, 0.5, 0.0]
    """
    xp = array_namespace(rotation)
    m = [[rotation[..., row, column] for column in range(3)] for row in range(3)]
    x, y, z = m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]
    xy, xz, yz = m[1][0] + m[0][1], m[0][2] + m[2][0], m[2][1] + m[1][2]
    squares = (
        1 + m[0][0] + m[1][1] + m[2][2],
        1 + m[0][0] - m[1][1] - m[2][2],
        1 - m[0][0] + m[1][1] - m[2][2],
        1 - m[0][0] - m[1][1] + m[2][2],
    )
    # Row i holds 4 q_i (w, x, y, z): any row with q_i != 0 is the quaternion up to scale.
    rows = xp.stack(
        [
            xp.stack([squares[0], x, y, z], axis=-1),
            xp.stack([x, squares[1], xy, xz], axis=-1),
            xp.stack([y, xy, squares[2], yz], axis=-1),
            xp.stack([z, xz, yz, squares[3]], axis=-1),
        ],
        axis=-2,
    )
    largest = xp.argmax(xp.stack(squares, axis=-1), axis=-1)
    chosen = xp.arange(4, device=device(rotation)) == largest[..., None]
    quaternion = xp.sum(xp.where(chosen[..., None], rows, xp.zeros_like(rows)), axis=-2)
    quaternion = quaternion / norm(quaternion)[..., None]
    quaternion = xp.where(quaternion[..., 0:1] < 0, -quaternion, quaternion)
    real, imaginary = quaternion[..., 0], quaternion[..., 1:]
    length = norm(imaginary)
    is_small = length < 1e-6
    ratio = 2 * xp.atan2(length, real) / xp.where(is_small, xp.ones_like(length), length)
    return imaginary * xp.where(is_small, 2 * xp.ones_like(ratio), ratio)[..., None]


def matrix_from_6d(columns: Array) -> Array:
    """Rotation matrix of the continuous 6D form: Gram-Schmidt of its first two columns.

    Parameters
    ----------
    columns : array of shape (..., 6)
        First column then second column; neither zero nor parallel.

    Returns
    -------
    array (..., 3, 3).
    """
    xp = array_namespace(columns)
    first, second = columns[..., :3], columns[..., 3:]
    first = first / norm(first)[..., None]
    second = second - xp.sum(first * second, axis=-1)[..., None] * first
    second = second / norm(second)[..., None]
    return xp.stack([first, second, xp.linalg.cross(first, second)], axis=-1)


def minimal_rotation(source: Array, target: Array) -> Array:
    """Shortest rotation that turns one direction into another.

    ``I + [v] + [v]^2 / (1 + s.t)`` with ``v = s x t`` for unit s, t. Not defined for opposite directions.

    Parameters
    ----------
    source, target : array of shape (..., 3)
        Any length above zero; they broadcast.

    Returns
    -------
    array (..., 3, 3).

    Examples
    --------
    >>> turn = minimal_rotation(np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))
    >>> rotate(np.array([[1.0, 0.0, 0.0]]), turn).round(6).tolist()
    [[0.0, 1.0, 0.0]]
    """
    xp = array_namespace(source)
    target = like(target, source)
    source, target = xp.broadcast_arrays(source / norm(source)[..., None], target / norm(target)[..., None])
    generator = _cross_matrix(xp.linalg.cross(source, target))
    cosine = xp.sum(source * target, axis=-1)[..., None, None]
    identity = like(xp.eye(3, device=device(source)), source)
    return identity + generator + compose(generator, generator) / (1 + cosine)


def euler_xyz(angles: Array) -> Array:
    """Rotation matrix ``Rx(a) Ry(b) Rz(c)``, the convention of Human3.6M's calibration.

    Parameters
    ----------
    angles : array of shape (..., 3)
        Radians about x, y and z.

    Returns
    -------
    array (..., 3, 3).
    """
    axes = constant(_IDENTITY, angles)
    about_x, about_y, about_z = (
        axis_angle_to_matrix(angles[..., axis, None] * axes[axis, :]) for axis in range(3)
    )
    return compose(compose(about_x, about_y), about_z)


def _cross_matrix(vector: Array) -> Array:
    """Matrix [v] with ``[v] u = v x u``, (..., 3) -> (..., 3, 3)."""
    return array_namespace(vector).sum(vector[..., None, None, :] * constant(_CROSS, vector), axis=-1)


_IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))

_CROSS = (
    ((0.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
    ((0.0, 0.0, 1.0), (0.0, 0.0, 0.0), (-1.0, 0.0, 0.0)),
    ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
)
"""What each coordinate of a vector adds to each entry of its matrix: ``[v]_ij = sum_k v_k CROSS_ijk``."""
