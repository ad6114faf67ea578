"""Kills of what a night's run relies on: the Prefect server, and ``poseshift serve`` with the run below it.

The training is that of the stage ``train``, as a flow. Where the server is killed it pauses after each epoch,
so that kills fall into it. What it leaves is compared with an undisturbed run without Prefect.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar
from uuid import UUID

import numpy as np
from benchmarks.faults.scene import Scene
from benchmarks.faults.server import KillableServer
from benchmarks.faults.stages import STAGES, bytes_lost, training_job
from benchmarks.faults.trial import MOST_KILLS, Trial, Undisturbed
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings

from poseshift.flows.doctor import prefect_side
from poseshift.flows.runtime.in_prefect.slots import SLOT_PREFIX

T = TypeVar("T")

STAGE = "train"
"""Whose product is compared."""
PAUSE_SECONDS = 0.5
"""After each epoch."""
WAITING_SECONDS = 900.0

_TRAIN = f"""
import sys, time
from pathlib import Path
from poseshift.flows import train as flows
from poseshift.flows.experiment.train import TrainingJob
from poseshift.flows.prefect_flows.train import train

quick = flows.train_lifter

def slow(job, folder, after_epoch, slot):
    def paused(log):
        after_epoch(log)
        time.sleep({PAUSE_SECONDS})
    return quick(job, folder, paused, slot)

flows.train_lifter = slow
train(TrainingJob.model_validate_json(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
"""


def kill_server(
    number: int, scene: Scene, place: Path, reference: Undisturbed, rng: np.random.Generator
) -> Trial:
    """Kill the server during a training, once or more, and start it again each time."""
    place.mkdir(parents=True)
    product, given = place / "product", place / "job.json"
    given.write_text(training_job(scene).model_dump_json())
    problems: list[str] = []
    killed: list[float] = []
    with KillableServer(place / "home") as server, (place / "train.log").open("wb") as log:
        training = subprocess.Popen(
            [sys.executable, "-c", _TRAIN, str(given), str(product)],
            env=server.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        with _client(server) as client:
            run = _wait(lambda: next(iter(client.read_flow_runs()), None), "the run")
        started = time.perf_counter()
        for pause in rng.uniform(0.5, 5.0, size=rng.integers(1, MOST_KILLS + 1)):
            time.sleep(float(pause))
            if training.poll() is not None:
                break
            killed.append(round(time.perf_counter() - started, 3))
            server.kill()
            time.sleep(float(rng.uniform(0.0, 3.0)))
            server.start()
        try:
            if training.wait(timeout=WAITING_SECONDS):
                problems.append(f"the training ended with exit code {training.returncode}")
        except subprocess.TimeoutExpired:
            training.kill()
            training.wait()
            problems.append("the training did not end")
        with _client(server) as client:
            problems += _problems(client, {run.id: "COMPLETED"})
    return _judged("server", number, killed, tuple(problems), product, reference)


def kill_serve(
    number: int, scene: Scene, place: Path, reference: Undisturbed, rng: np.random.Generator
) -> Trial:
    """Kill ``serve`` and the run below it, once or more; serve again, and start the run again."""
    place.mkdir(parents=True)
    product = place / "product"
    ends: dict[UUID, str] = {}
    killed: list[float] = []
    problems: list[str] = []
    parameters = {"job": training_job(scene).model_dump(mode="json"), "folder": str(product)}
    kills = [float(moment) for moment in rng.uniform(0.0, 6.0, size=rng.integers(1, MOST_KILLS + 1))]
    with KillableServer(place / "home") as server, _client(server) as client:
        for moment in (*kills, None):
            with _serving(server, place / "serve.log") as serving:
                served = _wait(lambda: _deployment(client), "the deployment")
                run = client.create_flow_run_from_deployment(served, parameters=parameters).id
                if moment is None:
                    ends[run] = "COMPLETED"
                    _wait(partial(_ended, client, run), "the last run")
                    continue
                _wait(partial(_begun, client, run), "the run's beginning")
                time.sleep(moment)
                ended = _ended(client, run) is not None
                os.killpg(serving.pid, signal.SIGKILL)
                ends[run] = "COMPLETED" if ended else "CRASHED"
                if not ended:
                    killed.append(round(moment, 3))
        problems += _problems(client, ends)
    return _judged("serve", number, killed, tuple(problems), product, reference)


UNATTENDED: Mapping[str, Callable[[int, Scene, Path, Undisturbed, np.random.Generator], Trial]]
UNATTENDED = MappingProxyType({"server": kill_server, "serve": kill_serve})
"""The trials by the name of what is killed."""


def _judged(
    stage: str,
    number: int,
    killed: list[float],
    problems: tuple[str, ...],
    place: Path,
    reference: Undisturbed,
) -> Trial:
    wrong = STAGES[STAGE].problems(place)
    try:
        product = STAGES[STAGE].product(place)
    except OSError:
        product = {}
    return Trial(
        stage=stage,
        number=number,
        killed_after_s=tuple(killed),
        undisturbed_s=round(reference.seconds, 3),
        problems=(*problems, *wrong),
        equal=product == reference.product,
        bytes_lost=bytes_lost(reference.product, product),
    )


def _problems(client: SyncPrefectClient, ends: Mapping[UUID, str]) -> tuple[str, ...]:
    """Tell what must not be after a trial: runs in another state, slots that are taken, leftovers."""
    wrong = []
    for run, expected in ends.items():
        state = client.read_flow_run(run).state
        if state is None or state.type.value != expected:
            wrong.append(f"run {run} is {state}, not {expected}")
    for limit in client.read_global_concurrency_limits(limit=50):
        if limit.name.startswith(SLOT_PREFIX) and limit.active_slots:
            wrong.append(f"{limit.name} is taken")
    return (*wrong, *(one.finding.why for one in prefect_side.look()))


@contextmanager
def _client(server: KillableServer) -> Iterator[SyncPrefectClient]:
    with temporary_settings({PREFECT_API_URL: server.url}), get_client(sync_client=True) as client:
        yield client


@contextmanager
def _serving(server: KillableServer, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "poseshift.flows.cli", "serve"],
            env=server.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _deployment(client: SyncPrefectClient) -> UUID | None:
    found = (one for one in client.read_deployments() if "train" in one.tags and not one.paused)
    return next((one.id for one in found), None)


def _begun(client: SyncPrefectClient, run: UUID) -> FlowRun | None:
    now = client.read_flow_run(run)
    return now if now.state is not None and (now.state.is_running() or now.state.is_final()) else None


def _ended(client: SyncPrefectClient, run: UUID) -> FlowRun | None:
    now = client.read_flow_run(run)
    return now if now.state is not None and now.state.is_final() else None


def _wait(look: Callable[[], T | None], what: str) -> T:
    give_up = time.monotonic() + WAITING_SECONDS
    while time.monotonic() < give_up:
        answer = look()
        if answer is not None:
            return answer
        time.sleep(0.3)
    raise RuntimeError(f"waited {WAITING_SECONDS:.0f} s for {what}")
