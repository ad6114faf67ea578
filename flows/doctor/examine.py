"""Everything that the doctor looks at, in the order in which it is mended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from poseshift.flows.doctor import disk, servers
from poseshift.flows.doctor.finding import Leftover, note
from poseshift.flows.runtime.guest import names_server

PREFECT = "Prefect's runs and slots"


def examine(folders: Sequence[Path], kept: timedelta) -> Iterator[Leftover]:
    """Find leftovers of this machine and in the given folders.

    Raises
    ------
    FileNotFoundError
        One of the folders is not there.
    """
    yield from _in_prefect()
    yield from servers.look()
    for folder in folders:
        yield from disk.look(folder, kept)


def _in_prefect() -> Iterator[Leftover]:
    if not names_server():
        advice = "export PREFECT_API_URL=http://127.0.0.1:4200/api"
        yield note("not looked at", PREFECT, "no server is set", advice)
        return
    import httpx

    from poseshift.flows.doctor import prefect_side  # imports Prefect

    try:
        yield from prefect_side.look()
    except httpx.HTTPError as error:
        yield note("not looked at", PREFECT, f"the server does not answer ({error})", "start it")
