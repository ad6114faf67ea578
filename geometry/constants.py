"""Arrays of fixed values and indices, made once for each device.

A tensor that is made of Python's numbers, an index that is a list among them, is copied to the device each
time. On a GPU the program waits for every such copy, however small, so what is needed at every step is kept.
"""

from __future__ import annotations

from contextlib import nullcontext
from functools import cache
from typing import Any

from array_api_compat import array_namespace, device

from poseshift.geometry.arrays import Array

Values = tuple[Any, ...]
"""Numbers, or tuples of them for an array of more axes."""


def constant(values: Values, like: Array) -> Array:
    """Return fixed values in the type and on the device of another array.

    The same array is returned each time: do not write into it.

    Parameters
    ----------
    values : tuple
        The values.
    like : array
        Gives library, type and device.

    Examples
    --------
    >>> import torch
    >>> constant((-1.0, 1.0, 1.0), torch.zeros(2)).tolist()
    [-1.0, 1.0, 1.0]
    """
    return _kept(values, array_namespace(like), device(like), like.dtype)


def indices(values: tuple[int, ...], like: Array) -> Array:
    """Return fixed indices on the device of another array, (values,) int64; do not write into them.

    Examples
    --------
    >>> import torch
    >>> torch.arange(5)[indices((4, 0), torch.zeros(2))].tolist()
    [4, 0]
    """
    xp = array_namespace(like)
    return _kept(values, xp, device(like), xp.int64)


def mask(values: tuple[bool, ...], like: Array) -> Array:
    """Return fixed choices on the device of another array, (values,) bool; do not write into them.

    Examples
    --------
    >>> import torch
    >>> mask((True, False), torch.zeros(2)).tolist()
    [True, False]
    """
    xp = array_namespace(like)
    return _kept(values, xp, device(like), xp.bool)


@cache
def _kept(values: Values, xp: Any, place: Any, dtype: Any) -> Array:
    # A tensor that is made in PyTorch's inference mode could not be used in training afterwards.
    with getattr(xp, "inference_mode", nullcontext)(False):
        return xp.asarray(values, dtype=dtype, device=place)
