from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from poseshift.geometry.rotation import (
    axis_angle_to_matrix,
    compose,
    euler_xyz,
    matrix_from_6d,
    matrix_to_axis_angle,
    minimal_rotation,
    rotate,
    rotate_back,
)

vectors = arrays(np.float64, (5, 3), elements=st.floats(-1.7, 1.7))
angles = arrays(np.float64, (4, 3), elements=st.floats(-7, 7))


def directions(seed: int, count: int = 6) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, 3))
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


class TestAxisAngle:
    @given(axis_angle=vectors)
    @settings(deadline=None)
    def test_agrees_with_scipy(self, axis_angle: np.ndarray) -> None:
        expected = Rotation.from_rotvec(axis_angle).as_matrix()
        np.testing.assert_allclose(axis_angle_to_matrix(axis_angle), expected, atol=1e-13)

    @given(axis_angle=vectors)
    @settings(deadline=None)
    def test_round_trip(self, axis_angle: np.ndarray) -> None:
        """All vectors here are shorter than pi, so the way back is unique."""
        found = matrix_to_axis_angle(axis_angle_to_matrix(axis_angle))
        np.testing.assert_allclose(found, axis_angle, atol=1e-9)

    @pytest.mark.parametrize("angle", [1e-9, 1e-4, 1e-3 - 1e-9, 1e-3 + 1e-9, 3.14159, np.pi - 1e-9])
    def test_round_trip_at_the_edges(self, angle: float) -> None:
        axis_angle = directions(0) * angle
        found = matrix_to_axis_angle(axis_angle_to_matrix(axis_angle))
        np.testing.assert_allclose(found, axis_angle, atol=1e-8, rtol=1e-7)

    @pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0, 0.8), (0.48, 0.64, -0.6)])
    def test_half_turn(self, axis: tuple[float, ...]) -> None:
        """At pi the axis has no sign: the matrix must come back."""
        half_turn = 2 * np.outer(axis, axis) - np.eye(3)
        found = matrix_to_axis_angle(half_turn)
        assert np.linalg.norm(found) == pytest.approx(np.pi)
        np.testing.assert_allclose(axis_angle_to_matrix(found), half_turn, atol=1e-12)

    def test_identity(self) -> None:
        np.testing.assert_array_equal(axis_angle_to_matrix(np.zeros(3)), np.eye(3))
        np.testing.assert_array_equal(matrix_to_axis_angle(np.eye(3)), np.zeros(3))

    @pytest.mark.parametrize("length", [0.0, 1e-5, 1.0])
    def test_gradient(self, length: float) -> None:
        """No NaN at the identity, where the quotients of Rodrigues' formula are 0/0."""
        axis_angle = torch.from_numpy(directions(1, 3) * length).requires_grad_()
        assert torch.autograd.gradcheck(axis_angle_to_matrix, (axis_angle,))

    @pytest.mark.parametrize("length", [0.0, 1e-8, 0.7, 2.5])
    def test_gradient_of_the_way_back(self, length: float) -> None:
        axis_angle = torch.from_numpy(directions(2, 2) * length).requires_grad_()
        assert torch.autograd.gradcheck(
            lambda values: matrix_to_axis_angle(axis_angle_to_matrix(values)), (axis_angle,), atol=1e-4
        )


class TestEuler:
    @given(values=angles)
    @settings(deadline=None)
    def test_agrees_with_scipy(self, values: np.ndarray) -> None:
        """Rx Ry Rz is scipy's intrinsic sequence XYZ."""
        expected = Rotation.from_euler("XYZ", values).as_matrix()
        np.testing.assert_allclose(euler_xyz(values), expected, atol=1e-13)


class TestSixD:
    @given(axis_angle=vectors, scale=st.floats(0.1, 10), shear=st.floats(-3, 3))
    @settings(deadline=None)
    def test_recovers_the_rotation(self, axis_angle: np.ndarray, scale: float, shear: float) -> None:
        """Lengths of both columns and the first's share in the second do not matter."""
        rotation = axis_angle_to_matrix(axis_angle)
        first, second = rotation[..., 0], rotation[..., 1]
        columns = np.concatenate([scale * first, second / scale + shear * first], axis=-1)
        np.testing.assert_allclose(matrix_from_6d(columns), rotation, atol=1e-9)

    def test_is_proper_for_any_columns(self) -> None:
        found = matrix_from_6d(np.random.default_rng(4).normal(size=(50, 6)))
        np.testing.assert_allclose(
            found @ np.swapaxes(found, -1, -2), np.broadcast_to(np.eye(3), (50, 3, 3)), atol=1e-9
        )
        np.testing.assert_allclose(np.linalg.det(found), 1, atol=1e-9)


class TestMinimalRotation:
    @given(seed=st.integers(0, 10**6))
    @settings(deadline=None, max_examples=50)
    def test_turns_source_to_target_by_the_shortest_way(self, seed: int) -> None:
        source, target = directions(seed), directions(seed + 1)
        rotation = minimal_rotation(2 * source, 3 * target)
        np.testing.assert_allclose(np.einsum("nij,nj->ni", rotation, source), target, atol=1e-9)
        angle = np.linalg.norm(matrix_to_axis_angle(rotation), axis=-1)
        cosine = np.clip(np.sum(source * target, axis=-1), -1, 1)
        np.testing.assert_allclose(np.cos(angle), cosine, atol=1e-9)

    def test_broadcasts(self) -> None:
        rotation = minimal_rotation(directions(0), np.array([0.0, 0.0, 1.0]))
        np.testing.assert_allclose(np.einsum("nij,nj->ni", rotation, directions(0))[:, 2], 1, atol=1e-12)

    def test_same_direction_is_identity(self) -> None:
        np.testing.assert_allclose(
            minimal_rotation(directions(5), directions(5)), np.eye(3)[None].repeat(6, 0), atol=1e-15
        )


class TestRotate:
    def test_rows_meet_the_leading_axis(self) -> None:
        """Rotations (n, 3, 3) against clips (n, frames, joints, 3), compared with the written-out product."""
        generator = np.random.default_rng(6)
        rotation = axis_angle_to_matrix(generator.normal(size=(3, 3)))
        points = generator.normal(size=(3, 3, 4, 3))
        found = rotate(points, rotation)
        np.testing.assert_allclose(found, np.einsum("nij,nfkj->nfki", rotation, points), atol=1e-14)
        np.testing.assert_allclose(rotate_back(found, rotation), points, atol=1e-14)

    def test_one_rotation_for_all(self) -> None:
        rotation = axis_angle_to_matrix(np.array([0.1, 0.2, 0.3]))
        points = np.random.default_rng(7).normal(size=(5, 3))
        np.testing.assert_allclose(rotate(points, rotation), points @ rotation.T, atol=1e-15)
        np.testing.assert_allclose(rotate(points[0], rotation), rotation @ points[0], atol=1e-15)

    def test_compose(self) -> None:
        first, second = axis_angle_to_matrix(np.random.default_rng(8).normal(size=(2, 4, 3)))
        np.testing.assert_allclose(compose(first, second), first @ second, atol=1e-15)
