"""HDF5 files from outside, as far as arrays of numbers and names in them are wanted.

HDF5 lets a name stand for a part of another file, a few bytes claim any number of rows, and a small chunk
inflate to many gigabytes; none of that is followed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from poseshift.preprocessing.errors import RawDataError

MAGIC = b"\x89HDF\r\n\x1a\n"
"""The first bytes of every HDF5 file without a user block."""

MOST_VALUES = 500_000_000
"""Numbers in one array: 1,000,000 frames of 5 people with 33 joints, and some more."""

Read = TypeVar("Read")


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_hdf5(path: Path, read: Callable[[h5py.File], Read], expected: str, remedy: str) -> Read:
    """Call a reader with an open file; RawDataError for whatever damage it meets."""
    try:
        with h5py.File(path, "r") as file:
            return read(file)
    except RawDataError:
        raise
    except Exception as error:  # h5py raises OSError, RuntimeError, TypeError ... for damaged files
        first = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise RawDataError(path, found=f"damage ({first})", expected=expected, remedy=remedy) from error


def own_array(group: h5py.Group, name: str) -> h5py.Dataset:
    """Find an array that lies in this file and is no larger than it says; ValueError otherwise."""
    own = isinstance(group.get(name, getlink=True), h5py.HardLink)
    dataset = group[name] if own else None
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise ValueError(f"'{name}' that is no array of this file")
    if dataset.shape is None or max(dataset.size, prod(dataset.chunks or ())) > MOST_VALUES:
        raise ValueError(f"'{name}' of shape {dataset.shape} in chunks of {dataset.chunks}")
    if inflates_beyond_its_shape(dataset):
        raise ValueError(f"'{name}' with compressed values that are more than its shape")
    return dataset


def numbers(group: h5py.Group, name: str) -> NDArray[np.float64]:
    """Read an array of numbers; ValueError when it holds something else."""
    dataset = own_array(group, name)
    if dataset.dtype.kind not in "fiu":
        raise ValueError(f"'{name}' of type {dataset.dtype}")
    return np.asarray(dataset[()], dtype=np.float64)


def names(group: h5py.Group, name: str) -> tuple[str, ...]:
    """Read a list of text; ValueError when it holds something else."""
    dataset = own_array(group, name)
    if h5py.check_string_dtype(dataset.dtype) is None:
        raise ValueError(f"'{name}' of type {dataset.dtype}")
    return tuple(text(one) for one in np.asarray(dataset[()]).reshape(-1))


def text(value: Any) -> str:
    """Read a text, which HDF5 gives as bytes or as such."""
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def inflates_beyond_its_shape(dataset: h5py.Dataset) -> bool:
    """Whether a chunk holds more than it says; HDF5 would inflate a small one to many gigabytes."""
    if dataset.compression is None:
        return False
    if dataset.compression != "gzip":
        return True  # MATLAB knows no other, and its bounds are unknown here
    chunk_bytes = prod(dataset.chunks) * dataset.dtype.itemsize
    for number in range(dataset.id.get_num_chunks()):
        chunk = dataset.id.get_chunk_info(number)
        if chunk.size > 2 * chunk_bytes + 64:  # deflate adds next to nothing to what it cannot compress
            return True
        skipped_filters, deflated = dataset.id.read_direct_chunk(chunk.chunk_offset)
        if skipped_filters == 0 and _inflated_bytes(deflated, chunk_bytes + 1) > chunk_bytes:
            return True
    return False


def _inflated_bytes(deflated: bytes, limit: int) -> int:
    return len(zlib.decompressobj().decompress(deflated, limit))
