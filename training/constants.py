"""Tensors of fixed values and indices, made once for each device.

A tensor that is made of Python's numbers, an index that is a list among them, is copied to the device each
time. On a GPU the program waits for every such copy, however small, so what is needed at every step is kept.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor


def constant(values: tuple[float, ...], like: Tensor) -> Tensor:
    """Return fixed values in the type and on the device of another tensor, (values,).

    The same tensor is returned each time: do not write into it.

    Parameters
    ----------
    values : tuple of float
        The values.
    like : Tensor
        Gives type and device.

    Examples
    --------
    >>> constant((-1.0, 1.0, 1.0), torch.zeros(2)).tolist()
    [-1.0, 1.0, 1.0]
    """
    return _kept(values, like.device, like.dtype)


def indices(values: tuple[int, ...], like: Tensor) -> Tensor:
    """Return fixed indices on the device of another tensor, (values,) int64; do not write into them.

    Examples
    --------
    >>> torch.arange(5)[indices((4, 0), torch.zeros(2))].tolist()
    [4, 0]
    """
    return _kept(values, like.device, torch.int64)


def mask(values: tuple[bool, ...], like: Tensor) -> Tensor:
    """Return fixed choices on the device of another tensor, (values,) bool; do not write into them.

    Examples
    --------
    >>> mask((True, False), torch.zeros(2)).tolist()
    [True, False]
    """
    return _kept(values, like.device, torch.bool)


@cache
def _kept(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    # One that is made in inference mode could not be used in training afterwards.
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)
