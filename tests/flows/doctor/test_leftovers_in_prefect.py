"""What SIGKILL leaves on a real Prefect server and of a temporary one; a healthy run keeps what it has."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess as Holder
from pathlib import Path
from typing import Protocol
from uuid import UUID

import psutil
import pytest
import torch
from benchmarks.faults import programs
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from poseshift.flows.doctor import prefect_side, servers
from poseshift.flows.doctor.finding import Finding, mended
from poseshift.flows.runtime.in_prefect.marks import process_of
from poseshift.flows.runtime.in_prefect.orchestrator import InPrefect
from poseshift.flows.runtime.in_prefect.slots import slot_name, training_slot
from poseshift.flows.runtime.logs import recorded
from poseshift.flows.runtime.orchestrator import looked_after_by


def hold(device: str, url: str, home: str, told: Connection) -> None:
    """Hold a device's slot in a flow of this process."""
    os.environ.update({"PREFECT_API_URL": url, "PREFECT_HOME": home})

    @flow(name="train for long")
    def holding() -> None:
        with looked_after_by(InPrefect()), recorded(), training_slot(torch.device(device)):
            context = FlowRunContext.get()
            assert context is not None
            assert context.flow_run is not None
            told.send(context.flow_run.id)
            time.sleep(300)

    with temporary_settings({PREFECT_API_URL: url, PREFECT_HOME: Path(home)}):
        holding()


TEMPORARY = """
import time
from prefect.server.api.server import SubprocessASGIServer
server = SubprocessASGIServer()
server.start()
print(server.server_process.pid, flush=True)
time.sleep(300)
"""


class PrefectServer(Protocol):
    environment: Mapping[str, str]


@pytest.fixture
def client(connected: PrefectServer) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@contextmanager
def holding(server: PrefectServer, device: str) -> Iterator[tuple[Holder, UUID]]:
    heard, told = programs.PROCESSES.Pipe(duplex=False)
    home = server.environment["PREFECT_HOME"]
    url = server.environment["PREFECT_API_URL"]
    process = programs.PROCESSES.Process(target=hold, args=(device, url, home, told))
    process.start()
    told.close()
    try:
        yield process, heard.recv()
    finally:
        process.kill()
        process.join()


def found(kind: str) -> list[Finding]:
    return [one.finding for one in prefect_side.look() if one.finding.kind == kind]


def test_a_killed_training(client: SyncPrefectClient, connected: PrefectServer) -> None:
    name = slot_name(torch.device("mtia:5"))
    with holding(connected, "mtia:5") as (process, run):
        assert found("flow run") == []
        assert found("slot") == []
        marked = process_of(client.read_flow_run(run))
        assert marked is not None
        assert (marked.pid, marked.lives()) == (process.pid, True)
        process.kill()
        process.join()
        assert client.read_global_concurrency_limit_by_name(name).active_slots == 1
        (slot,), (dead,) = found("slot"), found("flow run")
        assert slot.where == name
        assert str(run) in dead.where
        assert {one.state for one in mended(prefect_side.look()).findings} == {"mended"}
    assert client.read_global_concurrency_limit_by_name(name).active_slots == 0
    state = client.read_flow_run(run).state
    assert state is not None
    assert state.is_crashed()
    assert str(process.pid) in str(state.message)
    assert list(prefect_side.look()) == []


def test_a_run_that_is_marked_as_crashed_holds_no_slot(
    client: SyncPrefectClient, connected: PrefectServer
) -> None:
    name = slot_name(torch.device("mtia:7"))
    with holding(connected, "mtia:7") as (process, run):
        process.kill()
        process.join()
        assert client.read_global_concurrency_limit_by_name(name).active_slots == 1
        assert client.read_flow_run(run).name in prefect_side.mark_dead_runs()
    assert client.read_global_concurrency_limit_by_name(name).active_slots == 0


def test_the_next_run_takes_a_dead_holders_slot_at_once(
    client: SyncPrefectClient, connected: PrefectServer
) -> None:
    device = torch.device("mtia:6")
    inside = threading.Event()

    @flow(name="train after")
    def after() -> None:
        with training_slot(device):
            inside.set()

    with holding(connected, "mtia:6") as (process, _), ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(copy_context().run, after)
        assert not inside.wait(8)  # it lives
        process.kill()
        process.join()
        waiting.result(60)  # the lease would last fifteen minutes
        assert inside.is_set()
    mended(prefect_side.look())


def test_a_slot_whose_lease_the_server_forgot(client: SyncPrefectClient) -> None:
    device = torch.device("mtia:7")
    name = slot_name(device)

    @flow(name="train healthy")
    def healthy() -> tuple[int, int]:
        with training_slot(device):
            client.update_global_concurrency_limit(name, _limit(2))
            client.increment_concurrency_slots(names=[name], slots=1, mode="concurrency")
            assert [one.where for one in found("slot")] == [name]
            before = int(client.read_global_concurrency_limit_by_name(name).active_slots)
            cured = mended(one for one in prefect_side.look() if one.finding.kind == "slot")
            assert [one.state for one in cured.findings] == ["mended"]
            return before, int(client.read_global_concurrency_limit_by_name(name).active_slots)

    assert healthy() == (2, 1)  # the healthy run keeps its own
    assert client.read_global_concurrency_limit_by_name(name).active_slots == 0


def _limit(slots: int) -> object:
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    return GlobalConcurrencyLimitUpdate(limit=slots)


def test_a_run_of_another_machine_is_not_touched(client: SyncPrefectClient) -> None:
    @flow(name="elsewhere")
    def elsewhere() -> None:
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        gone = {"host": "elsewhere", "boot": "x", "pid": 1, "started_s": 1.0}
        client.update_flow_run_labels(context.flow_run.id, {"poseshift.process": json.dumps(gone)})
        assert found("flow run") == []

    elsewhere()


@pytest.mark.slow
def test_a_temporary_server_whose_command_was_killed(prefect_home: Callable[[], Path]) -> None:
    home = prefect_home()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_API")}
    told = home / "told"
    environment["PREFECT_HOME"] = str(home)
    command = programs.start("-c", TEMPORARY, environment=environment, told=told)
    while not (told.exists() and told.read_text().endswith("\n")):
        assert command.is_alive(), told.read_text()
        time.sleep(0.1)
    server = psutil.Process(int(told.read_text()))

    def listed() -> list[str]:
        return [one.finding.where for one in servers.look()]

    try:
        assert f"process {server.pid}" not in listed()  # its command lives
        command.kill()
        command.join()
        assert f"process {server.pid}" in listed()
        (own,) = (one for one in servers.look() if one.finding.where == f"process {server.pid}")
        assert mended([own]).findings[0].state == "mended"
        assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE
    finally:
        command.kill()
        if server.is_running():
            server.kill()
