"""What may go wrong around a run: it is killed, the disk is full, files change, another run, the clock.

Nothing is lost, the next run finishes the work, and who asks is told what was wrong and what to do.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import zarr
from benchmarks.faults.programs import PROCESSES
from benchmarks.faults.scene import Scene, set_scene
from benchmarks.faults.stages import STAGES, Piece, bytes_lost, run
from benchmarks.faults.trial import Undisturbed, trial, undisturbed

from poseshift.flows.prepare import PrepareRequest, prepare_store
from poseshift.preprocessing.human36m.read import plan_human36m
from poseshift.preprocessing.ingest import IngestReport
from poseshift.storage import clock
from poseshift.storage.lock import StoreLockedError
from poseshift.storage.store import PoseStore, StoreError

ROOT = Path(__file__).parents[2]
real_sleep = time.sleep


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Raw trees and stores that no fault may touch."""
    return set_scene(tmp_path_factory.mktemp("faults") / "scene", seed=3)


@pytest.fixture
def tree(scene: Scene, tmp_path: Path) -> Path:
    """A copy of the Human3.6M tree, to be damaged at will."""
    return shutil.copytree(scene.human36m, tmp_path / "human36m")


def prepare(raw: Path, store: Path) -> IngestReport:
    return prepare_store(PrepareRequest(kind="human36m", raw=raw, store=str(store)))


def in_a_process(work: Callable[..., None], *arguments: object) -> int | None:
    """Run something in a process of its own; return its exit code."""
    process = PROCESSES.Process(target=work, args=arguments)
    process.start()
    process.join(timeout=120)
    return process.exitcode


# Killed runs


@pytest.mark.parametrize("stage", ["prepare", "adapt"])
def test_a_killed_run_is_repeated_to_the_same_bits(stage: str, scene: Scene, tmp_path: Path) -> None:
    reference = undisturbed(stage, scene, tmp_path / "reference")
    found = trial(stage, 0, scene, tmp_path / "trial", reference, np.random.default_rng(1))
    assert found.killed_after_s
    assert found.survived, found
    assert found.bytes_lost == 0


def test_the_fault_injection_notices_what_is_lost(scene: Scene, tmp_path: Path) -> None:
    """The benchmark itself: a reference with other contents must not be taken for equal."""
    product = STAGES["prepare"].product(Path(scene.source))
    name = next(name for name in product if name.endswith("positions_world"))
    other = {**product, name: Piece("another digest", product[name].bytes)}
    assert bytes_lost(other, product) == product[name].bytes
    assert bytes_lost(product, {}) == sum(piece.bytes for piece in product.values()) > 10_000
    wrong = Undisturbed(seconds=0.5, product=other)
    found = trial("prepare", 0, scene, tmp_path / "trial", wrong, np.random.default_rng(1))
    assert not found.survived
    assert found.bytes_lost == product[name].bytes


def _create_and_die_before_the_commit(store: Path) -> None:
    zarr.create_group = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
    PoseStore.create(store, "human36m")


def _create_and_die_after_the_commit(store: Path) -> None:
    Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
    PoseStore.create(store, "human36m")


@pytest.mark.parametrize("dying", [_create_and_die_before_the_commit, _create_and_die_after_the_commit])
def test_a_creation_killed_at_its_weakest_moment_is_repeated(
    dying: Callable[[Path], None], scene: Scene, tmp_path: Path
) -> None:
    assert in_a_process(dying, tmp_path / "store") == -signal.SIGKILL
    assert not PoseStore.exists(tmp_path / "store")
    assert prepare(scene.human36m, tmp_path / "store").committed
    assert PoseStore.open(tmp_path / "store").digest() == PoseStore.open(scene.source).digest()
    assert {path.name for path in tmp_path.iterdir()} == {"store", "store.lock"}


# The disk


def _prepare_with_small_files_only(raw: Path, store: Path, told: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        prepare(raw, store)
    except StoreError as error:
        told.write_text(str(error))


def test_a_file_that_cannot_grow_is_told_and_nothing_is_committed(scene: Scene, tmp_path: Path) -> None:
    """The way to meet a full disk that needs no rights: a limit on the size of files."""
    arguments = (scene.human36m, tmp_path / "store", tmp_path / "told")
    assert in_a_process(_prepare_with_small_files_only, *arguments) == 0
    assert "File too large" in (tmp_path / "told").read_text()
    assert "nothing was committed" in (tmp_path / "told").read_text()
    assert PoseStore.open(tmp_path / "store").keys() == ()
    assert prepare(scene.human36m, tmp_path / "store").committed
    assert PoseStore.open(tmp_path / "store").digest() == PoseStore.open(scene.source).digest()


class Disk:
    """A small file system in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mount("size=200k")

    def grow(self) -> None:
        """Make room."""
        self._mount("remount,rw,size=64m")

    def protect(self) -> None:
        """Forbid writing."""
        self._mount("remount,ro")

    def _mount(self, options: str) -> None:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.path)], check=True, capture_output=True
        )


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    place = tmp_path / "disk"
    place.mkdir()
    try:
        mounted = Disk(place)
    except (subprocess.CalledProcessError, FileNotFoundError):
        pytest.skip("this user may not mount; the limit on file sizes stands in for a full disk")
    yield mounted
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_is_told_and_the_next_run_finishes(disk: Disk, scene: Scene) -> None:
    with pytest.raises(StoreError, match=r"No space left on device.*nothing was committed"):
        prepare(scene.human36m, disk.path / "store")
    left = PoseStore.open(disk.path / "store")
    assert left.keys() == ()
    assert left.verify().succeeded
    disk.grow()
    assert prepare(scene.human36m, disk.path / "store").committed
    assert PoseStore.open(disk.path / "store").digest() == PoseStore.open(scene.source).digest()


def test_training_on_a_full_disk_goes_on_when_there_is_room(disk: Disk, scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left on device"):
        STAGES["train"].run(scene, disk.path / "run")
    assert STAGES["train"].problems(disk.path / "run") == ()
    disk.grow()
    STAGES["train"].run(scene, disk.path / "run")
    STAGES["train"].run(scene, tmp_path / "run")
    assert STAGES["train"].product(disk.path / "run") == STAGES["train"].product(tmp_path / "run")


def test_a_read_only_disk_can_be_read_and_is_told_on_writing(disk: Disk, tree: Path) -> None:
    disk.grow()
    prepare(tree, disk.path / "store")
    disk.protect()
    store = PoseStore.open(disk.path / "store")
    assert store.verify().succeeded
    assert len(store.keys()) > 0
    first, *_, last = sorted(tree.glob("S*/MyPoseFeatures/D3_Positions/*.cdf"))
    shutil.copy(last, first)
    with pytest.raises(StoreError, match="Read-only file system"):
        prepare(tree, disk.path / "store")
    with pytest.raises(StoreError, match="Read-only file system"):
        prepare(tree, disk.path / "another")


def test_a_place_below_a_file_is_told(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot be written.*choose another place"):
        prepare(scene.human36m, tmp_path / "file" / "store")


def test_a_folder_with_other_things_in_it_is_left_alone(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="choose a place where nothing lies yet"):
        prepare(scene.human36m, tmp_path / "folder")
    assert (tmp_path / "folder" / "thesis.tex").read_text() == "years of work"


# Files that change


def test_a_raw_file_that_changes_while_it_is_read_does_not_enter(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_human36m(tree)
    copied = plan.trials[0]

    def read_while_it_is_copied():  # type: ignore[no-untyped-def]
        trial = copied.read()
        with copied.sources[0].open("ab") as file:
            file.write(b"more")
        return trial

    changing = replace(plan, trials=(replace(copied, read=read_while_it_is_copied), *plan.trials[1:]))
    monkeypatch.setattr("poseshift.flows.prepare.read_plan", lambda request: changing)
    report = prepare(tree, tmp_path / "store")
    (failure,) = report.failures
    assert failure.path == str(copied.sources[0])
    assert "other contents after reading" in failure.found
    assert "run prepare again" in failure.remedy
    assert not report.committed
    assert PoseStore.open(tmp_path / "store").keys() == ()


# Two runs at once


def _hold(store: Path, ready: Path) -> None:
    with PoseStore.open(store).transaction("a long run"):
        ready.write_text(str(os.getpid()))
        time.sleep(60)


def test_the_second_writer_is_told_who_is_first_and_may_go_on_when_that_one_has_died(
    tree: Path, tmp_path: Path
) -> None:
    store = PoseStore.create(tmp_path / "store", "human36m", restaged_from=plan_human36m(tree).restaged_from)
    holder = PROCESSES.Process(target=_hold, args=(tmp_path / "store", tmp_path / "ready"))
    holder.start()
    try:
        _wait_for(tmp_path / "ready")
        with pytest.raises(StoreLockedError, match=f"process {holder.pid} .*: a long run"):
            prepare(tree, tmp_path / "store")
        assert PoseStore.open(tmp_path / "store").snapshot == store.snapshot  # reading goes on
    finally:
        holder.kill()
        holder.join()
    assert prepare(tree, tmp_path / "store").committed


@pytest.mark.parametrize("stage", ["prepare", "train"])
def test_of_two_runs_at_once_one_wins_and_the_result_is_whole(
    stage: str, scene: Scene, tmp_path: Path
) -> None:
    runs = [PROCESSES.Process(target=run, args=(stage, scene, tmp_path / "both")) for _ in range(2)]
    for process in runs:
        process.start()
    for process in runs:
        process.join(timeout=120)
    codes = sorted(process.exitcode for process in runs)  # type: ignore[type-var]
    assert codes in ([0, 0], [0, 1])  # the other was told, or came when the first had finished
    STAGES[stage].run(scene, tmp_path / "alone")
    assert STAGES[stage].product(tmp_path / "both") == STAGES[stage].product(tmp_path / "alone")


# The clock


SHIFTED_CLOCK = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static long shift(void) { return atol(getenv("SHIFT_SECONDS")); }
int clock_gettime(clockid_t id, struct timespec *t) {
  int r = syscall(SYS_clock_gettime, id, t);
  if (id == CLOCK_REALTIME) t->tv_sec += shift();
  return r;
}
int statx(int d, const char *path, int flags, unsigned mask, struct statx *s) {
  int r = syscall(SYS_statx, d, path, flags, mask, s);
  if (!r) s->stx_mtime.tv_sec += shift();
  return r;
}
"""

PREPARE = """
import sys
from pathlib import Path
from poseshift.flows.prepare import PrepareRequest, prepare_store
if __name__ == "__main__":
    prepare_store(PrepareRequest(kind="human36m", raw=Path(sys.argv[1]), store=sys.argv[2]))
"""


def test_a_clock_that_went_back_ten_days_is_told_before_any_work(tree: Path, tmp_path: Path) -> None:
    """The first run lives ten days ahead, with its disk; Icechunk refuses to date a commit before it."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler to build a shifted clock with")
    (tmp_path / "clock.c").write_text(SHIFTED_CLOCK)
    library = tmp_path / "clock.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "clock.c"], check=True)
    ahead = {"LD_PRELOAD": str(library), "SHIFT_SECONDS": str(10 * 24 * 3600), "PYTHONPATH": str(ROOT)}
    store = tmp_path / "store"
    subprocess.run([sys.executable, "-c", PREPARE, tree, store], env={**os.environ, **ahead}, check=True)
    before = PoseStore.open(store)
    assert before.history()[0].written_at > datetime.now(UTC) + timedelta(days=9)

    assert not prepare(tree, store).committed  # nothing changed, and that needs no clock
    first, *_, last = sorted(tree.glob("S*/MyPoseFeatures/D3_Positions/*.cdf"))
    shutil.copy(last, first)
    with pytest.raises(
        StoreError, match=r"clock .* is before the store's last commit .* Set the clock right"
    ):
        prepare(tree, store)
    assert PoseStore.open(store).snapshot == before.snapshot
    assert PoseStore.open(store).verify().succeeded


def test_a_clock_that_was_set_back_a_little_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(clock.time, "sleep", lambda seconds: (waited.append(seconds), real_sleep(seconds)))
    ahead = datetime.now(UTC) + timedelta(seconds=0.1)
    clock.wait_until_after(ahead)
    assert datetime.now(UTC) > ahead
    assert waited
    with pytest.raises(StoreError, match="nothing was written"):
        clock.wait_until_after(datetime.now(UTC) + 2 * clock.LONGEST_WAIT)


def test_times_of_raw_files_do_not_count(tree: Path, tmp_path: Path) -> None:
    prepare(tree, tmp_path / "store")
    files = sorted(tree.glob("S*/MyPoseFeatures/D3_Positions/*.cdf"))
    for number, file in enumerate(files):
        os.utime(file, (0, 0) if number % 2 else (2**32, 2**32))
    assert not prepare(tree, tmp_path / "store").committed
    shutil.copy(files[-1], files[0])
    os.utime(files[0], (0, 0))  # other contents, and older than the store
    assert len(prepare(tree, tmp_path / "store").written) == 1


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
