"""Imported trials: what a store cannot hold is refused, with what was found and what to do."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project
from poseshift.geometry.skeleton import HUMAN36M_17, mapping
from poseshift.preprocessing.acceptance import UnfitTrialError, accepted
from poseshift.storage.schema import Trial, TrialKey


@pytest.fixture
def trial(square_camera: Camera, draw_people: Callable[..., NDArray[np.float32]]) -> Trial:
    """Twenty people before a camera that is the world, with their projection."""
    camera = Camera(
        name="TS1",
        size_px=square_camera.size_px,
        focal_px=square_camera.focal_px,
        centre_px=square_camera.centre_px,
    )
    people = draw_people(np.random.default_rng(0), 20)
    seen = np.asarray(project(people.astype(np.float64), camera.intrinsics), dtype=np.float32)
    return Trial(
        key=TrialKey("S1", "walk"),
        action="walk",
        subaction="",
        fps=50.0,
        cameras=(camera,),
        positions_world=people,
        keypoints_2d=seen[None],
    )


def refusal(trial: Trial) -> str:
    with pytest.raises(UnfitTrialError, match="trial 'S1/walk'") as caught:
        accepted(trial, HUMAN36M_17)
    return str(caught.value)


def test_a_trial_in_order_is_accepted_with_its_quality(trial: Trial) -> None:
    found = accepted(trial, HUMAN36M_17)
    np.testing.assert_array_equal(found.positions_world, trial.positions_world)
    np.testing.assert_array_equal(found.keypoints_2d, trial.keypoints_2d)
    assert found.quality["reprojection_median_px"] < 0.1


@pytest.mark.parametrize(
    ("factor", "unit"), [(1000.0, "millimetres"), (100.0, "centimetres"), (1 / 0.0254, "inches")]
)
def test_other_units_are_named(trial: Trial, factor: float, unit: str) -> None:
    # A person of a thousandfold size, a thousand times as far away, has the same image.
    assert unit in refusal(replace(trial, positions_world=trial.positions_world * np.float32(factor)))


def test_people_without_size_are_refused(trial: Trial) -> None:
    points = np.broadcast_to(trial.positions_world[:, :1], trial.positions_world.shape).copy()
    assert "all bones together are 0 m long" in refusal(replace(trial, positions_world=points))


def test_joints_in_the_order_of_3dhp_are_refused(trial: Trial) -> None:
    names, other = HUMAN36M_17.joint_names, mapping("human36m_17", "mpi_inf_3dhp_17")
    assert other.target.joint_names != names
    reordered = np.ascontiguousarray(other.apply(trial.positions_world), dtype=np.float32)
    seen = np.ascontiguousarray(other.apply(trial.keypoints_2d), dtype=np.float32)
    told = refusal(replace(trial, positions_world=reordered, keypoints_2d=seen))
    assert "in another order than pelvis" in told


def test_root_relative_positions_are_refused(trial: Trial) -> None:
    relative = trial.positions_world - trial.positions_world[:, :1]
    assert "root-relative 3D says nothing of where" in refusal(replace(trial, positions_world=relative))


def test_normalised_keypoints_are_refused(trial: Trial) -> None:
    width = trial.cameras[0].size_px[0]
    told = refusal(replace(trial, keypoints_2d=trial.keypoints_2d / width * 2 - 1))
    assert "2048 x 2048 pixels" in told


@pytest.mark.parametrize("noise_px", [8.0, 30.0])
def test_a_detectors_keypoints_go_where_they_belong(trial: Trial, noise_px: float) -> None:
    noise = np.random.default_rng(1).normal(0, noise_px, trial.keypoints_2d.shape)
    noisy = replace(trial, keypoints_2d=(trial.keypoints_2d + noise).astype(np.float32))
    assert "--detector NAME" in refusal(noisy)
    kept = accepted(noisy, HUMAN36M_17, detector="cpn")
    np.testing.assert_allclose(kept.keypoints_2d, trial.keypoints_2d, atol=1e-2)
    np.testing.assert_array_equal(kept.detections["cpn"][..., :2], noisy.keypoints_2d)


def test_what_a_detector_did_not_see_is_missing(trial: Trial) -> None:
    seen = trial.keypoints_2d.copy()
    seen[0, 3, 5] = np.nan
    kept = accepted(replace(trial, keypoints_2d=seen), HUMAN36M_17, detector="cpn")
    assert kept.detections["cpn"][0, 3, 5].tolist() == [0, 0, 0]
    assert np.isfinite(kept.keypoints_2d).all()


def test_nothing_to_compare_with_is_no_ground_truth(trial: Trial) -> None:
    nowhere = np.full_like(trial.keypoints_2d, np.nan)
    assert "off the projected 3D by nan px" in refusal(replace(trial, keypoints_2d=nowhere))


def test_universal_people_are_compared_at_the_pelvis(trial: Trial) -> None:
    """They have another size than in the image, about the same pelvis."""
    pelvis = trial.positions_world[:, :1]
    larger = replace(
        trial, positions_world=pelvis + 1.3 * (trial.positions_world - pelvis), positions_kind="universal"
    )
    accepted(larger, HUMAN36M_17)
    assert "--detector NAME" in refusal(replace(larger, positions_kind="annotated"))
    assert "--detector NAME" in refusal(replace(larger, keypoints_2d=larger.keypoints_2d + 9))
    with pytest.raises(UnfitTrialError, match="import annotated 3D"):
        accepted(larger, HUMAN36M_17, detector="cpn")
