"""Runs compute with the threads that their recipe or job names, and record them."""

from pathlib import Path

import pytest
import torch

from poseshift.adaptation.config import NoAdaptation
from poseshift.flows import pipeline
from poseshift.flows import train as train_module
from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.experiment.train import TrainingJob
from poseshift.flows.runtime.environment import Environment
from poseshift.training.threads import computing_with


class LookedError(RuntimeError):
    """Ends a run once its threads have been counted."""

    def __init__(self) -> None:
        super().__init__(torch.get_num_threads())


def look(*_: object, **__: object) -> None:
    raise LookedError


@pytest.mark.parametrize(("named", "threads"), [(None, 1), (2, 2)])
def test_a_recipe_is_run_and_recorded_with_its_threads(
    named: int | None, threads: int, prepared: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "prepare_stores", look)
    recipe = prepared.model_copy(update={"run_dir": tmp_path / "run", "threads": named})
    with computing_with(3):
        with pytest.raises(LookedError, match=str(threads)):
            pipeline.run_recipe(recipe)
        assert torch.get_num_threads() == 3
    written = RunFolder(recipe.run_dir).environment.read_text()
    assert Environment.model_validate_json(written).threads == threads


@pytest.mark.parametrize(("named", "threads"), [(None, 1), (2, 2)])
def test_a_job_is_trained_with_its_threads(
    named: int | None, threads: int, prepared: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_module, "train_lifter", look)
    job = TrainingJob(
        labelled=prepared.source,
        target=None,
        adaptation=NoAdaptation(),
        lifter=prepared.lifter,
        encoding="screen",
        schedule=prepared.schedule,
        seed=0,
        device="cpu",
        threads=named,
    )
    with computing_with(3), pytest.raises(LookedError, match=str(threads)):
        train_module.train(job, tmp_path / "lifter")


def test_threads_that_nobody_names_are_not_written(prepared: Recipe) -> None:
    assert "threads" not in prepared.model_dump()
    assert prepared.model_copy(update={"threads": 2}).model_dump()["threads"] == 2
