"""What is written into a store, byte by byte, beside what Zarr itself writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import MemoryStore

from poseshift.storage.arrays import array_digest, array_spec
from poseshift.storage.schema import FRAMES_PER_CHUNK, Trial
from poseshift.storage.store import PoseStore
from poseshift.storage.writing import array_entries

MakeTrial = Callable[..., Trial]
NOISE = np.random.default_rng(0)


def in_zarrs_own_words(name: str, array: NDArray[Any]) -> dict[str, bytes]:
    """Have Zarr write the array; its document and chunks by key."""
    store, spec = MemoryStore(), array_spec(name)
    written = zarr.create_array(
        store,
        name=name,
        shape=array.shape,
        dtype=array.dtype,
        chunks=tuple(
            {"camera": 1, "frame": min(size, FRAMES_PER_CHUNK)}.get(axis, size)
            for axis, size in zip(spec.dimensions, array.shape, strict=True)
        ),
        compressors=BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
        dimension_names=spec.dimensions,
        attributes={"units": spec.unit},
        zarr_format=3,
        config={"write_empty_chunks": True},
    )
    written[...] = array

    async def entries() -> dict[str, bytes]:
        found = {}
        async for key in store.list_prefix(f"{name}/"):
            entry = await store.get(key, default_buffer_prototype())
            assert entry is not None
            found[key.removeprefix(f"{name}/")] = entry.to_bytes()
        return found

    return sync(entries())


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("positions_world", NOISE.normal(size=(7, 17, 3)).astype(np.float32)),
        ("positions_universal", np.zeros((2, 17, 3), dtype=np.float32)),
        ("keypoints_2d", NOISE.normal(size=(3, FRAMES_PER_CHUNK + 5, 17, 2)).astype(np.float32)),
        ("keypoints_2d_detector", NOISE.normal(size=(2, 4, 17, 3)).astype(np.float32)),
        ("frame_number", np.arange(2 * FRAMES_PER_CHUNK, dtype=np.int32)),
        ("valid", np.arange(9) % 2 == 0),
        ("activity", np.arange(9, dtype=np.int8)),
        ("augmentation", NOISE.normal(size=(9, 4)).astype(np.float32)),
        ("extrinsics", np.where(NOISE.random((2, 5, 1, 1)) < 0.5, np.nan, NOISE.normal(size=(2, 5, 3, 4)))),
    ],
)
def test_every_byte_is_what_zarr_writes(name: str, array: NDArray[Any]) -> None:
    ours, zarrs = dict(array_entries(name, array)), in_zarrs_own_words(name, array)
    assert json.loads(ours.pop("zarr.json")) == json.loads(zarrs.pop("zarr.json"))
    assert ours == zarrs


def test_negative_zeros_keep_their_sign(store: PoseStore, make_trial: MakeTrial) -> None:
    """Zarr leaves out a chunk of zeros, and minus zero with it; the digest is of the bytes."""
    trial = replace(make_trial(), positions_world=np.full((7, 17, 3), -0.0, dtype=np.float32))
    with store.transaction("Write") as transaction:
        transaction.write(trial)
    assert np.signbit(store.read_array(trial.key, "positions_world")).all()
    assert store.verify().succeeded


def test_a_shorter_trial_leaves_nothing_of_the_longer_one(store: PoseStore, make_trial: MakeTrial) -> None:
    longer = replace(make_trial(frames=9), valid=np.ones(9, dtype=np.bool_))
    shorter = make_trial(frames=4)
    for trial in (longer, shorter):
        with store.transaction("Write") as transaction:
            transaction.write(trial)
    attributes = store.trial_attributes(shorter.key)
    assert set(store.root[shorter.key.path].array_keys()) == set(attributes.digests)
    assert attributes.digests["keypoints_2d"] == array_digest(store.read_array(shorter.key, "keypoints_2d"))
