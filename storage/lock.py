"""One writer at a time on a local disk, for stores and for the folders of runs.

Icechunk does not promise safe concurrent commits there, and two runs in one folder would mix their files.
The operating system's file lock decides (it vanishes with its process); a small file beside it names the
holder for the error message. Object stores need no lock: there a lost race is an error at the commit.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from poseshift.storage.errors import StoreError

logger = logging.getLogger(__name__)


class StoreLockedError(StoreError):
    """Another writer is at work on the store, or on the folder of a run.

    Attributes
    ----------
    lock : Path
        The lock file.
    holder : str
        Process, machine, time and purpose of the other writer, as far as it is known.
    """

    def __init__(self, lock: Path, holder: str) -> None:
        self.lock = lock
        self.holder = holder
        super().__init__(
            f"{lock}: another writer is at work here ({holder}). "
            "Wait until it has finished; the lock vanishes with its process."
        )

    def __reduce__(self) -> tuple[type[StoreLockedError], tuple[Path, str]]:
        return (type(self), (self.lock, self.holder))


@contextmanager
def writer_lock(path: Path | None, purpose: str) -> Iterator[None]:
    """Hold the lock file ``path`` for the length of a ``with`` block; None locks nothing.

    Raises
    ------
    StoreLockedError
        At once, when another process or thread holds it.
    StoreError
        When the lock cannot be written: a read-only or full disk, missing rights.
    """
    if path is None:
        yield
        return
    holder_path = path.with_suffix(".holder")
    lock = FileLock(path, thread_local=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreLockedError(path, _holder(holder_path)) from None
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        _name_holder(holder_path, purpose)
        yield
    finally:
        holder_path.unlink(missing_ok=True)
        lock.release()


def named_host(lock: Path) -> str | None:
    """Name the machine of a lock's last holder; None when no holder is named."""
    found = re.match(r"process \d+ on (\S+) since ", _holder(lock.with_suffix(".holder")))
    return None if found is None else found[1]


def _name_holder(path: Path, purpose: str) -> None:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        path.write_text(f"process {os.getpid()} on {socket.gethostname()} since {started}: {purpose}")
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path}: cannot be written ({error.strerror or error}); nothing was changed. "
        "Check the disk and the rights of the folder, or choose another place."
    )


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return "holder unknown"
