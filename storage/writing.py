"""One trial into a store: its Zarr documents and chunks, made here and put there one after the other.

Zarr creates a group with two arrays by 28 calls of the store, each handed from thread to thread, and that
takes longer than reading the trial and compressing it. Here a store is called once for each document and
chunk. Tests hold every byte against what Zarr itself writes; reading is left to Zarr.

Arrays are C-ordered with Blosc (zstd 3, byte shuffle) in chunks of whole frames of one camera, and carry
their dimension names and units, so that xarray opens a trial as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numcodecs
import numpy as np
from icechunk.store import IcechunkStore
from numcodecs import blosc
from numpy.typing import NDArray
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from poseshift.storage.arrays import array_digest, array_spec, trial_arrays
from poseshift.storage.schema import FRAMES_PER_CHUNK, Trial, TrialAttributes, TrialKey, zarr_attributes

# Many trials are compressed at once, each in the thread that writes it.
blosc.use_threads = False

_CODEC, _LEVEL = "zstd", 3
_BLOSC = numcodecs.Blosc(cname=_CODEC, clevel=_LEVEL, shuffle=numcodecs.Blosc.SHUFFLE)


def write_trial(store: IcechunkStore, trial: Trial) -> None:
    """Write a valid ``trial``, in place of whatever lies at its key."""
    arrays = trial_arrays(trial)
    attributes = TrialAttributes.of(trial, {name: array_digest(array) for name, array in arrays.items()})
    entries = {f"{trial.key.path}/zarr.json": _group_document(zarr_attributes(attributes))}
    for name, array in arrays.items():  # an array's document comes before its chunks
        entries |= {f"{trial.key.path}/{name}/{key}": entry for key, entry in array_entries(name, array)}
    sync(_put(store, trial.key, entries))


async def _put(store: IcechunkStore, key: TrialKey, entries: Mapping[str, bytes]) -> None:
    make = default_buffer_prototype().buffer.from_bytes
    await store.delete_dir(key.path)
    await store.set_if_not_exists(f"{key.subject}/zarr.json", make(_group_document({})))
    for name, entry in entries.items():
        await store.set(name, make(entry))


def array_entries(name: str, array: NDArray[Any]) -> Iterator[tuple[str, bytes]]:
    """Yield the document and the chunks of an array, with their keys below the array's."""
    spec = array_spec(name)
    chunk = tuple(
        {"camera": 1, "frame": min(size, FRAMES_PER_CHUNK)}.get(axis, size)
        for axis, size in zip(spec.dimensions, array.shape, strict=True)
    )
    yield "zarr.json", _array_document(name, array, chunk)
    little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
    counts = (-(-size // length) for size, length in zip(array.shape, chunk, strict=True))
    for place in product(*(range(count) for count in counts)):
        yield "c/" + "/".join(map(str, place)), _BLOSC.encode(_chunk(little_endian, place, chunk))


def _chunk(array: NDArray[Any], place: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[Any]:
    """Cut out a chunk; one at the edge is filled up with zeros."""
    part = array[
        tuple(slice(at * length, (at + 1) * length) for at, length in zip(place, shape, strict=True))
    ]
    if part.shape == shape:
        return np.ascontiguousarray(part)
    whole = np.zeros(shape, dtype=array.dtype)
    whole[tuple(slice(length) for length in part.shape)] = part
    return whole


def _group_document(attributes: Mapping[str, Any]) -> bytes:
    return json.dumps({"attributes": attributes, "zarr_format": 3, "node_type": "group"}).encode()


def _array_document(name: str, array: NDArray[Any], chunk: tuple[int, ...]) -> bytes:
    spec = array_spec(name)
    endian = {} if array.dtype.itemsize == 1 else {"configuration": {"endian": "little"}}
    return json.dumps(
        {
            "shape": array.shape,
            "data_type": array.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": array.dtype.type(0).item(),
            "codecs": [
                {"name": "bytes", **endian},
                {
                    "name": "blosc",
                    "configuration": {
                        "typesize": array.dtype.itemsize,
                        "cname": _CODEC,
                        "clevel": _LEVEL,
                        "shuffle": "shuffle",
                        "blocksize": 0,
                    },
                },
            ],
            "attributes": {"units": spec.unit},
            "dimension_names": spec.dimensions,
            "zarr_format": 3,
            "node_type": "array",
            "storage_transformers": [],
        }
    ).encode()
