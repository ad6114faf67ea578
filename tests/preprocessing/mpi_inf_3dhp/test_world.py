import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from poseshift.geometry.projection import world_to_camera
from poseshift.preprocessing.mpi_inf_3dhp.layout import TRAINING_CAMERAS
from poseshift.preprocessing.mpi_inf_3dhp.world import (
    camera_from_3dhp,
    extrinsics_to_3dhp,
    world_from_3dhp,
    world_to_3dhp,
)

coordinates = st.floats(-9000, 9000, allow_nan=False)
points = st.tuples(coordinates, coordinates, coordinates)


def test_up_becomes_z_and_handedness_stays():
    up, right, forward = world_from_3dhp([[0, 1000, 0], [1000, 0, 0], [0, 0, 1000]])
    np.testing.assert_array_equal(up, (0, 0, 1))
    np.testing.assert_array_equal(right, (1, 0, 0))
    np.testing.assert_array_equal(np.cross(right, up), forward)  # x cross y is z, before and after


@settings(max_examples=50, deadline=None)
@given(points)
def test_turning_back_gives_the_point(point):
    np.testing.assert_allclose(world_to_3dhp(world_from_3dhp(point)), point, rtol=1e-15, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(points, points, st.integers(0, 2**32 - 1))
def test_turned_camera_sees_the_turned_point_where_the_original_sees_the_point(
    point_mm, translation_mm, seed
):
    rotation = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    camera = camera_from_3dhp(
        name="0",
        size_px=(2048, 2048),
        focal_px=(1500.0, 1500.0),
        centre_px=(1024.0, 1024.0),
        rotation=rotation,
        translation_mm=translation_mm,
    )
    seen = world_to_camera(world_from_3dhp(point_mm), np.array(camera.rotation), np.array(camera.translation))
    np.testing.assert_allclose(1000 * seen, rotation @ np.array(point_mm) + translation_mm, atol=1e-8)
    back, back_mm = extrinsics_to_3dhp(camera)
    np.testing.assert_array_equal(back, rotation)
    np.testing.assert_allclose(back_mm, translation_mm, rtol=1e-15, atol=1e-12)


def test_a_point_of_the_release_lands_where_its_cameras_say():
    # A world point of the data set and its coordinates before cameras 0 and 1.
    point = world_from_3dhp((-1389.21, 1274.61, 2329.62))
    for index, expected_mm in ((0, (-1286.56, 212.391, 1197.07)), (1, (-444.164, 164.796, 2126.44))):
        camera = TRAINING_CAMERAS[index]
        seen = world_to_camera(point, np.array(camera.rotation), np.array(camera.translation))
        np.testing.assert_allclose(1000 * seen, expected_mm, atol=0.01)
