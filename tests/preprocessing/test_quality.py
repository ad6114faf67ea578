"""Quality figures against trials whose figures are known."""

from dataclasses import replace

import numpy as np
import pytest

from poseshift.geometry.camera import Camera
from poseshift.geometry.skeleton import skeleton
from poseshift.preprocessing.quality import Range, assess, reprojection_errors_px, warnings
from poseshift.storage.schema import Trial, TrialKey

SKELETON = skeleton("human36m_17")
CAMERA = Camera(
    name="front",
    size_px=(1000, 1000),
    focal_px=(1000.0, 1000.0),
    centre_px=(500.0, 500.0),
    rotation=((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
    translation=(0.0, 0.0, 5.0),
)


def still_person(frames: int = 3) -> Trial:
    """One joint per decimetre of height, seen from 5 m along world y: u = 500 + 200 x, v = 500 - 200 z."""
    positions = np.zeros((frames, SKELETON.joints, 3), dtype=np.float32)
    positions[..., 2] = 0.1 * np.arange(SKELETON.joints)
    keypoints = np.empty((1, frames, SKELETON.joints, 2), dtype=np.float32)
    keypoints[..., 0] = 500.0
    keypoints[..., 1] = 500.0 - 200.0 * positions[..., 2]
    return Trial(
        key=TrialKey("S1", "Standing"),
        action="Standing",
        subaction="1",
        fps=50.0,
        cameras=(CAMERA,),
        positions_world=positions,
        keypoints_2d=keypoints,
    )


def test_reprojection_error_is_the_distance_in_pixels() -> None:
    trial = still_person()
    keypoints = trial.keypoints_2d.copy()
    keypoints[0, 1, 4] += (3.0, 4.0)
    errors = reprojection_errors_px(replace(trial, keypoints_2d=keypoints))
    assert errors[0, 1, 4] == pytest.approx(5.0, abs=1e-4)
    assert np.delete(errors.ravel(), 1 * SKELETON.joints + 4).max() < 1e-4


def test_a_rigid_body_has_constant_bones_and_stands_on_the_floor() -> None:
    figures = assess(still_person(), SKELETON).quality
    assert figures["frames"] == 3
    assert figures["bone_length_variation_max"] == 0.0
    assert figures["height_over_floor_min_m"] == 0.0


def test_bone_figures_by_hand() -> None:
    trial = still_person(frames=2)
    positions = trial.positions_world.copy()
    positions[1, 16, 2] += 0.1  # right wrist: forearm 0.1 m, then 0.2 m; the left one stays 0.1 m
    figures = assess(replace(trial, positions_world=positions), SKELETON).quality
    assert figures["bone_length_variation_max"] == pytest.approx(0.05 / 0.15, rel=1e-4)
    # hips lie 0.1 m and 0.4 m above the pelvis in this ladder of joints
    assert figures["bone_asymmetry_max_mm"] >= 300.0 - 1e-3


def test_figures_of_the_reader_are_kept() -> None:
    trial = replace(still_person(), quality={"rows_missing": 2.0, "frames": 99.0})
    figures = assess(trial, SKELETON).quality
    assert figures["rows_missing"] == 2.0
    assert figures["frames"] == 99.0


def test_warnings_name_trial_figure_and_usual_range() -> None:
    (warning,) = warnings("S1/Standing", {"reprojection_median_px": 7.0, "rows_missing": 0.0})
    assert warning.usual == Range(0.0, 2.5)
    assert "S1/Standing" in str(warning)
    assert "reprojection_median_px is 7" in str(warning)
