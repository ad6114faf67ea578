"""Files out and in again, and their layouts against what the field's loaders expect of them.

The layouts are checked through ``numpy.load`` alone, as those loaders do, and the numbers against the store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseshift.geometry.camera import Camera
from poseshift.geometry.skeleton import mapping
from poseshift.storage.exchange import mmpose, poseaug, pstmo, videopose3d
from poseshift.storage.exchange.npz import ExchangeError
from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.storage.schema import Trial, TrialKey
from poseshift.storage.store import PoseStore

MakeTrial = Callable[..., Trial]

STATIC_JOINTS = (4, 5, 9, 10, 11, 16, 20, 21, 22, 23, 24, 28, 29, 30, 31)
"""The joints that VideoPose3D drops of 32."""


def objects(path: Path, name: str) -> Any:
    """Load as the field's code does; the file was written by this test."""
    with np.load(path, allow_pickle=True) as archive:
        return archive[name].item()


@pytest.fixture
def human36m(store: PoseStore, make_trial: MakeTrial) -> PoseStore:
    with store.transaction("write") as transaction:
        for subject, name, frames in (("S1", "Directions 1", 9), ("S1", "WalkDog", 5), ("S9", "Photo", 4)):
            transaction.write(replace(make_trial(subject, name, frames), options={}, quality={}, sources=()))
    return store


@pytest.fixture
def sequences(tmp_path: Path, make_trial: MakeTrial) -> PoseStore:
    """Two training sequences of 3DHP with universal positions."""
    store = PoseStore.create(tmp_path / "train", "mpi_inf_3dhp_train")
    with store.transaction("write") as transaction:
        for subject, name in (("S1", "Seq1"), ("S2", "Seq2")):
            trial = make_trial(subject, name, 6, cameras=("0", "3", "8"))
            universal = trial.positions_world * np.float32(0.9)
            transaction.write(replace(trial, positions_universal=universal, fps=25.0))
    return store


@pytest.fixture
def tests_3dhp(tmp_path: Path, make_trial: MakeTrial) -> PoseStore:
    """Two test sequences of 3DHP; the camera is the world."""
    store = PoseStore.create(tmp_path / "test", "mpi_inf_3dhp_test")
    with store.transaction("write") as transaction:
        for name in ("TS1", "TS6"):
            trial = make_trial(name, name, 5, cameras=(name,))
            keypoints = np.clip(trial.keypoints_2d, 1, 999)
            keypoints[0, 4, 0] = (-3, 10)
            transaction.write(
                replace(
                    trial,
                    keypoints_2d=keypoints,
                    positions_universal=trial.positions_world * np.float32(0.9),
                    valid=np.array([True, True, False, True, True]),
                    activity=np.ones(5, dtype=np.int8),
                )
            )
    return store


def test_videopose3d_layout(human36m: PoseStore, tmp_path: Path) -> None:
    path_3d, path_2d = tmp_path / "data_3d_h36m.npz", tmp_path / "data_2d_h36m_gt.npz"
    videopose3d.export_positions(human36m, path_3d)
    videopose3d.export_keypoints(human36m, path_2d)
    positions, keypoints = objects(path_3d, "positions_3d"), objects(path_2d, "positions_2d")
    assert {subject: sorted(actions) for subject, actions in positions.items()} == {
        "S1": ["Directions 1", "WalkDog"],
        "S9": ["Photo"],
    }
    trial = human36m.read(TrialKey("S1", "Directions 1"))
    found = positions["S1"]["Directions 1"]
    assert (found.shape, found.dtype) == ((9, 32, 3), np.float32)
    np.testing.assert_array_equal(np.delete(found, STATIC_JOINTS, axis=1), trial.positions_world)
    views = keypoints["S1"]["Directions 1"]
    assert isinstance(views, list)
    assert [(view.shape, view.dtype) for view in views] == [((9, 17, 2), np.float32)] * 2
    np.testing.assert_array_equal(np.stack(views), trial.keypoints_2d)
    metadata = objects(path_2d, "metadata")
    assert metadata["num_joints"] == 17
    assert metadata["keypoints_symmetry"] == [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]


def test_videopose3d_comes_back_as_the_same_store(human36m: PoseStore, tmp_path: Path) -> None:
    path_3d, path_2d = tmp_path / "data_3d_h36m.npz", tmp_path / "data_2d_h36m_gt.npz"
    videopose3d.export_positions(human36m, path_3d)
    videopose3d.export_keypoints(human36m, path_2d)
    cameras = {key.subject: human36m.trial_attributes(key).cameras for key in human36m.keys()}
    with pytest.raises(ExchangeError, match="pickle"):
        list(videopose3d.import_trials(path_3d, path_2d, cameras))
    copy = PoseStore.create(tmp_path / "copy", "human36m")
    with copy.transaction("import") as transaction:
        for trial in videopose3d.import_trials(path_3d, path_2d, cameras, object_arrays="restricted"):
            transaction.write(trial)
    assert copy.digest() == human36m.digest()
    one_camera = {subject: views[:1] for subject, views in cameras.items()}
    with pytest.raises(ExchangeError, match="2 views for 1 cameras"):
        list(videopose3d.import_trials(path_3d, path_2d, one_camera, object_arrays="restricted"))


def test_videopose3d_detections_longer_than_the_poses_are_cut(make_trial: MakeTrial, tmp_path: Path) -> None:
    trial = make_trial("S1", "WalkDog", 5)
    path = tmp_path / "data_2d_h36m_cpn_ft_h36m_dbb.npz"
    longer = [np.concatenate([view, view[-2:]]) for view in trial.keypoints_2d]
    np.savez_compressed(path, positions_2d=np.array({"S1": {"WalkDog": longer}}, dtype=object))
    views = videopose3d.import_keypoints(path, "restricted")[trial.key]
    assert [view.shape for view in views] == [(7, 17, 2)] * 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"positions": {}}, "no 'positions_3d'; there are 'positions'"),
        ({"positions_3d": [1, 2]}, "expected a dictionary"),
        ({"positions_3d": {"S1": {"Walking": np.zeros((3, 20, 3))}}}, "20 joints; expected 17 or 32"),
        (
            {"positions_3d": {"S1": {"Walking": np.zeros((3, 17, 2))}}},
            r"numbers of shape \(any, any, 3\)",
        ),
        ({"positions_3d": {"S1": {"Walking": "far"}}}, "expected numbers in an array"),
    ],
)
def test_videopose3d_of_another_layout(
    human36m: PoseStore, tmp_path: Path, content: dict[str, Any], message: str
) -> None:
    path_3d, path_2d = tmp_path / "3d.npz", tmp_path / "2d.npz"
    np.savez(path_3d, **{name: np.array(value, dtype=object) for name, value in content.items()})
    np.savez(path_2d, positions_2d=np.array({"S1": {"Walking": [np.zeros((3, 17, 2))]}}, dtype=object))
    cameras = {"S1": human36m.trial_attributes(human36m.keys()[0]).cameras}
    with pytest.raises(ExchangeError, match=message):
        list(videopose3d.import_trials(path_3d, path_2d, cameras, object_arrays="restricted"))


def test_pstmo_train(sequences: PoseStore, tmp_path: Path) -> None:
    path = tmp_path / "data_train_3dhp.npz"
    pstmo.export_train(sequences, path)
    data = objects(path, "data")
    assert sorted(data) == ["S1 Seq1", "S2 Seq2"]
    views, fps = data["S1 Seq1"]
    assert fps == 25.0
    assert sorted(views) == ["0", "8"]  # P-STMO does not use camera 3
    trial = sequences.read(TrialKey("S1", "Seq1"))
    assert trial.positions_universal is not None
    camera = trial.cameras[2]
    moved = trial.positions_universal @ np.array(camera.rotation).T + camera.translation
    relevant = [10, 8, 14, 15, 16, 11, 12, 13, 1, 2, 3, 4, 5, 6, 0, 7, 9]  # head top, neck, right shoulder...
    assert views["8"]["data_3d"].dtype == views["8"]["data_2d"].dtype == np.float64
    np.testing.assert_allclose(views["8"]["data_3d"], 1000 * moved[:, relevant], atol=1e-2)
    np.testing.assert_array_equal(views["8"]["data_2d"], trial.keypoints_2d[2][:, relevant])

    cameras = {camera.name: camera for camera in trial.cameras}
    found = pstmo.import_train(path, cameras, "restricted")
    wanted = read_camera_poses(sequences, Selection(cameras=("0", "8"), positions="universal"))
    np.testing.assert_allclose(found.positions_camera, wanted.positions_camera, atol=1e-6)
    np.testing.assert_array_equal(found.keypoints_px, wanted.keypoints_px)
    np.testing.assert_array_equal(found.frame, wanted.frame)
    assert [info.key for info in found.trials] == [info.key for info in wanted.trials]
    assert found.snapshot.startswith("sha256:")


def test_pstmo_test(tests_3dhp: PoseStore, tmp_path: Path) -> None:
    path = tmp_path / "data_test_3dhp.npz"
    pstmo.export_test(tests_3dhp, path)
    data = objects(path, "data")
    assert sorted(data) == ["TS1", "TS6"]
    assert {name: value.shape for name, value in data["TS6"].items()} == {
        "data_2d": (5, 17, 2),
        "data_3d": (5, 17, 3),
        "valid": (5,),
    }
    attributes = {key.trial: tests_3dhp.trial_attributes(key) for key in tests_3dhp.keys()}
    cameras = {name: found.cameras[0] for name, found in attributes.items()}
    found = pstmo.import_test(path, cameras, 25.0, "restricted")
    for rows, valid_only, count in ((found.valid, True, 8), (slice(None), False, 10)):
        poses = found.poses.take(np.arange(len(found.valid))[rows])
        wanted = read_camera_poses(tests_3dhp, Selection(positions="universal", valid_only=valid_only))
        np.testing.assert_allclose(poses.positions_camera, wanted.positions_camera, atol=1e-6)
        np.testing.assert_array_equal(poses.frame, wanted.frame)
        assert len(poses) == count
    data["TS6"]["valid"] = data["TS6"]["valid"][:-1]
    np.savez(path, data=np.array(data, dtype=object))
    with pytest.raises(ExchangeError, match=r"TS6 valid is .* expected numbers of shape \(5\)"):
        pstmo.import_test(path, cameras, 25.0, "restricted")
    with pytest.raises(ExchangeError, match="no sequence of a camera"):
        pstmo.import_test(path, {}, 25.0, "restricted")


def test_poseaug(tests_3dhp: PoseStore, tmp_path: Path) -> None:
    path = tmp_path / "test_3dhp.npz"
    poses = read_camera_poses(tests_3dhp, Selection(positions="universal"))
    assert poseaug.export_test(poses, path) == 6  # of 8 valid rows, two have a joint outside the image
    with np.load(path, allow_pickle=False) as archive:
        assert archive["pose3d"].shape == (6, 16, 3)
        assert archive["pose2d"].shape == (6, 16, 2)
    found = poseaug.import_test(path)
    kept = poses.take(poses.frame != 4)
    without_nose = np.delete(kept.positions_camera, 9, axis=1)
    np.testing.assert_allclose(found.positions, without_nose - without_nose[:, :1], atol=1e-7)
    assert not found.positions[:, 0].any()
    width, height = 1000, 1002
    normalised = np.delete(kept.keypoints_px, 9, axis=1) / width * 2 - [1, height / width]
    np.testing.assert_allclose(found.keypoints_screen, normalised, atol=1e-6)


def test_poseaug_tells_cameras_and_places_by_reprojection(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wide = Camera("TS1", (2048, 2048), (1500.0, 1501.0), (1017.0, 1043.0))
    long = Camera("TS5", (1920, 1080), (1684.0, 1673.0), (940.0, 560.0))
    cameras = {"TS1": wide, "TS3": replace(wide, name="TS3"), "TS5": long}
    relative = rng.normal(scale=0.3, size=(12, 16, 3))
    relative[:, 0] = 0
    absolute = relative + rng.uniform([-0.5, -0.3, 3.0], [0.5, 0.3, 5.0], size=(12, 3))[:, None]
    taken = ["TS1", "TS5", "TS5", "TS3"] * 3
    screen = []
    for pose, name in zip(absolute, taken, strict=True):
        camera = cameras[name]
        pixels = pose[:, :2] / pose[:, 2:] * camera.focal_px + camera.centre_px
        screen.append(2 * pixels / camera.size_px[0] - [1, camera.size_px[1] / camera.size_px[0]])
    path = tmp_path / "test_3dhp.npz"
    np.savez(path, pose3d=relative.astype(np.float32), pose2d=np.array(screen, dtype=np.float32))

    poses = poseaug.import_poses(path, cameras, 25.0)
    assert [trial.key.path for trial in poses.trials] == ["TS1-TS3/rows", "TS5/rows"]
    assert poses.skeleton == "poseaug_16"
    assert list(poses.frame) == [0, 3, 4, 7, 8, 11, 1, 2, 5, 6, 9, 10], "rows of the file"
    np.testing.assert_allclose(poses.positions_camera, absolute[poses.frame], atol=1e-3)

    np.savez(path, pose3d=relative, pose2d=rng.normal(scale=0.3, size=(12, 16, 2)))
    with pytest.raises(ExchangeError, match="off their keypoints"):
        poseaug.import_poses(path, cameras, 25.0)


@pytest.mark.parametrize("which", ["human36m", "mpi_inf_3dhp_train", "mpi_inf_3dhp_test"])
def test_mmpose(
    which: mmpose.ImageNaming,
    human36m: PoseStore,
    sequences: PoseStore,
    tests_3dhp: PoseStore,
    tmp_path: Path,
) -> None:
    store = {"human36m": human36m, "mpi_inf_3dhp_train": sequences, "mpi_inf_3dhp_test": tests_3dhp}[which]
    first_name = {
        "human36m": "S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000001.jpg",
        "mpi_inf_3dhp_train": "S1_Seq1_Cam0_000001.jpg",
        "mpi_inf_3dhp_test": "TS1_000001.jpg",
    }[which]
    path = tmp_path / "annotations.npz"
    poses = read_camera_poses(store)
    mmpose.export_annotations(poses, path, which)
    order = mapping("human36m_17", "human36m_17" if which == "human36m" else "mpi_inf_3dhp_17")
    with np.load(path, allow_pickle=False) as archive:
        assert archive["imgname"][0] == first_name
        n = len(poses)
        shapes = {name: archive[name].shape for name in ("center", "scale", "part", "S")}
        assert shapes == {"center": (n, 2), "scale": (n,), "part": (n, 17, 3), "S": (n, 17, 4)}
        np.testing.assert_array_equal(archive["part"][..., :2], order.apply(poses.keypoints_px))
        np.testing.assert_array_equal(archive["S"][..., :3], order.apply(poses.positions_camera))
        assert (archive["S"][..., 3] == 1).all()
        box = np.ptp(poses.keypoints_px[0], axis=0).max()
        assert archive["scale"][0] == pytest.approx(box * 1.2 / 200)

    cameras = {
        (key.subject, camera.name): camera
        for key in store.keys()
        for camera in store.trial_attributes(key).cameras
    }
    shuffled = tmp_path / "shuffled.npz"
    with np.load(path) as archive:
        rows = np.random.default_rng(0).permutation(len(poses))
        np.savez(shuffled, **{name: archive[name][rows] for name in archive.files})
    found = mmpose.import_annotations(shuffled, which, lambda name: cameras[name.subject, name.camera], 50.0)
    assert [info.key for info in found.trials] == [info.key for info in poses.trials]
    for name in ("positions_camera", "keypoints_px", "frame", "trial"):
        np.testing.assert_array_equal(getattr(found, name), getattr(poses, name), err_msg=name)
    other: mmpose.ImageNaming = "mpi_inf_3dhp_test" if which == "human36m" else "human36m"
    with pytest.raises(ExchangeError, match="is not one of"):
        mmpose.import_annotations(shuffled, other, lambda name: cameras[name.subject, name.camera], 50.0)
