"""Placements move and turn, nothing else, and keep clips before the cameras."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseshift.geometry.camera import Camera
from poseshift.preprocessing.human36m import layout as human36m
from poseshift.preprocessing.motion import procedural
from poseshift.preprocessing.restaging.placement import (
    NEAREST_M,
    Placement,
    draw_placement,
    floor_shift,
    frontal_stage,
    inside_image,
    ring_stage,
    to_camera,
)

LOOKING_ALONG_Y = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))


@pytest.fixture(scope="module")
def walk():
    clips = procedural.generate(2, subjects=1, clips_per_subject=19, frames_per_clip=100)
    return next(clip.positions for clip in clips if clip.description == "walk")


def camera_at(x, y):
    """A camera at height 1 m that looks along +y."""
    rotation = np.array(LOOKING_ALONG_Y)
    tx, ty, tz = -rotation @ [x, y, 1.0]
    return Camera(
        "c",
        (1000, 1000),
        (1000.0, 1000.0),
        (500.0, 500.0),
        rotation=LOOKING_ALONG_Y,
        translation=(tx, ty, tz),
    )


def test_a_quarter_turn_by_hand():
    placed = Placement(np.pi / 2, (1.0, 2.0, 3.0)).apply([[1.0, 0.0, 0.5]])
    np.testing.assert_allclose(placed, [[1.0, 3.0, 3.5]], atol=1e-15)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_distances_and_heights_survive(walk, seed):
    cameras = [human36m.camera("S9", camera) for camera in human36m.CAMERA_IDS]
    placement = draw_placement(walk, ring_stage(cameras, 1.0), np.random.default_rng(seed))
    placed = placement.apply(walk)
    distances = [np.linalg.norm(p[:, 1:] - p[:, :1], axis=-1) for p in (walk.astype(np.float64), placed)]
    np.testing.assert_allclose(distances[0], distances[1], atol=1e-12)
    np.testing.assert_allclose(np.ptp(placed[..., 2]), np.ptp(walk[..., 2]), atol=1e-6)
    for camera in cameras:
        assert to_camera(placed, camera)[..., 2].min() >= NEAREST_M - 0.1


def test_feet_come_to_the_floor_but_a_hand_never_under_it(walk):
    assert floor_shift(walk + np.float32([0, 0, 0.3])) == pytest.approx(floor_shift(walk) - 0.3, abs=1e-5)
    lowered = walk.copy()
    lowered[50, 13, 2] = -0.2
    assert floor_shift(lowered) == pytest.approx(0.2, abs=1e-5)


def test_the_stage_is_where_the_cameras_look():
    assert frontal_stage(camera_at(2.0, -4.0), 4.0, 0.5).centre_m == pytest.approx((2.0, 0.0))
    cameras = [human36m.camera("S1", camera) for camera in human36m.CAMERA_IDS]
    assert np.linalg.norm(ring_stage(cameras, 1.0).centre_m) < 1.0


def test_what_covers_more_floor_than_the_camera_sees_is_not_placed(walk):
    stage = frontal_stage(camera_at(0.0, -1.0), 1.0, 0.1)
    assert draw_placement(walk * 4, stage, np.random.default_rng(0)) is None


def test_image_borders():
    points = np.array([[[0.0, 0.0, 1.0], [-0.5, -0.5, 1.0], [0.5, 0.0, 1.0], [-0.51, 0.0, 1.0]]])
    assert inside_image(points, camera_at(0, 0)).tolist() == [[True, True, False, False]]
