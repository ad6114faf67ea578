from dataclasses import replace

import numpy as np
import pytest
import torch

from poseshift.geometry.skeleton import skeleton
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.encoding import encoding
from poseshift.training.evaluation import metrics
from poseshift.training.evaluation.answering import predict
from poseshift.training.evaluation.evaluate import evaluate, frame_errors_mm, rows_within
from poseshift.training.evaluation.protocols import protocol
from poseshift.training.evaluation.results import EvaluationResult, PooledResult, pool_seeds
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.registry import build, preset, presets

TRIALS = (
    ("S9", "Walking 1", "Walking"),
    ("S9", "Eating", "Eating"),
    ("S11", "Walking", "Walking"),
)


class FrameNumberLifter(Lifter):
    """Answers with the first channel of the keypoints it sees, so that a test can follow a frame."""

    def __init__(self, frames: int, output: str) -> None:
        super().__init__(frames=frames, output=output, channels=2, skeleton="human36m_17")
        self.weight = torch.nn.Parameter(torch.ones(()))

    def lift(self, keypoints):
        middle = keypoints.shape[1] // 2
        seen = keypoints if self.output == "all" else keypoints[:, middle : middle + 1]
        return self.weight * torch.cat([seen, seen[..., :1]], dim=-1)


def trained(lifter: Lifter, name: str = "screen") -> TrainedLifter:
    return TrainedLifter(lifter, encoding(name), preset(min(presets())), {})


def noisy(poses, seed: int = 0, scale: float = 0.03) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(scale=scale, size=poses.positions_camera.shape)
    relative = poses.positions_camera - poses.positions_camera[:, :1]
    return (relative + noise * (np.arange(17) > 0)[:, None]).astype(np.float32)


def test_the_truth_scores_perfectly_whether_absolute_or_relative(make_poses):
    poses = make_poses(TRIALS)
    for predicted in (poses.positions_camera, poses.positions_camera - poses.positions_camera[:, :1]):
        result = evaluate(predicted, poses, protocol("3dhp-official"))
        assert result.mpjpe_mm.value == pytest.approx(0, abs=1e-3)
        assert result.pck150.value == 100
        assert result.auc.value == pytest.approx(100 * 30 / 31)
        assert result.headline == result.mpjpe_mm


def test_figures_equal_the_metrics_over_plain_loops(make_poses):
    poses = make_poses(TRIALS)
    predicted = noisy(poses)
    truth = poses.positions_camera - poses.positions_camera[:, :1]
    result = evaluate(predicted, poses, protocol("3dhp-official"))
    errors = 1000 * np.linalg.norm(predicted.astype(float) - truth, axis=-1)
    pck_joints = [1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16]
    assert result.frames == 42
    assert result.sequences == 6
    assert result.mpjpe_mm.value == pytest.approx(errors.mean(), rel=1e-6)
    assert result.pck150.value == pytest.approx(100 * (errors[:, pck_joints] < 150).mean())
    curve = [100 * (errors[:, pck_joints] < threshold).mean() for threshold in range(0, 151, 5)]
    assert result.auc.value == pytest.approx(np.mean(curve))
    assert [row.mpjpe_mm for row in result.per_joint] == pytest.approx(errors.mean(axis=0), rel=1e-6)
    assert {row.joint for row in result.per_joint if row.pck150 is None} == {"pelvis", "spine", "nose"}
    assert result.pa_mpjpe_mm.value == pytest.approx(metrics.pa_mpjpe_mm(predicted, truth).mean(), rel=1e-5)
    assert (result.mpjpe_mm.low, result.mpjpe_mm.high) == (None, None)  # of fewer than five people


def test_figures_do_not_depend_on_how_many_rows_are_measured_at_once(make_poses, monkeypatch):
    poses = make_poses(TRIALS)
    predicted = noisy(poses)
    whole = evaluate(predicted, poses, protocol("3dhp-official"))
    frames = frame_errors_mm(predicted, poses, protocol("3dhp-official"))
    monkeypatch.setattr("poseshift.training.evaluation.evaluate._ROWS_AT_ONCE", 1)
    assert evaluate(predicted, poses, protocol("3dhp-official")) == whole
    assert np.array_equal(frame_errors_mm(predicted, poses, protocol("3dhp-official")), frames)


def test_rows_of_sequences_may_lie_in_any_order(make_poses):
    poses = make_poses(TRIALS)
    order = np.argsort(poses.frame, kind="stable")
    mixed = evaluate(noisy(poses)[order], poses.take(order), protocol("3dhp-official"))
    sorted_ = evaluate(noisy(poses), poses, protocol("3dhp-official"))
    assert mixed.pa_mpjpe_mm.value == pytest.approx(sorted_.pa_mpjpe_mm.value)
    assert [row.name for row in mixed.per_sequence] == [row.name for row in sorted_.per_sequence]
    assert mixed.mpjve_mm is None, "no row is the next frame of the row before it"


def test_sixteen_joints_leave_the_nose_out(make_poses):
    poses = make_poses(TRIALS)
    predicted = poses.positions_camera.copy()
    predicted[:, skeleton("human36m_17").joint_names.index("nose")] += 1.0
    assert evaluate(predicted, poses, protocol("3dhp-poseaug16")).mpjpe_mm.value == pytest.approx(0, abs=1e-3)
    seventeen = evaluate(predicted, poses, protocol("3dhp-graphmlp17"))
    assert seventeen.mpjpe_mm.value == pytest.approx(1000 * np.sqrt(3) / 17, rel=1e-4)
    assert seventeen.pck150.value == pytest.approx(100 * 16 / 17)


def test_human36m_averages_over_actions_and_reports_frames_too(make_poses):
    poses = make_poses(TRIALS)
    predicted = poses.positions_camera - poses.positions_camera[:, :1]
    eating = poses.trial == 1
    predicted[eating, 1:] += np.float32([0.017, 0, 0])
    result = evaluate(predicted, poses, protocol("human36m-p1"))
    # 16 mm over 17 joints on the frames of Eating, which are a third of all, but one of two actions.
    assert result.mpjpe_mm.value == pytest.approx(8.0, rel=1e-3)
    assert result.over_actions == result.mpjpe_mm
    assert result.over_frames.value == pytest.approx(16 / 3, rel=1e-3)
    assert {row.action: row.frames for row in result.per_action} == {"Eating": 14, "Walking": 28}
    p2 = evaluate(predicted, poses, protocol("human36m-p2"))
    assert p2.headline == p2.pa_mpjpe_mm


def test_activities_replace_actions_where_frames_have_them(make_poses):
    poses = make_poses(TRIALS, activity=3)
    result = evaluate(noisy(poses), poses, protocol("3dhp-official"))
    assert [row.action for row in result.per_action] == ["Sitting"]
    assert result.over_actions is None


def test_velocity_needs_successive_frames_of_one_sequence(make_poses):
    poses = make_poses(TRIALS, frames=4)
    drift = poses.frame[:, None, None] * np.float32([0, 0, 0.017]) * (np.arange(17) > 0)[:, None]
    predicted = poses.positions_camera + drift.astype(np.float32)
    result = evaluate(predicted, poses, protocol("3dhp-official"))
    assert result.mpjve_mm.value == pytest.approx(16.0, rel=1e-3)
    assert [row.velocity_frames for row in result.per_sequence] == [3] * 6
    lonely = poses.take(poses.frame % 2 == 0)
    assert evaluate(lonely.positions_camera, lonely, protocol("3dhp-official")).mpjve_mm is None


def test_result_survives_json(make_poses):
    poses = make_poses(TRIALS)
    result = evaluate(noisy(poses), poses, protocol("human36m-p1"), seed=4)
    assert EvaluationResult.model_validate_json(result.model_dump_json()) == result
    assert evaluate(noisy(poses), poses, protocol("human36m-p1"), seed=4) == result
    single = poses.take(poses.trial == 0).take(poses.camera[poses.trial == 0] == 0)
    alone = evaluate(noisy(single), single, protocol("human36m-p1"))
    assert alone.mpjpe_mm.low is None
    assert EvaluationResult.model_validate_json(alone.model_dump_json()) == alone


def test_frames_with_gaps_are_lifted_from_their_neighbours_and_counted(make_poses):
    poses = make_poses(TRIALS)
    keypoints = poses.keypoints_px.copy()
    keypoints[2, 13] = np.nan  # a wrist in the third frame of the first view
    keypoints[10:12] = np.nan  # nobody in the fourth and fifth frame of the second
    keypoints[41, 4] = np.nan  # an ankle in the very last frame
    gappy = replace(poses, keypoints_px=keypoints)
    by_hand = poses.keypoints_px.copy()
    by_hand[2, 13] = (by_hand[1, 13] + by_hand[3, 13]) / 2
    by_hand[10] = (2 * by_hand[9] + by_hand[12]) / 3
    by_hand[11] = (by_hand[9] + 2 * by_hand[12]) / 3
    by_hand[41, 4] = by_hand[40, 4]
    follower = trained(FrameNumberLifter(1, "centre"))
    expected = predict(follower, replace(poses, keypoints_px=by_hand))
    found = predict(follower, gappy)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    result = evaluate(found, gappy, protocol("3dhp-official"))
    assert (result.frames, result.interpolated) == (42, 4)
    assert evaluate(found, poses, protocol("3dhp-official")).interpolated == 0


def test_predictions_must_be_finite_and_of_the_right_shape(make_poses):
    poses = make_poses(TRIALS)
    broken = noisy(poses)
    broken[5, 2, 1] = np.nan
    with pytest.raises(ValueError, match=r"1 of 42 predictions are not finite \(first: row 5\)"):
        evaluate(broken, poses, protocol("3dhp-official"))
    with pytest.raises(ValueError, match=r"\(41, 17, 3\)"):
        evaluate(noisy(poses)[1:], poses, protocol("3dhp-official"))


def test_pooled_seeds_average_sequences_and_keep_the_spread(make_poses):
    poses = make_poses(tuple((f"S{person}", "Walking", "Walking") for person in range(6)))
    results = [evaluate(noisy(poses, seed), poses, protocol("human36m-p1")) for seed in range(3)]
    pooled = pool_seeds(results, bootstrap_seed=0)
    figures = [result.mpjpe_mm.value for result in results]
    assert pooled.mpjpe_mm.value == pytest.approx(np.mean(figures))
    assert pooled.mpjpe_mm.std == pytest.approx(np.std(figures, ddof=1))
    assert pooled.mpjpe_mm.per_seed == tuple(figures)
    assert pooled.mpjpe_mm.low <= pooled.mpjpe_mm.value <= pooled.mpjpe_mm.high
    assert pooled.headline == pooled.mpjpe_mm
    assert PooledResult.model_validate_json(pooled.model_dump_json()) == pooled
    one = pool_seeds(results[:1], bootstrap_seed=0)
    assert one.mpjpe_mm.std is None
    assert (one.mpjpe_mm.low, one.mpjpe_mm.high) == (results[0].mpjpe_mm.low, results[0].mpjpe_mm.high)


def test_only_like_results_can_be_pooled(make_poses):
    poses = make_poses(TRIALS)
    first = evaluate(noisy(poses), poses, protocol("human36m-p1"))
    with pytest.raises(ValueError, match="protocols"):
        pool_seeds([first, evaluate(noisy(poses), poses, protocol("human36m-p2"))], 0)
    with pytest.raises(ValueError, match="snapshots"):
        pool_seeds([first, first.model_copy(update={"snapshot": "other"})], 0)
    fewer = poses.take(poses.trial > 0)
    with pytest.raises(ValueError, match="sequences"):
        pool_seeds([first, evaluate(noisy(fewer), fewer, protocol("human36m-p1"))], 0)
    with pytest.raises(ValueError, match="no results"):
        pool_seeds([], 0)


@pytest.mark.parametrize(("frames", "output"), [(1, "centre"), (5, "all"), (5, "centre")])
def test_predict_answers_for_each_row_itself(make_poses, frames, output):
    poses = make_poses(TRIALS)
    predicted = predict(trained(FrameNumberLifter(frames, output)), poses, batch_size=10)
    expected = poses.keypoints_px[:, 1:, 0] * 2 / 1000 - 1
    assert predicted.shape == (42, 17, 3)
    assert predicted.dtype == np.float32
    assert np.allclose(predicted[:, 1:, 0], expected, atol=1e-6)
    assert (predicted[:, 0] == 0).all()


def test_flip_averages_with_the_mirrored_answer(make_poses):
    poses = make_poses(TRIALS)
    lifter = FrameNumberLifter(1, "all")
    flipped = predict(trained(lifter), poses, test_time="flip")
    plain = predict(trained(lifter), poses)
    # Reading off x and y commutes with mirroring; a depth that repeats x changes sign and averages out.
    assert np.allclose(flipped[..., :2], plain[..., :2], atol=1e-5)
    assert np.allclose(flipped[..., 2], 0, atol=1e-5)
    assert np.abs(plain[..., 2]).max() > 0.1


def test_predict_leaves_the_mode_and_is_deterministic(make_poses):
    poses = make_poses(TRIALS)
    model = build(preset(min(presets(), key=len)), channels=2).train()
    first = predict(trained(model), poses)
    assert model.training
    assert np.array_equal(first, predict(trained(model), poses, batch_size=42))


def test_predict_refuses_another_skeleton(make_poses):
    with pytest.raises(ValueError, match="coco_17"):
        predict(trained(FrameNumberLifter(1, "all")), replace(make_poses(), skeleton="coco_17"))


def test_rows_within_a_wider_selection(make_poses):
    context = make_poses(TRIALS)
    measured = context.take(context.frame % 3 == 0)
    rows = rows_within(measured, context)
    assert np.array_equal(context.positions_camera[rows], measured.positions_camera)
    with pytest.raises(ValueError, match="context lacks"):
        rows_within(context, measured)
