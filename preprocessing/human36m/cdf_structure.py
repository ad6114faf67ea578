"""What a CDF file claims to hold, checked against the file's size before anything is decoded.

Follows the internal format of CDF version 3 (records CDR, GDR, zVDR, VXR, VVR and CVVR, big-endian). A
damaged or hostile header can claim gigabytes, point in circles or count to billions; this walk refuses it
at the cost of a few small reads. It decodes no values: that is :mod:`poseshift.preprocessing.human36m.cdf`.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = bytes.fromhex("cdf300010000ffff")
MAGIC_COMPRESSED = bytes.fromhex("cdf30001cccc0001")
FLOAT_BYTES = {21: 4, 44: 4, 22: 8, 45: 8}
"""Bytes of the floating point types: CDF_REAL4, CDF_FLOAT, CDF_REAL8, CDF_DOUBLE."""

_CDR, _GDR, _VXR, _VVR, _ZVDR, _CVVR = 1, 2, 6, 7, 8, 13
_GZIP_WINDOW = 31
_MOST_DIMENSIONS = 10


class StructureError(Exception):
    """A file whose structure is not the one of a pose file; the message says what was found."""


@dataclass(frozen=True)
class PoseVariable:
    """The one variable of a pose file, as its header describes it: (rows, columns) numbers of item_bytes."""

    name: str
    rows: int
    columns: int
    item_bytes: int


def inspect(stream: BinaryIO, size: int) -> PoseVariable:
    """Walk the headers of an open CDF file of ``size`` bytes.

    Raises
    ------
    StructureError : not a CDF of version 3, not one zVariable with one record of two dimensions, a type other
        than float or double, or fewer data in the file than the header claims.
    """
    file = _Records(stream, size)
    magic = file.bytes_at(0, len(MAGIC))
    if magic == MAGIC_COMPRESSED:
        raise StructureError("a CDF compressed as a whole")
    if magic != MAGIC:
        raise StructureError(f"the first bytes {magic.hex()}, which are not those of CDF version 3")
    descriptor = file.record(len(MAGIC), _CDR, 40)
    globals_offset = len(MAGIC) + descriptor.size
    general = file.record(globals_offset, _GDR, 72)
    (r_variables,) = general.unpack(">i", 44)
    (z_variables,) = general.unpack(">i", 60)
    if (r_variables, z_variables) != (0, 1):
        raise StructureError(f"{z_variables} zVariables and {r_variables} rVariables")
    (r_dimensions,) = general.unpack(">i", 56)
    if not 0 <= r_dimensions <= _MOST_DIMENSIONS:
        raise StructureError(f"rVariables of {r_dimensions} dimensions")
    (variable_offset,) = general.unpack(">q", 20)
    variable = file.record(variable_offset, _ZVDR, 360)
    return _check_variable(file, variable)


@dataclass(frozen=True)
class _Record:
    """One internal record: its offset, its size and its first bytes."""

    offset: int
    size: int
    head: bytes

    def unpack(self, layout: str, at: int) -> tuple[int, ...]:
        if at + struct.calcsize(layout) > len(self.head):
            raise StructureError(f"a record of {self.size} bytes at {self.offset} that is too short")
        return struct.unpack_from(layout, self.head, at)


class _Records:
    """Reads internal records and refuses those that do not lie inside the file."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size

    def bytes_at(self, offset: int, count: int) -> bytes:
        if offset < 0 or count < 0 or offset + count > self._size:
            raise StructureError(f"a reference to bytes {offset} to {offset + count} of {self._size}")
        self._stream.seek(offset)
        return self._stream.read(count)

    def record(self, offset: int, kind: int, head_bytes: int) -> _Record:
        record = self.any_record(offset, head_bytes)
        found = record.unpack(">i", 8)[0]
        if found != kind:
            raise StructureError(f"a record of type {found} at {offset} in the place of type {kind}")
        return record

    def any_record(self, offset: int, head_bytes: int) -> _Record:
        (size,) = struct.unpack(">q", self.bytes_at(offset, 8))
        if size < 12 or offset + size > self._size:
            raise StructureError(f"a record of {size} bytes at {offset}, in a file of {self._size}")
        return _Record(offset, size, self.bytes_at(offset, min(size, head_bytes)))


def _check_variable(file: _Records, variable: _Record) -> PoseVariable:
    data_type, last_record, index_offset = variable.unpack(">iiq", 20)
    (sparse,) = variable.unpack(">i", 48)
    (elements,) = variable.unpack(">i", 64)
    (dimensions,) = variable.unpack(">i", 340)
    name = variable.head[84:340].rstrip(b"\0 ").decode("ascii", errors="replace")
    if data_type not in FLOAT_BYTES or elements != 1:
        raise StructureError(f"values of CDF type {data_type}")
    if dimensions != 2:
        raise StructureError(f"a variable of {dimensions} dimensions")
    rows, columns, rows_vary, columns_vary = variable.unpack(">iiii", 344)
    if rows <= 0 or columns <= 0 or not (rows_vary and columns_vary):
        raise StructureError(f"a variable of shape ({rows}, {columns})")
    if last_record != 0 or sparse != 0:
        raise StructureError(f"{last_record + 1} records")
    found = PoseVariable(name, rows, columns, FLOAT_BYTES[data_type])
    claimed = rows * columns * found.item_bytes
    held = sum(_data_bytes(file, block, claimed) for block in _blocks(file, index_offset))
    if held < claimed:
        raise StructureError(f"{held} bytes of values where the header claims {claimed}")
    return found


def _blocks(file: _Records, index_offset: int) -> Iterator[int]:
    """Offsets of the value records that the index points to; index records may be chained and nested."""
    waiting, seen = [index_offset], set[int]()
    while waiting:
        offset = waiting.pop()
        if offset in seen:
            raise StructureError(f"an index that returns to itself at {offset}")
        seen.add(offset)
        (kind,) = file.any_record(offset, 12).unpack(">i", 8)
        if kind != _VXR:
            yield offset
            continue
        (size,) = struct.unpack(">q", file.bytes_at(offset, 8))
        index = file.record(offset, _VXR, size)
        following, entries, used = index.unpack(">qii", 12)
        if not 0 <= used <= entries:
            raise StructureError(f"an index with {used} of {entries} entries in use")
        if 28 + 16 * entries > index.size:
            raise StructureError(f"an index of {entries} entries in {index.size} bytes")
        waiting.extend(index.unpack(f">{used}q", 28 + 8 * entries))
        if following:
            waiting.append(following)


def _data_bytes(file: _Records, offset: int, limit: int) -> int:
    """Bytes of values in one record; a compressed one is inflated up to ``limit`` and no further."""
    record = file.any_record(offset, 24)
    (kind,) = record.unpack(">i", 8)
    if kind == _VVR:
        return record.size - 12
    if kind != _CVVR:
        raise StructureError(f"a record of type {kind} in the place of values")
    (compressed_bytes,) = record.unpack(">q", 16)
    if compressed_bytes > record.size - 24:
        raise StructureError(f"{compressed_bytes} compressed bytes in a record of {record.size}")
    compressed = file.bytes_at(offset + 24, compressed_bytes)
    inflate = zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        inflated = len(inflate.decompress(compressed, limit + 1))
    except zlib.error as error:
        raise StructureError(f"compressed values that do not inflate ({error})") from error
    if inflated > limit:
        raise StructureError(
            f"compressed values that inflate to more than the {limit} bytes that the header claims"
        )
    return inflated
