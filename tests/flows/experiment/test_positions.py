"""Which 3D is learned: what the recipe says, or what the first protocol measures for a reference."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from poseshift.adaptation.methods import METHODS
from poseshift.flows.experiment.data import open_poses
from poseshift.flows.experiment.folder import job
from poseshift.flows.experiment.recipe import PoseData, Recipe, StoredData, Test
from poseshift.flows.experiment.train import train_lifter, training_inputs
from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project
from poseshift.storage.schema import PositionsKind, Trial, TrialKey
from poseshift.storage.store import PoseStore
from poseshift.training.lifters.registry import preset
from poseshift.training.schedule import Schedule

FRAMES = 24
SCALE = np.float32(0.8)


def trial(camera: Camera, *, both: bool) -> Trial:
    """Random bodies before one camera, in their own size and, with ``both``, in a common one as well."""
    rng = np.random.default_rng(3)
    body = rng.normal(scale=0.4, size=(FRAMES, 17, 3)) + np.array([0, 4, 0])  # it looks along y
    world = body.astype(np.float32)
    pelvis = world[:, :1]
    return Trial(
        key=TrialKey("S1", "Seq1"),
        action="Seq1",
        subaction="",
        fps=25.0,
        cameras=(camera,),
        positions_world=world,
        keypoints_2d=np.asarray(project(body @ np.array(camera.rotation).T, camera.intrinsics))[None].astype(
            np.float32
        ),
        positions_universal=pelvis + SCALE * (world - pelvis) if both else None,
    )


@pytest.fixture
def recipe(tmp_path: Path, square_camera: Camera) -> Recipe:
    """A recipe whose target has annotated and universal 3D and is measured by the universal one."""
    for name, both in (("human36m", False), ("mpi_inf_3dhp_train", True)):
        with PoseStore.create(tmp_path / name, name).transaction("write") as transaction:
            transaction.write(trial(replace(square_camera, name="0"), both=both))
    return Recipe(
        name="kinds",
        run_dir=tmp_path / "run",
        source=PoseData(dataset="human36m", store=str(tmp_path / "human36m")),
        target=PoseData(dataset="mpi_inf_3dhp_train", store=str(tmp_path / "mpi_inf_3dhp_train")),
        test=Test(
            data=StoredData(dataset="mpi_inf_3dhp_test", store=str(tmp_path / "unread")),
            protocols=("3dhp-official", "3dhp-annot3"),
        ),
        lifter=preset("simple-baseline-small"),
        method=METHODS["gpa"],
        compare=(METHODS["source_only"], METHODS["target_supervised"]),
        schedule=Schedule(epochs=1, steps_per_epoch=1, batch_size=8),
        device="cpu",
    )


def chosen(recipe: Recipe, part: str, kind: PositionsKind | None) -> Recipe:
    """The recipe with ``positions:`` of one part."""
    return recipe.model_copy(update={part: getattr(recipe, part).model_copy(update={"positions": kind})})


def sizes(poses: np.ndarray) -> np.ndarray:
    """Distance of the head top from the pelvis, metres."""
    size: np.ndarray = np.linalg.norm(poses[:, 10] - poses[:, 0], axis=-1)
    return size


def test_a_reference_learns_the_3d_that_the_first_protocol_measures(recipe: Recipe) -> None:
    annotated = chosen(recipe, "target", "annotated")
    assert recipe.target is not None
    both = open_poses(recipe.target).store.read(TrialKey("S1", "Seq1"))
    learned = open_poses(job(recipe, "target_supervised", 0).labelled).labelled()
    np.testing.assert_allclose(
        sizes(learned.positions_camera), SCALE * sizes(both.positions_world), rtol=1e-5
    )
    as_asked = open_poses(job(annotated, "target_supervised", 0).labelled).labelled()
    np.testing.assert_allclose(sizes(as_asked.positions_camera), sizes(both.positions_world), rtol=1e-5)

    turned = recipe.test.model_copy(update={"protocols": ("3dhp-annot3", "3dhp-official")})
    other = recipe.model_copy(update={"test": turned})
    assert job(other, "target_supervised", 0).labelled.positions == "annotated"


def test_the_kind_is_recorded_and_decides_whether_a_lifter_is_there(recipe: Recipe, tmp_path: Path) -> None:
    wanted = job(recipe, "target_supervised", 0)
    assert training_inputs(wanted).labelled.positions == "universal"
    assert train_lifter(wanted, tmp_path / "stage").result.positions == ("universal",)
    assert train_lifter(wanted, tmp_path / "stage").reused
    other = train_lifter(
        job(chosen(recipe, "target", "annotated"), "target_supervised", 0), tmp_path / "stage"
    )
    assert not other.reused
    assert other.result.positions == ("annotated",)


def test_other_methods_learn_the_source_as_it_is_held(recipe: Recipe) -> None:
    for method in ("source_only", "gpa"):
        assert job(recipe, method, 0).labelled == recipe.source
    inputs = training_inputs(job(recipe, "gpa", 0)).model_dump(mode="json")
    assert "positions" not in inputs["labelled"], "earlier stages of the same inputs keep their digest"
    assert "positions" not in recipe.model_dump(mode="json")["source"], "and so do earlier recipes"


def test_a_kind_that_a_store_has_not_is_refused_with_a_way_out(recipe: Recipe, square_camera: Camera) -> None:
    assert recipe.target is not None
    data = recipe.source.model_copy(update={"positions": "universal"})
    with pytest.raises(ValueError, match=r"has annotated 3D only.*say `positions: annotated`"):
        open_poses(data).labelled()
    assert len(open_poses(data).unlabelled()) == FRAMES, "keypoints are the same under either"


def test_a_recipe_knows_two_kinds() -> None:
    data = {"dataset": "human36m", "store": "x"}
    assert PoseData.model_validate({**data, "positions": "universal"}).selection.positions == "universal"
    with pytest.raises(ValidationError, match="'annotated' or 'universal'"):
        PoseData.model_validate({**data, "positions": "normalised"})
