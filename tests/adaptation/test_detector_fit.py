"""What is fitted to keypoints without labels is what was done to them."""

from dataclasses import replace

import numpy as np
import pytest

from poseshift.adaptation.detector_fit import errors_of, fit_errors, keypoint_spreads
from poseshift.augmentation.detector_noise import NoiseFitted, NoiseFixed, NoiseOff
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.projection import normalise
from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.preprocessing.motion.procedural import generate
from poseshift.storage.columns import CameraPoses
from poseshift.training.prediction.views import across_m

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


def unsure(poses: CameraPoses, seed: int, frames: int) -> tuple[CameraPoses, np.ndarray]:
    """Keypoints whose spread is 0.004 (1 + 5 (1 - confidence)); confidences last for so many frames.

    Returns the poses, and the spread of every joint in every frame over the person's size.
    """
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0.2, 1.0, size=(-(-len(poses) // frames), 17)).repeat(frames, axis=0)[: len(poses)]
    spread = 0.004 * (1 + 5 * (1 - sure))
    noise = rng.normal(size=poses.keypoints_px.shape) * (spread * size_px(poses)[:, None])[..., None]
    noisy = with_keypoints(poses, poses.keypoints_px + noise)
    return replace(noisy, confidence=sure.astype(np.float32)), spread


@pytest.mark.parametrize("frames", [1, 10])
def test_spread_by_confidence_is_that_of_the_noise(walking, frames) -> None:
    noisy, spread = unsure(walking, 6, frames)
    fitted = fit_errors(noisy, confidence_levels=5)
    assert len(fitted.levels) == 5
    at_most = np.array([level.up_to for level in fitted.levels])
    assert noisy.confidence is not None
    level = np.searchsorted(at_most[:-1], noisy.confidence)
    for number, one in enumerate(fitted.levels):
        true = np.sqrt((spread[level == number] ** 2).mean())
        found = one.factor * np.mean([joint.spread for joint in fitted.joints.values()])
        assert found == pytest.approx(true, rel=0.12)
    shares = np.array([joint.level_shares for joint in fitted.joints.values()])
    counted = np.stack([np.bincount(of, minlength=5) for of in level.T]) / len(level)
    np.testing.assert_allclose(shares, counted, atol=1e-3)


def test_a_detector_that_is_always_as_sure_has_one_spread(walking) -> None:
    sure = np.full(walking.keypoints_px.shape[:2], 0.9, dtype=np.float32)
    assert fit_errors(replace(walking, confidence=sure), 5) == fit_errors(walking)
    noisy, _ = unsure(walking, 7, 10)
    assert not fit_errors(noisy).levels
    assert "confidence" not in fit_errors(noisy).model_dump_json()


def test_confidence_without_meaning_changes_no_spread(walking) -> None:
    rng = np.random.default_rng(8)
    noise = rng.normal(size=walking.keypoints_px.shape) * 0.01 * size_px(walking)[:, None, None]
    sure = rng.uniform(0.2, 1.0, size=noise.shape[:2]).astype(np.float32)
    fitted = fit_errors(replace(with_keypoints(walking, walking.keypoints_px + noise), confidence=sure), 4)
    factors = [level.factor * fitted.joints["right_wrist"].spread for level in fitted.levels]
    np.testing.assert_allclose(factors, 0.01, rtol=0.12)


def shares_held(poses: CameraPoses, noisy: CameraPoses, spreads: np.ndarray) -> np.ndarray:
    """Share, by fifths of confidence, of joints whose noise across the image is in what should hold 90 %."""
    rays, exact = (normalise(one.keypoints_px.astype(float), square_of(one)) for one in (noisy, poses))
    depth = poses.positions_camera[..., 2].astype(float)
    away = np.linalg.norm(rays - exact, axis=-1) * depth
    held = away < across_m(spreads, rays, depth) * np.sqrt(np.log(10))  # two axes: Rayleigh
    assert noisy.confidence is not None
    fifth = np.digitize(noisy.confidence, np.quantile(noisy.confidence, [0.2, 0.4, 0.6, 0.8]))
    return np.array([held[fifth == number].mean() for number in range(5)])


def square_of(poses: CameraPoses) -> Intrinsics:
    return poses.intrinsics[poses.camera]


def test_error_estimates_hold_as_often_where_the_detector_is_unsure(walking) -> None:
    noisy, _ = unsure(walking, 9, 10)
    spreads = keypoint_spreads(noisy)
    assert spreads is not None
    np.testing.assert_allclose(shares_held(walking, noisy, spreads), 0.9, atol=0.03)
    one_for_all = [joint.spread for joint in fit_errors(noisy).joints.values()]
    uneven = shares_held(walking, noisy, np.broadcast_to(one_for_all, spreads.shape))
    assert uneven[0] < 0.8, "without levels, unsure joints are farther off than is said"
    assert uneven[-1] > 0.97


def test_what_is_filled_in_spreads_as_that_does(walking) -> None:
    noisy, _ = unsure(walking, 10, 10)
    wrist = NAMES.index("right_wrist")
    seen = noisy.keypoints_px.copy()
    gap = np.arange(FRAMES) % 60 < 12
    seen[gap, wrist] = np.nan
    gone = replace(noisy, keypoints_px=seen)
    spreads, fitted = keypoint_spreads(gone), fit_errors(gone, 5)
    assert spreads is not None
    assert spreads[gap, wrist].min() >= fitted.joints["right_wrist"].filled_spread
    assert np.median(spreads[gap, wrist]) > 2 * np.median(spreads[~gap, wrist])
    assert keypoint_spreads(replace(walking, confidence=None)) is None


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
