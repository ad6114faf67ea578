"""The two kinds of MATLAB file, told apart by their first bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_USER_BLOCK_BYTES = 512


def matlab_format(path: Path) -> Literal["MATLAB v5", "MATLAB v7.3", "no MATLAB file"]:
    """Tell the two kinds of MATLAB file apart by their first bytes."""
    with path.open("rb") as file:
        head = file.read(_USER_BLOCK_BYTES + len(_HDF5_SIGNATURE))
    # HDF5 with or without the user block: h5py reads both, and only some tools write the block.
    if head.startswith(_HDF5_SIGNATURE) or head[_USER_BLOCK_BYTES:] == _HDF5_SIGNATURE:
        return "MATLAB v7.3"
    # The version is a 16-bit number whose byte order the two letters behind it tell.
    if head[124:128] in (b"\x00\x01IM", b"\x01\x00MI"):
        return "MATLAB v5"
    return "no MATLAB file"
