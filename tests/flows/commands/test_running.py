"""Commands start no server and no process of their own, unless a Prefect server is named or asked for."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest
from benchmarks.faults import programs
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.context import root_settings_context

from poseshift.flows.augment import augment
from poseshift.flows.commands.running import flow_of
from poseshift.flows.demo import demo
from poseshift.flows.evaluate import evaluate_once
from poseshift.flows.experiment.recipe import Recipe, save_recipe
from poseshift.flows.papers.poseda import reproduce_poseda
from poseshift.flows.pipeline import run_recipe
from poseshift.flows.predict import predict_once
from poseshift.flows.prepare import prepare
from poseshift.flows.reproduce import reproduce
from poseshift.flows.runtime.guest import names_server
from poseshift.flows.train import adapt, train
from poseshift.flows.watch import watch


class PrefectServer(Protocol):
    """What the fixture ``server`` gives."""

    environment: Mapping[str, str]


POSESHIFT = ("-m", "poseshift.flows.cli")
SHORT = ("--steps-per-epoch", "2", "--subject", "S1", "--device", "cpu")

LOOKED_AT = """
import json, sys
import psutil
from typer.testing import CliRunner
from poseshift.flows.cli import app
for command in json.load(sys.stdin):
    done = CliRunner().invoke(app, command)
    print(json.dumps({
        "command": command[0],
        "exit": done.exit_code,
        "told": done.output[-2000:],
        "prefect": [name for name in sys.modules if name.partition(".")[0] == "prefect"],
        "processes": [one.cmdline() for one in psutil.Process().children(recursive=True)],
    }))
"""


def preparing(restaged: Path, stores: Path) -> list[str]:
    """The command that prepares a test set of six trials as STORES/test."""
    return ["prepare", "mpi-inf-3dhp", str(restaged / "mpi_inf_3dhp"), str(stores), "--part", "test"]


def without_server(home: Path, **more: str) -> dict[str, str]:
    """An environment that names no server, with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT")}
    return {**kept, "PREFECT_HOME": str(home), "OMP_NUM_THREADS": "1", **more}


def looked_at(commands: list[list[str]], home: Path) -> list[dict[str, Any]]:
    """Run commands in one process, and say after each what it has loaded and started."""
    done = subprocess.run(
        [sys.executable, "-c", LOOKED_AT],
        input=json.dumps(commands),
        capture_output=True,
        text=True,
        env=without_server(home),
        cwd=home.parent,
        check=True,
        timeout=600,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_no_command_starts_a_server_or_loads_prefect(
    prepared: Recipe, restaged: Path, tmp_path: Path
) -> None:
    target = prepared.target
    assert target is not None
    recipe = prepared.model_copy(
        update={"run_dir": tmp_path / "run", "compare": (), "seeds": (0,), "target": target}
    )
    save_recipe(recipe, tmp_path / "recipe.yaml")
    source, test = prepared.source.store, prepared.required_test.data.store
    commands = [
        preparing(restaged, tmp_path / "stores"),
        ["train", source, "--out", "trained", "--epochs", "1", *SHORT],
        ["adapt", source, target.store, "--out", "adapted", "--epochs", "1", *SHORT],
        ["evaluate", "trained/lifter", test],
        ["predict", "trained/lifter", test, "--out", "predicted"],
        ["augment", source, "augmented", "--subject", "S1", "--frame-step", "10"],
        ["run", "recipe.yaml"],
        ["watch", "recipe.yaml"],
        ["reproduce", "run"],
        ["demo", "--motion", "absent.npz"],
    ]
    found = looked_at(commands, tmp_path / "prefect-home")
    assert [(one["command"], one["exit"]) for one in found] == [
        (command[0], 1 if command[0] == "demo" else 0) for command in commands
    ], found
    assert "absent.npz" in found[-1]["told"]
    assert [one["prefect"] for one in found] == [[]] * len(commands)
    assert [one["processes"] for one in found] == [[]] * len(commands)
    assert not (tmp_path / "prefect-home").exists()


@pytest.mark.parametrize(
    "work",
    [
        prepare,
        augment,
        train,
        adapt,
        evaluate_once,
        predict_once,
        run_recipe,
        watch,
        demo,
        reproduce,
        reproduce_poseda,
    ],
)
def test_every_function_has_its_flow(work: Callable[..., object]) -> None:
    flow = flow_of(work)
    assert flow.fn.__wrapped__ is work  # type: ignore[attr-defined]
    assert flow.timeout_seconds >= 6 * 3600  # type: ignore[attr-defined]


def test_a_named_server_has_the_run_with_its_parameters(
    connected: PrefectServer, restaged: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    done = programs.run(*POSESHIFT, *preparing(restaged, store), environment=connected.environment)
    done.check_returncode()
    assert "Prefect: http://127.0.0.1:" in done.stderr
    with get_client(sync_client=True) as client:
        named = FlowRunFilter(name=FlowRunFilterName(any_=[f"prepare {store}/test"]))
        (run,) = client.read_flow_runs(flow_run_filter=named)
        (task,) = client.read_task_runs(flow_run_filter=named)
        artifacts = [one for one in client.read_artifacts(limit=100) if one.flow_run_id == run.id]
    assert run.state is not None
    assert run.state.is_completed()
    assert run.parameters["request"]["store"] == f"{store}/test"
    assert task.name.startswith("ingest")
    assert {(one.type, one.key) for one in artifacts} == {
        ("table", "quality-mpi-inf-3dhp-test"),
        ("progress", None),
    }


@pytest.mark.slow
def test_prefect_can_be_asked_for(restaged: Path, tmp_path: Path, prefect_home: Callable[[], Path]) -> None:
    home = prefect_home()
    command = (*POSESHIFT, "--log-json", *preparing(restaged, tmp_path / "store"), "--prefect")
    done = programs.run(*command, environment=without_server(home))
    done.check_returncode()
    stages = [json.loads(line) for line in done.stderr.splitlines() if '"stage"' in line]
    assert [len(stage["run_id"]) for stage in stages] == [36]
    with sqlite3.connect(home / "prefect.db") as database:
        kept = database.execute("SELECT id FROM flow_run").fetchall()
    assert kept == [(stages[0]["run_id"],)]


NAMED = """
import sys
from poseshift.flows.runtime.guest import names_server
assert "prefect" not in sys.modules
print(names_server(), "prefect" in sys.modules)
"""
PROFILES = """
active = "quiet"
[profiles.quiet]
PREFECT_LOGGING_LEVEL = "ERROR"
[profiles.team]
PREFECT_API_URL = "http://127.0.0.1:4200/api"
"""
OF_THE_TEAM = PROFILES.replace("quiet", "team", 1)


@pytest.mark.parametrize(
    ("files", "environment", "expected"),
    [
        ({}, {}, "False False"),
        ({}, {"PREFECT_API_URL": ""}, "False False"),
        ({}, {"PREFECT_API_URL": "http://127.0.0.1:4200/api"}, "True False"),
        ({}, {"PREFECT_PROFILE": "local"}, "False True"),
        ({"home/profiles.toml": PROFILES}, {}, "False True"),
        ({"home/profiles.toml": PROFILES}, {"PREFECT_PROFILE": "team"}, "True True"),
        ({"home/profiles.toml": OF_THE_TEAM}, {}, "True True"),
        ({"home/profiles.toml": OF_THE_TEAM}, {"PREFECT_API_URL": ""}, "False False"),
        ({"pyproject.toml": "[project]\ndependencies = ['prefect']"}, {}, "False False"),
        ({"pyproject.toml": "[tool.prefect]\napi.url = 'http://x/api'"}, {}, "True True"),
        ({"prefect.toml": "[api]\nurl = 'http://x/api'"}, {}, "True True"),
        ({".env": "PREFECT_API_URL=http://x/api"}, {}, "True True"),
        ({".env": "OTHER=1"}, {}, "False False"),
    ],
)
def test_a_server_is_named_where_prefect_would_find_it(
    files: Mapping[str, str],
    environment: Mapping[str, str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether one is named, and whether Prefect had to be asked to know."""
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    for name in [name for name in os.environ if name.startswith("PREFECT")]:
        monkeypatch.delenv(name)
    for name, value in {"PREFECT_HOME": str(tmp_path / "home"), **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    asked = []

    class AskedOnce:
        def value(self) -> str | None:
            asked.append(self)
            return root_settings_context().settings.api.url  # what an import of Prefect begins with

    monkeypatch.setattr("prefect.settings.PREFECT_API_URL", AskedOnce())
    assert f"{names_server()} {bool(asked)}" == expected


def test_a_server_of_a_profile_is_found_by_a_new_process(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "profiles.toml").write_text(OF_THE_TEAM)
    told = subprocess.run(
        [sys.executable, "-c", NAMED],
        env=without_server(tmp_path / "home"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "True True"


def _of_session(leader: int) -> list[psutil.Process]:
    found = []
    for one in psutil.process_iter():
        try:
            if os.getsid(one.pid) == leader and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_command_leaves_no_process(by: signal.Signals, prepared: Recipe, tmp_path: Path) -> None:
    log = tmp_path / "log"
    out = tmp_path / "out"
    process = programs.start(
        *(*POSESHIFT, "train", prepared.source.store, "--out", str(out), "--epochs", "100000", *SHORT),
        environment=without_server(tmp_path / "home", TMPDIR=str(tmp_path)),
        told=log,
        new_session=True,
    )
    assert process.pid is not None
    deadline = time.monotonic() + 300  # a busy machine is slow to begin
    while not out.exists():
        assert time.monotonic() < deadline, log.read_text()
        assert process.is_alive(), log.read_text()
        time.sleep(0.1)
    assert [one.pid for one in _of_session(process.pid)] == [process.pid]
    os.kill(process.pid, by)
    process.join(timeout=20)
    assert process.exitcode == -by
    assert _of_session(process.pid) == []
    assert not (tmp_path / "home").exists()
