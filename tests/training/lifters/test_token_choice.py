import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from poseshift.training.lifters.token_choice import chosen_frames, density_peaks

CHOICES = ("dpc", "dpc-published", "uniform", "motion")


def _features(batch: int, frames: int, seed: int) -> torch.Tensor:
    """Smooth random walks: neighbouring frames are alike, as in motion."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(batch, frames, 6)).cumsum(axis=1))


def _scores_by_loops(features: np.ndarray, *, by_index: bool) -> np.ndarray:
    """The published rule, frame by frame."""
    frames, width = features.shape
    distance = np.array([[np.linalg.norm(a - b) / np.sqrt(width) for b in features] for a in features])
    density = np.array([np.exp(-np.mean(np.sort(row**2)[:2])) for row in distance])
    scores = []
    for i in range(frames):
        denser = [
            distance[i, j]
            for j in range(frames)
            if density[j] > density[i] or (by_index and density[j] == density[i] and j < i)
        ]
        scores.append(density[i] * (min(denser) if denser else distance.max()))
    return np.array(scores)


@pytest.mark.parametrize("by_index", [True, False])
def test_scores_are_those_of_the_published_rule(by_index) -> None:
    features = _features(3, 20, seed=0)
    expected = [_scores_by_loops(clip, by_index=by_index) for clip in features.numpy()]
    np.testing.assert_allclose(density_peaks(features, by_index=by_index), expected, rtol=1e-9)


def test_the_nearest_of_each_other_are_equally_dense_and_the_index_decides() -> None:
    """Two pairs on a line: without the index both frames of a pair are centres."""
    clip = torch.tensor([[[0.0], [1.0], [10.0], [11.0]]])
    with_index = density_peaks(clip, by_index=True)[0]
    density = np.exp(-1 / 2)
    # frame 0 is the densest by its index; the others are as far from an earlier one as they are
    np.testing.assert_allclose(with_index, density * np.array([11, 1, 9, 1]))
    np.testing.assert_allclose(density_peaks(clip, by_index=False)[0], density * np.array([11, 11, 11, 11]))
    assert chosen_frames(clip, 2, "dpc", with_middle=False).tolist() == [[0, 2]]
    assert chosen_frames(clip, 2, "dpc-published", with_middle=False).tolist() == [[0, 1]]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_frames_are_sorted_unique_and_hold_the_middle(data) -> None:
    frames = data.draw(st.integers(1, 12))
    kept = data.draw(st.integers(1, frames))
    choice = data.draw(st.sampled_from(CHOICES))
    features = _features(2, frames, data.draw(st.integers(0, 99)))
    chosen = chosen_frames(features, kept, choice, with_middle=True)
    assert chosen.shape == (2, kept)
    for row in chosen.tolist():
        assert row == sorted(set(row))
        assert 0 <= row[0] <= row[-1] < frames
        assert frames // 2 in row
    assert torch.equal(chosen, chosen_frames(features, kept, choice, with_middle=True))


def test_even_spacing_has_both_ends_and_depends_on_nothing() -> None:
    chosen = chosen_frames(_features(2, 27, 0), 9, "uniform", with_middle=False)
    assert chosen.tolist() == [[0, 3, 7, 10, 13, 16, 20, 23, 26]] * 2
    assert chosen_frames(_features(1, 5, 0), 5, "uniform", with_middle=False).tolist() == [[0, 1, 2, 3, 4]]


def test_motion_is_where_neighbours_differ() -> None:
    clip = torch.zeros(1, 9, 4)
    clip[:, 6:] = 1.0  # between frames 5 and 6
    assert chosen_frames(clip, 2, "motion", with_middle=False).tolist() == [[5, 6]]
