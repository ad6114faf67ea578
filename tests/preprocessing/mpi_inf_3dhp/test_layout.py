import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseshift.geometry.projection import project
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.mpi_inf_3dhp import layout
from poseshift.storage.schema import TrialKey


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


subjects = st.sampled_from(["S1", "S8", "S9", "S0", "S12", "s1", "S1_old", "mpi_inf_3dhp_test_set"])
sequences = st.sampled_from(["Seq1", "Seq2", "Seq3", "seq1", "Seq1.bak", "imageSequence"])


@settings(max_examples=60, deadline=None)
@given(st.sets(st.tuples(subjects, sequences, st.booleans()), max_size=8))
def test_training_grammar(entries):
    # One folder either has its annotations or not, so the second of two contradicting entries is dropped.
    folders = {(subject, sequence): annotated for subject, sequence, annotated in sorted(entries)}
    known = {(subject, sequence) for subject in ("S1", "S8") for sequence in ("Seq1", "Seq2")}
    like_a_sequence = {
        (subject, sequence)
        for subject in ("S1", "S8", "S9", "S0", "S12")
        for sequence in ("Seq1", "Seq2", "Seq3")
    }
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for (subject, sequence), annotated in folders.items():
            (root / subject / sequence).mkdir(parents=True)
            if annotated:
                touch(root / subject / sequence / "annot.mat")
        readable = {entry for entry, annotated in folders.items() if annotated and entry in known}
        if not readable:
            with pytest.raises(RawDataError, match="no MPI-INF-3DHP training sequence"):
                layout.find_training_sequences(root)
            return
        inventory = layout.find_training_sequences(root)
        assert {(key.subject, key.trial) for key in inventory.folders} == readable
        assert len(inventory.problems) == len((set(folders) & like_a_sequence) - readable)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_test_sequences_are_found_at_every_nesting(tmp_path: Path, depth: int):
    place = tmp_path.joinpath(*["mpi_inf_3dhp_test_set"] * depth)
    for name in ("TS1", "TS6"):
        touch(place / name / "annot_data.mat")
    inventory = layout.find_test_sequences(tmp_path)
    assert inventory.folders == {TrialKey(name, name): place / name for name in ("TS1", "TS6")}
    assert not inventory.problems


def test_test_sequences_beside_training_sequences_are_not_mixed_up(tmp_path: Path):
    touch(tmp_path / "S1" / "Seq1" / "annot.mat")
    touch(layout.nested_test_set(tmp_path) / "TS3" / "annot_data.mat")
    assert list(layout.find_training_sequences(tmp_path).folders) == [TrialKey("S1", "Seq1")]
    assert list(layout.find_test_sequences(tmp_path).folders) == [TrialKey("TS3", "TS3")]


def test_problems_name_folder_finding_and_remedy(tmp_path: Path):
    touch(tmp_path / "TS1" / "annot_data.mat")
    touch(tmp_path / "TS7" / "annot_data.mat")
    (tmp_path / "TS2").mkdir()
    without, unknown = layout.find_test_sequences(tmp_path).problems
    assert str(tmp_path / "TS2") in str(without)
    assert "a sequence without annot_data.mat" in str(without)
    assert "Download" in without.remedy
    assert str(tmp_path / "TS7") in str(unknown)
    assert "TS1 to TS6" in str(unknown)
    assert "correct its name" in unknown.remedy


def test_empty_root_says_what_to_give(tmp_path: Path):
    with pytest.raises(RawDataError, match=r"get_dataset\.sh"):
        layout.find_training_sequences(tmp_path)
    with pytest.raises(RawDataError, match=r"mpi_inf_3dhp_test_set\.zip"):
        layout.find_test_sequences(tmp_path / "missing")


def test_restaged_marker_is_found_from_inside_the_test_archive(tmp_path: Path):
    nested = layout.nested_test_set(tmp_path)
    nested.mkdir(parents=True)
    assert layout.restaged_from(nested) is None
    (tmp_path / "RESTAGED.json").write_text(json.dumps({"motion": "a walk", "seed": 3}))
    assert layout.restaged_from(tmp_path) == layout.restaged_from(nested) == "a walk"


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_spoilt_restaged_marker_is_not_taken_for_an_original(tmp_path: Path, text: str):
    (tmp_path / "RESTAGED.json").write_text(text)
    with pytest.raises(RawDataError, match=r"RESTAGED\.json.*Restage the tree again"):
        layout.restaged_from(tmp_path)


def test_built_in_cameras_are_rotations_around_one_studio():
    assert [camera.name for camera in layout.TRAINING_CAMERAS] == [str(index) for index in range(14)]
    for camera in layout.TRAINING_CAMERAS:
        rotation = np.array(camera.rotation)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=3e-7)
        centre = -rotation.T @ np.array(camera.translation)
        assert 0.5 < centre[2] < 3.6  # metres over the floor: z is up
        assert (centre[2] > 3.3) == (int(camera.name) in layout.CAMERA_SETS["ceiling"])
    centre_of_8 = -np.array(layout.TRAINING_CAMERAS[8].rotation).T @ layout.TRAINING_CAMERAS[8].translation
    np.testing.assert_allclose(
        centre_of_8, (3.42728, -0.30942, 1.38786), atol=2e-5
    )  # as in ts1-4cameras.calib


@pytest.mark.parametrize(
    ("camera", "position_mm", "keypoint_px"),
    [
        (layout.TRAINING_CAMERAS[0], (-18.0923, 102.071, 3726.17), (1017.43, 1092.4)),  # S1/Seq1, frame 100
        (
            layout.TEST_CAMERAS["TS5"],
            (-156.831, -867.95, 3667.55),
            (867.847, 164.31),
        ),  # first row, top of head
    ],
)
def test_annotated_joints_of_the_release_project_onto_their_keypoints(camera, position_mm, keypoint_px):
    projected = project(np.array([position_mm]), camera.intrinsics)
    np.testing.assert_allclose(projected[0], keypoint_px, atol=0.01)
