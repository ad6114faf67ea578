"""A small experiment from restaged raw trees, and a Prefect server; each made once."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import pytest
from benchmarks.faults import programs
from benchmarks.faults.server import KillableServer
from filelock import FileLock
from numpy.typing import NDArray
from playwright.sync_api import Browser, sync_playwright
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from poseshift.adaptation.methods import METHODS
from poseshift.flows.experiment.folder import Trained
from poseshift.flows.experiment.recipe import PoseData, Recipe, StoredData, Test
from poseshift.flows.pipeline import evaluate_method, prepare_data, publish, train_method
from poseshift.storage.exchange.detections import attach_detections
from poseshift.storage.store import PoseStore
from poseshift.training.checkpoint import save_lifter
from poseshift.training.encoding import encoding
from poseshift.training.lifters.registry import build, preset
from poseshift.training.lifters.simple_baseline import SimpleBaselineConfig
from poseshift.training.schedule import Schedule

T = TypeVar("T")

OFFLINE = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""Options of a Chromium that opens no connection of its own."""


class OfAllProcesses(Protocol):
    """What the fixture of that name gives."""

    def once(self, name: str, make: Callable[[Path], T]) -> T: ...

    def alone(self, name: str) -> FileLock: ...


Miss = Callable[[NDArray[np.float32]], None]
"""Spoils a view's keypoints with confidences, (frames, joints, 3), in place."""

WithDetector = Callable[[StoredData, Path, Miss], StoredData]


@pytest.fixture(scope="session")
def with_detector() -> WithDetector:
    """Make a copy of a store with a detector ``seen``, which is right but for what it misses."""
    return _with_detector


def _with_detector(data: StoredData, folder: Path, miss: Miss) -> StoredData:
    shutil.copytree(data.store, folder)
    store = PoseStore.open(str(folder))
    with store.transaction("attach detections") as transaction:
        for key in store.keys():
            trial = store.read(key)
            views = [
                np.concatenate([view, np.ones_like(view[..., :1])], axis=-1) for view in trial.keypoints_2d
            ]
            for view in views:
                miss(view)
            transaction.write(attach_detections(trial, "seen", views))
    return data.model_copy(update={"store": str(folder), "keypoints": "seen"})


def experiment(trees: Path, folder: Path) -> Recipe:
    """A recipe over restaged trees that trains three lifters for a few steps."""
    target = trees / "mpi_inf_3dhp"
    return Recipe(
        name="small",
        run_dir=folder / "run",
        source=PoseData(
            dataset="human36m",
            store=str(folder / "human36m"),
            raw=trees / "human36m",
            subjects=("S1", "S5"),
        ),
        target=PoseData(
            dataset="mpi_inf_3dhp_train",
            store=str(folder / "train"),
            raw=target,
            subjects=("S1", "S2"),
            cameras=("0", "8"),
        ),
        test=Test(
            data=StoredData(dataset="mpi_inf_3dhp_test", store=str(folder / "test"), raw=target),
            protocols=("3dhp-annot3", "3dhp-official"),
        ),
        lifter=preset("ampose-small"),
        method=METHODS["gpa"],
        compare=(METHODS["source_only"], METHODS["target_supervised"]),
        schedule=Schedule(epochs=2, steps_per_epoch=3, batch_size=16),
        seeds=(0, 1),
        device="cpu",
        jobs=1,
    )


@pytest.fixture(scope="session")
def prepared(restaged: Path, of_all_processes: OfAllProcesses) -> Recipe:
    """The experiment with its three stores prepared and nothing trained.

    Other processes read it: a test that prepares it again, or runs it in its folder, uses ``alone``.
    """

    def make(folder: Path) -> Recipe:
        recipe = experiment(restaged, folder)
        for data in (recipe.source, recipe.target, recipe.test.data):
            assert data is not None
            prepare_data(data)
        return recipe

    return of_all_processes.once("experiment", make)


@pytest.fixture(scope="session")
def finished(prepared: Recipe, of_all_processes: OfAllProcesses) -> tuple[Recipe, tuple[Trained, ...]]:
    """The experiment after training, evaluation and report; shared as ``prepared`` is."""

    def make(_: Path) -> tuple[Trained, ...]:
        with of_all_processes.alone("writer"):
            trained = tuple(
                Trained(name, seed, train_method(prepared, name, seed), evaluate_method(prepared, name, seed))
                for seed in prepared.seeds
                for name in prepared.methods
            )
            publish(prepared, trained)
        return trained

    return prepared, of_all_processes.once("trained", make)


@pytest.fixture
def alone(of_all_processes: OfAllProcesses) -> Iterator[None]:
    """One test at a time takes the locks of the experiment's stores and folders."""
    with of_all_processes.alone("writer"):
        yield


@pytest.fixture(scope="session")
def experiment_in() -> Callable[[Path, Path], Recipe]:
    """:func:`experiment`, for tests that need trees and folders of their own."""
    return experiment


@pytest.fixture(scope="module")  # not longer: its event loop is in the way of flows in other modules
def browser() -> Iterator[Browser]:
    """A Chromium that asks nobody for anything by itself."""
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = next((found for name in names if (found := shutil.which(name))), None)
    if executable is None:
        pytest.skip("needs a Chromium on the PATH; playwright's own is not downloaded")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=list(OFFLINE))
        yield running
        running.close()


@pytest.fixture(scope="session")
def prefect_home(
    of_all_processes: OfAllProcesses, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Path]:
    """A function that makes a home for Prefect, whose database has all of Prefect's migrations."""

    def migrate(folder: Path) -> Path:
        upgrade = ("-m", "prefect", "server", "database", "upgrade", "--yes")
        programs.run(*upgrade, environment={**os.environ, "PREFECT_HOME": str(folder)}).check_returncode()
        return folder / "prefect.db"

    def make() -> Path:
        home = tmp_path_factory.mktemp("prefect-home")
        shutil.copy(of_all_processes.once("prefect-database", migrate), home)
        return home

    return make


SERVER = pytest.StashKey[KillableServer]()


@pytest.fixture
def server(prefect_home: Callable[[], Path], request: pytest.FixtureRequest) -> KillableServer:
    """A real Prefect server on the loopback, whose services look more often than usual.

    It is started once for files that follow each other, and killed after them: it takes 4 % of a core while
    it idles.
    """
    stash = request.session.stash
    if SERVER not in stash:
        stash[SERVER] = KillableServer(
            prefect_home(), {"PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "0.5"}
        )
        stash[SERVER].start()
    return stash[SERVER]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Kill the server when no test of the next file uses it."""
    if SERVER not in item.session.stash or (nextitem is not None and nextitem.path == item.path):
        return
    used_by = {one.path for one in item.session.items if "server" in getattr(one, "fixturenames", ())}
    if nextitem is None or nextitem.path not in used_by:
        item.session.stash[SERVER].kill()
        del item.session.stash[SERVER]


@pytest.fixture
def connected(server: KillableServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[KillableServer]:
    """The server, named to the commands of this process and talked to by its flows."""
    for name in ("PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.setenv(name, server.environment[name])
    settings = {PREFECT_API_URL: server.url, PREFECT_HOME: Path(server.environment["PREFECT_HOME"])}
    with temporary_settings(settings):
        yield server
        APILogHandler().flush()


@pytest.fixture(scope="module")
def lifter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lifter of the screen encoding that has learned nothing."""
    folder = tmp_path_factory.mktemp("lifter") / "lifter"
    config = SimpleBaselineConfig(width=8)
    save_lifter(folder, config, "screen", build(config, encoding("screen").channels), {})
    return folder
