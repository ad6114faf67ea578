"""Real Icechunk repositories in temporary folders: what is written is read, whole or not at all."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import pytest
import xarray
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from poseshift.storage import arrays
from poseshift.storage.lock import StoreLockedError
from poseshift.storage.provenance import program_facts
from poseshift.storage.schema import Trial, TrialAttributes, TrialKey
from poseshift.storage.store import PoseStore, StoreError
from poseshift.storage.transaction import Fork

MakeTrial = Callable[..., Trial]
ARRAYS = ("positions_world", "keypoints_2d", "positions_universal", "valid", "activity")


def assert_same_trial(found: Trial, expected: Trial) -> None:
    for name in ARRAYS:
        stored, wanted = getattr(found, name), getattr(expected, name)
        assert (stored is None) == (wanted is None), name
        if wanted is not None:
            assert stored.dtype == wanted.dtype, name
            np.testing.assert_array_equal(stored, wanted, err_msg=name)
    assert set(found.detections) == set(expected.detections)
    for name, wanted in expected.detections.items():
        np.testing.assert_array_equal(found.detections[name], wanted)
    for name in ("key", "action", "subaction", "fps", "cameras", "positions_kind", "options", "sources"):
        assert getattr(found, name) == getattr(expected, name), name
    assert {k: repr(v) for k, v in found.quality.items()} == {k: repr(v) for k, v in expected.quality.items()}


def sent(thing: Any) -> Any:
    """What arrives in another process."""
    return pickle.loads(pickle.dumps(thing))  # noqa: S301


def full_trial(make_trial: MakeTrial, frames: int) -> Trial:
    """A trial with every optional array."""
    trial = make_trial("TS1", "TS1", frames)
    rng = np.random.default_rng(frames)
    return replace(
        trial,
        positions_universal=(trial.positions_world * np.float32(0.9)),
        detections={"cpn": rng.normal(size=(2, frames, 17, 3)).astype(np.float32)},
        valid=rng.random(frames) > 0.5,
        activity=rng.integers(1, 8, frames).astype(np.int8),
    )


@pytest.mark.parametrize("frames", [1, 4096, 4097, 9000])
def test_every_array_comes_back(store: PoseStore, make_trial: MakeTrial, frames: int) -> None:
    trial = full_trial(make_trial, frames)
    with store.transaction("write") as transaction:
        transaction.write(trial)
    assert store.keys() == (trial.key,)
    assert_same_trial(PoseStore.open(store.location.path).read(trial.key), trial)
    assert store.frames(trial.key) == frames
    assert store.sources(trial.key) == trial.sources


def test_fortran_order_and_views_come_back(store: PoseStore, make_trial: MakeTrial) -> None:
    trial = make_trial(frames=5000)
    awkward = replace(
        trial,
        positions_world=np.asfortranarray(trial.positions_world),
        keypoints_2d=np.repeat(trial.keypoints_2d, 2, axis=1)[:, ::2],
    )
    assert not awkward.positions_world.flags["C_CONTIGUOUS"]
    assert not awkward.keypoints_2d.flags["C_CONTIGUOUS"]
    with store.transaction("write") as transaction:
        transaction.write(awkward)
    assert_same_trial(store.read(trial.key), trial)
    assert store.verify().succeeded


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), frames=st.integers(1, 6), cameras=st.integers(1, 3), order=st.sampled_from("CF"))
def test_any_numbers_come_back(
    store: PoseStore, make_trial: MakeTrial, data: st.DataObject, frames: int, cameras: int, order: str
) -> None:
    def floats(*shape: int) -> np.ndarray:
        values = npst.arrays(
            np.float32, shape, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
        )
        return np.asarray(data.draw(values), order=order)

    flags = npst.arrays(np.bool_, frames)
    trial = replace(
        make_trial(frames=frames, cameras=tuple(f"c{i}" for i in range(cameras))),
        positions_world=floats(frames, 17, 3),
        keypoints_2d=floats(cameras, frames, 17, 2),
        detections={"d": floats(cameras, frames, 17, 3)},
        valid=data.draw(st.none() | flags),
        activity=data.draw(st.none() | npst.arrays(np.int8, frames)),
    )
    with store.transaction("write") as transaction:
        transaction.write(trial)
    assert_same_trial(store.read(trial.key), trial)


def test_nothing_is_seen_before_the_commit(store: PoseStore, make_trial: MakeTrial) -> None:
    before = store.snapshot
    with store.transaction("write") as transaction:
        transaction.write(make_trial())
        other = PoseStore.open(store.location.path)
        assert other.keys() == ()
        assert other.snapshot == before
    assert other.keys() == ()
    assert PoseStore.open(store.location.path).keys() == (TrialKey("S1", "Directions 1"),)


def test_an_exception_leaves_the_store_as_it_was(store: PoseStore, make_trial: MakeTrial) -> None:
    with store.transaction("first") as transaction:
        transaction.write(make_trial())
    before = store.snapshot

    def interrupted() -> None:
        with store.transaction("second") as transaction:
            transaction.write(make_trial(seed=1))
            transaction.write(make_trial("S5"))
            raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError, match="disk on fire"):
        interrupted()
    reopened = PoseStore.open(store.location.path)
    assert (store.snapshot, reopened.snapshot) == (before, before)
    assert_same_trial(reopened.read(TrialKey("S1", "Directions 1")), make_trial())
    with store.transaction("third") as transaction:  # the lock was given back
        transaction.write(make_trial("S6"))
    assert len(store.keys()) == 2


def test_a_transaction_without_changes_commits_nothing(store: PoseStore) -> None:
    before = store.snapshot
    with store.transaction("nothing") as transaction:
        transaction.merge([transaction.fork()])
    assert store.snapshot == before
    assert [commit.message for commit in store.history()] == ["Create store for human36m"]


def test_trials_are_replaced_and_removed_one_by_one(store: PoseStore, make_trial: MakeTrial) -> None:
    first, second, third = make_trial("S1"), make_trial("S5"), make_trial("S5", "Walking")
    detected = replace(second, detections={"cpn": np.zeros((2, 7, 17, 3), dtype=np.float32)})
    with store.transaction("three") as transaction:
        for trial in (first, detected, third):
            transaction.write(trial)
    shorter = make_trial("S5", frames=3)
    with store.transaction("change") as transaction:
        transaction.remove(first.key)
        transaction.write(shorter)
    assert store.keys() == (shorter.key, third.key)
    assert_same_trial(store.read(shorter.key), shorter)  # the detections of the old one are gone, too
    assert_same_trial(store.read(third.key), third)
    with pytest.raises(KeyError, match="S1/Directions 1"):
        store.read(first.key)
    with pytest.raises(KeyError, match="S1/Directions 1"), store.transaction("again") as transaction:
        transaction.remove(first.key)


def _write_in_worker(fork: Fork, trials: list[Trial]) -> Fork:
    for trial in trials:
        fork.write(trial)
    return fork


def test_forks_of_other_processes_are_committed_once(store: PoseStore, make_trial: MakeTrial) -> None:
    trials = [make_trial(subject, f"Walking {n}", 4100) for subject in ("S1", "S5") for n in range(3)]
    with store.transaction("old") as transaction:
        transaction.write(make_trial("S1", "Walking 0", 20))
        transaction.write(make_trial("S9"))
    commits = len(store.history())
    # Both workers create the subject groups S1 and S5, and one replaces a trial.
    with (
        store.transaction("parallel") as transaction,
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool,
    ):
        futures = [pool.submit(_write_in_worker, transaction.fork(), trials[part::2]) for part in range(2)]
        transaction.merge([future.result() for future in futures])
        transaction.remove(TrialKey("S9", "Directions 1"))
        assert PoseStore.open(store.location.path).read(trials[0].key).frames == 20
    assert len(store.history()) == commits + 1
    assert store.keys() == tuple(sorted(trial.key for trial in trials))
    for trial in trials:
        assert_same_trial(store.read(trial.key), trial)
    assert store.verify().succeeded


def test_the_digest_does_not_depend_on_how_a_store_was_written(tmp_path: Path, make_trial: MakeTrial) -> None:
    trials = [make_trial("S1", f"Walking {n}") for n in range(4)]
    serial = PoseStore.create(tmp_path / "serial", "human36m")
    for trial in reversed(trials):
        with serial.transaction("one by one") as transaction:
            transaction.write(trial)
    forked = PoseStore.create(tmp_path / "forked", "human36m")
    with forked.transaction("together") as transaction:
        forks = [sent(transaction.fork()) for _ in range(2)]
        transaction.merge(_write_in_worker(fork, trials[part::2]) for part, fork in enumerate(forks))
    assert serial.digest() == forked.digest()
    moved = replace(
        trials[0], cameras=tuple(replace(camera, centre_px=(0, 0)) for camera in trials[0].cameras)
    )
    for changed in (make_trial("S1", "Walking 0", seed=1), moved):
        with forked.transaction("change") as transaction:
            transaction.write(changed)
        assert serial.digest() != forked.digest()


def test_a_trial_written_by_two_workers_is_refused(store: PoseStore, make_trial: MakeTrial) -> None:
    before = store.snapshot
    with store.transaction("both") as transaction:
        forks = [_write_in_worker(transaction.fork(), [make_trial()]) for _ in range(2)]
        with pytest.raises(ValueError, match="S1/Directions 1"):
            transaction.merge(forks)
    assert store.snapshot == before


def test_a_second_writer_is_told_who_the_first_is(store: PoseStore) -> None:
    code = f"""
        from poseshift.storage.store import PoseStore
        with PoseStore.open({str(store.location)!r}).transaction("never"):
            pass
    """
    with store.transaction("prepare human36m"):
        second = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
        )
        with (
            pytest.raises(StoreLockedError, match="prepare human36m") as here,
            PoseStore.open(store.location.path).transaction("x"),
        ):
            pass
    assert second.returncode != 0
    assert "StoreLockedError" in second.stderr
    assert "store.lock" in second.stderr
    assert "prepare human36m" in second.stderr
    assert sent(here.value).holder == here.value.holder


def test_after_a_kill_the_last_snapshot_is_whole(store: PoseStore, make_trial: MakeTrial) -> None:
    with store.transaction("before") as transaction:
        transaction.write(make_trial(frames=5000))
    before = store.snapshot
    code = f"""
        import dataclasses, numpy as np
        from poseshift.storage.store import PoseStore
        from poseshift.storage.schema import TrialKey
        store = PoseStore.open({str(store.location)!r})
        trial = store.read(store.keys()[0])
        with store.transaction("killed") as transaction:
            zeros = np.zeros_like(trial.positions_world)
            transaction.write(dataclasses.replace(trial, positions_world=zeros))
            print("writing", flush=True)
            number = 0
            while True:
                number += 1
                transaction.write(dataclasses.replace(trial, key=TrialKey("S5", f"Walking {{number}}")))
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "writing"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    assert child.returncode == -signal.SIGKILL
    reopened = PoseStore.open(store.location.path)
    assert reopened.snapshot == before
    assert_same_trial(reopened.read(TrialKey("S1", "Directions 1")), make_trial(frames=5000))
    assert reopened.verify().succeeded
    with reopened.transaction("after") as transaction:  # the lock went with its process
        transaction.write(make_trial("S6"))
    assert len(reopened.keys()) == 2


def test_history_is_newest_first_and_old_snapshots_stay_readable(
    store: PoseStore, make_trial: MakeTrial
) -> None:
    snapshots = []
    for seed in range(3):
        with store.transaction(f"commit {seed}", {"recipe": str(seed)}) as transaction:
            transaction.write(make_trial(seed=seed))
        snapshots.append(store.snapshot)
    history = store.history()
    assert [commit.message for commit in history] == [
        *("commit 2", "commit 1", "commit 0"),
        "Create store for human36m",
    ]
    assert [commit.id for commit in history[:3]] == snapshots[::-1]
    assert history[0].metadata["recipe"] == "2"
    assert set(program_facts()) <= set(history[0].metadata)
    assert history[0].metadata["numpy"] == np.__version__
    assert history[0].written_at >= history[1].written_at
    old = PoseStore.open(store.location.path, snapshots[0])
    assert_same_trial(old.read(TrialKey("S1", "Directions 1")), make_trial(seed=0))
    assert [commit.message for commit in old.history()] == ["commit 0", "Create store for human36m"]
    with pytest.raises(StoreError, match="cannot change"), old.transaction("no"):
        pass


def test_xarray_opens_a_trial_as_it_is(store: PoseStore, make_trial: MakeTrial) -> None:
    trial = full_trial(make_trial, 5000)
    with store.transaction("write") as transaction:
        transaction.write(trial)
    for dataset in (
        store.open_dataset(trial.key),
        xarray.open_zarr(store.zarr_store, group="TS1/TS1", chunks=None, consolidated=False),
    ):
        assert dict(dataset.sizes) == {"camera": 2, "frame": 5000, "joint": 17, "xyz": 3, "xy": 2, "xyc": 3}
        assert dataset["keypoints_2d"].dims == ("camera", "frame", "joint", "xy")
        assert dataset["positions_world"].attrs["units"] == "m"
        assert dataset["valid"].dtype == bool
        np.testing.assert_array_equal(dataset["positions_world"], trial.positions_world)
        np.testing.assert_array_equal(
            dataset["keypoints_2d_cpn"].isel(camera=1, frame=slice(4000, 4500)),
            trial.detections["cpn"][1, 4000:4500],
        )


def test_layout_on_disk(store: PoseStore, make_trial: MakeTrial) -> None:
    with store.transaction("write") as transaction:
        transaction.write(make_trial(frames=9000))
    array = store.root["S1/Directions 1/keypoints_2d"]
    assert isinstance(array, zarr.Array)
    assert array.metadata.zarr_format == 3
    assert array.chunks == (1, 4096, 17, 2)
    assert [codec.to_dict()["name"] for codec in array.compressors] == ["blosc"]
    configuration = array.compressors[0].to_dict()["configuration"]
    assert (configuration["cname"], configuration["clevel"], configuration["shuffle"]) == (
        "zstd",
        3,
        "shuffle",
    )
    attributes = dict(store.root.attrs)
    assert (attributes["format"], attributes["format_version"]) == ("poseshift", 1)
    assert attributes["created_by"].startswith("poseshift ")


def test_attributes_change_with_a_commit(tmp_path: Path) -> None:
    store = PoseStore.create(
        tmp_path / "s", "mpi_inf_3dhp_test", restaged_from="CMU", options={"test_fps": "25"}
    )
    assert (store.dataset, store.skeleton, store.attributes.restaged_from) == (
        *("mpi_inf_3dhp_test", "human36m_17"),
        "CMU",
    )
    with store.transaction("options") as transaction:
        transaction.set_attributes(store.attributes.model_copy(update={"options": {"test_fps": "50"}}))
    assert store.attributes.options == {"test_fps": "50"}
    assert PoseStore.open(tmp_path / "s").attributes == store.attributes


def test_a_store_can_be_sent_to_a_worker(store: PoseStore, make_trial: MakeTrial) -> None:
    with store.transaction("write") as transaction:
        transaction.write(make_trial())
    arrived = sent(store)
    assert (arrived.snapshot, arrived.attributes) == (store.snapshot, store.attributes)
    assert_same_trial(arrived.read(arrived.keys()[0]), make_trial())


def test_places_that_are_no_store(tmp_path: Path, store: PoseStore) -> None:
    with pytest.raises(StoreError, match="no store"):
        PoseStore.open(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="empty"):
        PoseStore.open(tmp_path / "empty")
    with pytest.raises(StoreError, match="already"):
        PoseStore.create(store.location.path, "human36m")
    with pytest.raises(StoreError, match="no snapshot 'ABC'"):
        PoseStore.open(store.location.path, "ABC")
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(tmp_path / "foreign")))
    session = repository.writable_session("main")
    zarr.create_group(session.store, attributes={"format": "something else"})
    session.commit("foreign")
    with pytest.raises(StoreError, match="not a pose store"):
        PoseStore.open(tmp_path / "foreign")
    assert PoseStore.exists(store.location.path)
    assert not PoseStore.exists(tmp_path / "nowhere")
    assert not PoseStore.exists(tmp_path / "empty")


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"positions": "universal"}, "universal"),
        ({"positions": "annotated"}, "annotated"),
        ({"positions": "D3_Positions_mono_universal", "skeleton_scale": "universal"}, "universal"),
        ({"positions": "D3_Positions_mono", "skeleton_scale": "own"}, "annotated"),
        ({}, "annotated"),
    ],
)
def test_trials_written_before_the_kind_of_positions_had_a_name(
    store: PoseStore, make_trial: MakeTrial, options: dict[str, str], kind: str
) -> None:
    trial = replace(make_trial("S1", "Walking", 3), options=options)
    with store.transaction("write") as transaction:
        transaction.write(trial)
    attributes = dict(arrays.trial_group(store.root, trial.key).attrs)
    del attributes["positions_kind"]
    assert TrialAttributes.model_validate(attributes).positions_kind == kind


def test_trials_written_before_fitted_intrinsics_had_a_name(store: PoseStore, make_trial: MakeTrial) -> None:
    trial = replace(make_trial("S1", "Walking", 3), options={"intrinsics": "estimated"})
    with store.transaction("write") as transaction:
        transaction.write(trial)
    assert store.read(trial.key).intrinsics is None
    attributes = dict(arrays.trial_group(store.root, trial.key).attrs)
    del attributes["intrinsics"]
    assert TrialAttributes.model_validate(attributes).intrinsics == "fitted"
