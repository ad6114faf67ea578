"""Stores with cameras that move: what is written, what is refused, and how columns see them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project
from poseshift.storage.reading import Selection, read_camera_poses, read_keypoints
from poseshift.storage.schema import Trial, TrialAttributes, TrialKey, zarr_attributes
from poseshift.storage.store import PoseStore

FRAMES, GAP = 6, 2


@pytest.fixture
def trial() -> Trial:
    """A person before a camera that turns and walks, without a pose in one frame, and one that stands."""
    rng = np.random.default_rng(0)
    world = rng.normal([0.0, 0.0, 1.0], 0.4, size=(FRAMES, 17, 3))
    looks = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    turns = Rotation.from_rotvec(np.linspace(0, 0.3, FRAMES)[:, None] * [0.0, 1.0, 0.0]).as_matrix() @ looks
    shifts = np.linspace([0.0, 1.0, 4.0], [0.3, 1.1, 4.5], FRAMES)
    moving = Camera("phone", (1000, 800), (900.0, 900.0), (500.0, 400.0))
    placed = replace(moving, name="tripod", rotation=tuple(map(tuple, looks.tolist())), translation=(0, 1, 5))
    extrinsics = np.full((2, FRAMES, 3, 4), np.nan)
    extrinsics[0] = np.concatenate([turns, shifts[..., None]], axis=-1)
    seen = [
        np.einsum("nij,nkj->nki", turns, world) + shifts[:, None],
        world @ looks.T + placed.translation,
    ]
    extrinsics[0, GAP] = np.nan
    return Trial(
        key=TrialKey("person-1", "walk"),
        action="walk",
        subaction="1",
        fps=30.0,
        cameras=(moving, placed),
        positions_world=world.astype(np.float32),
        keypoints_2d=np.stack([project(one, moving.intrinsics) for one in seen]).astype(np.float32),
        extrinsics=extrinsics,
    )


def stored(trial: Trial, folder: Path) -> PoseStore:
    store = PoseStore.create(folder / "store", "walks")
    with store.transaction("Write") as transaction:
        transaction.write(trial)
    return store


def test_a_trial_comes_back_with_a_pose_for_every_frame(trial: Trial, tmp_path: Path) -> None:
    store = stored(trial, tmp_path)
    back = store.read(trial.key)
    np.testing.assert_array_equal(back.extrinsics, trial.extrinsics)
    assert back.moving == ("phone",)
    assert back.path("tripod") is None
    assert store.trial_attributes(trial.key).moving == ("phone",)
    assert store.verify().problems == ()
    assert store.open_dataset(trial.key)["extrinsics"].dims == ("camera", "frame", "xyz", "xyz_1")


def test_of_cameras_that_stand_still_nothing_is_written_that_was_not_before(trial: Trial) -> None:
    still = replace(trial, extrinsics=None)
    assert "moving" not in json.dumps(zarr_attributes(TrialAttributes.of(still, {})))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda poses: np.full_like(poses, np.nan), "without a pose of any camera"),
        (lambda poses: np.where(np.arange(4) == 3, np.nan, poses), "has a part of a pose"),
        (lambda poses: 2 * poses, "a rotation that is none"),
        (lambda poses: poses[::-1], "camera tripod has a pose for every frame and one for all"),
    ],
)
def test_poses_that_are_none_are_refused(changed, message: str, trial: Trial, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        stored(replace(trial, extrinsics=changed(trial.extrinsics)), tmp_path)


def test_rows_have_the_camera_axes_of_their_frames(trial: Trial, tmp_path: Path) -> None:
    poses = read_camera_poses(stored(trial, tmp_path))
    assert [camera.name for camera in poses.cameras] == ["phone", "tripod"]
    assert len(poses) == 2 * FRAMES - 1, "a frame without a pose of the camera is no row"
    np.testing.assert_allclose(
        project(poses.positions_camera.astype(np.float64), poses.intrinsics[poses.camera]),
        poses.keypoints_px,
        atol=1e-2,
    )
    assert poses.moves.tolist() == [True, False]
    assert poses.ups[0] == (0.0, 0.0, 1.0)
    assert poses.ups[1] == poses.cameras[1].up
    assert poses.motion is not None
    own = poses.take(poses.camera == 0)
    assert own.motion is not None
    known = np.delete(trial.extrinsics[0], GAP, axis=0)  # type: ignore[index]
    np.testing.assert_array_equal(own.motion.path.extrinsics, known)


def test_where_frames_are_kept_nobody_is_seen_in_one_without_a_pose(trial: Trial, tmp_path: Path) -> None:
    poses = read_keypoints(stored(trial, tmp_path), Selection(valid_only=False, cameras=("phone",)))
    assert np.isnan(poses.keypoints_px).all(axis=(1, 2)).tolist() == [one == GAP for one in range(FRAMES)]
    assert poses.motion is not None
    assert poses.motion.path.known.all()


def test_worlds_whose_up_is_not_known_are_kept_apart(trial: Trial, tmp_path: Path) -> None:
    store = stored(replace(trial, up="unknown"), tmp_path)
    with store.transaction("Write") as transaction:
        transaction.write(replace(trial, up="unknown", key=TrialKey("person-2", "walk")))
        transaction.write(replace(trial, up="unknown", key=TrialKey("person-1", "run")))
    poses = read_keypoints(store, Selection(cameras=("phone",)))
    assert [camera.name for camera in poses.cameras] == ["phone", "phone"], "one for each clip"
    assert poses.ups == (None, None)
    assert poses.turns is not None
