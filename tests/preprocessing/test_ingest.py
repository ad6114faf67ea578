"""Ingest: raw trees, threads, a real store. Workers of a cluster are in `tests/flows/test_clusters.py`."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from poseshift.preprocessing.batchwise import in_threads
from poseshift.preprocessing.digesting import Progress
from poseshift.preprocessing.human36m.options import Human36MOptions
from poseshift.preprocessing.human36m.read import plan_human36m
from poseshift.preprocessing.ingest import IngestPolicy, IngestReport, ingest
from poseshift.storage.store import PoseStore

ABORT = IngestPolicy()
AS_RELEASED = Human36MOptions()


@pytest.fixture
def tree(restaged: Path, tmp_path: Path) -> Path:
    """A copy of the Human3.6M tree, to be damaged at will."""
    return shutil.copytree(restaged / "human36m", tmp_path / "human36m")


@pytest.fixture
def store(tmp_path: Path) -> PoseStore:
    return PoseStore.create(tmp_path / "store", "human36m")


def run(
    tree: Path,
    store: PoseStore,
    policy: IngestPolicy = ABORT,
    options: Human36MOptions = AS_RELEASED,
) -> IngestReport:
    return ingest(plan_human36m(tree, options), store, in_threads, policy)


def positions_files(tree: Path) -> list[Path]:
    return sorted(tree.glob("S*/MyPoseFeatures/D3_Positions/*.cdf"))


def test_every_trial_is_committed_once(tree: Path, store: PoseStore) -> None:
    seen: list[Progress] = []
    report = ingest(plan_human36m(tree), store, in_threads, on_progress=seen.append)
    assert report.committed
    assert report.succeeded
    assert len(report.written) == len(positions_files(tree))
    assert {key.path for key in store.keys()} == set(report.written)
    assert len(store.history()) == 2  # creation, and this run
    assert seen[-1] == Progress("read", len(report.written), len(report.written))


def test_stored_figures_show_that_two_and_three_dimensions_agree(tree: Path, store: PoseStore) -> None:
    report = run(tree, store)
    for trial in report.quality:
        assert trial.figures["reprojection_max_px"] < 1e-3
        assert trial.figures["bone_length_variation_max"] < 1e-3


def test_unchanged_tree_commits_nothing(tree: Path, store: PoseStore) -> None:
    first = run(tree, store)
    second = run(tree, store)
    assert not second.committed
    assert second.snapshot == first.snapshot
    assert set(second.unchanged) == set(first.written)


def test_one_changed_file_rewrites_one_trial(tree: Path, store: PoseStore) -> None:
    run(tree, store)
    first, *_, last = positions_files(tree)
    shutil.copy(last, first)  # another trial of as many rows: readable, but other contents
    report = run(tree, store)
    assert len(report.written) == 1
    assert first.stem.split(" ")[0].lower()[:4] in report.written[0].lower()


def test_other_options_read_every_trial_again(tree: Path, store: PoseStore) -> None:
    first = run(tree, store)
    report = run(tree, store, options=Human36MOptions(s9_drift="shift_200mm"))
    assert set(report.written) == set(first.written)


def test_vanished_trials_are_reported_and_kept_unless_pruned(tree: Path, store: PoseStore) -> None:
    run(tree, store)
    gone = positions_files(tree)[0]
    for file in (tree / "S1" / "MyPoseFeatures").glob(f"*/{gone.stem}.*"):
        file.unlink()
    kept = run(tree, store)
    assert len(kept.vanished) == 1
    assert not kept.committed
    pruned = run(tree, store, IngestPolicy(on_vanished="prune"))
    assert pruned.pruned == kept.vanished
    assert kept.vanished[0] not in {key.path for key in store.keys()}


def damage_two(tree: Path) -> tuple[Path, Path]:
    first, second = positions_files(tree)[:2]
    first.write_bytes(first.read_bytes()[:700])
    second.write_bytes(b"not a CDF at all")
    return first, second


def test_every_bad_file_is_named_and_nothing_is_committed(tree: Path, store: PoseStore) -> None:
    bad = damage_two(tree)
    before = store.snapshot
    report = run(tree, store)
    assert {failure.path for failure in report.failures} == {str(path) for path in bad}
    assert all(failure.found and failure.expected and failure.remedy for failure in report.failures)
    assert not report.committed
    assert report.written == ()
    assert PoseStore.open(str(store.location)).snapshot == before


def test_keep_going_commits_the_good_files(tree: Path, store: PoseStore) -> None:
    damage_two(tree)
    report = run(tree, store, IngestPolicy(on_failure="keep-going"))
    assert report.committed
    assert len(report.failures) == 2
    assert len(report.written) == len(positions_files(tree)) - 2


def test_a_bad_file_leaves_its_stored_trial_as_it_was(tree: Path, store: PoseStore) -> None:
    run(tree, store)
    digests = {key: store.trial_attributes(key).digests for key in store.keys()}
    damage_two(tree)
    run(tree, store, IngestPolicy(on_failure="keep-going"))
    assert {key: store.trial_attributes(key).digests for key in store.keys()} == digests


INGEST_IN_A_CHILD = """
import sys
from poseshift.preprocessing.batchwise import in_threads
from poseshift.preprocessing.human36m.read import plan_human36m
from poseshift.preprocessing.ingest import ingest
from poseshift.storage.store import PoseStore

def announce(progress):
    if progress.stage == "read":
        print("reading", flush=True)
        import time; time.sleep(60)

if __name__ == "__main__":
    from pathlib import Path
    store = PoseStore.open(sys.argv[2])
    ingest(plan_human36m(Path(sys.argv[1])), store, in_threads, on_progress=announce)
"""


def test_a_killed_run_leaves_the_previous_snapshot_and_the_next_run_finishes(
    tree: Path, store: PoseStore
) -> None:
    before = store.snapshot
    child = subprocess.Popen(
        [sys.executable, "-c", INGEST_IN_A_CHILD, str(tree), str(store.location)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "reading"  # some trials are written, nothing is committed
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    time.sleep(0.1)

    survivor = PoseStore.open(str(store.location))
    assert survivor.snapshot == before
    assert survivor.keys() == ()
    report = run(tree, survivor)
    assert report.committed
    assert len(survivor.keys()) == len(positions_files(tree))
    assert survivor.verify().succeeded
