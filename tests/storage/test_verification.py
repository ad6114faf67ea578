"""Every kind of damage is found and named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import icechunk
import numpy as np
import zarr

from poseshift.storage.schema import Trial
from poseshift.storage.store import PoseStore

MakeTrial = Callable[..., Trial]


def tamper(store: PoseStore, change: Callable[[zarr.Group], None]) -> PoseStore:
    """Change a store behind its back, as any Zarr program could."""
    repository = icechunk.Repository.open(icechunk.local_filesystem_storage(store.location.path))
    session = repository.writable_session("main")
    change(zarr.open_group(session.store, mode="r+"))
    session.commit("tampered")
    return PoseStore.open(store.location.path)


def filled(store: PoseStore, make_trial: MakeTrial) -> PoseStore:
    with store.transaction("write") as transaction:
        transaction.write(make_trial(frames=300))
        transaction.write(make_trial("S5", "Walking", frames=300))
    return store


def test_an_untouched_store_is_as_it_was_written(store: PoseStore, make_trial: MakeTrial) -> None:
    report = filled(store, make_trial).verify()
    assert report.succeeded
    assert (report.trials, report.arrays, report.snapshot) == (2, 4, store.snapshot)


def test_one_changed_number_is_found(store: PoseStore, make_trial: MakeTrial) -> None:
    def change(root: zarr.Group) -> None:
        array = root["S5/Walking/keypoints_2d"]
        assert isinstance(array, zarr.Array)
        array[1, 299, 16, 1] = np.nextafter(np.float32(array[1, 299, 16, 1]), np.float32(0))

    report = tamper(filled(store, make_trial), change).verify()
    assert len(report.problems) == 1
    assert report.problems[0].startswith("S5/Walking/keypoints_2d: sha256 is")
    assert not report.succeeded


def test_missing_extra_and_unreadable_parts_are_all_named(store: PoseStore, make_trial: MakeTrial) -> None:
    def change(root: zarr.Group) -> None:
        del root["S5/Walking/keypoints_2d"]
        group = root["S5/Walking"]
        assert isinstance(group, zarr.Group)
        group.create_array("notes", shape=(1,), dtype="int8")
        other = root["S1/Directions 1"]
        other.attrs["fps"] = "fast"

    problems = tamper(filled(store, make_trial), change).verify().problems
    assert len(problems) == 3
    assert "S1/Directions 1: attributes" in problems[0]
    assert problems[1] == "S5/Walking/notes: there is no digest of this array"
    assert problems[2] == "S5/Walking/keypoints_2d: the array is missing"


def test_a_flipped_bit_on_the_disk_is_found(store: PoseStore, make_trial: MakeTrial) -> None:
    filled(store, make_trial)
    chunk = min(Path(store.location.path, "chunks").iterdir(), key=lambda path: path.name)
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 0x10
    chunk.write_bytes(content)
    problems = PoseStore.open(store.location.path).verify().problems
    assert len(problems) == 1
    assert "sha256 is" in problems[0] or "cannot be read" in problems[0]
