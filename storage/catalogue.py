"""What a store says of all of its trials, read at once.

Opening one group after the other through Zarr costs milliseconds each: 43 s for 10,000 trials. Here the names
of all trials are listed side by side and their metadata documents (``zarr.json``) are asked for in one call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal

from icechunk.store import IcechunkStore
from pydantic import BaseModel
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from poseshift.storage.arrays import array_spec
from poseshift.storage.schema import TrialAttributes, TrialKey

_DOCUMENT = "zarr.json"


class _Node(BaseModel):
    node_type: Literal["group", "array"]


class _TrialDocument(BaseModel):
    attributes: TrialAttributes


class _ArrayDocument(BaseModel):
    shape: tuple[int, ...]


def list_keys(store: IcechunkStore) -> tuple[TrialKey, ...]:
    """List all trials of a store, sorted by subject and name."""
    return tuple(_trial_documents(store))


def read_catalogue(store: IcechunkStore) -> dict[TrialKey, TrialAttributes]:
    """Read the attributes of all trials of a store, sorted by subject and name.

    Parameters
    ----------
    store : IcechunkStore
        A session's store; see :attr:`poseshift.storage.store.PoseStore.zarr_store`.

    Raises
    ------
    pydantic.ValidationError
        When the attributes of a group are not those of a trial.
    """
    return {
        key: _TrialDocument.model_validate_json(document).attributes
        for key, document in _trial_documents(store).items()
    }


def count_all_frames(
    store: IcechunkStore, catalogue: Mapping[TrialKey, TrialAttributes]
) -> dict[TrialKey, int]:
    """Count the frames of the trials of a catalogue by their positions or, without 3D, by any array.

    Raises
    ------
    KeyError
        When a trial lacks the array that its attributes name.
    """
    counted = {key: _counted_array(attributes) for key, attributes in catalogue.items()}
    documents = sync(read_documents(store, [f"{key.path}/{name}" for key, name in counted.items()]))
    frames = {}
    for (key, name), document in zip(counted.items(), documents, strict=True):
        if document is None:
            raise KeyError(f"trial {key.path!r} has no array {name!r}, which its attributes name")
        shape = _ArrayDocument.model_validate_json(document).shape
        frames[key] = shape[array_spec(name).dimensions.index("frame")]
    return frames


def _counted_array(attributes: TrialAttributes) -> str:
    names = attributes.digests
    return "positions_world" if "positions_world" in names else min(names)


def _trial_documents(store: IcechunkStore) -> Mapping[TrialKey, bytes]:
    """Read the metadata documents of the groups two levels below the root."""
    return sync(_read_trial_documents(store))


async def _read_trial_documents(store: IcechunkStore) -> Mapping[TrialKey, bytes]:
    subjects = list(await _groups(store, await _names_below(store, "")))
    names = await asyncio.gather(*(_names_below(store, subject) for subject in subjects))
    keys = sorted(
        TrialKey(subject, name) for subject, below in zip(subjects, names, strict=True) for name in below
    )
    found = await _groups(store, [key.path for key in keys])
    return {key: found[key.path] for key in keys if key.path in found}


async def _names_below(store: IcechunkStore, path: str) -> list[str]:
    return [name async for name in store.list_dir(path) if name != _DOCUMENT]


async def _groups(store: IcechunkStore, paths: Sequence[str]) -> dict[str, bytes]:
    """Read the documents of those paths that are groups."""
    documents = zip(paths, await read_documents(store, paths), strict=True)
    return {path: document for path, document in documents if document is not None and _is_group(document)}


def _is_group(document: bytes) -> bool:
    return _Node.model_validate_json(document).node_type == "group"


async def read_documents(store: IcechunkStore, paths: Sequence[str]) -> list[bytes | None]:
    """Read the metadata documents of groups or arrays in one call; None for one that is not there."""
    wanted = [(f"{path}/{_DOCUMENT}", None) for path in paths]
    if not wanted:
        return []
    try:
        found = await store.get_partial_values(default_buffer_prototype(), wanted)
    except TypeError:  # Icechunk's answer to a document that is not there; asked one by one, it says None
        one_by_one = (store.get(key, default_buffer_prototype()) for key, _ in wanted)
        found = await asyncio.gather(*one_by_one)
    return [None if buffer is None else buffer.to_bytes() for buffer in found]
