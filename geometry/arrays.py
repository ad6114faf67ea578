"""What the other modules need to serve NumPy and PyTorch with one text.

``array_api_compat`` supplies the functions; this module supplies constants of the right kind and the
broadcasting rule of the project: parameters align with the *leading* dimensions of the points.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj, is_numpy_array

Array = Any
"""A NumPy array or a torch tensor: whatever array-api-compat understands."""


def like(values: Any, reference: Array) -> Array:
    """Values as an array of the kind, dtype and device of another array.

    An array of the reference's own library keeps its place in the autograd graph. NumPy arrays and nested
    sequences are copied to the reference's device, which is convenient outside of inner loops.

    Parameters
    ----------
    values : Any
        Array, or nested sequence of numbers.
    reference : array
        Array whose library, dtype and device are taken.
    """
    xp = array_namespace(reference)
    if not is_array_api_obj(values):
        values = np.asarray(values, dtype=np.float64)
    if is_numpy_array(values) and not is_numpy_array(reference):
        return xp.asarray(values, dtype=reference.dtype, device=device(reference))
    return values if values.dtype == reference.dtype else xp.astype(values, reference.dtype)


def align_leading(values: Array, dimensions: int, trailing: int) -> Array:
    """Insert axes so that the leading dimensions of values meet the leading dimensions of points.

    (n, 2) becomes (n, 1, 1, 2) against points (n, frames, joints, 3): NumPy's own rule would align n with
    the joints.

    Parameters
    ----------
    values : array of shape (*leading, *own)
        Where own has ``trailing`` axes.
    dimensions : int
        Number of axes of the result.
    trailing : int
        Number of axes that stay last.

    Raises
    ------
    ValueError : values have more axes than the result.
    """
    xp = array_namespace(values)
    split = values.ndim - trailing
    missing = dimensions - values.ndim
    if split == 0:
        return values
    if missing < 0:
        raise ValueError(
            f"parameters of shape {tuple(values.shape)} have {split} leading dimensions, but the points have "
            f"only {dimensions - trailing}; give one row per leading index of the points"
        )
    shape = tuple(values.shape)
    return xp.reshape(values, shape[:split] + (1,) * missing + shape[split:])


def norm(vectors: Array) -> Array:
    """Euclidean length along the last axis, (..., d) -> (...), with gradient zero at the zero vector."""
    xp = array_namespace(vectors)
    squared = xp.sum(vectors * vectors, axis=-1)
    is_zero = squared == 0
    # The square root's gradient is infinite at zero: the substitution keeps it out of the backward pass.
    root = xp.sqrt(xp.where(is_zero, xp.ones_like(squared), squared))
    return xp.where(is_zero, xp.zeros_like(root), root)
