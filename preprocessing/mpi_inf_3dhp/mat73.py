"""MATLAB v7.3 files (HDF5) as far as annotations use them: named arrays of numbers, and cells of those.

HDF5 lets a name stand for a part of another file, a few bytes claim any number of rows, and a small chunk
inflate to many gigabytes; none of that is followed.
"""

from __future__ import annotations

from collections.abc import Collection
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from poseshift.preprocessing.hdf5 import inflates_beyond_its_shape

_MOST_CELLS = 1000


class Mat73Error(Exception):
    """A file that is not what it says, or holds something else than numbers; the message says what."""


def read_mat73(path: Path, names: Collection[str], most_values: int) -> dict[str, NDArray[Any]]:
    """Read variables of a MATLAB v7.3 file.

    Parameters
    ----------
    path : Path
        The file.
    names : Collection[str]
        Variables that are wanted.
    most_values : int
        Most numbers that one array, or one cell, is believed to have.

    Returns
    -------
    variables : those that are there, as float64; cells as object arrays of them. Both in MATLAB's shape: HDF5
        has the axes in reverse.

    Raises
    ------
    Mat73Error
        When the file, or a wanted variable, is damaged or holds something else.
    """
    try:
        with h5py.File(path, "r") as file:
            return {name: _variable(file, name, most_values) for name in names if name in file}
    except Mat73Error:
        raise
    except Exception as error:  # h5py raises OSError, RuntimeError, TypeError ... for damaged files
        raise Mat73Error(f"{type(error).__name__}: {error}") from error


def _variable(file: h5py.File, name: str, most_values: int) -> NDArray[Any]:
    own = isinstance(file.get(name, getlink=True), h5py.HardLink)
    dataset = file[name] if own else None
    if not isinstance(dataset, h5py.Dataset):
        raise Mat73Error(f"'{name}' that is no array of this file")
    if h5py.check_ref_dtype(dataset.dtype) is h5py.Reference:
        return _cells(file, name, dataset, most_values)
    return _numbers(name, dataset, most_values)


def _cells(file: h5py.File, name: str, dataset: h5py.Dataset, most_values: int) -> NDArray[Any]:
    if dataset.shape is None or dataset.size > _MOST_CELLS or dataset.external or dataset.is_virtual:
        raise Mat73Error(f"'{name}' with {dataset.size} cells; at most {_MOST_CELLS} are believed")
    references = np.asarray(dataset[()]).T
    cells = np.empty(references.shape, dtype=object)
    for place, reference in np.ndenumerate(references):
        cell = file[reference] if reference else None
        if not isinstance(cell, h5py.Dataset):
            raise Mat73Error(f"a cell of '{name}' that is no array")
        cells[place] = _numbers(f"a cell of {name}", cell, most_values)
    return cells


def _numbers(name: str, dataset: h5py.Dataset, most_values: int) -> NDArray[np.float64]:
    if dataset.external or dataset.is_virtual:
        raise Mat73Error(f"'{name}' that is no array of this file")
    if dataset.dtype.kind not in "fiu" or dataset.shape is None:
        raise Mat73Error(f"'{name}' of type {dataset.dtype}")
    if max(dataset.size, prod(dataset.chunks or ())) > most_values:
        raise Mat73Error(f"'{name}' of shape {dataset.shape} in chunks of {dataset.chunks}")
    if inflates_beyond_its_shape(dataset):
        raise Mat73Error(f"'{name}' with compressed values that are more than its shape")
    return np.asarray(dataset[()], dtype=np.float64).T
