"""Poses of a camera that moves: between two of them, in gaps, and in other axes of the world."""

import numpy as np
import pytest

from poseshift.geometry.camera_path import CameraPath


def about_z(degrees: float) -> np.ndarray:
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


@pytest.fixture
def path() -> CameraPath:
    """Turns by 10 degrees and walks by a metre from one pose to the next; the fourth is missing."""
    turns = np.stack([about_z(10.0 * one) for one in range(6)])
    places = np.stack([np.array([float(one), 0.0, 1.0]) for one in range(6)])
    poses = CameraPath(turns, -np.einsum("nij,nj->ni", turns, places))
    extrinsics = poses.extrinsics.copy()
    extrinsics[3] = np.nan
    return CameraPath.of(extrinsics)


def test_between_two_poses_a_camera_turns_and_walks_evenly(path: CameraPath) -> None:
    known = path[path.known]
    numbers = np.array([0.0, 1.0, 2.0, 4.0, 5.0])
    found = known.sampled(numbers, np.array([0.5, 2.0, 3.0, 5.5]), longest=2.0)
    assert found.known.tolist() == [True, True, True, False]
    np.testing.assert_allclose(found.rotation[:3], [about_z(5), about_z(20), about_z(30)], atol=1e-12)
    np.testing.assert_allclose(found.centre[:3], [[0.5, 0, 1], [2, 0, 1], [3, 0, 1]], atol=1e-12)
    np.testing.assert_array_equal(found.rotation[1], known.rotation[2])
    assert known.sampled(numbers, np.array([3.0]), longest=1.9).known.tolist() == [False]


def test_gaps_are_held_for_frames_that_do_not_count(path: CameraPath) -> None:
    extrinsics = path.extrinsics.copy()
    extrinsics[0] = np.nan
    held = CameraPath.of(extrinsics).held()
    assert held.known.all()
    np.testing.assert_allclose(held.centre[[0, 1, 3]], [[1, 0, 1], [1, 0, 1], [3, 0, 1]], atol=1e-12)
    with pytest.raises(ValueError, match="no frame has a pose"):
        CameraPath.of(np.full((2, 3, 4), np.nan)).held()


def test_the_worlds_axes_can_be_others_and_cameras_see_the_same(path: CameraPath) -> None:
    to_old = about_z(25.0)
    point = np.array([2.0, 3.0, 0.5])
    turned = path.turned(to_old)
    seen = path.rotation[5] @ (to_old @ point) + path.translation[5]
    np.testing.assert_allclose(turned.rotation[5] @ point + turned.translation[5], seen)
