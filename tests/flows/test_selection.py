"""Label-free choice of a checkpoint, in recipes and in training."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from poseshift.adaptation.candidates import candidates
from poseshift.adaptation.selection import choose
from poseshift.flows.experiment.folder import RunFolder, job
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.experiment.train import CHECKPOINT, TrainingRecord, train_lifter
from poseshift.flows.pipeline import train_method
from poseshift.training.checkpoint import load_lifter
from poseshift.training.schedule import Schedule


class InterruptionError(Exception):
    """Raised by the tests in the middle of a run."""


@pytest.fixture(scope="module")
def choosing(prepared: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """The small experiment, with four epochs to choose from and rates that make them differ."""
    return prepared.model_copy(
        update={
            "run_dir": tmp_path_factory.mktemp("choosing") / "run",
            "selection": "label-free",
            "schedule": Schedule(epochs=4, steps_per_epoch=4, batch_size=16, learning_rate=0.1),
            "seeds": (0,),
        }
    )


@pytest.fixture(scope="module")
def record(choosing: Recipe) -> TrainingRecord:
    return train_method(choosing, "gpa", 0)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_lifter(folder, torch.device("cpu")).lifter.state_dict())


def test_the_lifter_that_is_kept_is_the_chosen_one(choosing: Recipe, record: TrainingRecord) -> None:
    assert record.selection == "label-free"
    assert [one.epoch for one in record.candidates] == [1, 2, 3, 4]
    chosen = record.candidates[choose([one.criteria for one in record.candidates])]
    assert record.epoch == chosen.epoch
    folder = RunFolder(choosing.run_dir)
    place = folder.training("gpa", 0)
    assert candidates(place / "candidates") == record.candidates
    from safetensors.torch import load_file

    kept = weights(folder.lifter("gpa", 0))
    for name, value in load_file(place / "candidates" / chosen.weights).items():
        assert torch.equal(kept[name], value)


def test_choosing_does_not_disturb_training(choosing: Recipe, record: TrainingRecord, tmp_path: Path) -> None:
    """The last epoch's weights and all losses are those of a run that keeps the last."""
    last = job(choosing, "gpa", 0).model_copy(update={"selection": "last"})
    plain = train_lifter(last, tmp_path / "plain").result
    assert plain.curve == record.curve
    assert plain.epoch == 4
    assert plain.candidates == ()


def test_lifters_without_a_target_keep_the_last_epoch(choosing: Recipe) -> None:
    assert job(choosing, "source_only", 0).selection == "last"
    assert job(choosing, "target_supervised", 0).selection == "last"
    alone = job(choosing, "source_only", 0).model_copy(update={"selection": "label-free"})
    with pytest.raises(ValueError, match="give a target"):
        train_lifter(alone, choosing.run_dir / "alone")


def test_killed_between_state_and_record_it_chooses_from_the_same_epochs(
    choosing: Recipe, record: TrainingRecord, tmp_path: Path
) -> None:
    def stop(log: object) -> None:
        raise InterruptionError

    wanted = job(choosing, "gpa", 0)
    with pytest.raises(InterruptionError):
        train_lifter(wanted, tmp_path / "broken", stop)
    (tmp_path / "broken" / "candidates" / "candidates.json").unlink()
    again = train_lifter(wanted, tmp_path / "broken").result
    assert again.candidates == record.candidates
    assert again.epoch == record.epoch
    whole = weights(RunFolder(choosing.run_dir).training("gpa", 0) / CHECKPOINT)
    resumed = weights(tmp_path / "broken" / CHECKPOINT)
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_recipes_that_cannot_choose_are_refused(prepared: Recipe) -> None:
    content = prepared.model_dump() | {"selection": "label-free"}
    with pytest.raises(ValidationError, match="looks at the target's keypoints"):
        Recipe.model_validate(content | {"method": "source_only", "compare": []})
    with pytest.raises(ValidationError, match="leave out one of them"):
        Recipe.model_validate(content | {"schedule": {"ema_decay": 0.99}})
