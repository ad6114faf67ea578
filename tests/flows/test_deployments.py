"""The flows as deployments on a real Prefect server: timetable, event, API, worker; retries and slots."""

import errno
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar
from uuid import UUID

import pytest
import torch
from benchmarks.faults import programs
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.schedules import IntervalSchedule
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.experiment.recipe import Recipe, load_recipe, save_recipe
from poseshift.flows.prefect_flows.prepare import prepare
from poseshift.flows.prepare import PrepareFailedError, PrepareRequest
from poseshift.flows.prepare import prepare as prepare_plainly
from poseshift.flows.runtime import retries
from poseshift.flows.runtime.events import STORE_COMMITTED, store_resource
from poseshift.flows.runtime.in_prefect.slots import slot_name, training_slot
from poseshift.flows.runtime.retries import is_passing
from poseshift.flows.watch import read_log
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.ingest import IngestReport
from poseshift.storage.errors import StoreUnavailableError
from poseshift.storage.lock import StoreLockedError
from poseshift.storage.store import PoseStore, StoreError

T = TypeVar("T")

PROJECT = Path(__file__).resolve().parents[2]


class PrefectServer(Protocol):
    """What the fixture ``server`` gives."""

    environment: Mapping[str, str]


def wait_for(look: Callable[[], T | None], what: str, seconds: float = 150.0) -> T:
    """The first answer of ``look`` that is not None."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        answer = look()
        if answer is not None:
            return answer
        time.sleep(0.3)
    pytest.fail(f"waited {seconds:.0f} s for {what}")


@pytest.fixture
def client(connected: PrefectServer) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def recipe(restaged: Path, tmp_path: Path, experiment_in: Callable[[Path, Path], Recipe]) -> Recipe:
    """A recipe with small raw trees of its own, and one lifter that is not adapted."""
    trees = tmp_path / "trees"
    shutil.copytree(restaged, trees, ignore=shutil.ignore_patterns("S[2-9]", "S11"))
    whole = experiment_in(trees, tmp_path)
    return Recipe.model_validate(
        {
            **whole.model_dump(mode="json"),
            "name": "served",
            "target": None,
            "method": "source_only",
            "compare": [],
            "seeds": [0],
        }
    )


@contextmanager
def running(arguments: list[str], environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """A process that is interrupted at the end, as with Ctrl-C."""
    process = programs.start("-m", *arguments, environment=environment, told=log)
    assert process.pid is not None
    try:
        yield
    except BaseException:
        sys.stderr.write(log.read_text()[-8000:])
        raise
    finally:
        os.kill(process.pid, signal.SIGINT)
        process.join(timeout=30)
        process.kill()
        process.join()


def deployment_id(client: SyncPrefectClient, name: str) -> UUID | None:
    tag, _, own = name.partition("/")
    named = DeploymentFilter(name=DeploymentFilterName(any_=[own]), tags=DeploymentFilterTags(all_=[tag]))
    return next((one.id for one in client.read_deployments(deployment_filter=named)), None)


def completed(client: SyncPrefectClient, deployment: UUID) -> FlowRun | None:
    of_it = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]))
    runs = client.read_flow_runs(flow_run_filter=of_it)
    ended = [run for run in runs if run.state is not None and run.state.is_final()]
    for run in ended:
        assert run.state is not None
        assert run.state.is_completed(), run.state
    return ended[0] if ended else None


@pytest.mark.slow
def test_served_flows_run_on_a_timetable_by_api_and_on_new_data(
    client: SyncPrefectClient, server: PrefectServer, recipe: Recipe, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.yaml"
    save_recipe(recipe, path)
    serve = ["poseshift.flows.cli", "serve", str(path), "--cron", "0 2 1 1 *", "--settle", "0"]
    elsewhere = PrepareRequest(
        kind="mpi-inf-3dhp-test", raw=tmp_path / "trees" / "mpi_inf_3dhp", store=str(tmp_path / "elsewhere")
    )
    with running(serve, server.environment, tmp_path / "serve.log"):
        watching = wait_for(lambda: deployment_id(client, "watch/served"), "the deployments")
        preparing = wait_for(lambda: deployment_id(client, "prepare/on-demand"), "the deployments")
        testing = wait_for(lambda: deployment_id(client, "prepare/served-mpi_inf_3dhp_test"), "deployments")
        for name in ("prepare", "augment", "train", "adapt", "evaluate", "run", "watch"):
            assert deployment_id(client, f"{name}/on-demand") is not None

        served = client.read_deployment(watching)
        assert served.global_concurrency_limit is not None
        assert served.global_concurrency_limit.limit == 1
        assert [one.schedule.cron for one in served.schedules] == ["0 2 1 1 *"]  # type: ignore[union-attr]
        schema = client.read_deployment(preparing).parameter_openapi_schema
        assert schema is not None
        assert "raw" in schema["definitions"]["PrepareRequest"]["properties"]

        # By API, with a parameter that does not fit, and with the served one.
        with pytest.raises(Exception, match=r"(?i)validation|422|409|not one of"):
            client.create_flow_run_from_deployment(
                testing, parameters={"request": {"kind": "coco", "raw": "x", "store": "y"}}
            )
        client.create_flow_run_from_deployment(testing)
        # By timetable: due in a moment, as one would add it in Prefect's UI. Every minute, because the server
        # plans runs every few seconds, and a moment that passed before it looked comes only with the next.
        soon = IntervalSchedule(
            interval=timedelta(minutes=1), anchor_date=datetime.now(UTC) + timedelta(seconds=10)
        )
        (schedule,) = client.create_deployment_schedules(
            preparing, [(soon, True)], parameters={"request": elsewhere.model_dump(mode="json")}
        )
        by_api = wait_for(lambda: completed(client, testing), "the run by API")
        assert not by_api.auto_scheduled
        by_timetable = wait_for(lambda: completed(client, preparing), "the scheduled run")
        assert by_timetable.auto_scheduled
        client.delete_deployment_schedule(preparing, schedule.id)
        assert len(PoseStore.open(elsewhere.store).keys()) == 6

        # The run by API committed to a store of the recipe, and so triggered its watch, which did the rest.
        looked = wait_for(lambda: completed(client, watching), "the look that the new data triggered")
        assert looked.created_by is not None
        assert looked.created_by.type == "AUTOMATION"
        triggered = [run for run in client.read_flow_runs() if run.deployment_id == watching]
        assert [run.auto_scheduled for run in triggered].count(False) == 1
    with get_client(sync_client=True) as afterwards:
        keys = {artifact.key for artifact in afterwards.read_artifacts(limit=100)}
    assert {"quality-human36m", "quality-mpi-inf-3dhp-test", "served-watch", "served-report"} <= keys
    assert (recipe.run_dir / "report.html").exists()
    assert [(look.phase, look.flow_run) for look in read_log(recipe.run_dir)] == [
        ("decided", str(looked.id)),
        ("finished", str(looked.id)),
    ]


@pytest.mark.slow
def test_a_worker_of_a_process_pool_runs_what_prefect_yaml_deploys(
    client: SyncPrefectClient, server: PrefectServer, restaged: Path, tmp_path: Path
) -> None:
    environment = {**server.environment, "PWD": str(PROJECT)}

    def prefect(*arguments: str) -> None:
        done = programs.run("-m", "prefect", *arguments, environment=environment, folder=PROJECT)
        assert done.returncode == 0, done.stdout + done.stderr

    client.create_work_pool(WorkPoolCreate(name="poseshift", type="process"))
    prefect("--no-prompt", "deploy", "--all")
    watching = deployment_id(client, "watch/human36m_to_3dhp")
    preparing = deployment_id(client, "prepare/pool")
    assert watching is not None
    assert preparing is not None
    assert Recipe.model_validate(client.read_deployment(watching).parameters["recipe"]) == load_recipe(
        PROJECT / "recipes" / "human36m_to_3dhp.yaml"
    )
    request = PrepareRequest(
        kind="mpi-inf-3dhp-test", raw=restaged / "mpi_inf_3dhp", store=str(tmp_path / "store")
    )
    client.create_flow_run_from_deployment(preparing, parameters={"request": request.model_dump(mode="json")})
    prefect("worker", "start", "--pool", "poseshift", "--type", "process", "--run-once")
    wait_for(lambda: completed(client, preparing), "the worker's run")
    assert len(PoseStore.open(request.store).keys()) == 6


def test_a_commit_is_announced_with_store_snapshot_and_data_set(
    client: SyncPrefectClient, restaged: Path, tmp_path: Path
) -> None:
    request = PrepareRequest(
        kind="mpi-inf-3dhp-test", raw=restaged / "mpi_inf_3dhp", store=str(tmp_path / "store")
    )
    report = prepare(request)

    def announced() -> list[Mapping[str, str]]:
        answer = client.request(
            "POST",
            "/events/filter",
            json={"filter": {"event": {"name": [STORE_COMMITTED]}}, "limit": 50},
        )
        resources = [event["resource"] for event in answer.json()["events"]]
        return [one for one in resources if one["prefect.resource.id"] == store_resource(request.store)]

    (resource,) = wait_for(lambda: announced() or None, "the event")
    assert resource["poseshift.snapshot"] == report.snapshot
    assert resource["poseshift.dataset"] == "mpi_inf_3dhp_test"

    # Nothing changed: nothing is committed, so nothing is announced.
    again = prepare(request)
    assert not again.committed
    time.sleep(1.5)
    assert len(announced()) == 1


class Repair(logging.Handler):
    """Counts the attempts that are to be repeated, and mends the disk before the second one."""

    def __init__(self, mend: Callable[[], object]) -> None:
        super().__init__()
        self.mend, self.warnings = mend, 0

    def emit(self, record: logging.LogRecord) -> None:
        self.warnings += 1
        self.mend()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without their pauses."""
    monkeypatch.setattr(retries, "PAUSES_S", (0.0, 0.0, 0.0))


@contextmanager
def repaired_by(mend: Callable[[], object]) -> Iterator[Repair]:
    repair = Repair(mend)
    logger = logging.getLogger("poseshift.flows.runtime.retries")
    logger.addHandler(repair)
    try:
        yield repair
    finally:
        logger.removeHandler(repair)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux to make a read fail")
@pytest.mark.usefixtures("connected", "hasty")
@pytest.mark.parametrize("preparing", [prepare, prepare_plainly])
def test_a_file_that_the_disk_does_not_give_is_tried_again(
    preparing: Callable[[PrepareRequest], IngestReport], restaged: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(restaged / "mpi_inf_3dhp", tree, ignore=shutil.ignore_patterns("S[1-8]"))
    lost = next(tree.rglob("TS3/annot_data.mat"))
    kept = lost.rename(tmp_path / "kept.mat")
    lost.symlink_to("/proc/self/mem")  # reading its first byte fails with EIO, as on a disk that is going

    def mend() -> None:
        lost.unlink()
        kept.rename(lost)

    request = PrepareRequest(kind="mpi-inf-3dhp-test", raw=tree, store=str(tmp_path / "store"))
    with repaired_by(mend) as repair:
        report = preparing(request)
    assert repair.warnings == 1
    assert len(report.written) == 6


@pytest.mark.usefixtures("connected", "hasty")
@pytest.mark.parametrize("preparing", [prepare, prepare_plainly])
def test_a_damaged_file_is_not_tried_again(
    preparing: Callable[[PrepareRequest], IngestReport], restaged: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(restaged / "mpi_inf_3dhp", tree, ignore=shutil.ignore_patterns("S[1-8]"))
    damaged = next(tree.rglob("TS3/annot_data.mat"))
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:500])
    request = PrepareRequest(kind="mpi-inf-3dhp-test", raw=tree, store=str(tmp_path / "store"))
    with repaired_by(lambda: damaged.write_bytes(whole)) as repair, pytest.raises(PrepareFailedError):
        preparing(request)
    assert repair.warnings == 0


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (OSError(errno.EIO, "input/output error"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (StoreLockedError(Path("lock"), "another run"), True),
        (StoreUnavailableError("s3://poses: another writer committed first"), True),
        (StoreError("s3://poses: holds another data set"), False),
        (FileNotFoundError(), False),
        (PermissionError(), False),
        (RawDataError(Path("a.mat"), found="a", expected="b", remedy="c"), False),
        (MemoryError(), False),
    ],
)
def test_what_passes_by_itself(error: Exception, passing: bool) -> None:
    assert is_passing(error) == passing


def test_one_training_at_a_time_on_one_device(client: SyncPrefectClient) -> None:
    device = torch.device("meta")  # a device of this test alone
    inside, release = threading.Event(), threading.Event()
    order: list[str] = []

    @flow(name="hold a slot")
    def hold() -> None:
        with training_slot(device):
            order.append("first in")
            inside.set()
            release.wait(60)
            order.append("first out")

    @flow(name="want a slot")
    def want() -> None:
        with training_slot(device):
            order.append("second in")

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(copy_context().run, hold)
        assert inside.wait(60)
        limit = client.read_global_concurrency_limit_by_name(slot_name(device))
        assert (limit.limit, limit.active_slots) == (1, 1)
        second = threads.submit(copy_context().run, want)
        time.sleep(3)
        assert order == ["first in"]
        release.set()
        first.result(60)
        second.result(60)
    assert order == ["first in", "first out", "second in"]
    assert client.read_global_concurrency_limit_by_name(slot_name(device)).active_slots == 0


def test_serving_without_a_server_says_what_to_do() -> None:
    with temporary_settings({PREFECT_API_URL: ""}):
        finished = CliRunner().invoke(app, ["serve"])
    assert finished.exit_code == 1
    assert "prefect server start" in finished.output
