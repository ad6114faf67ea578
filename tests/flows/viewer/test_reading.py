"""From the folders of evaluations and predictions to clips, and what is said when they do not fit."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.experiment.folder import RunFolder, Trained
from poseshift.flows.experiment.predict import RECORD, PredictionOptions, predict_store
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.experiment.stage import DONE
from poseshift.flows.viewer.clips import FRUSTUM_DEPTH_M, Wanted, as_drawn, frustum
from poseshift.flows.viewer.read import read_motions
from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project, world_to_camera
from poseshift.storage.columns import CameraPoses
from poseshift.storage.schema import TrialKey
from poseshift.storage.store import PoseStore
from poseshift.training.prediction.smoothing import NoSmoothing

if TYPE_CHECKING:
    from tests.flows.viewer.conftest import Evaluated


def test_every_clip_has_the_figures_of_its_sequence(evaluated: "Evaluated") -> None:
    recorded = json.loads((evaluated.folder / DONE).read_text())["results"][1]
    motions = read_motions(evaluated.folder, recorded["protocol"], None, Wanted())
    rows = {(f"{row['subject']}/{row['trial']}", row["camera"]): row for row in recorded["per_sequence"]}
    assert len(motions.clips) == len(rows)
    for clip in motions.clips:
        assert clip.errors is not None
        row = rows[clip.trial, clip.camera]
        assert len(clip.frame) == row["frames"]
        assert clip.errors.frame_mm.mean() == pytest.approx(row["mpjpe_mm"], abs=1e-6)
    assert "universal size" in " ".join(motions.remarks)
    assert "Restaged motion" in " ".join(motions.notes)


def test_joint_errors_are_distances_of_what_is_drawn(evaluated: "Evaluated") -> None:
    wanted = Wanted(subjects=(evaluated.key.subject,))
    (clip,) = read_motions(evaluated.folder, None, None, wanted).clips
    assert clip.errors is not None
    assert clip.truth is not None
    np.testing.assert_array_equal(clip.frame, evaluated.frame)
    np.testing.assert_allclose(clip.errors.joints_mm, evaluated.joints_mm, atol=1e-2)
    drawn_mm = 1000 * np.linalg.norm(clip.predicted - clip.truth, axis=-1)
    np.testing.assert_allclose(drawn_mm, evaluated.joints_mm, atol=1e-2)


def test_the_frustum_is_what_the_camera_sees(prepared: Recipe) -> None:
    store = PoseStore.open(prepared.source.store)
    camera = store.trial_attributes(store.keys()[0]).cameras[0]
    rotation, translation = np.asarray(camera.rotation), np.asarray(camera.translation)
    seen = world_to_camera(frustum(camera), rotation, translation)
    np.testing.assert_allclose(seen[0], 0, atol=1e-6)
    np.testing.assert_allclose(seen[1:, 2], FRUSTUM_DEPTH_M, atol=1e-6)
    width, height = camera.size_px
    corners = [[0, 0], [width, 0], [width, height], [0, height]]
    np.testing.assert_allclose(project(seen[1:], camera.pinhole.intrinsics), corners, atol=1e-2)


def test_a_camera_of_unknown_up_is_drawn_level() -> None:
    camera = Camera("phone", (1000, 800), (900.0, 900.0), (500.0, 400.0))
    above_far_right = as_drawn(np.array([[0.3, -0.5, 4.0]]), camera)
    np.testing.assert_allclose(above_far_right, [[0.3, 4.0, 0.5]], atol=1e-6)


def test_predictions_that_were_changed_are_refused(evaluated: "Evaluated", tmp_path: Path) -> None:
    folder = tmp_path / "evaluation"
    shutil.copytree(evaluated.folder, folder)
    file = folder / "predictions" / "3dhp-annot3.npz"
    with np.load(file) as content:
        held = dict(content)
    np.savez(file, **{**held, "positions_camera": 1.1 * held["positions_camera"]})
    with pytest.raises(ValueError, match="were recorded; a file was changed"):
        read_motions(folder, None, evaluated.store.location, Wanted())
    np.savez(file, **{**held, "frame": held["frame"] + 1})
    with pytest.raises(ValueError, match=r"are not of the .* rows that the store gives"):
        read_motions(folder, None, evaluated.store.location, Wanted())
    with pytest.raises(FileNotFoundError, match="say --store"):
        read_motions(folder, None, None, Wanted())


def test_messages_name_what_there_is(
    evaluated: "Evaluated", finished: tuple[Recipe, tuple[Trained, ...]]
) -> None:
    with pytest.raises(ValueError, match=r"there are .*TS1"):
        read_motions(evaluated.folder, None, None, Wanted(trials=("nothing",)))
    with pytest.raises(ValueError, match="not evaluated under '3dhp-poseaug16'; there are 3dhp-annot3"):
        read_motions(evaluated.folder, "3dhp-poseaug16", None, Wanted())
    with pytest.raises(FileNotFoundError, match=r"there are .*evaluations.gpa.seed-0"):
        read_motions(finished[0].run_dir, None, None, Wanted())
    with pytest.raises(ValueError, match="stage of another kind"):
        read_motions(RunFolder(finished[0].run_dir).training("gpa", 0), None, None, Wanted())


def test_the_command_writes_a_page_and_a_run_has_one(
    evaluated: "Evaluated", finished: tuple[Recipe, tuple[Trained, ...]], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    done = CliRunner().invoke(
        app,
        ["view", str(evaluated.folder), "--subject", "TS1", "--frames", "50", "--out", str(page), "--json"],
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["page"], told["bytes"], told["clips"]) == (str(page), page.stat().st_size, 1)
    assert told["frames"] <= 50
    folder = RunFolder(finished[0].run_dir)
    assert folder.motions.read_text().startswith("<!doctype html>")
    assert f'href="{folder.motions.name}"' in folder.report.read_text()


@pytest.fixture(scope="module")
def prediction(
    finished: tuple[Recipe, tuple[Trained, ...]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What a lifter answers to the source's keypoints of one person."""
    recipe, _ = finished
    folder = tmp_path_factory.mktemp("prediction") / "out"
    lifter = RunFolder(recipe.run_dir).lifter("gpa", 0)
    predict_store(lifter, recipe.source.store, PredictionOptions(subjects=("S1",)), folder, "cpu")
    return folder


def test_a_prediction_is_shown_with_its_keypoints(prediction: Path, prepared: Recipe) -> None:
    motions = read_motions(prediction, None, None, Wanted())
    store = PoseStore.open(prepared.source.store)
    assert {clip.trial for clip in motions.clips} == {key.path for key in store.keys() if key.subject == "S1"}
    for clip in motions.clips:
        subject, trial = clip.trial.split("/")
        with np.load(prediction / subject / trial / f"{clip.camera}.npz") as written:
            np.testing.assert_array_equal(clip.predicted, written["positions"])
            estimates = 1000 * written["error"].astype(np.float64)
        assert clip.errors is not None
        assert not clip.errors.measured
        np.testing.assert_allclose(clip.errors.frame_mm, estimates.mean(axis=1))
        assert clip.truth is None
        assert clip.on_floor
        if clip.camera == "fused":
            assert clip.keypoints_px is None
            continue
        key = TrialKey(subject, trial)
        names = [camera.name for camera in store.trial_attributes(key).cameras]
        seen = store.read_array(key, "keypoints_2d")[names.index(clip.camera)]
        np.testing.assert_array_equal(clip.keypoints_px, seen[clip.frame])
    assert any(clip.camera == "fused" for clip in motions.clips)
    assert any("mean body" in remark for remark in motions.remarks)


def test_what_a_right_lifter_predicts_lies_behind_its_keypoints(
    finished: tuple[Recipe, tuple[Trained, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frustum stands where the prediction was made from: its ray through a keypoint meets the joint."""
    recipe, _ = finished
    store = PoseStore.open(recipe.source.store)

    def truth(_: object, poses: CameraPoses, **__: object) -> np.ndarray:
        found = np.empty_like(poses.positions_camera)
        for row in range(len(poses)):
            key = poses.trials[poses.trial[row]].key
            world = store.read_array(key, "positions_world")[poses.frame[row]]
            found[row] = (world - world[:1]) @ np.asarray(poses.cameras[poses.camera[row]].rotation).T
        return found

    for module in ("prediction.views", "evaluation.scaled"):
        monkeypatch.setattr(f"poseshift.training.{module}.predict", truth)
    lifter = RunFolder(recipe.run_dir).lifter("gpa", 0)
    options = PredictionOptions(subjects=("S1",), smoothing=NoSmoothing())
    predict_store(lifter, recipe.source.store, options, tmp_path / "out", "cpu")
    clip = read_motions(tmp_path / "out", None, None, Wanted()).clips[0]
    assert clip.frustum is not None
    assert clip.keypoints_px is not None
    assert clip.size_px is not None
    centre, corners = clip.frustum[0], clip.frustum[1:]
    share = clip.keypoints_px / clip.size_px
    across, down = corners[1] - corners[0], corners[3] - corners[0]
    rays = corners[0] + share[..., :1] * across + share[..., 1:] * down - centre
    joints = clip.predicted - centre
    cosine = (rays * joints).sum(axis=-1) / np.linalg.norm(rays, axis=-1) / np.linalg.norm(joints, axis=-1)
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() < 1  # frusta are drawn without the lens


def test_a_prediction_that_was_changed_is_refused(prediction: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(prediction, folder)
    record = json.loads((folder / RECORD).read_text())
    first = folder / record["motions"][0]["files"]["npz"]
    first.write_bytes(b"PK nothing of the kind")
    with pytest.raises(ValueError, match="not a motion that `predict` wrote"):
        read_motions(folder, None, None, Wanted())
    record["motions"][0]["files"] = {"npz": "../elsewhere.npz"}
    (folder / RECORD).write_text(json.dumps(record))
    with pytest.raises(ValueError, match="outside of the folder"):
        read_motions(folder, None, None, Wanted())
    record["motions"][0]["files"] = {"trc": "a.trc"}
    (folder / RECORD).write_text(json.dumps(record))
    with pytest.raises(ValueError, match="predict again with --format npz"):
        read_motions(folder, None, None, Wanted())
    with pytest.raises(ValueError, match="leave out --protocol"):
        read_motions(folder, "human36m-p1", None, Wanted())
