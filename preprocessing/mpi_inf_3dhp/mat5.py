"""MATLAB v5 files as far as annotations use them: named arrays of real numbers, and cells of those.

Follows MathWorks' "MAT-File Format" (level 5). Every length is checked against the bytes that are there
before it is used, and nothing is inflated beyond reason; SciPy's compiled reader believes the tags of a
damaged file and dies of some. Structures, text, sparse and complex arrays are not read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

MAX_VARIABLE_BYTES = 1 << 30
"""The largest variable of the release, fourteen cells of 12,820 rows, has 121 MB."""

_HEADER_BYTES = 128
_HEAD_BYTES = 4096
_LONGEST_NAME = 63
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CELL = 1
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_OTHER_CLASSES = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 16: "function", 17: "opaque"}
_COMPLEX = 0x0800

Order = Literal["<", ">"]
_ORDERS: Mapping[bytes, Order] = {b"IM": "<", b"MI": ">"}


class Mat5Error(Exception):
    """A file that is not what its tags say; the message says what was found."""


def read_mat5(path: Path, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """Read variables of a MATLAB v5 file.

    Parameters
    ----------
    path : Path
        The file.
    names : Collection[str]
        Variables that are wanted; others are stepped over.

    Returns
    -------
    variables : those that are there. Numbers in the type of their MATLAB class, cells as object arrays of
        them, both in MATLAB's shape.

    Raises
    ------
    Mat5Error
        When the file, or a wanted variable, is damaged or holds something else.
    OSError
        When the file cannot be read.
    """
    content = memoryview(path.read_bytes())
    order = _ORDERS.get(bytes(content[126:_HEADER_BYTES]))
    if order is None:
        raise Mat5Error("no header of a MATLAB v5 file")
    variables: dict[str, NDArray[Any]] = {}
    for element in _elements(content[_HEADER_BYTES:], order):
        matrix = element
        if element.kind == _COMPRESSED:
            head = next(_elements(_inflated(element.data, _HEAD_BYTES), order, complete=False), None)
            if head is None or _name(head, order) not in names:
                continue
            whole = _inflated(element.data, MAX_VARIABLE_BYTES + 1)
            if len(whole) > MAX_VARIABLE_BYTES:
                raise Mat5Error(f"a variable of more than {MAX_VARIABLE_BYTES} bytes")
            matrix = next(_elements(whole, order))
        name = _name(matrix, order)
        if name is not None and name in names:
            variables[name] = _array(matrix, order)
    return variables


@dataclass(frozen=True)
class _Element:
    """A tag's type and the data behind it."""

    kind: int
    data: memoryview


def _elements(content: memoryview, order: Order, *, complete: bool = True) -> Iterator[_Element]:
    """Split content at its tags; the last element may be cut short unless ``complete``."""
    start = 0
    while start < len(content):
        if start + 8 > len(content):
            raise Mat5Error(f"{len(content) - start} bytes in the place of a tag")
        kind, length = struct.unpack_from(f"{order}II", content, start)
        begin, following = start + 8, start + 8 + length
        if kind >> 16:  # a small element: type and length share a word, four bytes of data follow
            kind, length = kind & 0xFFFF, kind >> 16
            if length > 4:
                raise Mat5Error(f"a small element of {length} bytes")
            begin, following = start + 4, start + 8
        elif kind != _COMPRESSED:
            following += -length % 8
        if complete and begin + length > len(content):
            raise Mat5Error(f"an element of {length} bytes where {len(content) - begin} are left")
        yield _Element(kind, content[begin : begin + length])
        start = following


def _inflated(deflated: memoryview, limit: int) -> memoryview:
    try:
        return memoryview(zlib.decompressobj().decompress(deflated, limit))
    except zlib.error as error:
        raise Mat5Error(f"compressed data that do not inflate ({error})") from error


@dataclass(frozen=True)
class _Head:
    """What stands before the values of a matrix: class, shape, name; and the elements that follow."""

    matlab_class: int
    is_complex: bool
    shape: tuple[int, ...]
    name: str
    values: Iterator[_Element]


def _head(matrix: _Element, order: Order, *, complete: bool) -> _Head:
    parts = _elements(matrix.data, order, complete=complete)
    flags, dimensions, name = (next(parts, None) for _ in range(3))
    if flags is None or flags.kind != _UINT32 or len(flags.data) != 8:
        raise Mat5Error("a matrix without its flags")
    if dimensions is None or dimensions.kind != _INT32 or not 8 <= len(dimensions.data) <= 128:
        raise Mat5Error("a matrix without its dimensions")
    if name is None or name.kind != _INT8 or len(name.data) > _LONGEST_NAME:
        raise Mat5Error("a matrix without its name")
    (flag_bits,) = struct.unpack_from(f"{order}I", flags.data)
    shape = struct.unpack(
        f"{order}{len(dimensions.data) // 4}i", dimensions.data[: len(dimensions.data) // 4 * 4]
    )
    if min(shape) < 0:
        raise Mat5Error(f"a matrix of shape {shape}")
    text = bytes(name.data).decode("ascii", errors="replace")
    return _Head(flag_bits & 0xFF, bool(flag_bits & _COMPLEX), shape, text, parts)


def _name(matrix: _Element, order: Order) -> str | None:
    """Name of a variable of which only the beginning may be there; None for what has none."""
    if matrix.kind != _MATRIX or not matrix.data:
        return None
    return _head(matrix, order, complete=False).name


def _array(matrix: _Element, order: Order) -> NDArray[Any]:
    head = _head(matrix, order, complete=True)
    if head.matlab_class != _CELL:
        return _numbers(head, repr(head.name), order)
    cells = list(head.values)
    if len(cells) != prod(head.shape):
        raise Mat5Error(f"{len(cells)} cells in {head.name!r} of shape {head.shape}")
    values = np.empty(len(cells), dtype=object)
    for index, cell in enumerate(cells):
        if cell.kind != _MATRIX:
            raise Mat5Error(f"an element of type {cell.kind} as cell {index} of {head.name!r}")
        where = f"cell {index} of {head.name!r}"
        values[index] = (
            _numbers(_head(cell, order, complete=True), where, order) if cell.data else np.empty((0, 0))
        )
    return values.reshape(head.shape, order="F")


def _numbers(head: _Head, where: str, order: Order) -> NDArray[Any]:
    if head.matlab_class not in _CLASSES or head.is_complex:
        found = _OTHER_CLASSES.get(head.matlab_class, f"class number {head.matlab_class}")
        raise Mat5Error(f"{where} of {'complex numbers' if head.is_complex else found}")
    values = next(head.values, None)
    if values is None or values.kind not in _STORED:
        raise Mat5Error(f"{where} without numbers")
    stored = np.dtype(_STORED[values.kind]).newbyteorder(order)
    if len(values.data) != prod(head.shape) * stored.itemsize:
        raise Mat5Error(f"{where} with {len(values.data)} bytes for {head.shape} of {stored}")
    numbers = np.frombuffer(values.data, dtype=stored).astype(_CLASSES[head.matlab_class], copy=False)
    return numbers.reshape(head.shape, order="F")
