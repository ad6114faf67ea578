from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from poseshift.geometry.camera import Camera
from poseshift.geometry.perspective import (
    box_centre,
    clip_centre,
    extent,
    perspective_rotation,
    rotate_rays,
    rotate_rays_back,
)
from poseshift.geometry.projection import normalise, project, rays_of
from poseshift.geometry.rotation import minimal_rotation, rotate, rotate_back

centre_rays = arrays(np.float64, (4, 2), elements=st.floats(-1.5, 1.5))
AXIS = np.array([0.0, 0.0, 1.0])


def directions_of(rays: np.ndarray) -> np.ndarray:
    vectors = np.concatenate([rays, np.ones_like(rays[..., :1])], axis=-1)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def people(seed: int, *shape: int) -> np.ndarray:
    """Poses of about a metre around roots some metres before the camera."""
    generator = np.random.default_rng(seed)
    root = generator.uniform((-1.2, -0.8, 3), (1.2, 0.8, 6), (*shape, 3))
    return root[..., None, :] + generator.uniform(-0.6, 0.6, (*shape, 17, 3))


class TestRotation:
    @given(rays=centre_rays)
    @settings(deadline=None)
    def test_is_the_shortest_rotation_onto_the_axis(self, rays: np.ndarray) -> None:
        rotation = perspective_rotation(rays)
        np.testing.assert_allclose(
            rotate(directions_of(rays)[:, None], rotation)[:, 0], AXIS + 0 * rays[:, :1], atol=1e-14
        )
        np.testing.assert_allclose(rotation, minimal_rotation(directions_of(rays), AXIS), atol=1e-13)

    @given(rays=centre_rays)
    @settings(deadline=None)
    def test_is_orthonormal_and_proper(self, rays: np.ndarray) -> None:
        rotation = perspective_rotation(rays)
        product = rotation @ np.swapaxes(rotation, -1, -2)
        np.testing.assert_allclose(product, np.broadcast_to(np.eye(3), product.shape), atol=1e-14)
        np.testing.assert_allclose(np.linalg.det(rotation), 1)

    @given(rays=centre_rays)
    @settings(deadline=None)
    def test_a_second_time_changes_nothing(self, rays: np.ndarray) -> None:
        centred = rotate_rays(rays[:, None], perspective_rotation(rays))[:, 0]
        again = perspective_rotation(centred)
        np.testing.assert_allclose(again, np.broadcast_to(np.eye(3), again.shape), atol=1e-14)

    def test_gradient(self) -> None:
        centre = torch.tensor([[0.0, 0.0], [0.3, -0.4], [1.0, 0.7]], dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(perspective_rotation, (centre,))


class TestRays:
    @given(seed=st.integers(0, 10**6))
    @settings(deadline=None, max_examples=30)
    def test_turning_rays_is_projecting_turned_points(self, seed: int) -> None:
        """Clips (n, frames, joints, 3), one rotation per clip: no approximation is involved."""
        points = people(seed, 3, 4)
        rays = rays_of(points)
        rotation = perspective_rotation(clip_centre(rays))
        np.testing.assert_allclose(rotate_rays(rays, rotation), rays_of(rotate(points, rotation)), atol=1e-13)
        np.testing.assert_allclose(rotate_rays_back(rotate_rays(rays, rotation), rotation), rays, atol=1e-13)

    @given(seed=st.integers(0, 10**6), towards=arrays(np.float64, 2, elements=st.floats(-0.6, 0.6)))
    @settings(deadline=None, max_examples=30)
    def test_invariant_to_where_the_person_stands(self, seed: int, towards: np.ndarray) -> None:
        """A person seen straight ahead, then turned about the camera onto another ray: the same picture."""
        ahead = people(seed) * np.array([0.5, 0.5, 1.0])
        ahead = ahead - ahead[0] * np.array([1.0, 1.0, 0.0])
        elsewhere = rotate_back(ahead, perspective_rotation(towards))
        rays = rays_of(elsewhere)
        np.testing.assert_allclose(rays[0], towards, atol=1e-12)
        rotation = perspective_rotation(rays[0])
        np.testing.assert_allclose(rotate_rays(rays, rotation), rays_of(ahead), atol=1e-10)
        np.testing.assert_allclose(rotate(elsewhere, rotation), ahead, atol=1e-12)

    def test_what_it_removes_is_worth_pixels(self) -> None:
        """Centring the raw picture on the root instead leaves a large perspective difference."""
        ahead = people(0) * np.array([0.5, 0.5, 1.0])
        ahead = ahead - ahead[0] * np.array([1.0, 1.0, 0.0])
        elsewhere = rays_of(rotate_back(ahead, perspective_rotation(np.array([0.35, 0.1]))))
        difference = (elsewhere - elsewhere[0]) - rays_of(ahead)
        assert np.abs(difference).max() * 1145 > 5

    def test_independent_of_the_camera(self) -> None:
        """Two cameras of other focal lengths at one place give the same rotated rays."""
        points = people(1)
        near = Camera("near", (1000, 1000), (1145.0, 1144.0), (512.0, 515.0)).intrinsics
        wide = Camera("wide", (2048, 2048), (700.0, 705.0), (1000.0, 1050.0)).intrinsics
        results = []
        for intrinsics in (near, wide):
            rays = normalise(project(points, intrinsics), intrinsics)
            results.append(rotate_rays(rays, perspective_rotation(box_centre(rays))))
        np.testing.assert_allclose(results[0], results[1], atol=1e-12)

    def test_gradient(self) -> None:
        rays = torch.from_numpy(rays_of(people(2, 2)))[:, :4].clone().requires_grad_()

        def turned(rays: torch.Tensor) -> torch.Tensor:
            return rotate_rays(rays, perspective_rotation(rays[:, 0]))

        assert torch.autograd.gradcheck(turned, (rays,))


class TestCentreAndExtent:
    def test_box_centre_by_hand(self) -> None:
        rays = np.array([[0.0, 1.0], [4.0, 2.0], [1.0, -3.0]])
        np.testing.assert_array_equal(box_centre(rays), [2.0, -0.5])

    def test_clip_centre_is_the_median_frame(self) -> None:
        """An outlier frame does not move the centre; an even number of frames takes the middle two."""
        frames = np.zeros((1, 3, 2, 2))
        frames[0, :, :, 0] = np.array([0.1, 90.0, 0.2])[:, None]
        np.testing.assert_allclose(clip_centre(frames), [[0.2, 0.0]])
        np.testing.assert_allclose(clip_centre(frames[:, [0, 2]]), [[0.15, 0.0]])
        np.testing.assert_array_equal(clip_centre(frames[:, :1]), box_centre(frames[:, 0]))

    @given(seed=st.integers(0, 10**6))
    @settings(deadline=None, max_examples=20)
    def test_extent_fits_the_square(self, seed: int) -> None:
        rays = np.random.default_rng(seed).normal(size=(3, 17, 2))
        scaled = rays / extent(rays)[:, None, None]
        np.testing.assert_allclose(np.abs(scaled).max(axis=(1, 2)), 1)

    def test_extent_of_a_clip(self) -> None:
        rays = np.random.default_rng(3).normal(size=(2, 5, 17, 2))
        np.testing.assert_array_equal(extent(rays.reshape(2, 85, 2)), extent(rays).max(axis=1))
