from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project
from poseshift.geometry.skeleton import mapping, skeleton
from poseshift.storage.schema import Trial, TrialKey
from poseshift.storage.store import PoseStore
from poseshift.training.evaluation import metrics
from poseshift.training.evaluation.protocols import PROTOCOLS, names_for, names_for_store, protocol


def test_names_and_sentences():
    assert set(PROTOCOLS) == {
        *("human36m-p1", "human36m-p2", "human36m-s5678-16"),
        *("3dhp-official", "3dhp-annot3", "3dhp-annot3-flip", "3dhp-poseaug16", "3dhp-graphmlp17"),
    }
    assert all(PROTOCOLS[name].name == name for name in PROTOCOLS)
    assert all(entry.description.endswith(".") and entry.source for entry in PROTOCOLS.values())
    with pytest.raises(ValueError, match="3dhp-official"):
        protocol("3dhp")


def test_joints_exist_and_the_root_is_counted():
    for entry in PROTOCOLS.values():
        assert set(entry.joints) <= set(skeleton(entry.skeleton).joint_names)
        assert set(entry.pck_joints) <= set(entry.joints)
        assert entry.root_in_mean
        assert [entry.joints[column] for column in entry.pck_columns] == list(entry.pck_joints)


def test_official_pck_joints_are_those_of_the_toolkit():
    # Zero-based joints of the toolkit's groups: head, neck, shoulders, elbows, wrists, hips, knees, ankles.
    toolkit = {0, 1, 2, 5, 3, 6, 4, 7, 8, 11, 9, 12, 10, 13}
    marks = np.arange(17.0)[:, None]
    # Where each of the test file's joints ends in the project's order.
    mapped = mapping("mpi_inf_3dhp_17", "human36m_17").apply(marks)[:, 0].astype(int)
    entry = protocol("3dhp-official")
    chosen = {int(mapped[skeleton("human36m_17").joint_names.index(name)]) for name in entry.pck_joints}
    assert chosen == toolkit
    assert len(entry.joints) == 17


def test_poseaug_drops_the_nose_alone():
    entry = protocol("3dhp-poseaug16")
    assert set(protocol("3dhp-official").joints) - set(entry.joints) == {"nose"}
    assert entry.pck_joints == entry.joints
    assert np.allclose(entry.thresholds_mm, np.linspace(0, 150, 31))
    assert entry.test_time == "flip"


def test_thresholds_and_the_best_possible_auc():
    perfect = np.zeros((1, 14))
    official, graphmlp = protocol("3dhp-official"), protocol("3dhp-graphmlp17")
    assert official.thresholds_mm == tuple(range(0, 151, 5))
    assert graphmlp.thresholds_mm == tuple(range(0, 150))
    assert metrics.auc(perfect, official.thresholds_mm)[0] == pytest.approx(100 * 30 / 31)
    assert metrics.auc(perfect, graphmlp.thresholds_mm)[0] == pytest.approx(100 * 149 / 150)


def test_selection_says_what_is_read():
    assert protocol("3dhp-official").selection().positions == "universal"
    assert protocol("3dhp-annot3").selection("cpn").positions == "annotated"
    assert protocol("3dhp-annot3").selection("cpn").keypoints == "cpn"
    assert protocol("human36m-p1").selection().subjects == ("S9", "S11")
    assert protocol("3dhp-official").selection().valid_only
    assert protocol("human36m-p2").alignment == "similarity"
    assert names_for("human36m") == ("human36m-p1", "human36m-p2", "human36m-s5678-16")


def test_few_labels_are_measured_on_the_subjects_that_were_not_learned():
    entry = protocol("human36m-s5678-16")
    assert entry.selection().subjects == ("S5", "S6", "S7", "S8")
    assert entry.skeleton == protocol("3dhp-poseaug16").skeleton


def test_answers_that_lack_joints_are_refused():
    protocol("3dhp-poseaug16").require_measurable("human36m_17")
    protocol("3dhp-poseaug16").require_measurable("poseaug_16")
    with pytest.raises(ValueError, match=r"lifter's poseaug_16; .* for that: 3dhp-poseaug16"):
        protocol("3dhp-official").require_measurable("poseaug_16")


def sequence_of_test_set() -> Trial:
    """TS1 with both kinds of 3D, as the raw release has it."""
    rng = np.random.default_rng(0)
    positions = rng.normal(loc=[0, 0, 4], scale=0.3, size=(6, 17, 3)).astype(np.float32)
    camera = Camera(name="TS1", size_px=(2048, 2048), focal_px=(1500.0, 1500.0), centre_px=(1024.0, 1024.0))
    return Trial(
        key=TrialKey("TS1", "TS1"),
        action="TS1",
        subaction="",
        fps=25.0,
        cameras=(camera,),
        positions_world=positions,
        keypoints_2d=project(positions, camera.intrinsics)[None].astype(np.float32),
        positions_universal=positions * np.float32(0.9),
        valid=np.array([True, True, False, True, False, True]),
        activity=np.array([1, 1, 1, 2, 2, 2], dtype=np.int8),
    )


def store_with(trial: Trial, folder: Path) -> PoseStore:
    store = PoseStore.create(folder, "mpi_inf_3dhp_test")
    with store.transaction("Add TS1") as transaction:
        transaction.write(trial)
    return store


def test_read_takes_valid_universal_frames_of_a_real_store(tmp_path: Path):
    store = store_with(sequence_of_test_set(), tmp_path / "test")
    assert names_for_store(store) == names_for("mpi_inf_3dhp_test")
    official, annotated = protocol("3dhp-official").read(store), protocol("3dhp-annot3").read(store)
    assert official.frame.tolist() == annotated.frame.tolist() == [0, 1, 3, 5]
    assert np.allclose(official.positions_camera, 0.9 * annotated.positions_camera, atol=1e-5)
    with pytest.raises(ValueError, match="3dhp-official"):
        protocol("human36m-p1").read(store)


def test_a_protocol_refuses_the_other_kind_of_positions(tmp_path: Path):
    trial = replace(sequence_of_test_set(), positions_universal=None)
    annotated = store_with(trial, tmp_path / "annotated")
    universal = store_with(replace(trial, positions_kind="universal"), tmp_path / "universal")
    assert names_for_store(annotated) == ("3dhp-annot3", "3dhp-annot3-flip")
    assert names_for_store(universal) == ("3dhp-official", "3dhp-poseaug16", "3dhp-graphmlp17")
    assert len(protocol("3dhp-annot3").read(annotated)) == len(protocol("3dhp-official").read(universal)) == 4
    with pytest.raises(
        ValueError,
        match=r"3dhp-annot3 measures annotated 3D, but .*/universal holds universal 3D alone; "
        "protocols for it: 3dhp-official, .* For 3dhp-annot3, make a store that has annotated 3D",
    ):
        protocol("3dhp-annot3").read(universal)
    with pytest.raises(ValueError, match=r"measures universal 3D, but .*/annotated holds annotated 3D alone"):
        protocol("3dhp-official").read(annotated)
