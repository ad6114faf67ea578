"""Filled gaps against ``numpy.interp`` of each joint by itself."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseshift.storage.filling import fill_gaps, fill_short_gaps
from poseshift.storage.gaps import NeverDetectedError, interpolated, with_people_filled
from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.storage.schema import Trial
from poseshift.storage.store import PoseStore

MakeTrial = Callable[..., Trial]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(0, 0.95))
def test_each_joint_is_interpolated_in_time(seed: int, frames: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    number = np.sort(rng.choice(50, frames, replace=False))
    complete = rng.uniform(0, 1000, size=(frames, 5, 2)).astype(np.float32)
    lost = rng.random((frames, 5)) < share
    lost[rng.integers(frames, size=5), np.arange(5)] = False
    keypoints = np.where(lost[..., None], np.float32(np.nan), complete)
    found = fill_gaps(keypoints, number)
    np.testing.assert_array_equal(found[~lost], complete[~lost])
    for joint in range(5):
        seen = ~lost[:, joint]
        for axis in range(2):
            expected = np.interp(number, number[seen], complete[seen, joint, axis])
            np.testing.assert_allclose(found[:, joint, axis], expected, rtol=1e-6)
    assert found.dtype == np.float32


@pytest.fixture
def detected(store: PoseStore, make_trial: MakeTrial) -> PoseStore:
    trial = make_trial("S1", "Walking", 6)
    keypoints = np.ones((2, 6, 17, 3), dtype=np.float32)
    keypoints[..., :2] = trial.keypoints_2d
    keypoints[0, 5, 3] = 0  # the last frame of one view, next to the first of the other
    keypoints[1, :2] = 0
    keypoints[1, :, 16, 2] = 0
    with store.transaction("write") as transaction:
        transaction.write(replace(trial, detections={"cpn": keypoints}))
    return store


def test_views_are_filled_by_themselves(detected: PoseStore) -> None:
    poses = read_camera_poses(detected, Selection(cameras=("54138969",), keypoints="cpn"))
    filled = interpolated(poses)
    assert filled.whole.all()
    np.testing.assert_array_equal(filled.keypoints_px[5, 3], poses.keypoints_px[4, 3])
    np.testing.assert_array_equal(filled.keypoints_px[:5], poses.keypoints_px[:5])
    assert np.isnan(poses.keypoints_px[5, 3]).all()
    assert interpolated(filled) is filled


def test_a_joint_that_no_frame_of_a_view_shows_is_named(detected: PoseStore) -> None:
    poses = read_camera_poses(detected, Selection(keypoints="cpn"))
    with pytest.raises(
        NeverDetectedError,
        match=r"trial 'S1/Walking', camera 60457274: joint 'right_wrist' .* test on cameras that see it",
    ):
        interpolated(poses)


def test_the_error_comes_out_of_another_process_whole() -> None:
    error = NeverDetectedError("S1/Walking", "54138969", "nose")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made a moment before
    assert (str(again), again.joint) == (str(error), "nose")


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_gaps_are_filled_that_are_short_enough(seed: int, longest: int) -> None:
    rng = np.random.default_rng(seed)
    complete = rng.uniform(0, 1000, size=(30, 4, 2)).astype(np.float32)
    lost = rng.random((30, 4)) < 0.5
    lost[:, 3] = True  # a joint that is never seen stays unseen
    keypoints = np.where(lost[..., None], np.float32(np.nan), complete)
    found = fill_short_gaps(keypoints, np.arange(30), 10.0, longest / 10)
    assert np.isnan(found[:, 3]).all()
    for joint in range(3):
        runs = "".join("x" if missing else "." for missing in lost[:, joint])
        at = 0
        for part in re.findall(r"x+|\.+", runs):
            rows = slice(at, at + len(part))
            at += len(part)
            if part[0] == ".":
                np.testing.assert_array_equal(found[rows, joint], complete[rows, joint])
            elif rows.start > 0 and rows.stop < 30:
                assert np.isfinite(found[rows, joint]).all() == (len(part) <= longest)
    straight = fill_gaps(keypoints[:, :3], np.arange(30)) if not lost[:, :3].all(axis=0).any() else None
    if straight is not None:
        filled = np.isfinite(found[:, :3])
        np.testing.assert_array_equal(found[:, :3][filled], straight[filled])


def test_joints_below_a_confidence_are_not_seen_and_short_gaps_are_filled(
    store: PoseStore, make_trial: MakeTrial
) -> None:
    trial = make_trial("S1", "Walking", 6)
    keypoints = np.ones((2, 6, 17, 3), dtype=np.float32)
    keypoints[..., :2] = trial.keypoints_2d
    keypoints[0, 2, 3, 2] = 0.2
    keypoints[0, :, 5, 2] = 0.3
    with store.transaction("write") as transaction:
        transaction.write(replace(trial, detections={"cpn": keypoints}))
    one = Selection(cameras=("54138969",), keypoints="cpn", least_confidence=0.3)
    missing = np.isnan(read_camera_poses(store, one).keypoints_px).all(axis=-1)
    assert np.argwhere(missing).tolist() == [[2, 3]]
    every_second = replace(one, longest_gap_s=0.1, frame_step=2)
    filled = read_camera_poses(store, every_second).keypoints_px
    # From all frames of the view, not from those that are selected.
    np.testing.assert_allclose(filled[1, 3], keypoints[0, [1, 3], 3, :2].mean(axis=0), rtol=1e-6)
    with_all = read_camera_poses(store, replace(one, least_confidence=0.0))
    assert with_all.whole.all()


def test_frames_that_show_next_to_nobody_are_filled_alone(detected: PoseStore) -> None:
    poses = read_camera_poses(detected, Selection(keypoints="cpn"))
    filled = with_people_filled(poses)
    views = np.split(np.arange(len(poses)), np.flatnonzero(~poses.same_view) + 1)
    assert np.isnan(filled.keypoints_px[views[0][5], 3]).all()  # a single joint stays unseen
    second = filled.keypoints_px[views[1]]
    np.testing.assert_array_equal(second[0, :16], second[2, :16])
    assert np.isnan(second[:, 16]).all()  # seen in no frame
