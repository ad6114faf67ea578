"""Lifters that are trained at the same time, in processes of their own: with the same result, but sooner."""

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from poseshift.adaptation.methods import METHODS
from poseshift.flows.cli import app
from poseshift.flows.experiment import at_once
from poseshift.flows.experiment.at_once import (
    bytes_of_clip,
    bytes_of_one,
    lifters_at_once,
    require_one_way,
)
from poseshift.flows.experiment.evaluate import EvaluationRecord
from poseshift.flows.experiment.folder import RunFolder, Trained
from poseshift.flows.experiment.launch import Launch, LaunchError
from poseshift.flows.experiment.progress import Step, progress_to, report_progress
from poseshift.flows.experiment.recipe import Recipe, save_recipe
from poseshift.flows.experiment.stage import DONE
from poseshift.flows.pipeline import run_recipe
from poseshift.flows.runtime.workers import WorkerEndedError, in_worker, several_at_once
from poseshift.storage.machine import free_memory_bytes, usable_processors
from poseshift.training.lifters.registry import preset

Finished = tuple[Recipe, tuple[Trained, ...]]
logger = logging.getLogger("poseshift.tests")


def as_it_is(recipe: Recipe, folder: Path, **changes: object) -> Recipe:
    """The recipe without raw trees, in a folder of its own."""
    source, target, test = (
        data.model_copy(update={"raw": None})
        for data in (recipe.source, recipe.target, recipe.required_test.data)
        if data is not None
    )
    given = {"source": source, "target": target, "test": {**recipe.required_test.model_dump(), "data": test}}
    content = {**dict(recipe), **given, "run_dir": folder, "seeds": (0,), "jobs": 2, **changes}
    return Recipe.model_validate(content)


@pytest.fixture
def ctrl_c_interrupts() -> Iterator[None]:
    """What a shell starts in the background ignores Ctrl-C, and Python then leaves it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_interrupted_and_run_again_it_ends_as_one_after_the_other(
    finished: Finished, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    serial = RunFolder(finished[0].run_dir)
    recipe = as_it_is(finished[0], tmp_path / "run", compare=(METHODS["source_only"],))
    folder = RunFolder(recipe.run_dir)
    told: list[Step] = []

    def press_ctrl_c(step: Step) -> None:
        told.append(step)
        if step.name.startswith("train") and step.done == 1:
            os.kill(os.getpid(), signal.SIGINT)  # to the process, as a terminal sends it

    with pytest.raises(KeyboardInterrupt), progress_to(press_ctrl_c):
        run_recipe(recipe)
    assert {step.name for step in told} == {"train Source only, seed 0", "train GPA, seed 0"}
    assert not list(recipe.run_dir.rglob("*.holder")), "locks are let go"
    assert not folder.summary.exists()

    run_recipe(recipe)
    processes = {one.process for one in caplog.records} - {os.getpid(), None}
    assert processes
    assert not any(map(psutil.pid_exists, processes)), "processes outlive their run"
    for method in recipe.methods:
        weights = folder.lifter(method, 0) / "lifter.safetensors"
        assert weights.read_bytes() == (serial.lifter(method, 0) / weights.name).read_bytes()
        mine, theirs = (
            EvaluationRecord.model_validate_json((one.evaluation(method, 0) / DONE).read_bytes())
            for one in (folder, serial)
        )
        assert mine.results == theirs.results
        assert f"stage {folder.training(method, 0)}: " in folder.log.read_text()
    assert recipe.digest == recipe.model_copy(update={"jobs": None}).digest


def test_an_error_is_told_as_one_after_the_other(prepared: Recipe, tmp_path: Path) -> None:
    recipe = as_it_is(prepared, tmp_path / "run", initial=str(tmp_path / "absent"))
    save_recipe(recipe, tmp_path / "recipe.yaml")
    one, two = (
        CliRunner().invoke(app, ["run", str(tmp_path / "recipe.yaml"), "--jobs", jobs, "--json"])
        for jobs in ("1", "2")
    )
    assert (one.exit_code, two.exit_code) == (1, 1)
    assert str(tmp_path / "absent") in one.stdout
    assert two.stdout == one.stdout
    assert two.stderr.splitlines()[-1] == one.stderr.splitlines()[-1]


class AwkwardError(Exception):
    """Cannot be made from what its base class keeps."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def compute(number: int) -> int:
    """What a process does in the tests below."""
    logger.info("computes %d", number)
    report_progress(Step("compute", number, 9))
    match number:
        case 1:
            raise FileNotFoundError(2, "No such file", "absent.npz")
        case 2:
            os.kill(os.getpid(), signal.SIGKILL)
        case 3:
            raise AwkwardError(1, 2)
    return number**2


def test_errors_and_ends_of_processes_are_of_their_part_alone() -> None:
    steps: list[Step] = []
    with progress_to(steps.append), several_at_once(in_worker(compute), range(6), 2, threads=1) as ended:
        found = {part: answer.exception() or answer.result() for part, answer in ended}
    assert {part: found[part] for part in (0, 4, 5)} == {0: 0, 4: 16, 5: 25}
    assert isinstance(found[1], FileNotFoundError)
    assert found[1].filename == "absent.npz"
    assert isinstance(found[2], WorkerEndedError)
    assert "was ended by SIGKILL" in str(found[2])
    assert isinstance(found[3], AwkwardError)
    assert str(found[3]) == "1 and 2"
    assert sorted(step.done for step in steps) == list(range(6))


def test_nothing_more_is_begun_after_an_error_that_ends_the_work() -> None:
    begun = []

    def work(part: int) -> int:
        begun.append(part)
        return in_worker(compute)(part)

    def until_an_error() -> None:
        with several_at_once(work, range(1, 6), 1, threads=1) as ended:
            for _, answer in ended:
                answer.result()

    with pytest.raises(FileNotFoundError):
        until_an_error()
    assert begun == [1]


@pytest.mark.parametrize(
    ("changes", "processors", "threads", "expected"),
    [
        ({}, 8, 1, 3),
        ({}, 2, 1, 2),
        ({}, 8, 4, 2),
        ({}, 1, 1, 1),
        ({"dask": "tcp://127.0.0.1:8786"}, 8, 1, 1),
        ({"jobs": 2}, 1, 1, 2),
        ({"jobs": 9}, 1, 1, 3),
        ({"jobs": 2, "dask": "tcp://127.0.0.1:8786"}, 1, 1, 2),
    ],
)
def test_as_many_as_there_are_processors(
    changes: dict[str, object],
    processors: int,
    threads: int,
    expected: int,
    prepared: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(at_once, "usable_processors", lambda: processors)
    recipe = as_it_is(prepared, tmp_path / "run", **{"jobs": None, **changes})
    assert lifters_at_once(recipe, threads) == expected


def test_as_many_as_memory_has_room_for(
    prepared: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = as_it_is(prepared, tmp_path / "run", jobs=None)
    monkeypatch.setattr(at_once, "usable_processors", lambda: 8)
    for room, expected in ((0.1, 1), (2.1, 2), (2.9, 2)):
        free = int(room * bytes_of_one(recipe) / at_once.SHARE_OF_MEMORY)
        monkeypatch.setattr(at_once, "free_memory_bytes", lambda free=free: free)
        assert lifters_at_once(recipe, 1) == expected


def test_what_a_step_keeps_of_a_clip_counts() -> None:
    frame, clip = (bytes_of_clip(preset(name)) for name in ("simple-baseline-small", "mixste-small"))
    width, layers = 256, 5  # of single precision; each keeps what norm and activation need, of two clips
    assert 2 * 2 * width * layers * 4 < frame < 10 * width * layers * 4
    assert clip > 2 * 27 * 17 * 64 * 6 * 4 * 4  # six blocks, each of more than four arrays of all joints


def test_what_is_there_needs_no_process(finished: Finished) -> None:
    recipe = finished[0].model_copy(update={"jobs": 4})
    assert lifters_at_once(recipe, 1) == 1
    assert lifters_at_once(recipe.model_copy(update={"seeds": (0, 1, 2)}), 1) == 3


def test_a_launch_of_several_processes_is_one_way_and_jobs_are_another(
    prepared: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = Launch(processes=2, local_processes=2)
    require_one_way(prepared, launch)
    with pytest.raises(LaunchError, match=r"`jobs: 2` trains several lifters .* launch has 2 processes"):
        require_one_way(prepared.model_copy(update={"jobs": 2}), launch)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert lifters_at_once(prepared.model_copy(update={"jobs": None}), 1) == 1


def test_limits_of_a_container_count(tmp_path: Path) -> None:
    free, processors = free_memory_bytes(tmp_path), usable_processors(tmp_path)  # no limits there
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 500000\ninactive_file 200000\n")
    assert free > 500_000 == free_memory_bytes(tmp_path)
    assert processors >= 1 == usable_processors(tmp_path)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert usable_processors(tmp_path) == processors
