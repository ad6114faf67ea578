"""Shipped lifters by name: in commands and recipes a name does what the folder does."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.experiment.evaluate import evaluate_lifter, evaluation_inputs
from poseshift.flows.experiment.folder import job
from poseshift.flows.experiment.predict import PredictionOptions, predict_store
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.experiment.train import CHECKPOINT, train_lifter, training_inputs
from poseshift.training.checkpoint import describe_lifter, load_lifter, save_lifter
from poseshift.training.licences import RECORDED_AS, LearnedFrom, licence_of
from poseshift.training.lifters.registry import preset
from poseshift.training.shipped import lifter_folder, shipped_lifters

NAME = Path("free-motion-1")


def poseshift(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped lifter's folder at another place."""
    folder = tmp_path_factory.mktemp("copied") / "lifter"
    shutil.copytree(lifter_folder(NAME), folder)
    return folder


def test_predictions_by_name_are_those_by_folder(prepared: Recipe, copied: Path, tmp_path: Path) -> None:
    options = PredictionOptions(subjects=("S1",))
    named, by_folder = (
        predict_store(lifter, prepared.source.store, options, tmp_path / str(number), "cpu").record
        for number, lifter in enumerate((NAME, copied))
    )
    assert named.inputs == by_folder.inputs
    assert named.lifter == "free-motion-1"
    for one, other in zip(named.motions, by_folder.motions, strict=True):
        with (
            np.load(tmp_path / "0" / one.files["npz"]) as ours,
            np.load(tmp_path / "1" / other.files["npz"]) as theirs,
        ):
            np.testing.assert_array_equal(ours["positions"], theirs["positions"])


def test_evaluations_by_name_are_those_by_folder(prepared: Recipe, copied: Path, tmp_path: Path) -> None:
    assert prepared.test is not None
    assert evaluation_inputs(NAME, prepared.test) == evaluation_inputs(copied, prepared.test)
    named, by_folder = (
        evaluate_lifter(lifter, prepared.test, tmp_path / str(number), "cpu").result
        for number, lifter in enumerate((NAME, copied))
    )
    assert named.results == by_folder.results


def test_evaluating_a_shipped_lifter_writes_nothing_into_the_package(prepared: Recipe) -> None:
    assert prepared.test is not None
    refused = poseshift("evaluate", NAME, prepared.test.data.store)
    assert refused.exit_code == 1
    assert "give --out a folder" in refused.stderr


def test_training_goes_on_from_a_shipped_lifter_and_inherits_its_data(
    prepared: Recipe, copied: Path, tmp_path: Path
) -> None:
    recipe = Recipe.model_validate(
        {
            **prepared.model_dump(mode="json"),
            "lifter": preset("simple-baseline-small").model_dump(),
            "encoding": "perspective",
            "initial": str(NAME),
        }
    )
    started = job(recipe, "source_only", 0)
    by_folder = started.model_copy(update={"initial": copied})
    assert training_inputs(started) == training_inputs(by_folder)
    train_lifter(started, tmp_path / "stage")
    tuned = describe_lifter(tmp_path / "stage" / CHECKPOINT)
    parts = licence_of("tuned", tuned.provenance).parts
    shipped = licence_of("shipped", describe_lifter(copied).provenance).parts
    assert {part.data.role for part in parts} == {"labelled", "initial"}
    assert [(part.data.dataset, part.data.snapshot, part.terms) for part in parts[1:]] == [
        (part.data.dataset, part.data.snapshot, part.terms) for part in shipped
    ]


def test_a_name_that_is_none_is_refused(prepared: Recipe, tmp_path: Path) -> None:
    refused = poseshift("predict", "free-motion-9", prepared.source.store, "--out", tmp_path / "out")
    assert refused.exit_code == 1
    assert "free-motion-9 is not a trained lifter" in refused.stderr
    assert "free-motion-1" in refused.stderr


def test_shipped_lifters_are_listed() -> None:
    listed = json.loads(poseshift("models", "--shipped", "--json").stdout)["shipped"]
    assert [one["name"] for one in listed] == list(shipped_lifters())
    assert listed[0]["use"] == "free"
    assert 1 < listed[0]["megabytes"] < 5
    assert Path(listed[0]["card"]).is_file()


def test_the_licence_of_a_shipped_lifter() -> None:
    told = poseshift("licence", NAME)
    assert told.exit_code == 0
    assert told.stdout.startswith("free-motion-1: free\n")
    assert "CMU Graphics Lab Motion Capture Database" in told.stdout
    assert "may not be resold directly" in told.stdout
    assert "not for a program to say" in told.stdout


def test_the_licence_of_any_folder(copied: Path, tmp_path: Path) -> None:
    trained = load_lifter(copied)
    for name, provenance, use in (
        (
            "research",
            {RECORDED_AS: [LearnedFrom(role="labelled", dataset="human36m").model_dump()]},
            "research only",
        ),
        ("old", {}, "unknown"),
    ):
        folder = tmp_path / name
        save_lifter(folder, trained.config, "perspective", trained.lifter, provenance)
        assert json.loads(poseshift("licence", folder, "--json").stdout)["use"] == use
        assert f"{use}: " in poseshift("licence", folder).stdout
    nothing = poseshift("licence", tmp_path, "--json")
    assert nothing.exit_code == 1
    assert "is not a trained lifter" in json.loads(nothing.stdout)["error"]["message"]
