import numpy as np
import pytest

from poseshift.training.evaluation.intervals import Estimate, draw_weights, estimate


def people(count: int, views: int = 1) -> list[str]:
    return [f"S{person}" for person in range(count) for _ in range(views)]


def test_weights_are_resamples_of_the_people():
    weights = draw_weights(people(6), seed=3)
    assert (weights.sum(axis=1) == 6).all()
    assert np.array_equal(weights, draw_weights(people(6), seed=3))
    assert not np.array_equal(weights, draw_weights(people(6), seed=4))


def test_all_cameras_of_a_person_are_drawn_together():
    weights = draw_weights(people(6, views=4), seed=3).reshape(-1, 6, 4)
    assert (weights == weights[:, :, :1]).all()
    assert np.array_equal(weights[:, :, 0], draw_weights(people(6), seed=3))


def test_views_of_the_same_people_do_not_narrow_the_interval():
    each = np.random.default_rng(2).normal(50, 10, size=6)
    once = estimate(each, np.ones(6), ["all"] * 6, draw_weights(people(6), seed=1))
    seen = np.repeat(each, 4)
    often = estimate(seen, np.ones(24), ["all"] * 24, draw_weights(people(6, views=4), seed=1))
    assert (often.low, often.high) == (pytest.approx(once.low), pytest.approx(once.high))


def test_value_is_the_mean_over_frames_or_over_groups():
    values, frames = np.array([10.0, 20.0, 60.0]), np.array([1.0, 3.0, 1.0])
    weights = draw_weights(people(3), seed=0)
    assert estimate(values, frames, ["all"] * 3, weights).value == pytest.approx((10 + 60 + 60) / 5)
    assert estimate(values, frames, ["a", "a", "b"], weights).value == pytest.approx((70 / 4 + 60) / 2)


def test_interval_equals_a_bootstrap_that_really_draws():
    rng = np.random.default_rng(0)
    values, frames = rng.normal(50, 10, size=30), rng.integers(50, 300, size=30).astype(float)
    found = estimate(values, frames, ["all"] * 30, draw_weights(people(30), seed=1))
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
        found = estimate(values, np.ones(40), ["all"] * 40, draw_weights(people(40), seed=trial))
        hits += found.low <= 50 <= found.high
    assert 86 <= hits <= 100


def test_fewer_than_five_people_have_no_interval():
    four, five = (np.arange(10.0, 10.0 + count) for count in (4, 5))
    found = estimate(four, np.ones(4), ["all"] * 4, draw_weights(people(4), seed=0))
    assert found == Estimate(value=11.5, low=None, high=None)
    assert str(found) == "11.5"
    two_with_many_views = np.repeat([19.0, 20.0], 40)
    seen = estimate(two_with_many_views, np.ones(80), ["all"] * 80, draw_weights(people(2, views=40), seed=0))
    assert seen.low is None
    assert estimate(five, np.ones(5), ["all"] * 5, draw_weights(people(5), seed=0)).low is not None


def test_sequences_without_a_value_do_not_count():
    values = np.array([10.0, np.nan, 20.0, 10.0, 20.0])
    counted = np.array([1.0, 0.0, 1.0, 1.0, 1.0])
    found = estimate(values, counted, ["a", "b", "a", "a", "a"], draw_weights(people(5), seed=0))
    assert found.value == pytest.approx(15.0)
    assert (found.low, found.high) == (10.0, 20.0)
    with pytest.raises(ValueError, match="no sequence"):
        estimate(np.array([np.nan]), np.array([1.0]), ["a"], draw_weights(people(1), seed=0))
