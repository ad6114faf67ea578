import pickle
from dataclasses import replace

import h5py
import numpy as np
import pytest
import scipy.io

from poseshift.geometry.projection import project, world_to_camera
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.mpi_inf_3dhp import layout
from poseshift.preprocessing.mpi_inf_3dhp.captury import TEST_CALIBRATIONS
from poseshift.preprocessing.mpi_inf_3dhp.read import MpiInf3dhpOptions, plan_test, plan_train
from poseshift.preprocessing.quality import warnings
from poseshift.storage.schema import Trial, TrialKey

H36M_FROM_28 = [4, 23, 24, 25, 18, 19, 20, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16]
H36M_FROM_17 = [14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4]
OPTIONS = MpiInf3dhpOptions()
FITTED = MpiInf3dhpOptions(test_intrinsics="fitted")


def read_train(tree, key: TrialKey, options: MpiInf3dhpOptions = OPTIONS) -> Trial:
    return next(trial for trial in plan_train(tree.root, options).trials if trial.key == key).read()


def read_test(tree, name: str, options: MpiInf3dhpOptions = OPTIONS) -> Trial:
    return next(t for t in plan_test(tree.root, options).trials if t.key == TrialKey(name, name)).read()


S1_SEQ1 = TrialKey("S1", "Seq1")
S8_SEQ2 = TrialKey("S8", "Seq2")


def test_training_plan_lists_files_and_survives_a_worker(tree):
    plan = pickle.loads(pickle.dumps(plan_train(tree.root, OPTIONS)))  # noqa: S301
    assert (plan.dataset, plan.problems, plan.restaged_from) == ("mpi_inf_3dhp_train", (), None)
    assert plan.options == {"training_cameras": "regular"}
    assert [trial.key for trial in plan.trials] == [S1_SEQ1, S8_SEQ2]
    folder = tree.root / "S1" / "Seq1"
    assert plan.trials[0].sources == (folder / "annot.mat", folder / "camera.calibration")
    assert plan.trials[0].read().key == S1_SEQ1


def test_training_trial_is_the_motion_in_the_projects_world(tree):
    trial = read_train(tree, S1_SEQ1)
    x, y, z = np.moveaxis(tree.world_mm["S1/Seq1"][:, H36M_FROM_28] / 1000, -1, 0)
    np.testing.assert_allclose(trial.positions_world, np.stack([x, -z, y], axis=-1), atol=2e-5)
    pelvis = trial.positions_world[:, :1]
    np.testing.assert_allclose(
        trial.positions_universal, pelvis + 1.08 * (trial.positions_world - pelvis), atol=2e-5
    )
    assert trial.positions_world.dtype == trial.keypoints_2d.dtype == np.float32
    assert (trial.action, trial.fps, trial.frames) == ("Seq1", 25.0, 9)
    assert trial.valid is None
    assert trial.cameras == layout.TRAINING_CAMERAS
    assert trial.options == {"calibration": "file"}
    assert trial.intrinsics == "calibration file"


def test_training_keypoints_are_the_projected_world_in_every_camera(tree):
    trial = read_train(tree, S8_SEQ2)
    for camera, keypoints_px in zip(trial.cameras, trial.keypoints_2d, strict=True):
        seen = world_to_camera(
            trial.positions_world.astype(float), np.array(camera.rotation), np.array(camera.translation)
        )
        np.testing.assert_allclose(project(seen, camera.intrinsics), keypoints_px, atol=0.02)


def test_training_figures(tree):
    quality = read_train(tree, S8_SEQ2).quality
    assert quality["rows_missing"] == 6054 - 9
    assert quality["frame_numbers_out_of_order"] == 0
    assert 0 < quality["world_disagreement_mean_mm"] <= quality["world_disagreement_max_mm"] < 0.05
    assert quality["annotation_reprojection_max_px"] < 0.02
    assert quality["universal_scale"] == pytest.approx(1.08, abs=1e-6)
    assert quality["universal_departure_max_mm"] < 0.01


def test_a_camera_set_chooses_keypoints_and_leaves_the_world(tree):
    whole = read_train(tree, S1_SEQ1)
    chest = read_train(tree, S1_SEQ1, MpiInf3dhpOptions(training_cameras="mm3d_chest"))
    assert [camera.name for camera in chest.cameras] == ["0", "2", "4", "7", "8"]
    np.testing.assert_array_equal(chest.keypoints_2d, whole.keypoints_2d[[0, 2, 4, 7, 8]])
    np.testing.assert_array_equal(chest.positions_world, whole.positions_world)


def test_rows_beyond_the_official_table_are_left_out(tree, monkeypatch):
    whole = read_train(tree, S1_SEQ1)
    monkeypatch.setattr(layout, "TRAINING_SEQUENCES", {S1_SEQ1: layout.SequenceInfo(4, 25.0), S8_SEQ2: None})
    cut = read_train(tree, S1_SEQ1)
    assert cut.quality["rows_missing"] == 0
    np.testing.assert_array_equal(cut.positions_world, whole.positions_world[:4])
    np.testing.assert_array_equal(cut.keypoints_2d, whole.keypoints_2d[:, :4])


def test_without_its_calibration_a_sequence_uses_the_built_in_one_and_says_so(own_tree, caplog):
    with_file = read_train(own_tree, S1_SEQ1)
    (own_tree.root / "S1" / "Seq1" / "camera.calibration").unlink()
    planned = plan_train(own_tree.root, OPTIONS).trials[0]
    assert [path.name for path in planned.sources] == ["annot.mat"]
    trial = planned.read()
    assert trial.options == {"calibration": "built-in"}
    assert trial.intrinsics == "built-in"
    assert "camera.calibration is missing" in caplog.text
    np.testing.assert_array_equal(trial.positions_world, with_file.positions_world)


def test_a_camera_that_contradicts_the_others_is_named(own_tree):
    path = own_tree.root / "S1" / "Seq1" / "camera.calibration"
    path.write_text(path.read_text().replace("-562.8666", "-542.8666"))  # camera 0, 20 mm to the side
    with pytest.raises(RawDataError) as caught:
        read_train(own_tree, S1_SEQ1)
    assert "camera 0 20.0 mm (median)" in caught.value.found
    assert str(path.with_name("annot.mat")) in str(caught.value)
    assert "camera.calibration" in caught.value.remedy
    assert read_train(own_tree, S8_SEQ2).frames == 9  # the other sequence has its own file


def test_hips_and_spine_that_miss_their_projection_are_told_apart(own_tree):
    path = own_tree.root / "S1" / "Seq1" / "annot.mat"
    content = scipy.io.loadmat(path)
    for cell in content["annot2"].ravel():
        cell.reshape(-1, 28, 2)[:, [3, 18, 23]] += (1.2, 1.6)
    scipy.io.savemat(path, {key: value for key, value in content.items() if not key.startswith("__")})
    quality = read_train(own_tree, S1_SEQ1).quality
    assert quality["hips_spine_reprojection_max_px"] == pytest.approx(2.0, abs=1e-3)
    assert quality["annotation_reprojection_max_px"] < 0.02


def test_test_plan_lists_files_and_survives_a_worker(tree):
    plan = pickle.loads(pickle.dumps(plan_test(tree.root, OPTIONS)))  # noqa: S301
    assert (plan.dataset, plan.options) == (
        "mpi_inf_3dhp_test",
        {"test_fps": "25", "test_intrinsics": "file"},
    )
    assert [trial.key.path for trial in plan.trials] == ["TS1/TS1", "TS2/TS2", "TS5/TS5"]
    names = [[path.name for path in trial.sources] for trial in plan.trials]
    assert names[1:] == [["annot_data.mat", "ts1-4cameras.calib"], ["annot_data.mat", "ts5-6cameras.calib"]]
    assert plan.trials[0].read().key == TrialKey("TS1", "TS1")


def test_test_trial_is_the_motion_before_its_camera(tree):
    trial = read_test(tree, "TS5")
    np.testing.assert_allclose(
        trial.positions_world, tree.camera_mm["TS5"][:, H36M_FROM_17] / 1000, atol=3e-5
    )
    pelvis = trial.positions_world[:, :1]
    np.testing.assert_allclose(
        trial.positions_universal, pelvis + 1.08 * (trial.positions_world - pelvis), atol=1e-5
    )
    (camera,) = trial.cameras
    assert camera == replace(layout.TEST_CAMERAS["TS5"], focal_px=camera.focal_px, centre_px=camera.centre_px)
    np.testing.assert_allclose(
        project(trial.positions_world.astype(float), camera.intrinsics), trial.keypoints_2d[0], atol=0.02
    )
    np.testing.assert_array_equal(trial.valid, tree.valid)
    np.testing.assert_array_equal(trial.activity, tree.activity)
    assert (trial.action, trial.fps) == ("outdoor", 25.0)
    assert trial.quality["frames_valid"] == 6


@pytest.mark.parametrize(
    ("name", "focal_px", "centre_px"), [("TS1", 0.0, 0.0), ("TS2", 3.61, 4.35), ("TS5", 0.0, 0.0)]
)
def test_fitted_intrinsics_are_compared_with_the_calibration_file(tree, name, focal_px, centre_px):
    # TS2 was annotated with other intrinsics than its file says; here as in the release.
    trial = read_test(tree, name, FITTED)
    assert trial.intrinsics == "fitted"
    np.testing.assert_allclose(trial.cameras[0].focal_px, layout.TEST_CAMERAS[name].focal_px, atol=0.05)
    np.testing.assert_allclose(trial.cameras[0].centre_px, layout.TEST_CAMERAS[name].centre_px, atol=0.01)
    assert trial.quality["calibration_focal_difference_px"] == pytest.approx(focal_px, abs=0.05)
    assert trial.quality["calibration_centre_difference_px"] == pytest.approx(centre_px, abs=0.02)


@pytest.mark.parametrize("name", ["TS1", "TS2", "TS5"])
def test_the_calibration_file_is_used_where_there_is_one(tree, name):
    trial, fitted = read_test(tree, name), read_test(tree, name, FITTED)
    stem = layout.calib_file(tree.test_set, name).stem
    filed = TEST_CALIBRATIONS[stem].pinhole(name, trial.cameras[0].size_px)
    assert trial.intrinsics == "calibration file"
    assert (trial.cameras[0].focal_px, trial.cameras[0].centre_px) == (filed.focal_px, filed.centre_px)
    assert trial.cameras[0].focal_px != fitted.cameras[0].focal_px, "no digit comes from the annotations"
    assert trial.quality == fitted.quality, "how far the two are apart is measured either way"


def test_annotations_do_not_move_the_calibrated_camera(own_tree):
    before = read_test(own_tree, "TS1")
    with h5py.File(own_tree.test_set / "TS1" / "annot_data.mat", "r+") as file:
        file["annot2"][:] = (file["annot2"][:] - 1000) * 1.001 + 1000.5
    assert read_test(own_tree, "TS1").cameras == before.cameras
    assert read_test(own_tree, "TS1", FITTED).cameras != before.cameras


def test_a_calibration_file_that_contradicts_the_annotations_is_told_with_its_size(tree, caplog):
    trial = read_test(tree, "TS2")
    (camera,) = trial.cameras
    exact = np.delete(np.arange(17), [1, 4, 7])  # hips and spine are blended
    seen = project(trial.positions_world.astype(float), camera.intrinsics)
    apart = np.linalg.norm(seen - trial.keypoints_2d[0], axis=-1)[:, exact]
    assert trial.quality["calibration_residual_median_px"] == pytest.approx(np.median(apart), abs=0.01)
    assert trial.quality["calibration_residual_max_px"] == pytest.approx(apart.max(), abs=0.02)
    assert np.median(apart) > 4
    assert "ts1-4cameras.calib contradicts the annotations of TS2: 2D is 4.8 px" in caplog.text
    (warning,) = (one for one in warnings("TS2", dict(trial.quality)) if one.figure.startswith("calibration"))
    assert "calibration_residual_median_px is 4.8" in str(warning)
    caplog.clear()
    for name in ("TS1", "TS5"):
        quality = dict(read_test(tree, name).quality)
        assert quality["calibration_residual_median_px"] < 0.01
        assert not warnings(name, quality)
    assert "contradicts" not in caplog.text


def test_without_calibration_file_the_intrinsics_are_fitted(own_tree):
    (own_tree.test_set / "test_util" / "camera_calibration" / "ts1-4cameras.calib").unlink()
    trial = read_test(own_tree, "TS1")
    assert trial.intrinsics == "fitted"
    assert not any(name.startswith("calibration") for name in trial.quality)
    assert read_test(own_tree, "TS5").intrinsics == "calibration file"


def test_2d_and_3d_that_do_not_belong_together_are_refused(own_tree):
    path = own_tree.test_set / "TS1" / "annot_data.mat"
    with h5py.File(path, "r+") as file:
        file["annot2"][:] = file["annot2"][:][:, :, ::-1]
    with pytest.raises(RawDataError, match=r"from the best projection of annot3.*same frames and joints"):
        read_test(own_tree, "TS1")
    with h5py.File(path, "r+") as file:
        file["annot3"][:] = 1000.0
    with pytest.raises(RawDataError, match="joints do not spread over the image"):
        read_test(own_tree, "TS1")


def test_the_universal_pose_of_the_release_is_one_scale_about_the_pelvis(own_tree):
    # First row of TS5: pelvis, top of the head, and the latter's universal position.
    pelvis, head_top = np.array([-226.079, -163.703, 3862.95]), np.array([-156.831, -867.95, 3667.55])
    universal = np.array([-159.921882, -836.515957, 3676.271673])
    np.testing.assert_allclose(pelvis + 0.955365031 * (head_top - pelvis), universal, atol=2e-3)
    path = own_tree.test_set / "TS5" / "annot_data.mat"
    with h5py.File(path, "r+") as file:
        annot3 = file["annot3"][:]
        annot3[:, :, 14], annot3[:, :, 0] = pelvis, head_top
        scaled = pelvis + 0.955365031 * (annot3 - pelvis)
        scaled[:, :, 0] = universal
        file["annot3"][:], file["univ_annot3"][:] = annot3, scaled
        file["annot2"][:] = annot3[..., :2] / annot3[..., 2:] * (1683.98, 1672.59) + (939.86, 560.14)
    quality = read_test(own_tree, "TS5").quality
    assert quality["universal_scale"] == pytest.approx(0.955365031, abs=1e-6)
    assert quality["universal_departure_max_mm"] < 2e-3


def test_a_changed_frame_number_is_counted(own_tree):
    path = own_tree.root / "S1" / "Seq1" / "annot.mat"
    content = {key: value for key, value in scipy.io.loadmat(path).items() if not key.startswith("__")}
    content["frames"][3] = 77
    scipy.io.savemat(path, content)
    assert read_train(own_tree, S1_SEQ1).quality["frame_numbers_out_of_order"] == 1


def test_a_restaged_tree_is_labelled_in_both_plans(own_tree):
    (own_tree.root / "RESTAGED.json").write_text('{"motion": "a walk"}')
    assert plan_train(own_tree.root, OPTIONS).restaged_from == "a walk"
    assert plan_test(own_tree.test_set, OPTIONS).restaged_from == "a walk"
