"""Tags, expiry, room and differences of real stores."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from poseshift.storage.difference import difference
from poseshift.storage.expiry import Version, expire, plan_expiry, planned_expiry
from poseshift.storage.lock import StoreLockedError, writer_lock
from poseshift.storage.room import folder_bytes, measure_store
from poseshift.storage.schema import Trial, TrialKey
from poseshift.storage.store import PoseStore, StoreError
from poseshift.storage.tags import add_tag, list_tags, remove_tag

MakeTrial = Callable[..., Trial]
DAY = timedelta(days=1)


@pytest.fixture
def snapshots(store: PoseStore, make_trial: MakeTrial) -> list[str]:
    """Five commits to ``store``, each of which writes the same trial anew; the oldest first."""
    made = []
    for number in range(5):
        with store.transaction(f"commit {number}") as transaction:
            transaction.write(make_trial(frames=600, seed=number))
        made.append(store.snapshot)
    return made


def place(store: PoseStore) -> Path:
    return Path(store.location.path)


def there(store: PoseStore, snapshot: str) -> bool:
    try:
        return PoseStore.open(place(store), snapshot).verify().succeeded
    except StoreError:
        return False


def _stop_in_the_middle(store: PoseStore, trial: Trial) -> None:
    def write() -> None:
        with store.transaction("stopped") as transaction:
            transaction.write(trial)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()


def later() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=1)


def test_only_the_newest_is_left_when_nothing_is_to_be_kept(store: PoseStore, snapshots: list[str]) -> None:
    before = folder_bytes(place(store))
    plan = planned_expiry(store, 0, {}, later())
    assert folder_bytes(place(store)) == before, "a plan changes nothing"
    assert all(there(store, one) for one in snapshots)
    done = expire(store, 0, {}, later())
    assert [there(store, one) for one in snapshots] == [False] * 4 + [True]
    assert [one.snapshot for one in done.expired][:4] == snapshots[3::-1]
    assert [[reason.kind for reason in one.reasons] for one in done.kept] == [["newest"]]
    assert done.freed_bytes == plan.freed_bytes
    assert (plan.kept, plan.expired) == (done.kept, done.expired)
    # Expiring writes two metadata files anew, whose sizes differ by bytes.
    assert done.freed_bytes == pytest.approx(before - folder_bytes(place(store)), abs=200)
    assert [commit.id for commit in PoseStore.open(place(store)).history()] == snapshots[4:]
    assert PoseStore.exists(place(store))
    again = expire(PoseStore.open(place(store)), 0, {}, later())
    assert (again.expired, again.freed_bytes) == ((), 0)


def test_what_is_tagged_or_recorded_stays_and_it_is_said_why(store: PoseStore, snapshots: list[str]) -> None:
    add_tag(store, "paper", snapshots[1])
    records = {snapshots[2]: ("runs/a/summary.json",), "0" * 20: ("runs/of/another/store.json",)}
    plan = planned_expiry(store, 0, records, later())
    done = expire(store, 0, records, later())
    assert [there(store, one) for one in snapshots] == [False, True, True, False, True]
    reasons = {one.snapshot: [(why.kind, why.name) for why in one.reasons] for one in done.kept}
    assert reasons == {
        snapshots[4]: [("newest", "")],
        snapshots[2]: [("record", "runs/a/summary.json")],
        snapshots[1]: [("tag", "paper")],
    }
    assert done.freed_bytes == plan.freed_bytes
    assert done.tagged == (f"recorded-{snapshots[2]}",)
    expire(store, 0, {}, later())  # this time nobody looks for records
    assert [there(store, one) for one in snapshots] == [False, True, True, False, True]
    assert (PoseStore.open(place(store), "paper").snapshot) == snapshots[1]
    for one in list_tags(store):
        remove_tag(store, one.name)
    expire(store, 0, {}, later())
    assert [there(store, one) for one in snapshots] == [False, False, False, False, True]


def test_a_deleted_tag_of_a_record_does_not_hinder_another(store: PoseStore, snapshots: list[str]) -> None:
    records = {snapshots[0]: ("run.json",)}
    assert expire(store, 0, records, later()).tagged == (f"recorded-{snapshots[0]}",)
    remove_tag(store, f"recorded-{snapshots[0]}")
    assert expire(store, 0, records, later()).tagged == (f"recorded-{snapshots[0]}-2",)
    assert there(store, snapshots[0])


def test_days_count_from_the_commit_that_superseded_a_snapshot(
    store: PoseStore, snapshots: list[str]
) -> None:
    written = {commit.id: commit.written_at for commit in store.history()}
    # The third was superseded by the fourth; at that very moment, ten days on, it is not too old yet.
    done = expire(store, 10, {}, written[snapshots[3]] + 10 * DAY)
    assert [there(store, one) for one in snapshots] == [False, False, True, True, True]
    assert [one.snapshot for one in done.kept if one.reasons[0].kind == "superseded lately"] == [
        snapshots[3],
        snapshots[2],
    ]


def test_a_reader_goes_on_and_a_writer_is_not_disturbed(
    store: PoseStore, snapshots: list[str], make_trial: MakeTrial
) -> None:
    reader = PoseStore.open(place(store))
    with store.transaction("a sixth") as transaction:
        transaction.write(make_trial(subject="S5"))
        with pytest.raises(StoreLockedError, match="a sixth"):
            expire(reader, 0, {}, later())
        assert planned_expiry(reader, 0, {}, later()).expired, "a plan needs no lock"
    expire(PoseStore.open(place(store)), 1, {}, later())
    assert reader.verify().succeeded, "what was the newest a day ago can be read on"
    assert there(store, store.snapshot)
    with writer_lock(store.location.lock_path, "another"), pytest.raises(StoreLockedError):
        add_tag(store, "late")


def test_what_killed_runs_have_left_is_freed(
    store: PoseStore, snapshots: list[str], make_trial: MakeTrial
) -> None:
    whole = measure_store(store)
    assert whole.unreachable_bytes == 0
    _stop_in_the_middle(store, make_trial(subject="S9", frames=900))
    left = measure_store(store)
    assert left.unreachable_bytes > 100_000
    done = expire(store, 1000, {}, later())
    assert (done.expired, done.freed_bytes) == ((), left.unreachable_bytes)
    assert measure_store(store) == whole
    assert all(there(store, one) for one in snapshots)


def test_an_interrupted_expiry_is_repeated(
    store: PoseStore, snapshots: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    before = folder_bytes(place(store))
    with monkeypatch.context() as patch:
        patch.setattr(type(store.repository), "garbage_collect", broken)
        with pytest.raises(KeyboardInterrupt):
            expire(store, 0, {snapshots[1]: ("run.json",)}, later())
    opened = PoseStore.open(place(store))
    assert opened.verify().succeeded
    assert expire(opened, 0, {}, later()).freed_bytes == pytest.approx(
        before - folder_bytes(place(store)), abs=500
    )
    assert [there(store, one) for one in snapshots] == [False, True, False, False, True]


VERSIONS = st.integers(1, 8).flatmap(
    lambda count: st.tuples(
        st.just(count),
        st.lists(st.integers(0, 400), min_size=count, max_size=count).map(sorted),
        st.sets(st.integers(0, count - 1)),
        st.sets(st.integers(0, count + 2)),
        st.integers(0, 500),
    )
)


@given(VERSIONS)
def test_a_plan_keeps_what_it_has_to_and_nothing_else(
    drawn: tuple[int, list[int], set[int], set[int], int],
) -> None:
    count, hours, tagged, recorded, before = drawn
    start = datetime(2030, 1, 1, tzinfo=UTC)
    # Distinct times, as Icechunk's are.
    times = [start + timedelta(hours=hour, seconds=number) for number, hour in enumerate(hours)]
    history = [Version(f"id-{number}", times[number], "") for number in range(count)][::-1]
    tags = {f"tag-{number}": Version(f"id-{number}", times[number], "") for number in tagged}
    records: Mapping[str, Sequence[str]] = {f"id-{number}": ("r",) for number in recorded}
    threshold = start + timedelta(hours=before)
    plan = plan_expiry(history, tags, records, (), threshold)
    superseded = {number: times[number + 1] < threshold for number in range(count - 1)}
    gone = {
        number
        for number, old in superseded.items()
        if old and number not in tagged and number not in recorded
    }
    assert {one.snapshot for one in plan.expired} == {f"id-{number}" for number in gone}
    assert {one.snapshot for one in plan.kept} == {f"id-{number}" for number in range(count)} - {
        one.snapshot for one in plan.expired
    }
    assert all(one.reasons for one in plan.kept)
    if plan.older_than is None:
        assert not gone
    else:  # what Icechunk takes out of the history is kept by a tag, or is to go
        out = {number for number in range(count) if times[number] < plan.older_than}
        held = {int(one.removeprefix("id-")) for one in plan.to_tag} | tagged
        assert out - held == gone
        assert gone <= out


@pytest.mark.parametrize("name", ["", "a b", "../x", "a/b", "-x", "ü", "x" * 101, "0123456789ABCDEFGHJK"])
def test_names_that_are_no_names(store: PoseStore, name: str) -> None:
    with pytest.raises(StoreError, match="cannot name a snapshot"):
        add_tag(store, name)


def test_tags_are_given_once(store: PoseStore, snapshots: list[str]) -> None:
    assert add_tag(store, "a.1").snapshot == snapshots[-1]
    assert add_tag(store, "b", snapshots[0]).message == "commit 0"
    assert add_tag(store, "c", "b").snapshot == snapshots[0]
    assert [(one.name, one.snapshot) for one in list_tags(PoseStore.open(place(store)))] == [
        ("a.1", snapshots[-1]),
        ("b", snapshots[0]),
        ("c", snapshots[0]),
    ]
    with pytest.raises(StoreError, match=f"b names snapshot {snapshots[0]} already"):
        add_tag(store, "b")
    assert remove_tag(store, "b").snapshot == snapshots[0]
    with pytest.raises(StoreError, match="was deleted, and its name cannot be used again"):
        add_tag(store, "b")
    with pytest.raises(StoreError, match=r"no tag b; there are a\.1, c"):
        remove_tag(store, "b")
    with pytest.raises(StoreError, match="no snapshot"):
        add_tag(store, "d", "V" * 20)
    assert there(store, "c")


def test_room_by_array_subject_and_history(store: PoseStore, make_trial: MakeTrial) -> None:
    def write(into: PoseStore, seed: int) -> None:
        with into.transaction("write") as transaction:
            transaction.write(make_trial(frames=600, seed=seed))
            transaction.write(make_trial(subject="S5", frames=600, cameras=("c",), seed=seed))

    def on_disk(measured: PoseStore) -> int:
        return sum(path.stat().st_size for path in (place(measured) / "chunks").iterdir())

    newest_alone = PoseStore.create(place(store).with_name("other"), "human36m")
    write(newest_alone, seed=1)
    for seed in (0, 1):
        write(store, seed)
    room = measure_store(store)
    assert {part.name: part.arrays for part in room.by_array} == {"keypoints_2d": 2, "positions_world": 2}
    assert {part.name: part.arrays for part in room.by_subject} == {"S1": 2, "S5": 2}
    assert sum(part.bytes for part in room.by_array) == room.newest_bytes
    assert sum(part.bytes for part in room.by_subject) == room.newest_bytes
    assert room.newest_bytes == on_disk(newest_alone)
    assert room.history_bytes == on_disk(store) - on_disk(newest_alone) > 0
    assert measure_store(newest_alone).history_bytes == 0
    assert room.total_bytes == folder_bytes(place(store))


def test_chunks_that_lie_in_manifests_are_no_history(store: PoseStore, make_trial: MakeTrial) -> None:
    with store.transaction("write") as transaction:
        transaction.write(make_trial(frames=1))
    assert not (place(store) / "chunks").exists()
    room = measure_store(store)
    assert room.newest_bytes > 0
    assert room.history_bytes == 0


def test_a_file_of_several_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1000)
    os.link(tmp_path / "a", tmp_path / "b")
    assert folder_bytes(tmp_path) == 1000


def test_the_difference_of_two_snapshots(store: PoseStore, make_trial: MakeTrial) -> None:
    same, moved, gone = (make_trial(subject=subject) for subject in ("S1", "S5", "S6"))
    with store.transaction("before") as transaction:
        for trial in (same, moved, gone):
            transaction.write(trial)
    add_tag(store, "before")
    assert moved.keypoints_2d is not None
    detected = np.ones((2, 7, 17, 3), np.float32)
    with store.transaction("after") as transaction:
        transaction.write(
            replace(
                moved, keypoints_2d=moved.keypoints_2d + 1, detections={"hrnet": detected}, action="Walking"
            )
        )
        transaction.remove(gone.key)
        transaction.write(make_trial(subject="S7"))
    found = difference(PoseStore.open(place(store), "before"), PoseStore.open(place(store)))
    assert (found.added, found.removed, found.unchanged) == (
        ("S7/Directions 1",),
        ("S6/Directions 1",),
        1,
    )
    (changed,) = found.changed
    assert changed.trial == "S5/Directions 1"
    assert (changed.arrays_added, changed.arrays_removed, changed.arrays_changed) == (
        ("keypoints_2d_hrnet",),
        (),
        ("keypoints_2d",),
    )
    assert [(one.name, one.before, one.after) for one in changed.attributes] == [
        ("action", "Directions", "Walking")
    ]
    assert dict(found.arrays_changed) == {"keypoints_2d": 1, "keypoints_2d_hrnet": 1}
    nothing = difference(store, store)
    assert (nothing.added, nothing.removed, nothing.changed, nothing.unchanged) == ((), (), (), 3)


def test_the_catalogue_is_what_is_read_one_by_one(store: PoseStore, make_trial: MakeTrial) -> None:
    assert (store.keys(), store.catalogue()) == ((), {})
    trials = [
        make_trial("S5", "b [1]"),
        make_trial("S11", "a", frames=3),
        make_trial("S5", "a", cameras=("c",)),
    ]
    detected = replace(
        make_trial("S1", "only seen", frames=4),
        positions_world=None,
        positions_kind=None,
        keypoints_2d=None,
        detections={"hrnet": np.ones((2, 4, 17, 3), np.float32)},
    )
    with store.transaction("write") as transaction:
        for trial in (*trials, detected):
            transaction.write(trial)
    catalogue = store.catalogue()
    assert tuple(catalogue) == store.keys() == tuple(sorted(trial.key for trial in (*trials, detected)))
    frames = store.frame_counts(catalogue)
    for key in store.keys():
        one, other = catalogue[key], store.trial_attributes(key)
        assert one.model_dump_json() == other.model_dump_json()
        assert frames[key] == store.frames(key)
    assert frames[TrialKey("S1", "only seen")] == 4


def test_a_trial_that_lost_an_array_is_named(store: PoseStore, make_trial: MakeTrial) -> None:
    with store.transaction("write") as transaction:
        transaction.write(make_trial())
    session = store.repository.writable_session("main")
    del zarr.open_group(session.store, mode="r+")["S1/Directions 1/positions_world"]
    session.commit("lose an array")
    broken = PoseStore.open(place(store))
    with pytest.raises(KeyError, match="'S1/Directions 1' has no array 'positions_world'"):
        broken.frame_counts(broken.catalogue())
