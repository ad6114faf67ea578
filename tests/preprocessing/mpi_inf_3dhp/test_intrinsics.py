import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseshift.preprocessing.mpi_inf_3dhp.intrinsics import estimate_intrinsics
from poseshift.preprocessing.mpi_inf_3dhp.write import round_significant

BLENDED = [8, 11, 15]  # right hip, left hip, spine of the test files


def sequence(
    seed: int, focal: np.ndarray, centre: np.ndarray, frames: int = 60
) -> tuple[np.ndarray, np.ndarray]:
    """2D and 3D as the release holds them: six significant digits."""
    rng = np.random.default_rng(seed)
    places = rng.uniform((-1200, -300, 3000), (1200, 300, 5000), size=(frames, 1, 3))
    positions = places + rng.normal(size=(frames, 17, 3)) * (200, 400, 200)
    keypoints = positions[..., :2] / positions[..., 2:] * focal + centre
    return round_significant(keypoints), round_significant(positions)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.floats(1000, 2000), st.floats(1000, 2000)),
    st.tuples(st.floats(900, 1100), st.floats(500, 1100)),
)
def test_known_intrinsics_are_recovered_from_rounded_annotations(seed, focal, centre):
    estimate = estimate_intrinsics(*sequence(seed, np.array(focal), np.array(centre)))
    np.testing.assert_allclose(estimate.focal_px, focal, atol=0.01)
    np.testing.assert_allclose(estimate.centre_px, centre, atol=0.01)
    assert estimate.residual_max_px < 0.02


def test_hips_and_spine_do_not_matter():
    keypoints, positions = sequence(0, np.array([1500.0, 1501.0]), np.array([1017.0, 1043.0]))
    before = estimate_intrinsics(keypoints, positions)
    keypoints[:, BLENDED] += np.random.default_rng(1).normal(size=(len(keypoints), 3, 2)) * 50
    assert estimate_intrinsics(keypoints, positions) == before
    keypoints[:, 0] += 50
    assert estimate_intrinsics(keypoints, positions) != before


def test_rows_with_gaps_or_behind_the_camera_are_left_out():
    keypoints, positions = sequence(0, np.array([1500.0, 1501.0]), np.array([1017.0, 1043.0]))
    expected = estimate_intrinsics(keypoints[3:], positions[3:])
    keypoints[0, 3, 0] = np.nan
    positions[1, 4] = np.inf
    positions[2, 5, 2] = -100
    assert estimate_intrinsics(keypoints, positions) == expected


def test_no_answer_is_said_to_be_none():
    line_of_sight = np.broadcast_to((100.0, 200.0, 4000.0), (5, 17, 3))
    with pytest.raises(ValueError, match="5 usable rows whose joints do not spread"):
        estimate_intrinsics(np.zeros((5, 17, 2)), line_of_sight)
    with pytest.raises(ValueError, match="0 usable rows"):
        estimate_intrinsics(np.full((5, 17, 2), np.nan), line_of_sight)
