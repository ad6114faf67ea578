"""A recipe from restaged raw trees to a summary, with the real readers, stores, lifters and evaluations."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from poseshift.adaptation.methods import METHODS
from poseshift.adaptation.plan import plan
from poseshift.adaptation.target_keypoints import TargetKeypoints
from poseshift.flows.cli import app
from poseshift.flows.experiment.data import WrongDatasetError, open_poses, open_store
from poseshift.flows.experiment.evaluate import evaluate_lifter
from poseshift.flows.experiment.fitting import resolve_device
from poseshift.flows.experiment.folder import RunFolder, Trained, job
from poseshift.flows.experiment.recipe import Recipe, save_recipe
from poseshift.flows.experiment.results import Summary
from poseshift.flows.experiment.train import TrainingRecord, train_lifter
from poseshift.flows.pipeline import evaluate_method, prepare_data, publish, train_method
from poseshift.storage.store import PoseStore, StoreError
from poseshift.training.checkpoint import load_lifter
from poseshift.training.evaluation.answering import predict
from poseshift.training.evaluation.evaluate import evaluate
from poseshift.training.evaluation.protocols import PROTOCOLS, names_for, protocol

Finished = tuple[Recipe, tuple[Trained, ...]]


def poseshift(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_the_summary_is_what_the_lifters_do_on_the_test_set(finished: Finished) -> None:
    recipe, _ = finished
    folder = RunFolder(recipe.run_dir)
    summary = Summary.model_validate_json(folder.summary.read_text())
    row = summary.of("gpa")
    assert row is not None
    chosen = protocol("3dhp-annot3")
    poses = chosen.read(open_store(recipe.test.data))
    again = [
        evaluate(predict(load_lifter(folder.lifter("gpa", seed)), poses), poses, chosen).mpjpe_mm.value
        for seed in recipe.seeds
    ]
    assert row.figures.mpjpe_mm.per_seed == pytest.approx(again, abs=1e-3)
    assert row.figures.mpjpe_mm.value == pytest.approx(np.mean(again), abs=1e-3)
    assert summary.frames == len(poses)


def test_the_summary_says_what_it_rests_on(finished: Finished) -> None:
    recipe, _ = finished
    content = json.loads(RunFolder(recipe.run_dir).summary.read_text())
    assert content["protocol"] == "3dhp-annot3"
    assert [details["protocol"] for details in content["details"]] == ["3dhp-official"]
    assert content["seeds"] == [0, 1]
    assert content["restaged_from"] == "procedural motion of the tests"
    assert [(one["part"], one["restaged_from"]) for one in content["origins"]["parts"]] == [
        (part, "procedural motion of the tests") for part in ("source", "target", "test")
    ]
    assert content["origins"]["target_frames_tested"] == 0
    assert content["recipe_digest"] == recipe.digest
    assert content["selection"] == "last"
    for data in (recipe.source, recipe.target, recipe.test.data):
        assert data is not None
        assert content["snapshots"][data.dataset] == PoseStore.open(data.store).snapshot
    assert [row["method"] for row in content["rows"]] == ["source_only", "gpa", "target_supervised"]
    assert [row["role"] for row in content["rows"]] == ["baseline", "adapted", "reference"]
    for row in content["rows"]:
        assert row["parts"]["encoding"] == "screen"
        for metric in ("mpjpe_mm", "pa_mpjpe_mm", "pck150", "auc"):
            figure = row["figures"][metric]
            assert figure["low"] <= figure["value"] <= figure["high"]


@pytest.mark.usefixtures("alone")
def test_doing_it_again_does_nothing(finished: Finished) -> None:
    recipe, trained = finished
    folder = RunFolder(recipe.run_dir)
    weights = {path: path.stat().st_mtime_ns for path in recipe.run_dir.rglob("*.safetensors")}
    assert weights
    for one in trained:
        assert train_lifter(job(recipe, one.method, one.seed), folder.training(one.method, one.seed)).reused
        assert evaluate_lifter(
            folder.lifter(one.method, one.seed), recipe.test, folder.evaluation(one.method, one.seed)
        ).reused
    assert {path: path.stat().st_mtime_ns for path in recipe.run_dir.rglob("*.safetensors")} == weights


def test_another_seed_or_schedule_is_trained_anew_and_moving_a_store_is_not(
    finished: Finished, tmp_path: Path
) -> None:
    recipe, _ = finished
    place = tmp_path / "stage"
    shutil.copytree(RunFolder(recipe.run_dir).training("source_only", 0), place)
    moved = shutil.copytree(recipe.source.store, tmp_path / "moved")
    same = job(recipe, "source_only", 0)
    elsewhere = same.model_copy(
        update={"labelled": recipe.source.model_copy(update={"store": str(moved)}), "device": "auto"}
    )
    assert train_lifter(elsewhere, place).reused
    assert not train_lifter(same.model_copy(update={"seed": 5}), place).reused


def test_the_same_job_gives_the_same_weights(finished: Finished, tmp_path: Path) -> None:
    recipe, _ = finished
    train_lifter(job(recipe, "gpa", 1), tmp_path / "again")
    first = load_lifter(RunFolder(recipe.run_dir).lifter("gpa", 1)).lifter.state_dict()
    again = load_lifter(tmp_path / "again" / "lifter").lifter.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_kinds_of_lifter_differ_in_what_they_learn_from_and_in_nothing_else(prepared: Recipe) -> None:
    source_only, gpa, supervised = (
        job(prepared, method, 0) for method in ("source_only", "gpa", "target_supervised")
    )
    assert source_only.labelled == gpa.labelled == prepared.source
    assert prepared.target is not None
    assert supervised.labelled == prepared.target.model_copy(update={"positions": "annotated"})
    assert gpa.target == prepared.target
    assert source_only.target is None
    assert supervised.target is None
    for name in ("lifter", "encoding", "schedule", "seed"):
        assert getattr(source_only, name) == getattr(gpa, name) == getattr(supervised, name)


def test_adaptation_cannot_see_the_targets_3d(prepared: Recipe) -> None:
    learned = job(prepared, "gpa", 0)
    assert learned.target is not None
    data = open_poses(learned.target)
    hidden, shown = data.unlabelled(), data.labelled()
    assert np.isnan(hidden.positions_camera).all()
    np.testing.assert_array_equal(hidden.keypoints_px, shown.keypoints_px)
    np.testing.assert_array_equal(
        TargetKeypoints.from_poses(hidden).rays, TargetKeypoints.from_poses(shown).rays
    )
    source = open_poses(learned.labelled).labelled()
    (alignment,) = plan(learned.adaptation, source, hidden, seed=0, device=torch.device("cpu")).transforms
    assert callable(alignment)


def test_selection_reaches_training(finished: Finished) -> None:
    recipe, trained = finished
    record = next(one.training for one in trained if one.method == "target_supervised")
    store = open_store(recipe.target) if recipe.target else None
    assert store is not None
    frames = sum(store.read(key).frames for key in store.keys() if key.subject in ("S1", "S2"))
    assert record.poses == 2 * frames  # two cameras


@pytest.mark.usefixtures("alone")
def test_prepare_again_commits_nothing(prepared: Recipe) -> None:
    report = prepare_data(prepared.source)
    assert report is not None
    assert not report.committed
    assert prepare_data(prepared.source.model_copy(update={"raw": None})) is None


def test_a_store_of_another_data_set_is_refused(prepared: Recipe) -> None:
    wrong = prepared.source.model_copy(update={"dataset": "mpi_inf_3dhp_train"})
    with pytest.raises(WrongDatasetError, match="holds human36m"):
        open_store(wrong)


def test_evaluation_without_a_lifter_says_so(prepared: Recipe, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="not a trained lifter"):
        evaluate_lifter(tmp_path, prepared.test, tmp_path / "results")


def test_devices() -> None:
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="not a device"):
        resolve_device("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no CUDA device"):
            resolve_device("cuda")


@pytest.mark.usefixtures("connected", "alone")
def test_run_as_a_user_runs_it(finished: Finished, tmp_path: Path) -> None:
    recipe, _ = finished
    path = tmp_path / "recipe.yaml"
    save_recipe(recipe, path)
    done = poseshift("run", str(path), "--json")
    assert done.exit_code == 0, done.output
    summary = Summary.model_validate_json(done.stdout)
    assert summary == Summary.model_validate_json(RunFolder(recipe.run_dir).summary.read_text())
    assert "was there already" in done.stderr
    assert (recipe.run_dir / "recipe.yaml").read_text() == path.read_text()


def test_errors_of_users_have_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: nothing else", encoding="utf-8")
    refused = poseshift("run", str(path))
    assert refused.exit_code == 1
    assert isinstance(refused.exception, SystemExit)
    assert "source: is missing; add it" in refused.stderr
    assert refused.stdout == ""


def test_a_missing_store_is_an_error_of_the_user(prepared: Recipe, tmp_path: Path) -> None:
    absent = prepared.source.model_copy(update={"store": str(tmp_path / "absent"), "raw": None})
    with pytest.raises(StoreError, match="poseshift prepare"):
        train_lifter(
            job(prepared, "source_only", 0).model_copy(update={"labelled": absent}), tmp_path / "stage"
        )


@pytest.mark.usefixtures("connected")
def test_adapt_and_evaluate_as_commands(prepared: Recipe, tmp_path: Path) -> None:
    target = prepared.target
    assert target is not None
    adapted = poseshift(
        "adapt",
        prepared.source.store,
        target.store,
        *("--out", str(tmp_path / "diverse"), "--subject", "S1", "--target-camera", "0"),
        *("--method", "diverse", "--epochs", "1", "--steps-per-epoch", "2", "--device", "cpu", "--json"),
    )
    assert adapted.exit_code == 0, adapted.output
    record = TrainingRecord.model_validate_json(adapted.stdout)
    assert set(record.snapshots) == {"human36m", "mpi_inf_3dhp_train"}
    learned = load_lifter(tmp_path / "diverse" / "lifter")
    assert learned.answer.rays == METHODS["diverse"].rays
    store = prepared.test.data.store
    measured = poseshift("evaluate", str(tmp_path / "diverse" / "lifter"), store, "--json")
    assert measured.exit_code == 0, measured.output
    assert {one["protocol"] for one in json.loads(measured.stdout)["results"]} == set(
        names_for("mpi_inf_3dhp_test")
    )


def test_evaluating_no_lifter_is_an_error_of_the_user(prepared: Recipe, tmp_path: Path) -> None:
    wrong = poseshift("evaluate", str(tmp_path), prepared.test.data.store)
    assert wrong.exit_code == 1
    assert isinstance(wrong.exception, SystemExit)
    assert "not a trained lifter" in wrong.stderr


def test_models_and_protocols_are_listed() -> None:
    lifters = json.loads(poseshift("models", "--json").stdout)["lifters"]
    assert {"ampose", "ampose-small"} <= {one["name"] for one in lifters}
    assert all(one["parameters"] > 0 and one["multiply_adds"] > 0 for one in lifters)
    protocols = json.loads(poseshift("models", "--protocols", "--json").stdout)["protocols"]
    assert {one["name"] for one in protocols} == set(PROTOCOLS)


@pytest.mark.usefixtures("alone")
def test_publish_needs_no_prefect(finished: Finished) -> None:
    recipe, trained = finished
    before = RunFolder(recipe.run_dir).summary.read_text()
    publish(recipe, trained)
    assert RunFolder(recipe.run_dir).summary.read_text() == before


@pytest.mark.usefixtures("alone")
def test_methods_can_be_trained_one_by_one(finished: Finished) -> None:
    recipe, trained = finished
    first = trained[0]
    assert train_method(recipe, first.method, first.seed) == first.training
    assert evaluate_method(recipe, first.method, first.seed) == first.evaluation
