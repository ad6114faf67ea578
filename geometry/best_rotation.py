"""The rotation that brings points nearest to others, written out for many poses at once.

Horn's solution (JOSA A 1987): the best quaternion is the eigenvector of the largest eigenvalue of a symmetric
matrix of four rows. The eigenvalue is found by Newton's steps from above (Theobald, Acta Cryst. A 2005), the
products of the quaternion's entries are cofactors. A library's decomposition is called matrix by matrix and
takes most of an evaluation's time; this is some two hundred operations on whole arrays.
"""

from __future__ import annotations

from collections.abc import Sequence

from array_api_compat import array_namespace, is_numpy_array

from poseshift.geometry.arrays import Array

_STEPS = 12
_LEAST_DETERMINED = 1e-3
"""Product of the largest eigenvalue's distances from the others, below which cofactors lose digits."""
_CONVERGED = 1e-7
"""Largest last step; the error after a step is about its square."""


def best_rotation(covariance: Sequence[Sequence[Array]]) -> tuple[Array, Array]:
    """Find the rotation R, never a reflection, for which trace(R^T C) is largest.

    Parameters
    ----------
    covariance : 3 rows of 3 arrays of shape (...)
        C, entry by entry: sum over points of target times source.

    Returns
    -------
    overlap : array of shape (...)
        That trace.
    rotation : array of shape (..., 3, 3)
        From source to target. Where several are equally good, such as for points on a line, one of them.
    """
    flat = [entry for row in covariance for entry in row]
    xp = array_namespace(*flat)
    # Between the sum of the singular values and three times it, so that the eigenvalue is in [1/3, 1].
    size = xp.sqrt(3 * _sum([entry * entry for entry in flat]))
    unit = xp.where(size == 0, xp.ones_like(size), size)
    (xx, yx, zx), (xy, yy, zy), (xz, yz, zz) = [[entry / unit for entry in row] for row in covariance]
    horn = _symmetric(
        (xx + yy + zz, yz - zy, zx - xz, xy - yx),
        (xx - yy - zz, xy + yx, zx + xz),
        (yy - xx - zz, yz + zy),
        (zz - xx - yy,),
    )
    determinant = xx * (yy * zz - yz * zy) - xy * (yx * zz - yz * zx) + xz * (yx * zy - yy * zx)
    constant = _sum([a * b for a, b in zip(horn[0], _cofactors(horn)[0], strict=True)])
    largest, step, slope = xp.ones_like(size), size, size
    for _ in range(_STEPS):
        square = largest * largest
        slope = 4 * largest * (square - 1 / 3) - 8 * determinant
        value = square * (square - 2 / 3) - 8 * determinant * largest + constant
        step = value / xp.where(slope > 0, slope, xp.ones_like(slope))
        largest = largest - step
    rest = [[(largest - horn[i][j]) if i == j else -horn[i][j] for j in range(4)] for i in range(4)]
    products = _cofactors(rest)
    total = products[0][0] + products[1][1] + products[2][2] + products[3][3]
    unsure = (size == 0) | (total < _LEAST_DETERMINED) | (xp.abs(step) > _CONVERGED)
    total = xp.where(unsure, xp.ones_like(total), total)
    products = [[entry / total for entry in row] for row in products]
    # Asking a device whether any pose is unsure would wait for it.
    if not is_numpy_array(size) or xp.any(unsure):
        values, vectors = xp.linalg.eigh(xp.stack([xp.stack(row, axis=-1) for row in horn], axis=-2))
        largest = xp.where(unsure, values[..., 3], largest)
        quaternion = [vectors[..., k, 3] for k in range(4)]
        products = [
            [xp.where(unsure, quaternion[i] * quaternion[j], products[i][j]) for j in range(4)]
            for i in range(4)
        ]
    return largest * size, _matrix(products)


def _matrix(products: Sequence[Sequence[Array]]) -> Array:
    """Rotation matrices (..., 3, 3) from the products of their quaternions' entries, w x y z."""
    xp = array_namespace(products[0][0])
    (ww, wx, wy, wz), (_, xx, xy, xz), (_, _, yy, yz), (_, _, _, zz) = products
    rows = (
        (ww + xx - yy - zz, 2 * (xy - wz), 2 * (xz + wy)),
        (2 * (xy + wz), ww - xx + yy - zz, 2 * (yz - wx)),
        (2 * (xz - wy), 2 * (yz + wx), ww - xx - yy + zz),
    )
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def _symmetric(*upper: Sequence[Array]) -> list[list[Array]]:
    """Complete a matrix of which the rows from the diagonal on are given."""
    return [[upper[min(i, j)][abs(i - j)] for j in range(len(upper))] for i in range(len(upper))]


def _cofactors(m: Sequence[Sequence[Array]]) -> list[list[Array]]:
    """Cofactors of a symmetric matrix of four rows, entry by entry, from the minors of its halves."""
    above = {(i, j): m[0][i] * m[1][j] - m[1][i] * m[0][j] for i in range(4) for j in range(i + 1, 4)}
    below = {(i, j): m[2][i] * m[3][j] - m[3][i] * m[2][j] for i in range(4) for j in range(i + 1, 4)}
    return _symmetric(
        (
            m[1][1] * below[2, 3] - m[1][2] * below[1, 3] + m[1][3] * below[1, 2],
            m[0][2] * below[1, 3] - m[0][1] * below[2, 3] - m[0][3] * below[1, 2],
            m[3][1] * above[2, 3] - m[3][2] * above[1, 3] + m[3][3] * above[1, 2],
            m[2][2] * above[1, 3] - m[2][1] * above[2, 3] - m[2][3] * above[1, 2],
        ),
        (
            m[0][0] * below[2, 3] - m[0][2] * below[0, 3] + m[0][3] * below[0, 2],
            m[3][2] * above[0, 3] - m[3][0] * above[2, 3] - m[3][3] * above[0, 2],
            m[2][0] * above[2, 3] - m[2][2] * above[0, 3] + m[2][3] * above[0, 2],
        ),
        (
            m[3][0] * above[1, 3] - m[3][1] * above[0, 3] + m[3][3] * above[0, 1],
            m[2][1] * above[0, 3] - m[2][0] * above[1, 3] - m[2][3] * above[0, 1],
        ),
        (m[2][0] * above[1, 2] - m[2][1] * above[0, 2] + m[2][2] * above[0, 1],),
    )


def _sum(terms: Sequence[Array]) -> Array:
    return sum(terms[1:], start=terms[0])
