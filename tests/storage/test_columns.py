"""Columns against the definition: R X + t and the stored pixels, one row per trial, camera and frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from poseshift.geometry.projection import project
from poseshift.storage.frame_rates import sampling_hz
from poseshift.storage.reading import PositionsMissingError, Selection, positions_held, read_camera_poses
from poseshift.storage.schema import Trial
from poseshift.storage.store import PoseStore

MakeTrial = Callable[..., Trial]


@pytest.fixture
def trials(store: PoseStore, make_trial: MakeTrial) -> list[Trial]:
    made = [
        make_trial("S1", "Directions 1", 11),
        make_trial("S1", "Walking", 6),
        make_trial("S9", "Walking", 5, cameras=("54138969",)),
    ]
    rng = np.random.default_rng(0)
    made[2] = replace(
        made[2],
        valid=np.array([True, False, True, True, False]),
        activity=np.arange(1, 6, dtype=np.int8),
        positions_universal=made[2].positions_world * np.float32(0.8),
        detections={"cpn": rng.uniform(0.1, 1, size=(1, 5, 17, 3)).astype(np.float32)},
    )
    with store.transaction("write") as transaction:
        for trial in reversed(made):
            transaction.write(trial)
    return made


def test_rows_follow_trial_camera_frame(store: PoseStore, trials: list[Trial]) -> None:
    poses = read_camera_poses(store)
    expected = [
        (trial.key, camera.name, frame)
        for trial in trials
        for camera in trial.cameras
        for frame in range(trial.frames)
        if trial.valid is None or trial.valid[frame]
    ]
    found = [
        (poses.trials[t].key, poses.cameras[c].name, f)
        for t, c, f in zip(poses.trial, poses.camera, poses.frame, strict=True)
    ]
    assert found == expected
    assert len(poses) == len(expected) == 2 * 11 + 2 * 6 + 3
    for row, (key, name, frame) in enumerate(expected):
        trial = next(trial for trial in trials if trial.key == key)
        number = [camera.name for camera in trial.cameras].index(name)
        camera = trial.cameras[number]
        assert poses.cameras[poses.camera[row]] == camera
        moved = trial.positions_world[frame] @ np.array(camera.rotation).T + camera.translation
        np.testing.assert_allclose(poses.positions_camera[row], moved, atol=1e-6)
        np.testing.assert_array_equal(poses.keypoints_px[row], trial.keypoints_2d[number, frame])
    assert poses.activity[-3:].tolist() == [1, 3, 4]
    assert not poses.activity[:-3].any()
    assert (poses.skeleton, poses.snapshot) == ("human36m_17", store.snapshot)
    for name in ("camera", "trial", "frame"):
        assert getattr(poses, name).dtype == np.int32
    assert poses.positions_camera.dtype == poses.keypoints_px.dtype == np.float32


def test_positions_project_onto_the_keypoints(store: PoseStore, trials: list[Trial]) -> None:
    poses = read_camera_poses(store)
    projected = project(poses.positions_camera.astype(np.float64), poses.intrinsics[poses.camera])
    np.testing.assert_allclose(projected, poses.keypoints_px, atol=2e-2)


def test_equal_cameras_share_a_row_of_the_table(store: PoseStore, trials: list[Trial]) -> None:
    poses = read_camera_poses(store)
    assert [camera.name for camera in poses.cameras] == ["54138969", "60457274"]
    assert poses.intrinsics.focal_px.shape == (2, 2)


@pytest.mark.parametrize(
    ("selection", "rows"),
    [
        (Selection(subjects=("S9",)), 3),
        (Selection(actions=("Walking",)), 2 * 6 + 3),
        (Selection(cameras=("60457274",)), 11 + 6),
        (Selection(frame_step=5), 2 * 3 + 2 * 2 + 1),
        (Selection(valid_only=False), 2 * 11 + 2 * 6 + 5),
        (Selection(subjects=("S1",), actions=("Walking",), cameras=("54138969",), frame_step=6), 1),
    ],
)
def test_selection(store: PoseStore, trials: list[Trial], selection: Selection, rows: int) -> None:
    poses = read_camera_poses(store, selection)
    assert len(poses) == rows
    assert (poses.frame % selection.frame_step == 0).all()
    assert set(poses.camera) == set(range(len(poses.cameras)))
    assert set(poses.trial) == set(range(len(poses.trials)))


def test_universal_positions_and_detections(store: PoseStore, trials: list[Trial]) -> None:
    trial = trials[2]
    assert trial.valid is not None
    assert trial.positions_universal is not None
    poses = read_camera_poses(store, Selection(subjects=("S9",), positions="universal", keypoints="cpn"))
    camera = trial.cameras[0]
    moved = trial.positions_universal[trial.valid] @ np.array(camera.rotation).T + camera.translation
    np.testing.assert_allclose(poses.positions_camera, moved, atol=1e-6)
    np.testing.assert_array_equal(poses.keypoints_px, trial.detections["cpn"][0, trial.valid, :, :2])


def test_what_a_detector_has_not_seen_is_not_at_its_corner(store: PoseStore, make_trial: MakeTrial) -> None:
    """OpenPose, AlphaPose and others write (0, 0, 0) for a joint, or for a whole person, that they miss."""
    detected = np.ones((2, 4, 17, 3), dtype=np.float32) * (300, 200, 0.9)
    detected[0, 1, 13] = 0  # a wrist
    detected[0, 2] = 0  # a person
    detected[1, 0, 5] = (0, 0, 0.2)  # seen in the corner, in fact
    detected[1, 3, 6] = (310, 190, 0)  # guessed
    trial = replace(make_trial("S1", "Walking", 4), detections={"openpose": detected.astype(np.float32)})
    with store.transaction("write") as transaction:
        transaction.write(trial)
    poses = read_camera_poses(store, Selection(keypoints="openpose"))
    missing = np.isnan(poses.keypoints_px)
    np.testing.assert_array_equal(missing[..., 0], missing[..., 1])
    expected = np.zeros((8, 17), dtype=bool)
    expected[1, 13] = expected[2] = expected[7, 6] = True
    np.testing.assert_array_equal(missing[..., 0], expected)
    assert poses.keypoints_px[4, 5].tolist() == [0, 0]
    assert (poses.keypoints_px[~missing].reshape(-1, 2)[[0, -1]] == (300, 200)).all()
    assert poses.keypoints_px.dtype == np.float32
    assert poses.confidence is not None
    np.testing.assert_array_equal(poses.confidence, detected.astype(np.float32).reshape(8, 17, 3)[..., 2])
    np.testing.assert_array_equal(poses.take(np.array([4, 1])).confidence, poses.confidence[[4, 1]])
    assert poses.whole.tolist() == [True, False, False, True, True, True, True, False]
    assert poses.without_gaps().frame.tolist() == [0, 3, 0, 1, 2]
    truth = read_camera_poses(store)
    assert truth.confidence is None
    assert truth.without_gaps() is truth
    with pytest.raises(ValueError, match="none of the 1 poses has all of its keypoints"):
        poses.take(np.array([2])).without_gaps()


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(subjects=("S4",)), "no trial, camera or frame"),
        (
            Selection(subjects=("S1",), positions="universal"),
            "has annotated 3D only, but universal 3D is asked for",
        ),
        (Selection(keypoints="hrnet"), "has no keypoints_2d_hrnet"),
    ],
)
def test_what_is_not_there_is_said(
    store: PoseStore, trials: list[Trial], selection: Selection, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_camera_poses(store, selection)


def test_take_keeps_the_tables(store: PoseStore, trials: list[Trial]) -> None:
    poses = read_camera_poses(store)
    some = poses.take(np.array([5, 0]))
    assert some.frame.tolist() == [5, 0]
    assert some.trials == poses.trials
    np.testing.assert_array_equal(some.keypoints_px, poses.keypoints_px[[5, 0]])


def test_the_sampling_rate_follows_the_frame_step(store: PoseStore, trials: list[Trial]) -> None:
    fps = trials[0].fps
    walking = Selection(subjects=("S1",))
    assert sampling_hz(read_camera_poses(store, walking)) == fps
    assert sampling_hz(read_camera_poses(store, replace(walking, frame_step=2))) == fps / 2
    assert math.isnan(sampling_hz(read_camera_poses(store, replace(walking, frame_step=50))))


def test_universal_positions_are_not_taken_for_annotated_ones(
    store: PoseStore, make_trial: MakeTrial
) -> None:
    trial = make_trial("S1", "Walking", 4)
    with store.transaction("write") as transaction:
        transaction.write(replace(trial, positions_kind="universal"))
    assert store.read(trial.key).positions_kind == "universal"
    assert positions_held(store) == {"universal"}
    asked_for, as_it_is = read_camera_poses(store, Selection(positions="universal")), read_camera_poses(store)
    np.testing.assert_array_equal(asked_for.positions_camera, as_it_is.positions_camera)
    assert [info.positions for info in as_it_is.trials] == ["universal"]
    with pytest.raises(PositionsMissingError, match="has universal 3D only, but annotated 3D is asked for"):
        read_camera_poses(store, Selection(positions="annotated"))


def test_a_trial_with_both_kinds_gives_either(store: PoseStore, trials: list[Trial]) -> None:
    both = Selection(subjects=("S9",))
    assert positions_held(store) == {"annotated"}, "S1 has no universal positions"
    assert read_camera_poses(store, both).trials[0].positions == "annotated"
    assert read_camera_poses(store, replace(both, positions="universal")).trials[0].positions == "universal"
