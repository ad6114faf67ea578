"""Commands under torchrun: two real processes that train together, as one writer among others."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from poseshift.adaptation.methods import METHODS
from poseshift.flows.cli import app
from poseshift.flows.experiment.folder import RunFolder, job
from poseshift.flows.experiment.launch import Launch, LaunchError
from poseshift.flows.experiment.recipe import Recipe, save_recipe
from poseshift.flows.experiment.train import TrainingRecord, train_lifter
from poseshift.flows.pipeline import run_recipe
from poseshift.storage.lock import writer_lock
from poseshift.training.schedule import Schedule

TWO = Launch(rank=1, processes=2, local_rank=1, local_processes=2)


def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Start the command line as two processes on this machine."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*torchrun, "-m", "poseshift.flows.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        env={**os.environ, "TERM": "dumb"},
    )


@pytest.mark.slow
def test_two_processes_do_what_a_recipe_names(
    restaged: Path, tmp_path: Path, experiment_in: Callable[[Path, Path], Recipe]
) -> None:
    recipe = experiment_in(restaged, tmp_path).model_copy(
        update={
            "compare": (METHODS["source_only"],),
            "seeds": (0,),
            "schedule": Schedule(epochs=2, steps_per_epoch=2, batch_size=16),
            "selection": "label-free",
        }
    )
    save_recipe(recipe, tmp_path / "recipe.yaml")
    done = launch("run", str(tmp_path / "recipe.yaml"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == recipe.name  # one document: the second process says nothing
    folder = RunFolder(recipe.run_dir)
    assert folder.report.is_file()
    for method in recipe.methods:
        record = json.loads((folder.training(method, 0) / "done.json").read_text())
        assert TrainingRecord.model_validate(record).processes == 2
        assert (folder.lifter(method, 0) / "lifter.safetensors").is_file()


@pytest.mark.slow
def test_another_launch_is_refused(
    prepared: Recipe, tmp_path: Path, as_two: Callable[..., list[subprocess.CompletedProcess[str]]]
) -> None:
    command = ("train", prepared.source.store, "--out", str(tmp_path / "out"), "--epochs", "1")
    with writer_lock(tmp_path / ".out.lock", "work of another launch"):
        first, _ = as_two("-m", "poseshift.flows.cli", *command)
    assert first.returncode == 1
    assert "another writer is at work here" in first.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def in_a_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process the first of two, of which the second does not exist."""
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("in_a_launch")
def test_what_learns_beside_the_lifter_is_refused_before_any_work(prepared: Recipe, tmp_path: Path) -> None:
    recipe = prepared.model_copy(
        update={"method": METHODS["poseda"], "compare": (), "run_dir": tmp_path / "run"}
    )
    message = "'poseda' learns from the batches of one process, but this launch has 2"
    with pytest.raises(LaunchError, match=message):
        train_lifter(job(recipe, "poseda", 0), tmp_path / "stage")
    with pytest.raises(LaunchError, match=message):
        run_recipe(recipe)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("in_a_launch")
def test_a_command_that_is_one_process_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = CliRunner().invoke(app, ["history", str(tmp_path)])
    assert refused.exit_code == 1
    assert "`poseshift history` is one process, but this launch has 2" in refused.stderr
    monkeypatch.setenv("RANK", "1")
    silent = CliRunner().invoke(app, ["history", str(tmp_path)])
    assert (silent.exit_code, silent.output) == (1, "")


def test_every_process_trains_on_a_gpu_of_its_own() -> None:
    cpu, cuda, second = torch.device("cpu"), torch.device("cuda"), torch.device("cuda", 1)
    assert TWO.own_device(cpu) == cpu
    assert TWO.devices(cpu) == (cpu,)
    assert TWO.own_device(cuda) == second
    assert TWO.devices(cuda) == (torch.device("cuda", 0), second)
    assert Launch().own_device(second) == second
    with pytest.raises(ValueError, match="'cuda:1' is one GPU for 2 processes; name `cuda`"):
        TWO.own_device(second)
