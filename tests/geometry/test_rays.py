import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from poseshift.geometry.projection import rays_of
from poseshift.geometry.rays import NEAREST_M, absolute_on_rays, onto_rays, trust_in_rays

seeds = st.integers(0, 2**32 - 1)


def people(seed: int, count: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Root-relative poses and where their roots are."""
    rng = np.random.default_rng(seed)
    relative = rng.normal(scale=0.4, size=(count, 17, 3))
    relative -= relative[:, :1]
    return relative, rng.normal(size=(count, 1, 3)) + np.array([0.0, 0.0, 6.0])


@given(seeds)
def test_true_poses_are_placed_where_they_are_seen(seed: int) -> None:
    relative, root = people(seed)
    rays = rays_of(relative + root)
    found = absolute_on_rays(relative, rays, np.ones(rays.shape[:-1]))
    np.testing.assert_allclose(found, relative + root, atol=1e-9)
    np.testing.assert_allclose(onto_rays(found, rays, np.ones(rays.shape[:-1])), found, atol=1e-9)


@given(seeds)
def test_joints_on_their_rays_are_seen_there_and_keep_their_depth(seed: int) -> None:
    relative, root = people(seed)
    rng = np.random.default_rng(seed + 1)
    rays = rays_of(relative + root) + rng.normal(scale=0.01, size=(5, 17, 2))
    wrong = relative + rng.normal(scale=0.05, size=relative.shape) * (np.arange(17) > 0)[:, None]
    absolute = absolute_on_rays(wrong, rays, np.ones((5, 17)))
    snapped = onto_rays(absolute, rays, np.ones((5, 17)))
    np.testing.assert_allclose(rays_of(snapped), rays, atol=1e-9)
    np.testing.assert_array_equal(snapped[..., 2], absolute[..., 2])
    np.testing.assert_array_equal(onto_rays(absolute, rays, np.zeros((5, 17))), absolute)


def test_a_joint_without_weight_may_be_anywhere() -> None:
    relative, root = people(3)
    rays = rays_of(relative + root)
    weights = np.ones((5, 17))
    weights[:, 4] = 0
    rays[:, 4] = np.nan
    found = absolute_on_rays(relative, rays, weights)
    np.testing.assert_allclose(found, relative + root, atol=1e-9)
    np.testing.assert_array_equal(onto_rays(found, rays, weights)[:, 4], found[:, 4])


def test_a_pose_that_contradicts_its_rays_stays_in_front_of_the_camera() -> None:
    relative, root = people(4)
    rays = rays_of(-relative + root)  # seen as its mirror image through the root
    found = absolute_on_rays(relative, rays, np.ones((5, 17)))
    assert np.isfinite(found).all()
    assert found[..., 2].min() >= NEAREST_M - 1e-9


def test_trust_falls_with_noise_and_distance() -> None:
    depth = np.array([2.0, 4.0, 8.0])
    trust = trust_in_rays(depth, np.array(0.005), 0.04)
    assert (np.diff(trust) < 0).all()
    np.testing.assert_array_equal(trust_in_rays(depth, np.array(0.0), 0.04), np.ones(3))
    # The mix of two independent estimates that these shares make has the smallest variance.
    shares = np.linspace(0, 1, 1001)
    variance = (shares * depth[1] * 0.005) ** 2 + ((1 - shares) * 0.04) ** 2
    assert abs(shares[variance.argmin()] - trust[1]) < 1e-3
