import numpy as np
import pytest

from poseshift.training.evaluation.intervals import Estimate, draw_weights, estimate


def test_weights_are_resamples_of_the_sequences():
    weights = draw_weights(6, seed=3)
    assert (weights.sum(axis=1) == 6).all()
    assert np.array_equal(weights, draw_weights(6, seed=3))
    assert not np.array_equal(weights, draw_weights(6, seed=4))


def test_value_is_the_mean_over_frames_or_over_groups():
    values, frames = np.array([10.0, 20.0, 60.0]), np.array([1.0, 3.0, 1.0])
    weights = draw_weights(3, seed=0)
    assert estimate(values, frames, ["all"] * 3, weights).value == pytest.approx((10 + 60 + 60) / 5)
    assert estimate(values, frames, ["a", "a", "b"], weights).value == pytest.approx((70 / 4 + 60) / 2)


def test_interval_equals_a_bootstrap_that_really_draws():
    rng = np.random.default_rng(0)
    values, frames = rng.normal(50, 10, size=30), rng.integers(50, 300, size=30).astype(float)
    found = estimate(values, frames, ["all"] * 30, draw_weights(30, seed=1))
    drawn = []
    for _ in range(4000):
        rows = rng.integers(0, 30, size=30)
        drawn.append(np.average(values[rows], weights=frames[rows]))
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert (found.low, found.high) == (pytest.approx(low, abs=0.4), pytest.approx(high, abs=0.4))


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(100):
        values = rng.normal(50, 10, size=40)
        found = estimate(values, np.ones(40), ["all"] * 40, draw_weights(40, seed=trial))
        hits += found.low <= 50 <= found.high
    assert 86 <= hits <= 100


def test_one_sequence_has_no_interval():
    found = estimate(np.array([12.0]), np.array([9.0]), ["all"], draw_weights(1, seed=0))
    assert found == Estimate(value=12.0, low=None, high=None)
    assert str(found) == "12.0"


def test_sequences_without_a_value_do_not_count():
    values = np.array([10.0, np.nan, 20.0])
    found = estimate(values, np.array([1.0, 0.0, 1.0]), ["a", "b", "a"], draw_weights(3, seed=0))
    assert found.value == pytest.approx(15.0)
    assert (found.low, found.high) == (10.0, 20.0)
    with pytest.raises(ValueError, match="no sequence"):
        estimate(np.array([np.nan]), np.array([1.0]), ["a"], draw_weights(1, seed=0))
