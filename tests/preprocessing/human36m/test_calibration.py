"""Known values of the release, in the world and in front of camera 54138969."""

from __future__ import annotations

import numpy as np

from poseshift.geometry.projection import world_to_camera
from poseshift.preprocessing.human36m.layout import CAMERA_IDS, SUBJECTS_WITH_POSES, camera

# S1, Directions 1, first row: pelvis, right hip and right knee.
WORLD_MM = np.array(
    [[-91.679, 154.404, 907.261], [-223.23566, 163.80551, 890.5342], [-188.4703, 14.077106, 475.1688]]
)
IN_CAMERA_54138969_MM = np.array(
    [
        [-176.73076784, -321.04861816, 5203.88206303],
        [-52.96191118, -309.7044902, 5251.08279046],
        [-155.64155821, 73.07175588, 5448.80702584],
    ]
)


def test_first_row_of_the_release_lies_where_annotation_files_have_it() -> None:
    """World row of D3_Positions against the camera frame in annotation files made from the release."""
    first = camera("S1", "54138969")
    in_camera = world_to_camera(WORLD_MM / 1000, np.array(first.rotation), np.array(first.translation))
    np.testing.assert_allclose(1000 * in_camera, IN_CAMERA_54138969_MM, atol=1e-4)


def test_cameras_stand_around_the_floor_and_look_at_its_middle() -> None:
    middle = np.array([0.0, 0.0, 1.0])
    for subject in SUBJECTS_WITH_POSES:
        for camera_id in CAMERA_IDS:
            each = camera(subject, camera_id)
            rotation, translation = np.array(each.rotation), np.array(each.translation)
            np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
            assert np.linalg.det(rotation) > 0
            centre = -rotation.T @ translation
            assert 1.3 < centre[2] < 1.7
            assert 3.5 < np.linalg.norm(centre[:2]) < 6.0
            x, y, z = rotation @ middle + translation
            assert z > 3.5
            assert abs(x / z) < 0.2
            assert abs(y / z) < 0.2
            assert rotation[1, 2] < -0.9, "camera y points down, world z up"
