"""What is fitted to keypoints without labels is what was done to them."""

from dataclasses import replace

import numpy as np
import pytest

from poseshift.adaptation.detector_fit import errors_of, fit_errors
from poseshift.augmentation.detector_noise import NoiseFitted, NoiseFixed, NoiseOff
from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.preprocessing.motion.procedural import generate
from poseshift.storage.columns import CameraPoses

NAMES = HUMAN36M_17.joint_names
FRAMES = 1500


@pytest.fixture
def walking(make_columns, square_camera) -> CameraPoses:
    """One person before a level camera, 30 s at 50 Hz, exact keypoints."""
    motion = generate(seed=5, clips_per_subject=1, frames_per_clip=FRAMES)[0]
    world = np.asarray(motion.positions, dtype=np.float64)[:FRAMES]
    person = world - world[:, :1] + world[:, :1] * [0.2, 0.2, 1.0]
    axes = np.array(square_camera.rotation)
    before = person @ axes.T + [0.0, 0.9, 5.0]
    return make_columns(before.astype(np.float32), (square_camera,), np.zeros(len(before), dtype=np.int32))


def with_keypoints(poses: CameraPoses, keypoints: np.ndarray) -> CameraPoses:
    return replace(poses, keypoints_px=keypoints.astype(np.float32))


def size_px(poses: CameraPoses) -> np.ndarray:
    return np.ptp(poses.keypoints_px, axis=1).max(axis=-1)


def test_exact_keypoints_have_next_to_no_errors(walking) -> None:
    fitted = fit_errors(walking.unlabelled())
    assert max(one.spread for one in fitted.joints.values()) < 0.002
    assert max(one.outliers for one in fitted.joints.values()) < 0.005
    assert fitted.swaps.body < 0.002
    assert all(one.dropped == 0 for one in fitted.joints.values())


@pytest.mark.parametrize("share", [0.005, 0.02])
def test_spread_is_found_joint_by_joint(walking, share) -> None:
    rng = np.random.default_rng(1)
    of_joint = np.where(np.array(["wrist" in name for name in NAMES]), 2 * share, share)
    noise = rng.normal(size=walking.keypoints_px.shape) * of_joint[:, None] * size_px(walking)[:, None, None]
    fitted = fit_errors(with_keypoints(walking, walking.keypoints_px + noise))
    found = np.array([fitted.joints[name].spread for name in NAMES])
    np.testing.assert_allclose(found, of_joint, rtol=0.15)


def test_outliers_are_counted_and_do_not_widen_the_spread(walking) -> None:
    rng = np.random.default_rng(2)
    noisy = (
        walking.keypoints_px
        + rng.normal(size=walking.keypoints_px.shape) * 0.01 * size_px(walking)[:, None, None]
    )
    low, high = noisy.min(axis=1, keepdims=True), noisy.max(axis=1, keepdims=True)
    lost = rng.random(noisy.shape[:2]) < 0.03
    noisy = np.where(lost[..., None], low + rng.random(noisy.shape) * (high - low), noisy)
    fitted = fit_errors(with_keypoints(walking, noisy))
    found = np.array([one.outliers for one in fitted.joints.values()])
    # Of outliers that are anywhere in the box, those that fall near the joint are none.
    assert found.mean() == pytest.approx(0.03, abs=0.006)
    assert np.mean([one.spread for one in fitted.joints.values()]) == pytest.approx(0.01, rel=0.2)


def test_sides_that_change_are_counted_with_their_length(walking) -> None:
    swapped = walking.keypoints_px.copy()
    rows = np.concatenate([np.arange(first, first + 4) for first in range(50, FRAMES - 50, 100)])
    swapped[rows] = swapped[rows][:, list(HUMAN36M_17.mirrored)]
    fitted = fit_errors(with_keypoints(walking, swapped))
    assert fitted.swaps.body == pytest.approx(len(rows) / FRAMES, rel=0.35)
    assert fitted.swaps.frames == pytest.approx(4, abs=1)
    assert fitted.swaps.legs + fitted.swaps.arms < 0.02


def test_gaps_are_counted_where_there_is_a_person(walking) -> None:
    wrist = NAMES.index("right_wrist")
    seen = walking.keypoints_px.copy()
    for first in range(0, FRAMES, 60):
        seen[first : first + 6, wrist] = np.nan
    seen[500:800] = np.nan
    fitted = fit_errors(with_keypoints(walking, seen))
    assert fitted.joints["right_wrist"].dropped == pytest.approx(0.1, abs=0.01)
    assert fitted.dropped_frames == pytest.approx(6, abs=0.5)
    assert fitted.joints["left_wrist"].dropped == 0
    assert 0 < fitted.joints["right_wrist"].filled_spread < 0.2
    assert fitted.joints["left_wrist"].filled_spread == 0


def test_computed_joints_are_found_with_their_weights(walking) -> None:
    rng = np.random.default_rng(4)
    seen = walking.keypoints_px + rng.normal(scale=5, size=walking.keypoints_px.shape)
    at = {name: seen[:, NAMES.index(name)] for name in NAMES}
    seen[:, NAMES.index("thorax")] = 0.5 * at["left_shoulder"] + 0.5 * at["right_shoulder"]
    fitted = fit_errors(with_keypoints(walking, seen))
    assert set(fitted.assembled) == {"thorax"}
    assert fitted.assembled["thorax"] == pytest.approx(
        {"left_shoulder": 0.5, "right_shoulder": 0.5}, abs=0.01
    )


def test_a_detector_that_answers_outside_the_image_is_not_truncated(walking) -> None:
    assert fit_errors(walking).truncated
    shifted = with_keypoints(walking, walking.keypoints_px - np.float32([1000, 0]))
    assert not fit_errors(shifted).truncated


def test_no_3d_is_looked_at(walking) -> None:
    assert fit_errors(walking) == fit_errors(walking.unlabelled())


def test_single_frames_are_refused_with_a_remedy(walking) -> None:
    frames = replace(walking.take(np.arange(40)), trial=np.arange(40, dtype=np.int32) % 2)
    with pytest.raises(ValueError, match=r"successive frames.*detector_noise: fixed"):
        fit_errors(frames)


def test_what_a_method_says_becomes_errors(walking) -> None:
    assert errors_of(NoiseOff(), walking) is None
    assert errors_of(NoiseFixed(spread=0.03), None) == NoiseFixed(spread=0.03).errors
    assert errors_of(NoiseFitted(), walking) == fit_errors(walking)
    wider = errors_of(NoiseFitted(least_spread=0.01), walking)
    assert wider is not None
    assert {one.spread for one in wider.joints.values()} == {0.01}
    assert wider.swaps == fit_errors(walking).swaps
    with pytest.raises(ValueError, match="no target; add `target:`"):
        errors_of(NoiseFitted(), None)
