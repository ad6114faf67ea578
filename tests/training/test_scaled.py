"""Lifters that tell how far their joints may be off: training, storing, and how often that is true."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from poseshift.training.batches import DevicePoses
from poseshift.training.checkpoint import LearnedScale, TrainedLifter, load_lifter, save_lifter
from poseshift.training.encoding import encoding
from poseshift.training.evaluation.answering import predict
from poseshift.training.evaluation.protocols import protocol
from poseshift.training.evaluation.recalibration import (
    beside_rays_over_scale,
    learned_scale,
    scale_factor,
)
from poseshift.training.evaluation.scaled import Predicted, coverage, predict_scaled
from poseshift.training.fit import fit
from poseshift.training.lifters.registry import build
from poseshift.training.lifters.simple_baseline import SimpleBaselineConfig
from poseshift.training.lifters.with_scale import WithScaleConfig
from poseshift.training.losses import loss
from poseshift.training.prediction.views import AND_KEYPOINTS, LEARNED_SCALE, MIRROR_DISAGREEMENT, lift_views
from poseshift.training.schedule import Schedule
from poseshift.training.step_loss import batch_loss

CONFIG = WithScaleConfig(of=SimpleBaselineConfig(width=16, dropout=0.0), hidden=16)
SCHEDULE = Schedule(epochs=2, steps_per_epoch=40, batch_size=64, loss="laplace-nll", learning_rate=3e-3)


@pytest.fixture(scope="module")
def trained(poses_of, tmp_path_factory) -> TrainedLifter:
    poses, chosen = poses_of(16, 0), encoding("screen")
    lifter = build(CONFIG, chosen.channels)
    source = DevicePoses.from_columns(poses, "cpu", 1)
    fit(lifter, chosen, source, SCHEDULE, run_dir=tmp_path_factory.mktemp("run"), seed=0)
    made = TrainedLifter(lifter, chosen, CONFIG, {}, scale=LearnedScale())
    return replace(made, scale=learned_scale(made, poses))


def test_training_tells_the_mean_distance(trained, poses) -> None:
    found = coverage(predict_scaled(trained, poses), poses, protocol("human36m-p1"))
    assert found.mean_scale_mm == pytest.approx(found.mean_error_mm, rel=0.35)
    assert found.mean_scale_mm != pytest.approx(100, rel=0.05)  # what it is before anything is learned


def test_the_root_is_not_in_the_loss(poses) -> None:
    chosen = encoding("screen")
    lifter = build(CONFIG, chosen.channels)
    batch = DevicePoses.from_columns(poses, "cpu", 1).batch(torch.arange(4))
    value = batch_loss(lifter, chosen, batch, loss("laplace-nll"))
    positions, log_scale = lifter.scaled(chosen.encode(batch.keypoints_px, batch.intrinsics).inputs)
    truth = batch.positions_camera - batch.positions_camera[:, :, :1]
    away = (positions - truth).norm(dim=-1)[..., 1:]
    told = log_scale[..., 1:, 0]
    torch.testing.assert_close(value, (away * (-told).exp() + told).mean())


def test_a_lifter_without_scale_cannot_learn_one(poses, tmp_path) -> None:
    chosen = encoding("screen")
    lifter = build(CONFIG.of, chosen.channels)
    source = DevicePoses.from_columns(poses, "cpu", 1)
    with pytest.raises(ValueError, match=r"SimpleBaseline does not tell; take gumlp, or add \+scale"):
        fit(lifter, chosen, source, SCHEDULE, run_dir=tmp_path, seed=0)


def test_what_is_stored_is_what_is_loaded(trained, poses, tmp_path) -> None:
    save_lifter(tmp_path / "lifter", CONFIG, "screen", trained.lifter, {}, scale=trained.scale)
    loaded = load_lifter(tmp_path / "lifter")
    assert loaded.scale == trained.scale
    ours, theirs = predict_scaled(trained, poses), predict_scaled(loaded, poses)
    np.testing.assert_array_equal(ours.positions, theirs.positions)
    np.testing.assert_array_equal(ours.scale_m, theirs.scale_m)
    np.testing.assert_array_equal(ours.positions, predict(trained, poses))


def test_scales_that_were_never_learned_are_not_told(trained, poses, tmp_path) -> None:
    save_lifter(tmp_path / "lifter", CONFIG, "screen", trained.lifter, {})
    assert '"scale"' not in (tmp_path / "lifter/lifter.json").read_text().replace('"with-scale"', "")
    loaded = load_lifter(tmp_path / "lifter")
    assert predict_scaled(loaded, poses).scale_m is None
    with pytest.raises(ValueError, match="has not learned how far its joints may be off"):
        _ = loaded.scaled
    assert {view.error_kind for view in lift_views(loaded, poses)} == {MIRROR_DISAGREEMENT}


def test_a_view_has_the_learned_scale_as_its_error(trained, poses) -> None:
    views = lift_views(trained, poses)
    assert {view.error_kind for view in views} == {LEARNED_SCALE}
    told = predict_scaled(trained, poses, test_time="flip").scale_m
    np.testing.assert_allclose(np.concatenate([view.error_m for view in views]), told)
    assert (told[:, 0] == 0).all()
    assert (told[:, 1:] > 0).all()


def test_the_spread_of_keypoints_is_an_error_across_the_image(trained, poses) -> None:
    spreads = np.linspace(0.0, 0.04, 17) * np.ones((len(poses), 1))
    plain = np.concatenate([view.error_m for view in lift_views(trained, poses)])
    views = lift_views(trained, poses, spreads=spreads)
    told = np.concatenate([view.error_m for view in views])
    assert {view.error_kind for view in views} == {LEARNED_SCALE + AND_KEYPOINTS}
    depth = np.concatenate([view.relative[..., 2] + view.root[:, None, 2] for view in views])
    px = spreads * np.ptp(poses.keypoints_px, axis=1).max(axis=-1, keepdims=True)
    focal = np.array([camera.focal_px[0] for camera in poses.cameras])[poses.camera, None]
    np.testing.assert_allclose(
        told**2 - plain**2, 2 * (px / focal * depth) ** 2, rtol=0.08, atol=1e-5
    )  # the lens


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_coverage_of_distances_that_are_what_they_are_taken_for(poses_of, factor) -> None:
    poses = poses_of(400, 0)
    rng = np.random.default_rng(0)
    truth = poses.positions_camera - poses.positions_camera[:, :1]
    scale = rng.uniform(0.02, 0.2, size=truth.shape[:2]).astype(np.float32)
    direction = rng.normal(size=truth.shape)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    moved = truth + (scale * rng.exponential(size=scale.shape))[..., None] * direction
    moved[:, 0] = 0
    predicted = Predicted(moved.astype(np.float32), scale / np.float32(factor))
    found = coverage(predicted, poses, protocol("human36m-p1"), factor)
    told = found.as_told if factor == 1 else found.recalibrated
    assert told.within_50 == pytest.approx(50, abs=1)
    assert told.within_90 == pytest.approx(90, abs=1)
    if factor == 2:
        assert found.as_told.within_50 == pytest.approx(100 * (1 - 0.5**0.5), abs=1)
        assert found.as_told.within_90 == pytest.approx(100 * (1 - 0.1**0.5), abs=1)
    assert found.rank_correlation > 0.3


def test_the_factor_is_told_by_keypoints_alone(trained, poses) -> None:
    predicted = predict_scaled(trained, poses)
    hidden = poses.unlabelled()
    assert scale_factor(trained, predicted, hidden) == scale_factor(trained, predicted, poses)
    halved = Predicted(predicted.positions, predicted.scale_m / 2)
    assert beside_rays_over_scale(halved, hidden) == pytest.approx(
        2 * beside_rays_over_scale(predicted, hidden), rel=1e-5
    )
    right = (poses.positions_camera - poses.positions_camera[:, :1]).astype(np.float32)
    assert beside_rays_over_scale(Predicted(right, predicted.scale_m), hidden) < 1e-3
    assert scale_factor(replace(trained, scale=LearnedScale()), predicted, hidden) is None
