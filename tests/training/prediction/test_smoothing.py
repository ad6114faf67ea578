"""Filters in time, against what their definitions say of simple motions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseshift.training.prediction.smoothing import NoSmoothing, OneEuro, SavitzkyGolay, smoothing_named

RATE = 50.0


def test_nothing_is_done_by_none() -> None:
    values = np.random.default_rng(0).normal(size=(20, 17, 3))
    np.testing.assert_array_equal(NoSmoothing().apply(values, RATE), values)


@given(st.integers(1, 60), st.sampled_from([25.0, 29.97, 50.0, 100.0]))
def test_a_parabola_stays_as_it_is(frames: int, rate: float) -> None:
    """A polynomial of the window's degree is its own fit, at the ends too and in short trials."""
    time = np.arange(frames)[:, None] / rate
    values = 1 + 2 * time - 3 * time**2
    np.testing.assert_allclose(SavitzkyGolay().apply(values, rate), values, atol=1e-9)


@pytest.mark.parametrize(("rate", "window"), [(50.0, 15), (25.0, 7), (100.0, 29)])
def test_the_window_spans_the_same_time_at_every_rate(rate: float, window: int) -> None:
    assert SavitzkyGolay().frames(rate, 1000) == window
    assert SavitzkyGolay().frames(rate, 6) == 5


def test_savgol_lessens_noise_as_least_squares_predict() -> None:
    """White noise keeps the share that a quadratic fit at the middle of a window leaves."""
    noise = np.random.default_rng(1).normal(size=(4000, 3))
    found = SavitzkyGolay().apply(noise, RATE).std()
    places = np.arange(-7, 8.0)
    fit = np.linalg.pinv(np.stack([places**0, places, places**2], axis=1))[0]
    assert found == pytest.approx(np.sqrt((fit**2).sum()), rel=0.05)


def test_one_euro_follows_its_recursion() -> None:
    """Transcribed from the paper's algorithm, for one coordinate."""
    values = np.random.default_rng(2).normal(size=40).cumsum() / 10
    options = OneEuro(lowest_cutoff_hz=1.0, speed_share=0.5, speed_cutoff_hz=1.0)

    def alpha(cutoff: float) -> float:
        return 1.0 / (1.0 + RATE / (2 * np.pi * cutoff))

    last, speed, expected = values[0], 0.0, [values[0]]
    for now in range(1, 40):
        speed = alpha(1.0) * (values[now] - values[now - 1]) * RATE + (1 - alpha(1.0)) * speed
        share = alpha(1.0 + 0.5 * abs(speed))
        last = share * values[now] + (1 - share) * last
        expected.append(last)
    np.testing.assert_allclose(options.apply(values[:, None], RATE)[:, 0], expected)


def test_names_give_their_filters() -> None:
    assert [smoothing_named(name).kind for name in ("savgol", "one-euro", "none")] == [
        "savgol",
        "one-euro",
        "none",
    ]
