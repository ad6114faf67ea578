"""Nights that go wrong, on real Prefect servers: killed servers, errors of theirs, a machine that slept."""

import os
import signal
import sqlite3
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from benchmarks.faults import programs
from benchmarks.faults.server import KillableServer
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_API_URL, temporary_settings

from poseshift.flows.experiment.folder import RunFolder, job
from poseshift.flows.experiment.recipe import Recipe, save_recipe
from poseshift.flows.experiment.stage import DONE
from poseshift.flows.experiment.train import TrainingRecord
from poseshift.flows.runtime.in_prefect import slots
from poseshift.flows.watch import read_log

T = TypeVar("T")

NIGHTS = 3
"""That the machine sleeps: each is a process that looks whether it is the last."""

TRAIN = """
import sys, time
from pathlib import Path
from poseshift.flows.experiment import fitting
from poseshift.flows.experiment.train import TrainingJob
from poseshift.flows.runtime.in_prefect import slots
from poseshift.flows.prefect_flows.train import train

slots.RENEWAL_SECONDS = 1.0
job = TrainingJob.model_validate_json(Path(sys.argv[1]).read_text())
marker = Path(sys.argv[3])

def slowly(log):
    with marker.open("a") as file:
        file.write(f"{log.epoch}\\n")
    time.sleep(1.0)

from poseshift.flows import train as module
train_lifter = module.train_lifter

def slow(job, folder, after_epoch, slot):
    def both(log):
        after_epoch(log)
        slowly(log)
    return train_lifter(job, folder, both, slot)

module.train_lifter = slow
train(job, Path(sys.argv[2]))
"""


def wait_for(look: Callable[[], T | None], what: str, seconds: float = 240.0) -> T:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        answer = look()
        if answer is not None:
            return answer
        time.sleep(0.2)
    pytest.fail(f"waited {seconds:.0f} s for {what}")


@pytest.fixture
def recipe(prepared: Recipe, tmp_path: Path) -> Recipe:
    """One lifter that is not adapted, on stores that are there."""
    source = prepared.source.model_copy(update={"raw": None})
    assert prepared.test is not None
    test = prepared.test.model_copy(update={"data": prepared.test.data.model_copy(update={"raw": None})})
    plain = prepared.model_copy(update={"name": "night", "run_dir": tmp_path / "run", "source": source})
    return Recipe.model_validate(
        {
            **plain.model_dump(mode="json"),
            "test": test.model_dump(mode="json"),
            "target": None,
            "method": "source_only",
            "compare": [],
            "seeds": [0],
        }
    )


@pytest.fixture(scope="module")
def server(prefect_home: Callable[[], Path]) -> Iterator[KillableServer]:
    """One server for all nights; each test looks at its own runs only."""
    with KillableServer(prefect_home()) as server:
        yield server


@contextmanager
def client_of(server: KillableServer) -> Iterator[SyncPrefectClient]:
    with temporary_settings({PREFECT_API_URL: server.url}), get_client(sync_client=True) as client:
        yield client


@contextmanager
def training(server: KillableServer, recipe: Recipe, url: str, epochs: int) -> Iterator[tuple[Path, Path]]:
    work = job(recipe, "source_only", 0)
    work = work.model_copy(update={"schedule": work.schedule.model_copy(update={"epochs": epochs})})
    folder = recipe.run_dir / "lifter"
    recipe.run_dir.mkdir(parents=True)
    given, epochs_done, log = (recipe.run_dir / name for name in ("job.json", "epochs", "train.log"))
    given.write_text(work.model_dump_json())
    process = programs.start(
        *("-c", TRAIN, str(given), str(folder), str(epochs_done)),
        environment={**server.environment, "PREFECT_API_URL": url},
        told=log,
    )
    try:
        wait_for(lambda: True if epochs_done.exists() else None, "the first epoch")
        yield folder, epochs_done
        process.join(timeout=120)
        assert process.exitcode == 0, log.read_text()[-4000:]
    finally:
        process.kill()
        process.join()


def last_training(client: SyncPrefectClient) -> FlowRun:
    """The training that was begun last; what is served is left out."""
    newest = FlowRunSort.START_TIME_DESC
    return next(run for run in client.read_flow_runs(sort=newest) if run.deployment_id is None)


@pytest.mark.slow
def test_a_server_that_is_killed_during_a_training(recipe: Recipe, server: KillableServer) -> None:
    with training(server, recipe, server.url, epochs=10) as (folder, epochs):
        before = len(epochs.read_text().split())
        server.kill()
        wait_for(lambda: True if len(epochs.read_text().split()) > before + 2 else None, "more epochs")
        server.start()  # and the training has not waited for it
    TrainingRecord.model_validate_json((folder / DONE).read_text())
    assert epochs.read_text().split() == [str(number) for number in range(1, 11)]
    with client_of(server) as client:
        run = last_training(client)
        assert run.state is not None
        assert run.state.is_completed()
        limit = client.read_global_concurrency_limit_by_name(slots.slot_name(torch.device("cpu")))
        assert (limit.active_slots, slots.held_by(run)) == (0, None)
    assert "lost while the server was away" not in (recipe.run_dir / "train.log").read_text()


class _Failing(BaseHTTPRequestHandler):
    """Hands requests on to a server, and answers with errors of its own, 500 and 503, for a while."""

    server: "FailingProxy"

    def _answer(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.failing:
            status = (500, 503)[self.server.refused % 2]
            self.server.refused += 1
            self._send(status, b'{"exception_message": "Internal Server Error"}')
            return
        request = urllib.request.Request(  # noqa: S310 - the loopback
            f"{self.server.behind}{self.path}", data=content or None, method=self.command
        )
        for name, value in self.headers.items():
            if name.lower() not in ("host", "content-length", "connection", "accept-encoding"):
                request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - the loopback
                self._send(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            self._send(error.code, error.read())

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer  # noqa: N815 - the names of the base class

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if status != 204:
            self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


class FailingProxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.failing = False
        self.refused = 0
        super().__init__(("127.0.0.1", 0), _Failing)


@pytest.mark.slow
def test_a_server_that_answers_with_errors_during_a_training(recipe: Recipe, server: KillableServer) -> None:
    with FailingProxy(server.url.removesuffix("/api")) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{proxy.server_address[1]}/api"
        with training(server, recipe, url, epochs=4) as (folder, epochs):
            proxy.failing = True
            # The errors outlast the training: its end is reported when they are over.
            wait_for(lambda: True if (folder / DONE).exists() else None, "the record")
            wait_for(lambda: True if proxy.refused > 3 else None, "errors of both kinds")
            proxy.failing = False
        assert len(epochs.read_text().split()) == 4
        with client_of(server) as client:
            run = last_training(client)
            assert run.state is not None
            assert run.state.is_completed()
        proxy.shutdown()


def shift(database: Path, days: int) -> int:
    """Have the nights pass: what was planned for later was planned for ``days`` earlier."""
    with sqlite3.connect(database) as connection:
        connection.execute(
            "UPDATE flow_run_state SET state_details = json_set(state_details, '$.scheduled_time', "
            "strftime('%Y-%m-%dT%H:%M:%SZ', json_extract(state_details, '$.scheduled_time'), :by)) "
            "WHERE id IN (SELECT state_id FROM flow_run WHERE state_type = 'SCHEDULED' AND auto_scheduled)",
            {"by": f"-{days} days"},
        )
        changed = connection.execute(
            "UPDATE flow_run SET expected_start_time = datetime(expected_start_time, :by), "
            "next_scheduled_start_time = datetime(next_scheduled_start_time, :by) "
            "WHERE state_type = 'SCHEDULED' AND auto_scheduled",
            {"by": f"-{days} days"},
        )
        return changed.rowcount


@pytest.mark.slow
def test_a_machine_that_slept_three_nights_looks_once(
    recipe: Recipe, server: KillableServer, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.yaml"
    save_recipe(recipe, path)
    log = tmp_path / "serve.log"
    serving = programs.start(
        *("-m", "poseshift.flows.cli", "serve", str(path), "--cron", "0 2 * * *"),
        environment=server.environment,
        told=log,
        new_session=True,
    )
    assert serving.pid is not None
    try:
        with client_of(server) as client:

            def served() -> list[FlowRun]:
                return [run for run in client.read_flow_runs() if run.deployment_id is not None]

            def planned() -> list[FlowRun] | None:
                runs = [run for run in served() if run.auto_scheduled]
                return runs if len(runs) > NIGHTS else None

            wait_for(planned, "the planned runs")
            os.killpg(serving.pid, signal.SIGSTOP)
            server.kill()
            assert shift(server.home / "prefect.db", NIGHTS) > NIGHTS
            server.start()
            os.killpg(serving.pid, signal.SIGCONT)

            def looked() -> list[FlowRun] | None:
                ended = [run for run in served() if run.state is not None and run.state.is_final()]
                return ended if len(ended) >= NIGHTS else None

            ended = wait_for(looked, "the look", 400)
            time.sleep(3)
            made = [run for run in served() if run.state and run.state.is_completed()]
            cancelled = [run for run in served() if run.state and run.state.is_cancelled()]
        lines = read_log(recipe.run_dir)
        assert len(ended) >= NIGHTS
        trained = [line for line in lines if line.phase == "finished"]
        assert len(trained) == 1
        looks = {line.flow_run for line in lines if line.phase == "decided"}
        assert len(looks) == 1
        assert len(made) + len(cancelled) == NIGHTS
        # A run that its runner had taken up already gives way by itself, and says so.
        missed = [line for line in lines if line.phase == "missed"]
        assert missed
        assert {line.phase for line in lines} == {"missed", "decided", "finished"}
    finally:
        os.killpg(serving.pid, signal.SIGKILL)
        serving.join()
        sys.stderr.write(log.read_text()[-6000:])
    assert RunFolder(recipe.run_dir).summary.exists()
