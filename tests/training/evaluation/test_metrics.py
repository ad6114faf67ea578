import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar
from scipy.spatial.transform import Rotation

from poseshift.training.evaluation import metrics

SETTINGS = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def poses(seed: int, frames: int = 4, joints: int = 17) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=0.4, size=(frames, joints, 3))


def similarity_loops(predicted: np.ndarray, target: np.ndarray) -> float:
    """PA-MPJPE of one frame by SciPy's Kabsch and the closed-form scale, frame by frame."""
    p, t = predicted - predicted.mean(0), target - target.mean(0)
    rotation, _ = Rotation.align_vectors(t, p)
    turned = rotation.apply(p)
    scale = (turned * t).sum() / (p * p).sum()
    return float(
        np.mean([1000 * np.sqrt(((scale * a - b) ** 2).sum()) for a, b in zip(turned, t, strict=True)])
    )


def test_mpjpe_of_a_three_four_five_triangle():
    target = np.zeros((1, 2, 3))
    predicted = target.copy()
    predicted[0, 1] = [0.03, 0.0, 0.04]
    assert metrics.joint_errors_mm(predicted, target).tolist() == [[0.0, pytest.approx(50.0)]]
    assert metrics.mpjpe_mm(predicted, target).tolist() == [pytest.approx(25.0)]


def test_a_constant_offset_is_the_error_of_every_joint():
    target = poses(0)
    offset = np.array([0.01, -0.02, 0.02])
    assert metrics.mpjpe_mm(target + offset, target) == pytest.approx(np.full(4, 30.0))


@SETTINGS
@given(seeds)
def test_pa_mpjpe_equals_scipys_alignment(seed):
    predicted, target = poses(seed), poses(seed + 1)
    expected = [similarity_loops(p, t) for p, t in zip(predicted, target, strict=True)]
    assert metrics.pa_mpjpe_mm(predicted, target) == pytest.approx(np.array(expected), rel=1e-9)


def test_the_similarity_behind_pa_mpjpe_is_the_best_found_by_search():
    predicted, target = poses(3, frames=1), poses(4, frames=1)

    def misfit(parameters):
        rotation = Rotation.from_rotvec(parameters[:3])
        fitted = np.exp(parameters[3]) * rotation.apply(predicted[0]) + parameters[4:]
        return ((fitted - target[0]) ** 2).sum()

    rng = np.random.default_rng(0)
    starts = rng.normal(scale=1.5, size=(12, 7))
    best = min((minimize(misfit, start) for start in starts), key=lambda found: found.fun)
    rotation = Rotation.from_rotvec(best.x[:3])
    fitted = np.exp(best.x[3]) * rotation.apply(predicted[0]) + best.x[4:]
    expected = 1000 * np.linalg.norm(fitted - target[0], axis=-1).mean()
    assert metrics.pa_mpjpe_mm(predicted, target)[0] == pytest.approx(expected, abs=0.05)


@SETTINGS
@given(seeds, st.floats(0.2, 5.0))
def test_pa_mpjpe_ignores_similarities_and_counts_reflections(seed, scale):
    rng = np.random.default_rng(seed)
    target = poses(seed)
    moved = scale * target @ Rotation.random(random_state=rng).as_matrix().T + rng.normal(size=3)
    assert metrics.pa_mpjpe_mm(moved, target) == pytest.approx(np.zeros(4), abs=1e-6)
    assert (metrics.pa_mpjpe_mm(target * [-1, 1, 1], target) > 10).all()


@SETTINGS
@given(seeds)
def test_n_mpjpe_uses_the_scale_of_least_squares(seed):
    predicted, target = poses(seed, frames=1), poses(seed + 1, frames=1) + poses(seed, frames=1)
    best = minimize_scalar(lambda scale: ((scale * predicted - target) ** 2).sum())
    expected = metrics.mpjpe_mm(best.x * predicted, target)
    assert metrics.n_mpjpe_mm(predicted, target) == pytest.approx(expected, rel=1e-5)
    assert metrics.n_mpjpe_mm(0.37 * predicted, target) == pytest.approx(expected, rel=1e-5)


@SETTINGS
@given(seeds)
def test_a_rotation_of_both_changes_no_metric(seed):
    predicted, target = poses(seed), poses(seed + 1)
    turn = Rotation.random(random_state=np.random.default_rng(seed)).as_matrix().T
    for metric in metrics.POSITION_ERRORS.values():
        assert metric(predicted @ turn, target @ turn) == pytest.approx(metric(predicted, target), rel=1e-9)


def test_mpjve_of_a_drifting_prediction():
    target = poses(0, frames=5)
    drift = np.arange(5)[:, None, None] * np.array([0.0, 0.003, 0.004])
    follows = np.array([False, True, True, False, True])
    errors = metrics.mpjve_mm(target + drift, target, follows)
    assert np.isnan(errors[[0, 3]]).all()
    assert errors[[1, 2, 4]] == pytest.approx(np.full(3, 5.0))
    assert metrics.mpjve_mm(target + 0.5, target, follows)[[1, 2, 4]] == pytest.approx(np.zeros(3), abs=1e-9)


def test_mpjve_refuses_a_first_row_that_follows():
    with pytest.raises(ValueError, match="first row"):
        metrics.mpjve_mm(poses(0), poses(0), np.ones(4, dtype=bool))


@SETTINGS
@given(seeds, st.sampled_from([tuple(range(0, 151, 5)), tuple(range(150)), (20.0, 40.0)]))
def test_pck_and_auc_equal_plain_loops(seed, thresholds):
    # Errors on whole millimetres, so that many of them equal a threshold.
    errors = np.random.default_rng(seed).integers(0, 200, size=(5, 14)).astype(float)
    for frame, share, area in zip(errors, metrics.pck(errors), metrics.auc(errors, thresholds), strict=True):
        assert share == pytest.approx(100 * sum(error < 150 for error in frame) / 14)
        curve = [100 * sum(error < threshold for error in frame) / 14 for threshold in thresholds]
        assert area == pytest.approx(sum(curve) / len(curve))


def test_pck_is_strict():
    errors = np.array([[150.0, np.nextafter(150.0, 0), 0.0, 151.0]])
    assert metrics.pck(errors).tolist() == [50.0]


@pytest.mark.parametrize("thresholds", [(), (5.0, 5.0), (10.0, 5.0)])
def test_auc_refuses_thresholds_out_of_order(thresholds):
    with pytest.raises(ValueError, match="ascend"):
        metrics.auc(np.zeros((1, 14)), thresholds)


def test_means_over_frames_and_over_groups_differ_as_they_should():
    values = np.array([10.0, 10.0, 10.0, 40.0, np.nan])
    groups = np.array([5, 5, 5, 9, 9])
    assert metrics.mean_over_frames(values) == pytest.approx(17.5)
    assert metrics.mean_over_groups(values, groups) == pytest.approx(25.0)
    assert np.isnan(metrics.mean_over_frames(np.array([np.nan])))
    assert np.isnan(metrics.mean_over_groups(np.array([np.nan]), np.array([0])))


@pytest.mark.parametrize("shape", [(4, 16, 3), (4, 17, 2), (17, 3)])
def test_other_shapes_are_refused_with_both_shapes(shape):
    with pytest.raises(ValueError, match=r"\(4, 17, 3\)"):
        metrics.mpjpe_mm(np.zeros(shape), np.zeros((4, 17, 3)))
