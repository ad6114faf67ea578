"""Triangulation against points that were projected by hand."""

import numpy as np

from poseshift.geometry.triangulation import triangulate

ROTATIONS = np.array([np.eye(3), [[0.0, 0, -1], [0, 1, 0], [1, 0, 0]], [[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]])
TRANSLATIONS = np.array([[0.0, 0, 5000], [200.0, 0, 4000], [0.0, 100, 4500]])


def rays(points: np.ndarray) -> np.ndarray:
    before = np.stack([points @ R.T + t for R, t in zip(ROTATIONS, TRANSLATIONS, strict=True)])
    return before[..., :2] / before[..., 2:]


def test_rays_meet_in_the_point_that_they_come_from() -> None:
    points = np.random.default_rng(0).uniform(-800, 800, size=(4, 5, 3))
    np.testing.assert_allclose(triangulate(rays(points), ROTATIONS, TRANSLATIONS), points, atol=1e-6)


def test_two_views_are_enough_and_one_is_not() -> None:
    points = np.random.default_rng(1).uniform(-800, 800, size=(3, 3))
    seen = rays(points)
    seen[0, 1] = np.nan
    seen[:2, 2] = np.nan
    found = triangulate(seen, ROTATIONS, TRANSLATIONS)
    np.testing.assert_allclose(found[:2], points[:2], atol=1e-6)
    assert np.isnan(found[2]).all()


def test_points_behind_a_camera_are_none() -> None:
    behind = np.array([[0.0, 0.0, -9000.0]])
    assert np.isnan(triangulate(rays(behind), ROTATIONS, TRANSLATIONS)).all()
