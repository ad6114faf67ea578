"""Leftovers in folders: locks, half-written stages, stores and files, superseded folders.

A lock that a process holds ends the look at what it guards. Where a lock file names a process of another
machine, nothing is touched.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from poseshift.flows.doctor.finding import Leftover, StillInUseError, leftover, note
from poseshift.flows.experiment.stage import DONE, INPUTS, SUPERSEDED, set_aside, stage_lock
from poseshift.storage.errors import StoreError
from poseshift.storage.location import lock_beside
from poseshift.storage.lock import StoreLockedError, named_host, writer_lock
from poseshift.storage.store import CREATING, PoseStore
from poseshift.storage.unreachable import IN_PROGRESS, count_unreachable, is_store_folder

KEPT = timedelta(days=7)
"""Half stages go on from where they were, and superseded folders may be wanted: so long they stay."""

WRITING = timedelta(hours=1)
"""A file that is being written beside its place is older than this only when its writer is gone."""

_BESIDE = re.compile(r"\.(?P<name>.+)\.[a-z0-9_]{8}")  # the names that write_atomically draws


def look(folder: Path, kept: timedelta = KEPT) -> Iterator[Leftover]:
    """Find what killed runs left in a folder and below; hidden folders are passed over.

    Parameters
    ----------
    folder : Path
        Where to look.
    kept : timedelta
        Half stages and superseded folders that were touched later than this are notes.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; give those that hold your runs and stores")
    for place, folders, files in os.walk(folder):
        here = Path(place)
        yield from _in_folder(here, sorted(files), kept)
        for name in sorted(folders):
            if name.endswith(CREATING) and is_free(_lock_of_creation(here / name)):
                yield _half_store(here / name)
        if SUPERSEDED in folders:
            for old in sorted((here / SUPERSEDED).iterdir()):
                yield _superseded(old, kept)
        folders[:] = [name for name in folders if _is_entered(here / name)]


def _is_entered(folder: Path) -> bool:
    name = folder.name
    hidden = name.startswith(".") or name == SUPERSEDED or name.endswith(CREATING)
    return not hidden and not folder.is_symlink() and not _is_inside_store(folder)


def _is_inside_store(folder: Path) -> bool:
    return is_store_folder(folder.parent)


def _in_folder(here: Path, files: list[str], kept: timedelta) -> Iterator[Leftover]:
    for name in files:
        if name.endswith(".holder") and (here / name).read_bytes().startswith(b"process "):
            path = (here / name).with_suffix(".lock")
            if is_free(path):
                yield _lock(path)
            elif named_host(path) not in (None, socket.gethostname()):
                yield note("lock", path, f"held on {named_host(path)}", "look there, with doctor")
        beside = _BESIDE.fullmatch(name)
        if beside and INPUTS in files and _age(here / name) > WRITING and is_free(stage_lock(here)):
            yield _half_file(here / name)
    if is_store_folder(here):
        yield from _unreachable(here)
    elif INPUTS in files and DONE not in files and is_free(stage_lock(here)):
        yield _half_stage(here, kept)


def is_free(lock: Path) -> bool:
    """Whether no process holds a lock file, and none of another machine is named as its holder."""
    if not lock.exists():
        return True
    if named_host(lock) not in (None, socket.gethostname()):
        return False
    probe = FileLock(lock, thread_local=False)
    try:
        probe.acquire(timeout=0)
    except (Timeout, OSError):
        return False
    probe.release()
    return True


def _lock_of_creation(building: Path) -> Path:
    return lock_beside(building.with_name(building.name.removesuffix(CREATING)))


def _age(path: Path) -> timedelta:
    """Tell how long ago a file, or the newest file in a folder, was written."""
    newest = path.stat().st_mtime
    if path.is_dir():
        newest = max((newest, *(one.stat().st_mtime for one in path.rglob("*") if one.is_file())))
    return timedelta(seconds=max(0.0, time.time() - newest))


def _lock(path: Path) -> Leftover:
    def cure() -> None:
        with _alone(path):
            pass  # its holder's name is removed when the lock is let go

    holder = path.with_suffix(".holder").read_text(encoding="utf-8")
    return leftover(
        "lock",
        path,
        f"no process holds it; its last holder was killed ({holder})",
        "removes the name of the holder; the lock file itself stays for the next run",
        cure,
    )


def _half_stage(folder: Path, kept: timedelta) -> Leftover:
    def cure() -> None:
        with _alone(stage_lock(folder)):
            if (folder / DONE).exists():
                raise StillInUseError("it was finished in the meantime")
            set_aside(folder)

    age = _age(folder)
    why = f"begun, not finished, and no process is at work there; last written {_days(age)} ago"
    if age < kept:
        return note("half stage", folder, why, "the same command again goes on from there")
    return leftover("half stage", folder, why, f"moves it to {SUPERSEDED}/ beside it", cure)


def _half_store(folder: Path) -> Leftover:
    def cure() -> None:
        with _alone(_lock_of_creation(folder)):
            shutil.rmtree(folder)

    return leftover(
        "half store", folder, "a store whose creation was killed before it had a commit", "deletes it", cure
    )


def _half_file(path: Path) -> Leftover:
    def cure() -> None:
        with _alone(stage_lock(path.parent)):
            path.unlink()

    return leftover(
        "half file",
        path,
        "a file whose writer was killed before it was moved to its place",
        "deletes it",
        cure,
    )


def _superseded(folder: Path, kept: timedelta) -> Leftover:
    age = _age(folder)
    why = f"made from other inputs than its place has now; last written {_days(age)} ago"
    if age < kept:
        return note("superseded folder", folder, why, f"is deleted by --mend {kept.days} days after that")

    def cure() -> None:
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
        else:
            folder.unlink()

    return leftover("superseded folder", folder, why, "deletes it", cure)


def _unreachable(folder: Path) -> Iterator[Leftover]:
    try:
        store = PoseStore.open(folder)
        found = count_unreachable(store.repository, datetime.now(UTC) - IN_PROGRESS)
    except StoreError as error:
        yield note("not looked at", folder, str(error), "see `poseshift verify`")
        return
    if found.chunks or found.snapshots:
        yield note(
            "unreachable objects",
            folder,
            f"{found.snapshots} snapshots and {found.chunks} chunks that nothing refers to "
            f"({found.bytes / 2**20:.1f} MiB), left by killed runs",
            "they cost room and nothing else",
        )


def _days(age: timedelta) -> str:
    return f"{age.days} days" if age.days else f"{age.total_seconds() / 3600:.1f} hours"


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold a lock while what it guards is mended; StillInUseError when somebody took it meanwhile."""
    try:
        with writer_lock(lock, "mend"):
            yield
    except StoreLockedError as error:
        raise StillInUseError(f"in use by now: {error.holder}") from error
