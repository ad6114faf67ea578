from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation

from poseshift.geometry.alignment import (
    fit_rigid,
    fit_similarity,
    rigid_align,
    root_from_keypoints,
    root_relative,
    scale_align,
    similarity_align,
)
from poseshift.geometry.rotation import axis_angle_to_matrix, rotate

seeds = st.integers(0, 10**6)


def poses(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=0.4, size=(*shape, 17, 3))


def residual(aligned: np.ndarray, target: np.ndarray) -> np.ndarray:
    return np.sum((aligned - target) ** 2, axis=(-2, -1))


class TestSimilarity:
    @given(seed=seeds, scale=st.floats(0.05, 20))
    @settings(deadline=None, max_examples=40)
    def test_undoes_any_similarity(self, seed: int, scale: float) -> None:
        generator = np.random.default_rng(seed)
        target = poses(seed, 2, 3)
        rotation = axis_angle_to_matrix(generator.normal(size=(2, 3, 3)))
        moved = scale * rotate(target, rotation) + generator.normal(size=(2, 3, 1, 3))
        np.testing.assert_allclose(similarity_align(moved, target), target, atol=1e-10)
        np.testing.assert_allclose(fit_similarity(moved, target).scale, 1 / scale)

    @given(seed=seeds)
    @settings(deadline=None, max_examples=20)
    def test_does_not_depend_on_where_the_prediction_is(self, seed: int) -> None:
        """The aligned pose is the same for a prediction and for any similar copy of it."""
        generator = np.random.default_rng(seed)
        predicted, target = poses(seed, 3), poses(seed + 1, 3)
        copy = 2.5 * rotate(predicted, axis_angle_to_matrix(generator.normal(size=3))) - 4.0
        np.testing.assert_allclose(
            similarity_align(copy, target), similarity_align(predicted, target), atol=1e-9
        )

    @pytest.mark.parametrize(
        "shape", [(1, 1, 1), (0.3, 1, 0), (0.03, 1, 0.05), (0.001, 1, 0.001), (0, 1, 0), (0, 0, 0)]
    )
    @pytest.mark.parametrize("mirrored", [1, -1])
    def test_leaves_no_more_than_a_singular_value_decomposition(self, shape: tuple, mirrored: int) -> None:
        """Solid, flat, thin and straight poses, and points that coincide, with and without noise."""
        target = poses(1, 40) * shape
        noise = np.linspace(0, 0.01, 40)[:, None, None] * poses(2, 40)
        predicted = target * [mirrored, 1, 1] + noise

        source, goal = (x - x.mean(axis=1, keepdims=True) for x in (predicted, target))
        singular = np.linalg.svd(np.swapaxes(goal, 1, 2) @ source)
        handed = np.linalg.det(singular.U) * np.linalg.det(singular.Vh) < 0
        best = singular.S.sum(axis=1) - 2 * handed * singular.S[:, 2]
        size = (source**2).sum(axis=(1, 2))
        expected = (goal**2).sum(axis=(1, 2)) - np.divide(best**2, size, out=np.zeros(40), where=size > 0)

        fit = fit_similarity(predicted, target)
        np.testing.assert_allclose(residual(fit.apply(predicted), target), expected, atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(fit.rotation), 1, atol=1e-9)

    @given(seed=seeds)
    @settings(deadline=None, max_examples=20)
    def test_agrees_with_scipy_where_no_reflection_is_better(self, seed: int) -> None:
        target = poses(seed)
        predicted = target + np.random.default_rng(seed).normal(scale=0.02, size=(17, 3))
        source, goal = predicted - predicted.mean(0), target - target.mean(0)
        rotation, overlap = orthogonal_procrustes(source, goal)
        assert np.linalg.det(rotation) > 0
        expected = source @ rotation * overlap / np.sum(source**2) + target.mean(0)
        np.testing.assert_allclose(similarity_align(predicted, target), expected, atol=1e-10)

    @given(seed=seeds)
    @settings(deadline=None, max_examples=20)
    def test_rotation_agrees_with_scipy_kabsch_even_for_mirror_images(self, seed: int) -> None:
        target = poses(seed)
        mirrored = target * np.array([-1.0, 1.0, 1.0])
        fit = fit_rigid(mirrored, target)
        expected, _ = Rotation.align_vectors(target - target.mean(0), mirrored - mirrored.mean(0))
        assert np.linalg.det(fit.rotation) == pytest.approx(1)
        np.testing.assert_allclose(fit.rotation, expected.as_matrix(), atol=1e-7)
        assert residual(fit.apply(mirrored), target) > 1e-3, "a mirror image must not align"

    @given(seed=seeds)
    @settings(deadline=None, max_examples=20)
    def test_is_a_minimum(self, seed: int) -> None:
        """No small change of scale, rotation or translation comes closer."""
        generator = np.random.default_rng(seed)
        predicted, target = poses(seed), poses(seed + 1)
        best = similarity_align(predicted, target)
        centre = target.mean(axis=0)
        for step in 1e-3 * generator.normal(size=(10, 7)):
            turned = rotate(best - centre, axis_angle_to_matrix(step[:3])) * (1 + step[3]) + centre + step[4:]
            assert residual(turned, target) >= residual(best, target) - 1e-12

    def test_a_flat_pose_gets_a_proper_rotation(self) -> None:
        """All joints in one plane: the smallest singular value is zero, its sign is free."""
        target = poses(0, 4)
        target[..., 2] = 0
        moved = rotate(target, axis_angle_to_matrix(np.array([0.3, -1.0, 2.0])))
        fit = fit_rigid(moved, target)
        np.testing.assert_allclose(np.linalg.det(fit.rotation), 1)
        np.testing.assert_allclose(fit.apply(moved), target, atol=1e-12)

    def test_a_collapsed_prediction_goes_to_the_centre(self) -> None:
        target = poses(1)
        aligned = similarity_align(np.ones((17, 3)), target)
        np.testing.assert_allclose(aligned, np.broadcast_to(target.mean(0), (17, 3)), atol=1e-12)

    def test_shapes_must_agree(self) -> None:
        with pytest.raises(ValueError, match=r"\(2, 17, 3\).*\(17, 3\)"):
            similarity_align(poses(0, 2), poses(0))

    def test_gradient(self) -> None:
        predicted = torch.from_numpy(poses(2, 2)).requires_grad_()
        target = torch.from_numpy(poses(3, 2)).requires_grad_()
        assert torch.autograd.gradcheck(similarity_align, (predicted, target))


class TestRigidAndScale:
    @given(seed=seeds)
    @settings(deadline=None, max_examples=20)
    def test_alignments_are_ordered(self, seed: int) -> None:
        """More freedom never fits worse: similarity <= rigid, and similarity <= scale <= nothing.

        The predictions resemble the targets: a factor below zero is a reflection, which no similarity is.
        """
        target = poses(seed, 4)
        predicted = 1.3 * target + poses(seed + 1, 4) / 2
        similarity = residual(similarity_align(predicted, target), target)
        assert np.all(similarity <= residual(rigid_align(predicted, target), target) + 1e-12)
        assert np.all(similarity <= residual(scale_align(predicted, target), target) + 1e-12)
        assert np.all(residual(scale_align(predicted, target), target) <= residual(predicted, target) + 1e-12)

    def test_rigid_keeps_lengths(self) -> None:
        predicted, target = poses(4), poses(5)
        aligned = rigid_align(predicted, target)
        np.testing.assert_allclose(
            np.linalg.norm(aligned[1:] - aligned[:-1], axis=-1),
            np.linalg.norm(predicted[1:] - predicted[:-1], axis=-1),
        )

    @given(seed=seeds, scale=st.floats(0.1, 10))
    @settings(deadline=None, max_examples=20)
    def test_scale_align_undoes_a_scale(self, seed: int, scale: float) -> None:
        target = root_relative(poses(seed, 3), 0)
        np.testing.assert_allclose(scale_align(scale * target, target), target, atol=1e-12)

    def test_scale_of_an_opposite_pose_is_negative(self) -> None:
        target = root_relative(poses(11), 0)
        np.testing.assert_allclose(scale_align(-2 * target, target), target, atol=1e-12)

    def test_scale_of_zeros(self) -> None:
        np.testing.assert_array_equal(scale_align(np.zeros((17, 3)), poses(6)), np.zeros((17, 3)))

    def test_root_relative(self) -> None:
        points = poses(7, 2)
        found = root_relative(points, 14)
        np.testing.assert_array_equal(found[:, 14], np.zeros((2, 3)))
        np.testing.assert_allclose(found[1, 3], points[1, 3] - points[1, 14])


class TestRootFromKeypoints:
    @given(seed=seeds)
    @settings(deadline=None, max_examples=40)
    def test_exact_for_exact_rays(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        relative = root_relative(poses(seed, 2, 3), 0)
        root = generator.uniform((-1.5, -1, 3), (1.5, 1, 8), (2, 3, 3))
        points = relative + root[..., None, :]
        rays = points[..., :2] / points[..., 2:]
        weights = generator.uniform(0.1, 1, (2, 3, 17))
        np.testing.assert_allclose(root_from_keypoints(relative, rays, weights), root, atol=1e-8)

    @given(seed=seeds)
    @settings(deadline=None, max_examples=20)
    def test_agrees_with_lstsq(self, seed: int) -> None:
        """Noisy rays, against numpy's solver on the stacked equations."""
        generator = np.random.default_rng(seed)
        relative = root_relative(poses(seed), 0)
        rays = generator.uniform(-0.4, 0.4, (17, 2))
        weights = generator.uniform(0.01, 1, 17)
        rows, goals = [], []
        for (x, y), (big_x, big_y, big_z), weight in zip(rays, relative, np.sqrt(weights), strict=True):
            rows += [weight * np.array([1, 0, -x]), weight * np.array([0, 1, -y])]
            goals += [weight * (x * big_z - big_x), weight * (y * big_z - big_y)]
        expected = np.linalg.lstsq(np.array(rows), np.array(goals), rcond=None)[0]
        np.testing.assert_allclose(root_from_keypoints(relative, rays, weights), expected, atol=1e-9)

    def test_a_joint_without_weight_does_not_matter(self) -> None:
        relative = root_relative(poses(8), 0)
        points = relative + np.array([0.5, -0.2, 4.0])
        rays = points[:, :2] / points[:, 2:]
        rays[5] += 3.0
        weights = np.ones(17)
        weights[5] = 0
        np.testing.assert_allclose(root_from_keypoints(relative, rays, weights), (0.5, -0.2, 4.0), atol=1e-9)

    def test_float32_at_four_metres(self) -> None:
        """Centring before squaring keeps single precision within a millimetre."""
        relative = root_relative(poses(9, 200), 0)
        root = np.random.default_rng(9).uniform((-1, -1, 3), (1, 1, 6), (200, 3))
        points = relative + root[:, None]
        rays = points[..., :2] / points[..., 2:]
        found = root_from_keypoints(*(a.astype(np.float32) for a in (relative, rays, np.ones((200, 17)))))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, root, atol=1e-4)

    def test_gradient(self) -> None:
        relative = torch.from_numpy(root_relative(poses(10, 2), 0)).requires_grad_()
        generator = torch.Generator().manual_seed(0)
        rays = (torch.rand(2, 17, 2, dtype=torch.float64, generator=generator) - 0.5).requires_grad_()
        weights = (torch.rand(2, 17, dtype=torch.float64, generator=generator) + 0.1).requires_grad_()
        assert torch.autograd.gradcheck(root_from_keypoints, (relative, rays, weights))
