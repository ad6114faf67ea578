"""How much room a store takes: its newest snapshot by array and subject, its history, what is lost."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import icechunk
from icechunk.store import IcechunkStore
from zarr.core.sync import sync

from poseshift.storage.catalogue import read_documents
from poseshift.storage.errors import StoreError
from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import TrialAttributes, TrialKey
from poseshift.storage.store import PoseStore
from poseshift.storage.unreachable import count_unreachable


class Part(FrozenModel):
    """A part of a store's newest snapshot."""

    name: str
    """Of the array, or of the subject."""
    arrays: int
    """Number of arrays."""
    bytes: int
    """Room that their compressed chunks take."""


class StoreRoom(FrozenModel):
    """How much room a store takes."""

    location: str
    snapshot: str
    """The newest snapshot."""
    by_array: tuple[Part, ...]
    """Chunks of the newest snapshot by name of the array."""
    by_subject: tuple[Part, ...]
    """The same by subject."""
    newest_bytes: int
    """Chunks of the newest snapshot."""
    history_bytes: int
    """Chunks that only older snapshots and tags refer to: `expire` frees them when those go."""
    unreachable_bytes: int
    """What nothing refers to, such as the chunks of killed runs: `expire` frees it."""
    total_bytes: int | None
    """All files, metadata included; None on object storage, which is not listed for it."""


def measure_store(store: PoseStore) -> StoreRoom:
    """Measure the room that a store takes, without reading arrays.

    Raises
    ------
    StoreError
        When it cannot be read.
    """
    later = datetime.now().astimezone() + timedelta(days=1)
    arrays = [(key, name) for key, attributes in store.catalogue().items() for name in attributes.digests]
    try:
        sizes = _sizes(store, arrays)
        chunks = store.repository.chunk_storage_stats()
        unreachable = count_unreachable(store.repository, later).bytes
    except icechunk.IcechunkError as error:
        raise StoreError(f"{store.location}: cannot be measured ({error})") from error
    newest = sum(sizes)
    return StoreRoom(
        location=str(store.location),
        snapshot=store.snapshot,
        by_array=_parts([name for _, name in arrays], sizes),
        by_subject=_parts([key.subject for key, _ in arrays], sizes),
        newest_bytes=newest,
        history_bytes=max(0, chunks.native_bytes + chunks.inlined_bytes - newest),
        unreachable_bytes=unreachable,
        total_bytes=folder_bytes(Path(store.location.path)) if store.location.scheme == "file" else None,
    )


def folder_bytes(folder: Path) -> int:
    """Add up the sizes of all files in a folder and below it; one with several names counts once."""
    sizes = {}
    for place, _, names in os.walk(folder):
        for name in names:
            found = (Path(place) / name).lstat()
            sizes[found.st_dev, found.st_ino] = found.st_size
    return sum(sizes.values())


def chunk_bytes(store: PoseStore, catalogue: Mapping[TrialKey, TrialAttributes]) -> int:
    """Add up the compressed chunks of the trials of a catalogue, of the snapshot that is read."""
    arrays = [(key, name) for key, attributes in catalogue.items() for name in attributes.digests]
    return sum(_sizes(store, arrays))


def _sizes(store: PoseStore, arrays: Sequence[tuple[TrialKey, str]]) -> list[int]:
    return sync(_read_sizes(store.zarr_store, [f"{key.path}/{name}" for key, name in arrays]))


async def _read_sizes(store: IcechunkStore, arrays: Sequence[str]) -> list[int]:
    """Measure arrays, their metadata documents left out."""
    whole = await asyncio.gather(*(store.getsize_prefix(path) for path in arrays))
    documents = await read_documents(store, arrays)
    return [size - len(document or b"") for size, document in zip(whole, documents, strict=True)]


def _parts(names: Sequence[str], sizes: Sequence[int]) -> tuple[Part, ...]:
    """Add up by name, the largest first."""
    found: dict[str, list[int]] = defaultdict(list)
    for name, size in zip(names, sizes, strict=True):
        found[name].append(size)
    parts = (Part(name=name, arrays=len(all_), bytes=sum(all_)) for name, all_ in found.items())
    return tuple(sorted(parts, key=lambda part: (-part.bytes, part.name)))
