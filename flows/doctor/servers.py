"""Temporary Prefect servers whose command was killed: each keeps about 200 MiB until somebody ends it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from poseshift.flows.doctor.finding import Leftover, StillInUseError, leftover

_MODULE = "prefect.server.api.server:create_app"
_TEMPORARY = "PREFECT__SERVER_EPHEMERAL"
"""Set by Prefect for a server that is to end with its command, and for no other."""

ENDING_SECONDS = 10.0


def look() -> Iterator[Leftover]:
    """Find temporary servers of this user whose parent is gone."""
    for process in psutil.process_iter():
        if is_orphaned_server(process):
            yield _leftover(process)


def is_orphaned_server(process: psutil.Process) -> bool:
    """Whether a process is a temporary server of this user that the command that started it has left."""
    try:
        return (
            process.uids().real == os.getuid()
            and _MODULE in process.cmdline()
            and process.environ().get(_TEMPORARY) == "1"
            and process.status() != psutil.STATUS_ZOMBIE
            and _is_orphan(process)
        )
    except (psutil.Error, OSError):
        return False


def _is_orphan(process: psutil.Process) -> bool:
    """Whether the system has given the process to another parent: its own is a Python interpreter."""
    parent = process.parent()
    if parent is None:
        return True
    arguments = parent.cmdline()
    return not arguments or ("python" not in Path(arguments[0]).name.lower() and not _runs_script(arguments))


def _runs_script(arguments: list[str]) -> bool:
    return any(Path(one).name in ("poseshift", "prefect", "pytest") for one in arguments[:2])


def _leftover(process: psutil.Process) -> Leftover:
    size_mib = process.memory_info().rss / 2**20

    def cure() -> None:
        if not process.is_running():  # compares the start as well: the number may be another's by now
            return
        if not is_orphaned_server(process):
            raise StillInUseError("it has a parent by now")
        process.terminate()
        try:
            process.wait(timeout=ENDING_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(timeout=ENDING_SECONDS)

    return leftover(
        "temporary server",
        f"process {process.pid}",
        f"Prefect's server of a command that was killed; it holds {size_mib:.0f} MiB",
        "ends it",
        cure,
    )
