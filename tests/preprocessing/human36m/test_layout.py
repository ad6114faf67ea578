from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseshift.preprocessing.human36m.calibration import builtin_calibration
from poseshift.preprocessing.human36m.layout import (
    CAMERA_IDS,
    EXPECTED_ROWS,
    canonical_action,
    canonical_stem,
    parse_stem,
    pose_filename,
)
from poseshift.preprocessing.human36m.sequences import builtin_sequences

actions = st.one_of(st.just("_ALL"), st.text(string.ascii_letters, min_size=1, max_size=20))
takes = st.one_of(st.none(), st.integers(0, 9))
cameras = st.one_of(st.none(), st.text(string.digits, min_size=8, max_size=8))


@given(actions, takes, cameras)
def test_every_name_of_the_grammar_is_taken_apart(action: str, take: int | None, camera: str | None) -> None:
    stem = action if take is None else f"{action} {take}"
    name = parse_stem(pose_filename(stem, camera))
    assert name is not None
    assert (name.stem, name.action, name.take, name.camera) == (stem, action, take, camera)
    assert name.filename == pose_filename(stem, camera)


@given(st.text(max_size=30))
def test_what_is_understood_is_spelt_back_exactly(filename: str) -> None:
    name = parse_stem(filename)
    assert name is None or name.filename == filename


@pytest.mark.parametrize(
    "filename",
    [
        "Directions  1.cdf",
        "Directions_1.cdf",
        "Directions 12.cdf",
        "Directions 1.5413896.cdf",
        "Directions 1.54138969.mat",
        "Directions 1.54138969.cdf\n",
        "Directions ١.cdf",
        "copy of Directions 1.cdf",
        "Directions 1.CDF",
        ".cdf",
    ],
)
def test_other_names_are_refused(filename: str) -> None:
    assert parse_stem(filename) is None


def test_s1_spelling_is_canonicalised() -> None:
    assert canonical_action("TakingPhoto") == "Photo"
    assert canonical_stem("WalkingDog 1") == "WalkDog 1"
    assert canonical_stem("Walking 1") == "Walking 1"
    assert canonical_stem("Photo") == "Photo"


def test_rows_add_up_to_the_published_totals() -> None:
    """Frames times cameras of the usual split, as published for this data set at 50 Hz."""
    train = sum(
        rows for (subject, _), rows in EXPECTED_ROWS.items() if subject in {"S1", "S5", "S6", "S7", "S8"}
    )
    test = sum(rows for (subject, _), rows in EXPECTED_ROWS.items() if subject in {"S9", "S11"})
    assert 4 * train == 1_559_752
    assert 4 * (test - EXPECTED_ROWS["S11", "Directions"]) == 543_344
    assert len(EXPECTED_ROWS) == 7 * 30
    stride_5 = sum(
        -(-rows // 5) for (subject, _), rows in EXPECTED_ROWS.items() if subject not in {"S9", "S11"}
    )
    assert 4 * stride_5 == 312_188


def test_both_subactions_of_every_action_are_there_once() -> None:
    table = builtin_sequences()
    for subject in {sequence.subject for sequence in table}:
        places = [(s.action, s.subaction) for s in table if s.subject == subject]
        assert sorted(places) == [(action, subaction) for action in range(1, 17) for subaction in (1, 2)]


def test_mocap_can_be_shorter_than_the_videos() -> None:
    sequence = builtin_sequences().find("S9", "Greeting")
    assert sequence is not None
    assert sequence.rows == 1447 < min(sequence.video_frames)


def test_image_sizes_differ_by_subject_and_camera() -> None:
    calibration = builtin_calibration()
    assert [camera.size_px for camera in calibration.cameras["S7"]] == [(1000, 1002)] * 4
    assert calibration.camera("S8", "55011271").size_px == (1000, 1000)
    assert tuple(camera.name for camera in calibration.cameras["S1"]) == CAMERA_IDS
    with pytest.raises(KeyError, match="12345678"):
        calibration.camera("S1", "12345678")
