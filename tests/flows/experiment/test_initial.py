"""Trainings that start from a trained lifter's weights, and recipes on fewer joints than stores have."""

from pathlib import Path

import numpy as np
import pytest
import torch

from poseshift.adaptation.methods import METHODS
from poseshift.flows.experiment.evaluate import evaluate_lifter
from poseshift.flows.experiment.folder import RunFolder, Trained, job
from poseshift.flows.experiment.recipe import Recipe, load_recipe, save_recipe
from poseshift.flows.experiment.train import train_lifter, training_inputs
from poseshift.flows.pipeline import evaluate_method, publish, train_method
from poseshift.geometry.skeleton import mapping
from poseshift.training.checkpoint import load_lifter
from poseshift.training.lifters.ampose import AMPoseConfig
from poseshift.training.lifters.registry import preset

TINY = preset("simple-baseline-small")


def with_(recipe: Recipe, **changes: object) -> Recipe:
    """The recipe with other fields, checked as a file's would be."""
    return Recipe.model_validate({**dict(recipe), **changes})


@pytest.fixture(scope="module")
def before(prepared: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose source-only lifter was trained."""
    place = tmp_path_factory.mktemp("before")
    recipe = with_(prepared, run_dir=place, lifter=TINY)
    for seed in recipe.seeds:
        train_method(recipe, "source_only", seed)
    return place


def test_a_training_starts_from_the_weights_that_it_is_given(
    prepared: Recipe, before: Path, tmp_path: Path
) -> None:
    still = prepared.schedule.model_copy(update={"learning_rate": 1e-30, "weight_decay": 0.0})
    there = str(before / "lifters" / "source_only" / "seed-{seed}" / "lifter")
    recipe = with_(prepared, run_dir=tmp_path, lifter=TINY, initial=there, schedule=still)
    for seed in recipe.seeds:
        train_method(recipe, "gpa", seed)
        theirs = load_lifter(RunFolder(before).lifter("source_only", seed)).lifter
        ours = load_lifter(RunFolder(tmp_path).lifter("gpa", seed)).lifter
        weights = dict(ours.named_parameters())
        assert all(torch.equal(weight, weights[name]) for name, weight in theirs.named_parameters())


def test_what_it_starts_from_is_an_input_by_content(prepared: Recipe, before: Path, tmp_path: Path) -> None:
    there = RunFolder(before).lifter("source_only", 0)
    one = job(with_(prepared, lifter=TINY, initial=str(there)), "gpa", 0)
    first = train_lifter(one, tmp_path / "stage")
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in there.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    again = train_lifter(one.model_copy(update={"initial": moved}), tmp_path / "stage")
    assert not first.reused
    assert again.reused
    other = one.model_copy(update={"initial": RunFolder(before).lifter("source_only", 1)})
    assert training_inputs(other) != training_inputs(one)
    assert "initial" not in training_inputs(one.model_copy(update={"initial": None})).model_dump()


def test_another_kind_of_lifter_is_refused(prepared: Recipe, before: Path, tmp_path: Path) -> None:
    there = RunFolder(before).lifter("source_only", 0)
    recipe = with_(prepared, lifter=TINY, initial=str(there))
    started = job(recipe, "gpa", 0)
    for changes, told in (
        ({"encoding": "perspective"}, "its encoding is screen, not perspective"),
        ({"lifter": TINY.model_copy(update={"skeleton": "poseaug_16"})}, "skeleton is human36m_17, not pose"),
        ({"lifter": TINY.model_copy(update={"width": 32})}, "its lifter's width is 256, not 32"),
        ({"lifter": AMPoseConfig()}, "its lifter's name is 'simple-baseline', not 'ampose'"),
    ):
        with pytest.raises(ValueError, match=told):
            train_lifter(started.model_copy(update=changes), tmp_path / "stage")
    with pytest.raises(FileNotFoundError, match="is not a trained lifter"):
        train_lifter(started.model_copy(update={"initial": tmp_path}), tmp_path / "stage")
    assert not (tmp_path / "stage").exists()


def test_a_recipe_on_sixteen_joints(prepared: Recipe, tmp_path: Path) -> None:
    test = prepared.test.model_copy(update={"protocols": ("3dhp-poseaug16",)})
    recipe = with_(
        prepared,
        run_dir=tmp_path / "run",
        skeleton="poseaug_16",
        lifter=TINY,
        test=test,
        method=METHODS["poseda"],
        compare=("source_only",),
        seeds=(0,),
    )
    save_recipe(recipe, tmp_path / "recipe.yaml")
    assert load_recipe(tmp_path / "recipe.yaml") == recipe
    trained = tuple(
        Trained(method, 0, train_method(recipe, method, 0), evaluate_method(recipe, method, 0))
        for method in recipe.methods
    )
    summary = publish(recipe, trained)
    assert summary.protocol == "3dhp-poseaug16"
    lifter = load_lifter(RunFolder(recipe.run_dir).lifter("poseda", 0)).lifter
    assert lifter.skeleton == "poseaug_16"
    with pytest.raises(ValueError, match="protocol 3dhp-annot3 measures human36m_17"):
        evaluate_lifter(RunFolder(recipe.run_dir).lifter("poseda", 0), prepared.test, tmp_path / "other")


def test_joints_that_no_protocol_can_measure_are_refused(prepared: Recipe) -> None:
    with pytest.raises(ValueError, match="3dhp-annot3 measures human36m_17, which cannot be made"):
        with_(prepared, skeleton="poseaug_16")
    with pytest.raises(ValueError, match="no skeleton 'poseaug_61'"):
        with_(prepared, skeleton="poseaug_61")


def test_earlier_recipes_keep_their_digest(prepared: Recipe) -> None:
    assert {"initial", "skeleton"}.isdisjoint(prepared.model_dump())


def test_poses_are_mapped_and_left_alone(make_columns, draw_people, square_camera) -> None:
    people = draw_people(np.random.default_rng(0), 3)
    poses = make_columns(people, (square_camera,), np.zeros(3, dtype=np.int32))
    assert poses.on_skeleton("human36m_17") is poses
    mapped = poses.on_skeleton("poseaug_16")
    joints = mapping("human36m_17", "poseaug_16")
    assert np.array_equal(mapped.positions_camera, joints.apply(poses.positions_camera))
    assert np.array_equal(mapped.keypoints_px, joints.apply(poses.keypoints_px))
    assert (mapped.skeleton, mapped.snapshot) == ("poseaug_16", poses.snapshot)
    with pytest.raises(ValueError, match="cannot be mapped to coco_17"):
        poses.on_skeleton("coco_17")
