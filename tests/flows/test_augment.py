"""PoseDA in recipes and commands, and augmented sets, on stores from restaged raw trees."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from pydantic import ValidationError
from typer.testing import CliRunner

from poseshift.adaptation.config import GlobalPositionAdaptation, PoseDAAdaptation, alignment_of
from poseshift.adaptation.method import Method
from poseshift.adaptation.methods import METHODS
from poseshift.adaptation.plan import alignment_transforms, plan
from poseshift.adaptation.poseda_config import PoseDAConfig
from poseshift.adaptation.viewpoint import RandomViewpoint
from poseshift.augmentation.checkpoint import load_generator
from poseshift.augmentation.collapse import CollapseConfig
from poseshift.augmentation.generator import GeneratorConfig
from poseshift.augmentation.random_augmentation import RandomAugmentationConfig
from poseshift.flows.augment import AugmentRequest, augment_store
from poseshift.flows.cli import app
from poseshift.flows.experiment.data import open_poses
from poseshift.flows.experiment.fitting import resolve_device
from poseshift.flows.experiment.folder import RunFolder, Trained, job
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.experiment.train import GENERATOR
from poseshift.flows.pipeline import evaluate_method, publish, train_method
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.exchange.augmented import import_augmented
from poseshift.storage.reading import read_camera_poses
from poseshift.storage.store import PoseStore

OPTIONS = PoseDAConfig(
    pretraining=0.0,
    warmup=0.2,
    generator=GeneratorConfig(width=8, noise=4),
    collapse=CollapseConfig(check_every=1),
)


def poseshift(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def poseda(options: PoseDAConfig) -> Method:
    return Method(name="poseda", label="PoseDA (small)", adaptation=PoseDAAdaptation(options=options))


@pytest.fixture(scope="module")
def learned(prepared: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """The small experiment with PoseDA, and alignment alone to compare with."""
    return prepared.model_copy(
        update={
            "run_dir": tmp_path_factory.mktemp("poseda") / "run",
            "method": poseda(OPTIONS),
            "compare": (METHODS["source_only"], METHODS["gpa"]),
            "seeds": (0,),
        }
    )


def test_a_recipe_from_training_to_report(learned: Recipe) -> None:
    assert learned.methods == ("source_only", "gpa", "poseda")
    trained = tuple(
        Trained(method, 0, train_method(learned, method, 0), evaluate_method(learned, method, 0))
        for method in learned.methods
    )
    summary = publish(learned, trained)
    learned_row, aligned_row = summary.of("poseda"), summary.of("gpa")
    assert learned_row is not None
    assert aligned_row is not None
    assert summary.headline == learned_row
    assert learned_row.figures.mpjpe_mm.value != aligned_row.figures.mpjpe_mm.value
    record = trained[-1].training
    assert record.rollbacks == ()
    assert record.augmentation[-1].step > 0
    assert trained[0].training.augmentation == ()
    assert "PoseDA (small)" in RunFolder(learned.run_dir).report.read_text()
    generator = load_generator(RunFolder(learned.run_dir).training("poseda", 0) / GENERATOR)
    assert generator.config == OPTIONS.generator


def test_alignment_for_comparison_is_the_one_inside(learned: Recipe) -> None:
    options = OPTIONS.model_copy(
        update={"global_position": OPTIONS.global_position.model_copy(update={"root_form": "wide"})}
    )
    recipe = learned.model_copy(update={"method": poseda(options)})
    alone = alignment_of(recipe.method.adaptation)
    assert isinstance(alone, GlobalPositionAdaptation)
    assert alone.options.root_form == "wide"
    assert job(recipe, "poseda", 0).adaptation == recipe.method.adaptation
    assert job(recipe, "gpa", 0).adaptation == METHODS["gpa"].adaptation


def test_viewpoints_come_before_and_place_once(learned: Recipe) -> None:
    with pytest.raises(ValidationError, match="placement: kept"):
        PoseDAAdaptation(viewpoint=RandomViewpoint())
    kept = PoseDAAdaptation(options=PoseDAConfig(placement="kept"), viewpoint=RandomViewpoint())
    assert learned.target is not None
    target = open_poses(learned.target).unlabelled()
    source = open_poses(learned.source).labelled()
    device = resolve_device("cpu")
    found = plan(kept, source, target, seed=0, device=device)
    assert found.learner is not None
    assert len(found.transforms) == len(alignment_transforms(kept, source, target, device)) > 0
    plain = plan(learned.method.adaptation, source, target, seed=0, device=device)
    assert plain.learner is not None
    assert plain.transforms == ()


def test_comparing_alignment_needs_a_target(prepared: Recipe) -> None:
    alone = prepared.model_dump() | {"method": "source_only", "target": None}
    with pytest.raises(ValidationError, match="method 'gpa' needs a target"):
        Recipe.model_validate(alone | {"compare": ["gpa"]})


def test_augmented_sets_from_a_trained_generator(learned: Recipe, tmp_path: Path) -> None:
    """The same request gives the same set, and another generator another one."""
    train_method(learned, "poseda", 0)
    generator = RunFolder(learned.run_dir).training("poseda", 0) / GENERATOR
    request = AugmentRequest(
        source=learned.source.model_copy(update={"frame_step": 10, "raw": None}),
        store=str(tmp_path / "set"),
        target=learned.target,
        generator=generator,
        npz=tmp_path / "set.npz",
    )
    record = augment_store(request)
    assert augment_store(request).snapshot == record.snapshot
    assert record.restaged_from == "procedural motion of the tests"
    read = import_augmented(tmp_path / "set.npz")
    assert len(read.positions_camera) == record.poses
    assert read.origin["parameters"].startswith("generator ")
    assert read.origin["placement"] == "root_and_scale, ray"
    elsewhere = {"store": str(tmp_path / "other"), "npz": tmp_path / "other.npz"}
    random = augment_store(request.model_copy(update={"generator": None, **elsewhere}))
    assert random.poses == record.poses
    first, second = (PoseStore.open(place) for place in (record.store, random.store))
    key = first.keys()[0]
    assert not np.allclose(first.read(key).augmentation, second.read(key).augmentation)


def test_gpa_places_poses_and_changes_nothing_else(learned: Recipe, tmp_path: Path) -> None:
    source = learned.source.model_copy(update={"frame_step": 10, "raw": None})
    request = AugmentRequest(
        source=source, store=str(tmp_path / "placed"), method="gpa", target=learned.target, seed=3
    )
    record = augment_store(request)
    assert augment_store(request).snapshot == record.snapshot
    placed = PoseStore.open(record.store)
    assert placed.dataset == "adapted"
    assert placed.attributes.options["placement"] == "root_and_scale, ray"
    before, after = open_poses(source).labelled(), read_camera_poses(placed)
    assert record.poses == len(before) == len(after)
    shapes = [one.positions_camera - one.positions_camera[:, :1] for one in (before, after)]
    np.testing.assert_allclose(*(np.sort(one, axis=0) for one in shapes), atol=1e-5)
    roots = [np.sort(one.positions_camera[:, 0], axis=0) for one in (before, after)]
    assert not np.allclose(*roots, atol=0.01)


def test_random_changes_of_the_command_are_those_of_recipes(learned: Recipe, tmp_path: Path) -> None:
    recipe = RandomAugmentationConfig().model_dump(exclude={"share"})
    assert AugmentRequest(source=learned.source, store="set").random.model_dump() == recipe
    made = poseshift(
        *("augment", learned.source.store, str(tmp_path / "set"), "--subject", "S1", "--json"),
    )
    assert made.exit_code == 0, made.output
    store = PoseStore.open(tmp_path / "set")
    described = ", ".join(f"{name} {value}" for name, value in recipe.items())
    assert store.attributes.options["parameters"] == f"random: {described}"
    parameters = np.concatenate([store.read(key).augmentation for key in store.keys()])
    bones = len(skeleton(store.skeleton).bones)
    assert np.std(parameters[:, : 3 * bones]) == pytest.approx(recipe["angle_spread"], rel=0.05)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"target": None}, "give it a target"),
        ({"generator": Path("generator")}, "leave the generator out"),
        ({"npz": Path("set.npz")}, "the npz holds parameters"),
    ],
)
def test_gpa_refuses_what_it_has_no_use_for(learned: Recipe, change: dict[str, object], reason: str) -> None:
    given = {"source": learned.source, "store": "placed", "method": "gpa", "target": learned.target}
    with pytest.raises(ValidationError, match=reason):
        AugmentRequest.model_validate(given | change)


@pytest.mark.usefixtures("connected")
def test_adapt_and_augment_as_commands(learned: Recipe, tmp_path: Path) -> None:
    assert learned.target is not None
    adapted = poseshift(
        *("adapt", learned.source.store, learned.target.store, "--out", str(tmp_path / "poseda")),
        *("--method", "poseda", "--subject", "S1", "--target-camera", "0", "--batch-size", "16"),
        *("--epochs", "1", "--steps-per-epoch", "6", "--device", "cpu", "--json"),
    )
    assert adapted.exit_code == 0, adapted.output
    made = poseshift(
        *("augment", learned.source.store, str(tmp_path / "set"), "--target", learned.target.store),
        *("--generator", str(tmp_path / "poseda" / GENERATOR), "--subject", "S1", "--frame-step", "10"),
        *("--npz", str(tmp_path / "set.npz"), "--json"),
    )
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["poses"] == len(import_augmented(tmp_path / "set.npz").positions_camera)
    again = poseshift("import", "augmented", str(tmp_path / "set.npz"), str(tmp_path / "again"))
    assert again.exit_code == 0, again.output
    first, second = PoseStore.open(tmp_path / "set"), PoseStore.open(tmp_path / "again")
    assert second.keys() == first.keys()
    assert second.attributes.restaged_from == first.attributes.restaged_from
    assert second.attributes.options["source_snapshot"] == first.attributes.options["source_snapshot"]
    assert second.attributes.options["set_snapshot"] == first.snapshot
    placed = poseshift(
        *("augment", learned.source.store, str(tmp_path / "placed"), "--target", learned.target.store),
        *("--method", "gpa", "--subject", "S1", "--frame-step", "10", "--json"),
    )
    assert placed.exit_code == 0, placed.output
    assert json.loads(placed.stdout)["poses"] == json.loads(made.stdout)["poses"]
    missing = poseshift("augment", learned.source.store, str(tmp_path / "x"), "--generator", str(tmp_path))
    assert missing.exit_code == 1
    assert "is not a trained generator" in missing.stderr
