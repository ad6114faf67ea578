"""Filled gaps against ``numpy.interp`` of each joint by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseshift.storage.columns import Selection, read_camera_poses
from poseshift.storage.gaps import NeverDetectedError, fill_gaps, interpolated
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
