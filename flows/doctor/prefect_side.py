"""Leftovers in Prefect's database: runs without a process, and slots that nobody can give back.

Only runs that this project marked with their process are judged, and only on the machine of that process.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Crashed

from poseshift.flows.doctor.finding import Leftover, StillInUseError, leftover
from poseshift.flows.runtime.in_prefect.marks import UNDER_WAY, process_of, under_way
from poseshift.flows.runtime.in_prefect.slots import (
    SLOT_PREFIX,
    forgotten,
    give_back_of_dead,
    held_by,
    holders,
    is_dead,
)

_PAGE = 200
SETTLING_SECONDS = 3.0


def look() -> Iterator[Leftover]:
    """Find runs without a process and slots without a holder on the server that is set."""
    with get_client(sync_client=True) as client:
        yield from _slots(client)  # before the runs: who holds a slot is known of runs under way alone
        yield from _runs(client)


def mark_dead_runs() -> tuple[str, ...]:
    """Mark the runs of this machine whose process is gone as crashed, and return their names."""
    with get_client(sync_client=True) as client:
        dead = [run for run in under_way(client) if is_dead(run)]
        for run in dead:
            _crash(run)
    return tuple(run.name for run in dead)


def _runs(client: SyncPrefectClient) -> Iterator[Leftover]:
    for run in under_way(client):
        if not is_dead(run):
            continue
        yield leftover(
            "flow run",
            f"{run.name} ({run.id})",
            f"Prefect takes it for running, and its process is gone ({process_of(run)})",
            "marks it as crashed",
            lambda run=run: _crash(run),  # type: ignore[misc]
        )


def _crash(run: FlowRun) -> None:
    with get_client(sync_client=True) as client:
        now = client.read_flow_run(run.id)
        if now.state is None or now.state.type not in UNDER_WAY:
            return  # somebody else has done it
        if not is_dead(now):
            raise StillInUseError("it has a process by now")
        held = held_by(now)
        if held is not None:  # who holds a slot is looked for among runs under way alone
            client.release_concurrency_slots_with_lease(held.lease)
        message = f"its process is gone ({process_of(now)})"
        client.set_flow_run_state(run.id, Crashed(message=message), force=True)


def _slots(client: SyncPrefectClient) -> Iterator[Leftover]:
    for limit in client.read_global_concurrency_limits(limit=_PAGE):
        if not limit.name.startswith(SLOT_PREFIX) or limit.active_slots == 0:
            continue
        dead = sum(is_dead(run) for run, _ in holders(client, limit.name))
        if dead:
            yield _slot(limit.name, f"{dead} of its {limit.active_slots} taken slots are held by killed runs")
        elif _surely_forgotten(client, limit.name):
            yield _slot(limit.name, "it is taken, and no run that is under way holds it")


def _slot(name: str, why: str) -> Leftover:
    return leftover("slot", name, why, "gives it back", lambda: _give_back(name))


def _surely_forgotten(client: SyncPrefectClient, name: str) -> int:
    """Count slots without a holder in two looks: a run says that it holds one just after it took it."""
    if not forgotten(client, name):
        return 0
    time.sleep(SETTLING_SECONDS)
    return forgotten(client, name)


def _give_back(name: str) -> None:
    with get_client(sync_client=True) as client:
        give_back_of_dead(client, name)
        lost = _surely_forgotten(client, name)
        if lost:
            client.release_concurrency_slots(names=[name], slots=lost, occupancy_seconds=1.0)
