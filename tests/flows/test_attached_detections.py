"""``poseshift import detections``: VideoPose3D's 2D files, and folders of COCO results, beside labels."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.experiment.recipe import Recipe
from poseshift.preprocessing.detected import UnfitDetectionsError, with_detections
from poseshift.storage.exchange.trials import FRAME_STEP
from poseshift.storage.schema import Trial
from poseshift.storage.store import PoseStore


@pytest.fixture
def poseshift(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def store(prepared: Recipe, tmp_path: Path) -> PoseStore:
    """A store of Human3.6M's trials of its own."""
    shutil.copytree(prepared.source.store, tmp_path / "store")
    return PoseStore.open(tmp_path / "store")


def noisy(trial: Trial) -> list[np.ndarray]:
    """A detector's pixels, three frames longer than the motion capture."""
    rng = np.random.default_rng(trial.frames)
    seen = trial.keypoints_2d + rng.normal(scale=3, size=trial.keypoints_2d.shape)
    return [np.concatenate([view, view[-3:]]).astype(np.float32) for view in seen]


OF_HUMAN36M = (9, 10, 10, 9, 9, 11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3)
"""Per joint of COCO, one of Human3.6M's that is there or near."""


def write_npz(path: Path, found: dict[str, dict[str, list[np.ndarray]]], layout: str = "h36m") -> Path:
    metadata = {"layout_name": layout, "num_joints": 17, "keypoints_symmetry": [[4, 5], [1, 2]]}
    np.savez_compressed(
        path,
        positions_2d=np.array(found, dtype=object),
        metadata=np.array(metadata, dtype=object),
    )
    return path


def test_videopose3ds_file_of_a_detector(poseshift, store: PoseStore, tmp_path: Path) -> None:
    *keys, left_out = store.keys()
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    for key in keys:
        found.setdefault(key.subject, {})[key.trial] = noisy(store.read(key))
    path = write_npz(tmp_path / "data_2d_h36m_cpn_ft_h36m_dbb.npz", found)
    refused = poseshift("import", "detections", path, store.location, "--detector", "cpn")
    assert refused.exit_code == 1
    assert "--trust-pickle" in refused.stderr
    before = PoseStore.open(store.location).snapshot
    done = poseshift("import", "detections", path, store.location, "--detector", "cpn", "--trust-pickle")
    assert done.exit_code == 0, done.stderr
    assert f"{len(keys)} trials have keypoints cpn" in done.stdout
    assert f"no detections of 1 trials: {left_out.path}" in done.stderr
    assert "no confidences" in done.stderr
    now = PoseStore.open(store.location)
    assert now.snapshot != before
    for key in keys:
        trial, old = now.read(key), store.read(key)
        expected = np.stack(found[key.subject][key.trial])[:, : old.frames]
        np.testing.assert_array_equal(trial.detections["cpn"][..., :2], expected)
        np.testing.assert_array_equal(trial.keypoints_2d, old.keypoints_2d)
        assert trial.options["detections_from.cpn"].startswith(f"{path.name} sha256:")
        assert now.sources(key) == store.sources(key)  # `prepare` goes by these


def test_views_in_another_order_of_cameras_are_refused_and_nothing_is_written(
    poseshift, store: PoseStore, tmp_path: Path
) -> None:
    key = store.keys()[0]
    path = write_npz(tmp_path / "a.npz", {key.subject: {key.trial: noisy(store.read(key))[::-1]}})
    refused = poseshift("import", "detections", path, store.location, "--detector", "cpn", "--trust-pickle")
    assert refused.exit_code == 1
    assert "do not belong together" in refused.stderr
    assert PoseStore.open(store.location).snapshot == store.snapshot


def test_a_folder_of_coco_results(poseshift, store: PoseStore, tmp_path: Path) -> None:
    key = store.keys()[0]
    trial = store.read(key)
    left_wrist = 13  # of Human3.6M
    for number, (camera, view) in enumerate(zip(trial.cameras, noisy(trial), strict=True)):
        people = []
        for frame, pose in enumerate(view):
            points = np.full((17, 3), 0.5)
            points[:, :2] = pose[list(OF_HUMAN36M)]
            people.append(
                {"image_id": f"img_{frame + 1:06d}.jpg", "keypoints": points.ravel().tolist(), "score": 0.9}
            )
        name = f"{key.trial}.{camera.name}.json" if number % 2 else f"{key.trial}/{camera.name}.json"
        file = tmp_path / "coco" / key.subject / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(people))
    arguments = (
        "import",
        "detections",
        tmp_path / "coco",
        store.location,
        "--detector",
        "rtm",
        "--first-frame",
        1,
    )
    done = poseshift(*arguments)
    assert done.exit_code == 0, done.stderr
    found = PoseStore.open(store.location).read(key).detections["rtm"]
    expected = np.stack(noisy(trial))[:, : trial.frames, left_wrist]
    np.testing.assert_allclose(found[:, :, left_wrist, :2], expected, atol=1e-3)
    np.testing.assert_allclose(found[..., 2], 0.5)
    file.unlink()
    lacking = poseshift(*arguments)
    assert lacking.exit_code == 1
    assert f"no detections of camera {trial.cameras[-1].name} of {key.path}" in lacking.stderr


def test_nothing_that_fits_is_an_error(poseshift, store: PoseStore, tmp_path: Path) -> None:
    (tmp_path / "coco").mkdir()
    refused = poseshift("import", "detections", tmp_path / "coco", store.location, "--detector", "rtm")
    assert refused.exit_code == 1
    assert "has no detections of any trial" in refused.stderr


def test_joints_of_coco_become_human36ms(poseshift, store: PoseStore, tmp_path: Path) -> None:
    key = store.keys()[0]
    trial = store.read(key)
    views = noisy(trial)
    coco = [view[:, list(OF_HUMAN36M)] for view in views]
    path = write_npz(tmp_path / "a.npz", {key.subject: {key.trial: coco}}, "coco")
    done = poseshift("import", "detections", path, store.location, "--detector", "pt", "--trust-pickle")
    assert done.exit_code == 0, done.stderr
    found = PoseStore.open(store.location).read(key).detections["pt"]
    expected = np.stack([(view[:, 4] + view[:, 1]) / 2 for view in views])[:, : trial.frames]
    np.testing.assert_allclose(found[:, :, 0, :2], expected, atol=1e-3)


def test_trials_with_every_second_frame_take_every_second_detection(store: PoseStore) -> None:
    trial = store.read(store.keys()[0])
    half = replace(
        trial,
        positions_world=trial.positions_world[::2],
        keypoints_2d=trial.keypoints_2d[:, ::2],
        options={**trial.options, FRAME_STEP: "2"},
    )
    views = noisy(trial)
    found = with_detections(half, "cpn", views, ()).detections["cpn"]
    np.testing.assert_array_equal(found[0, :, :, :2], views[0][: trial.frames : 2])
    with pytest.raises(UnfitDetectionsError, match="the trial needs frame"):
        with_detections(half, "cpn", [view[: half.frames] for view in views], ())
