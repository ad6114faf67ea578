"""From files of one's own to a report: commands, a recipe without a test, and what needs 3D and says so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from poseshift.adaptation.gravity import CameraGravity
from poseshift.flows.cli import app
from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.label_free import NO_TARGET, LabelFreeSummary, TrainedUntested
from poseshift.flows.experiment.origins import find_origins
from poseshift.flows.experiment.recipe import Recipe, RecipeError, load_recipe
from poseshift.flows.pipeline import publish_untested, run_recorded, train_method
from poseshift.flows.reproduce import compare_runs, pinned, read_run
from poseshift.flows.watch import decide
from poseshift.geometry.projection import project, world_to_camera
from poseshift.preprocessing.human36m.layout import CAMERA_IDS
from poseshift.preprocessing.human36m.layout import camera as human36m_camera
from poseshift.preprocessing.motion.procedural import generate
from poseshift.storage.schema import Trial, TrialKey
from poseshift.storage.store import PoseStore

if TYPE_CHECKING:
    from tests.conftest import OwnRig

Command = Callable[..., Result]


@pytest.fixture
def poseshift(monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line, in this process: these commands start no flow."""
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def files(own_rig: "OwnRig", tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Detections and calibration."""
    folder = tmp_path_factory.mktemp("files")
    return own_rig.write_mediapipe(folder / "walk.npz"), own_rig.write_qualisys(folder / "rig.qca.txt")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Labelled motion before Human3.6M's cameras."""
    location = tmp_path_factory.mktemp("source") / "store"
    cameras = tuple(human36m_camera("S1", name) for name in CAMERA_IDS)
    store = PoseStore.create(location, "free_motion")
    with store.transaction("Write") as transaction:
        for motion in generate(seed=2, clips_per_subject=1, frames_per_clip=40)[:4]:
            world = motion.positions - [*motion.positions[..., :2].mean(axis=(0, 1)), 0.0]
            seen = [
                project(world_to_camera(world, np.array(c.rotation), np.array(c.translation)), c.intrinsics)
                for c in cameras
            ]
            transaction.write(
                Trial(
                    key=TrialKey(motion.subject, "clip"),
                    action="walk",
                    subaction="1",
                    fps=50.0,
                    cameras=cameras,
                    positions_world=world.astype(np.float32),
                    keypoints_2d=np.stack(seen).astype(np.float32),
                )
            )
    return str(location)


@pytest.fixture(scope="module")
def recipe(files: tuple[Path, Path], source: str, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """A recipe with the rig as target, and no test."""
    folder = tmp_path_factory.mktemp("own")
    keypoints, calibration = files
    added = CliRunner().invoke(
        app,
        [
            *("domain", "add", "my_rig", "--store", str(folder / "store"), "--fps", "60"),
            *("--keypoints", str(keypoints), "--cameras", str(calibration)),
        ],
    )
    assert added.exit_code == 0, added.stderr
    content = {
        "name": "own",
        "run_dir": str(folder / "run"),
        "source": {"dataset": "free_motion", "store": source},
        "target": {"dataset": "my_rig", "store": str(folder / "store"), "keypoints": "detected"},
        "lifter": "simple-baseline-small",
        "method": "gpa",
        "compare": ["source_only"],
        "schedule": {"epochs": 2, "steps_per_epoch": 3, "batch_size": 16},
        "seeds": [0, 1],
        "device": "cpu",
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_recipe(path)


def test_files_become_a_store_that_says_where_it_is_from(
    poseshift: Command, files: tuple[Path, Path], tmp_path: Path
) -> None:
    keypoints, calibration = files
    arguments = ("domain", "add", "my_rig", "--store", tmp_path / "store", "--fps", "59.94")
    added = poseshift(*arguments, "--keypoints", keypoints, "--cameras", calibration)
    assert added.exit_code == 0, added.stderr
    assert "extrinsics read as rows,-z,centre: re-projection" in added.stdout
    assert "target: {dataset: my_rig" in added.stdout
    store = PoseStore.open(tmp_path / "store")
    (key,) = store.keys()
    trial = store.read(key)
    assert (key.path, trial.fps, trial.frames) == ("person-1/walk", 59.94, 60)
    assert {one.path for one in trial.sources} == {"walk.npz", "rig.qca.txt"}
    again = poseshift(*arguments, "--keypoints", keypoints, "--cameras", calibration)
    assert "1 trials with 60 frames written (1 replaced)" in again.stdout
    assert len(PoseStore.open(tmp_path / "store").history()) == 3
    other = poseshift("domain", "add", "other", *arguments[3:], "--keypoints", keypoints)
    assert other.exit_code == 1
    assert "holds my_rig, not other" in other.stderr


@pytest.mark.parametrize(
    ("name", "extra", "message"),
    [
        ("My Rig", (), "small letters, digits and underscores"),
        ("human36m", (), "is a data set of its own"),
        ("my_rig", ("--reading", "sideways"), "no reading 'sideways'"),
        ("my_rig", ("--length-unit", "inch"), "use m, cm, mm"),
        ("my_rig", ("--clip", "a/b"), "cannot name a Zarr node"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    name: str,
    extra: tuple[str, ...],
    message: str,
    poseshift: Command,
    files: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    keypoints, calibration = files
    store = tmp_path / "store"
    arguments = ("--store", store, "--fps", "60", "--keypoints", keypoints, "--cameras", calibration)
    refused = poseshift("domain", "add", name, *arguments, *extra)
    assert refused.exit_code == 1
    assert message in refused.stderr
    assert not PoseStore.exists(store) or PoseStore.open(store).keys() == ()


def test_a_check_finds_and_mends_swapped_sides(
    poseshift: Command, files: tuple[Path, Path], tmp_path: Path
) -> None:
    keypoints, calibration = files
    content = dict(np.load(keypoints))
    legs = np.arange(23, 29)
    other = np.array([24, 23, 26, 25, 28, 27])
    apart = {
        name: np.linalg.norm(content[name][:, 27, :2] - content[name][:, 28, :2], axis=-1).min()
        for name in ("cam01", "cam02", "cam03", "cam04")
    }
    camera = max(apart, key=lambda name: apart[name])
    straight = content[camera].copy()
    content[camera][15:25, legs] = straight[15:25, other]
    np.savez(tmp_path / "swapped.npz", **content)
    store = tmp_path / "store"
    arguments = ("--store", store, "--fps", "60", "--cameras", calibration)
    assert (
        poseshift("domain", "add", "my_rig", "--keypoints", tmp_path / "swapped.npz", *arguments).exit_code
        == 0
    )
    checked = poseshift("domain", "check", store)
    assert checked.exit_code == 1
    assert f"{camera}: left and right legs change sides in 10 of 60 frames (15-24)" in checked.stdout
    mended = poseshift("domain", "check", store, "--mend", "--json")
    assert mended.exit_code == 0, mended.stdout
    report = json.loads(mended.stdout)
    assert report["mended"] == ["person-1/swapped"]
    assert {one["level"] for one in report["findings"]} == {"note"}
    assert [one["check"] for one in report["findings"]] == ["views", *["up by people"] * 4]
    (key,) = PoseStore.open(store).keys()
    trial = PoseStore.open(store).read(key)
    number = [one.name for one in trial.cameras].index(camera)
    np.testing.assert_array_equal(trial.detections["detected"][number, :, 6], straight[:, 27])


def test_where_up_is_can_be_stated_and_is_held_against_what_people_show(
    poseshift: Command, files: tuple[Path, Path], tmp_path: Path
) -> None:
    keypoints, calibration = files
    added = ("--keypoints", keypoints, "--fps", "60", "--cameras", calibration)
    store = tmp_path / "store"
    wrong = poseshift("domain", "add", "my_rig", *added, "--store", store, "--up", "attitude:0,0")
    assert wrong.exit_code == 1
    assert "a calibration whose world says where up is" in wrong.stderr
    on_its_side = (*added, "--world-up", "unknown", "--up", "cam01=up:1,0,0~3")
    stated = poseshift("domain", "add", "my_rig", *on_its_side, "--store", store)
    assert stated.exit_code == 0, stated.stderr
    assert "cam01: up by up, within 3.0 degrees" in stated.stdout
    assert "cam02: up by rig, within 3.0 degrees" in stated.stdout
    checked = poseshift("domain", "check", store)
    assert checked.exit_code == 0, checked.stdout
    told = [line for line in checked.stdout.splitlines() if "cam01" in line and "up by" in line]
    assert "up by what was stated (up): looks down by 0.0 degrees, rolled by 90.0, within 3.0" in told[1]
    assert told[0].startswith("warning")
    assert "look at --world-up, or at what was stated" in told[0]


def test_a_report_says_where_up_is_before_each_camera_and_how_sure(
    poseshift: Command, files: tuple[Path, Path], recipe: Recipe, tmp_path: Path
) -> None:
    keypoints, calibration = files
    store = tmp_path / "store"
    added = ("--keypoints", keypoints, "--fps", "60", "--cameras", calibration, "--world-up", "unknown")
    assert poseshift("domain", "add", "my_rig", *added, "--store", store).exit_code == 0
    content = recipe.model_dump(mode="json")
    content |= {
        "method": "diverse_found_viewpoint",
        "compare": [],
        "seeds": [0],
        "run_dir": str(tmp_path / "run"),
    }
    content["target"]["store"] = str(store)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    turned = load_recipe(path)
    publish_untested(
        turned,
        (TrainedUntested("diverse_found_viewpoint", 0, train_method(turned, "diverse_found_viewpoint", 0)),),
    )
    folder = RunFolder(turned.run_dir)
    found = CameraGravity.model_validate_json(folder.gravity("diverse_found_viewpoint", 0).read_bytes())
    assert {one.kind for one in found.cameras} == {"rig"}
    page = folder.report.read_text()
    for one in found.cameras:
        assert f"Camera {one.camera}" in page
        assert f"within {one.interval_degrees:.1f} degrees in 9 of 10 cases" in page


def test_a_recipe_without_a_test_reports_criteria_and_no_error(recipe: Recipe) -> None:
    trained = tuple(
        TrainedUntested(method, seed, train_method(recipe, method, seed))
        for seed in recipe.seeds
        for method in recipe.methods
    )
    summary = publish_untested(recipe, trained)
    folder = RunFolder(recipe.run_dir)
    assert LabelFreeSummary.model_validate_json(folder.summary.read_text()) == summary
    assert [(row.method, row.seed) for row in summary.rows] == [
        (method, seed) for method in ("source_only", "gpa") for seed in (0, 1)
    ]
    for row in summary.rows:
        assert [one.epoch for one in row.epochs] == [1, 2]
        assert row.kept == 2
        assert set(row.kept_criteria.values) >= {
            "reprojection",
            "symmetry",
            "bone_lengths",
            "flip_mm",
            "turn_mm",
        }
    assert sorted(row.rank for row in summary.rows)[0] >= 1
    page = folder.report.read_text()
    assert "There is no truth." in page
    assert "MPJPE" not in page
    assert page.count("epoch 1") >= len(summary.rows)
    assert decide(recipe, ()).action == "nothing"


def test_the_last_epoch_is_kept_though_every_epoch_is_measured(recipe: Recipe) -> None:
    record = train_method(recipe, "gpa", 0)
    assert (record.selection, record.epoch, len(record.candidates)) == ("last", 2, 2)
    chosen = recipe.model_copy(
        update={"selection": "label-free", "run_dir": recipe.run_dir.with_name("chosen"), "seeds": (0,)}
    )
    assert train_method(chosen, "gpa", 0).selection == "label-free"


def test_the_gap_and_a_single_adaptation_take_the_target(
    recipe: Recipe, source: str, poseshift: Command, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    gap = poseshift("gap", path, "--out", tmp_path / "gap", "--json")
    assert gap.exit_code == 0, gap.stderr
    assert len(json.loads(gap.stdout)["keypoints"]) > 1
    labelled = poseshift("gap", path, "--out", tmp_path / "labels", "--labels")
    assert labelled.exit_code == 1
    assert "has no 3D: it can be a target to adapt to" in labelled.stderr


def test_what_needs_3d_says_so_in_one_sentence(recipe: Recipe, poseshift: Command, tmp_path: Path) -> None:
    assert recipe.target is not None
    evaluated = poseshift("evaluate", tmp_path, recipe.target.store, "--keypoints", "detected")
    assert evaluated.exit_code == 1
    assert "has no 3D, so nothing can be measured on it" in evaluated.stderr
    supervised = recipe.model_copy(
        update={"source": recipe.target, "run_dir": tmp_path / "run", "compare": ()}
    )
    with pytest.raises(ValueError, match=r"trial 'person-1/walk' has no 3D: it can be a target to adapt to"):
        train_method(supervised, "gpa", 0)


def test_a_recipe_with_neither_test_nor_target_is_watched_on_its_source(
    recipe: Recipe, poseshift: Command, tmp_path: Path
) -> None:
    content = recipe.model_dump(mode="json", exclude={"target", "method", "compare", "run_dir", "seeds"})
    path = tmp_path / "recipe.yaml"
    path.write_text(
        yaml.safe_dump({**content, "method": "no_target_mixed", "run_dir": str(tmp_path / "run")})
    )
    alone = load_recipe(path)
    assert alone.watched == alone.source
    with run_recorded(alone):
        trained = (TrainedUntested("no_target_mixed", 0, train_method(alone, "no_target_mixed", 0)),)
        summary = publish_untested(alone, trained)
    assert len(summary.rows[0].epochs) == alone.schedule.epochs
    assert summary.target == "free_motion"
    assert NO_TARGET in summary.notes[0]
    page = RunFolder(alone.run_dir).report.read_text()
    assert "have learned, and say nothing of other cameras or people" in page
    assert decide(alone).reasons == ()
    again = pinned(read_run(tmp_path / "run"), tmp_path / "again")
    assert again.target is None
    assert again.source.snapshot == trained[0].training.snapshots["free_motion"]
    lifter = RunFolder(alone.run_dir).lifter("no_target_mixed", 0)
    told = json.loads(poseshift("licence", lifter, "--json").stdout)
    assert told["use"] == "unknown"
    assert {part["data"]["role"] for part in told["parts"]} == {"labelled", "watched"}


def test_a_method_that_needs_a_target_is_refused_without_one(recipe: Recipe, tmp_path: Path) -> None:
    content = recipe.model_dump(mode="json", exclude={"target"})
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(RecipeError, match="method 'gpa' needs a target"):
        load_recipe(path)


def test_a_run_without_a_test_is_reproduced_bit_for_bit(recipe: Recipe, tmp_path: Path) -> None:
    small = recipe.model_copy(
        update={"run_dir": tmp_path / "run", "seeds": (0,), "compare": (), "name": "once"}
    )
    with run_recorded(small):
        trained = (TrainedUntested("gpa", 0, train_method(small, "gpa", 0)),)
        publish_untested(small, trained)
    recorded = read_run(tmp_path / "run")
    again = pinned(recorded, tmp_path / "again")
    assert again.test is None
    assert again.target is not None
    assert again.target.snapshot == trained[0].training.snapshots["my_rig"]
    with run_recorded(again):
        publish_untested(again, (TrainedUntested("gpa", 0, train_method(again, "gpa", 0)),))
    compared = compare_runs(recorded, read_run(tmp_path / "again"))
    assert compared.succeeded, compared.differences
    assert compared.compared > 10


def test_assumed_cameras_are_told_wherever_the_store_is_looked_at(
    poseshift: Command, files: tuple[Path, Path], recipe: Recipe, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    added = poseshift("domain", "add", "my_rig", "--store", store, "--fps", "60", "--keypoints", files[0])
    assert "ASSUMED" in added.stdout
    told = "Intrinsics of person-1/walk are assumed, not calibrated"
    assert told in poseshift("inspect", store).stdout
    assert recipe.target is not None
    target = recipe.target.model_copy(update={"store": str(store)})
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe.model_copy(update={"target": target}).model_dump(mode="json")))
    assert told in poseshift("gap", path, "--out", tmp_path / "gap").stdout
    known = find_origins(recipe.model_copy(update={"target": target}))
    assert [one.origin for one in known.target_intrinsics] == ["assumed"]
