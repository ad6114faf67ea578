from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.mpi_inf_3dhp.captury import (
    TEST_CALIBRATIONS,
    CapturyCamera,
    format_captury,
    parse_captury,
    read_captury,
)
from poseshift.preprocessing.mpi_inf_3dhp.layout import TRAINING_CAMERAS

PATH = Path("test_util/camera_calibration/ts1-4cameras.calib")
STUDIO = TEST_CALIBRATIONS["ts1-4cameras"]
OUTDOOR = TEST_CALIBRATIONS["ts5-6cameras"]


def test_studio_camera_is_training_camera_8():
    camera = STUDIO.pinhole("TS1", (2048, 2048))
    np.testing.assert_allclose(camera.focal_px, (1500.172, 1500.832), atol=1e-3)
    np.testing.assert_allclose(camera.centre_px, (1017.387, 1043.032), atol=1e-3)
    np.testing.assert_allclose(camera.rotation, TRAINING_CAMERAS[8].rotation, atol=1e-6)
    np.testing.assert_allclose(camera.translation, TRAINING_CAMERAS[8].translation, atol=2e-5)


def test_outdoor_camera_has_the_intrinsics_that_fit_its_annotations():
    camera = OUTDOOR.pinhole("TS5", (1920, 1080))
    np.testing.assert_allclose(camera.focal_px, (1683.98346, 1672.59371), atol=1e-4)
    np.testing.assert_allclose(camera.centre_px, (939.85754, 560.14074), atol=1e-4)
    rotation = np.array(camera.rotation)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
    centre = -rotation.T @ np.array(camera.translation)
    np.testing.assert_allclose(centre, (-2.1043074, 4.5966367, 1.0386707), atol=1e-5)


numbers = st.floats(-1e5, 1e5, allow_nan=False)
positive = st.floats(1e-3, 1e3, allow_nan=False)
cameras = st.builds(
    CapturyCamera,
    sensor_size_mm=st.tuples(positive, positive),
    focal_length_mm=positive,
    pixel_aspect=positive,
    centre_offset_mm=st.tuples(numbers, numbers),
    distortion=st.tuples(*[numbers] * 5),
    origin_mm=st.tuples(numbers, numbers, numbers),
    up=st.tuples(numbers, numbers, numbers),
    right=st.tuples(numbers, numbers, numbers),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(cameras, min_size=1, max_size=3))
def test_text_is_read_back_without_loss(written):
    assert parse_captury(format_captury(written), PATH) == tuple(written)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_other_text_is_refused_and_nothing_else_raised(text):
    with pytest.raises(RawDataError):
        parse_captury(text, PATH)
    with pytest.raises(RawDataError):
        parse_captury("tc camera calibration v0.3\ncamera 0 name\n" + text, PATH)


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("v0.3", "v0.4", "first line 'tc camera calibration v0.4'"),
        ("camera\t0\tcam_0\n", "", "'frame' before the first camera"),
        ("\t\tup", "\t\tdown", "no 'up' in camera 0"),
        ("7.32506", "seven", "could not convert string to float: 'seven'"),
        ("7.32506", "-7.32506", "'focalLength' -7.32506 in camera 0"),
        ("10.0 10.0", "10.0", "1 values in 'sensorSize' of camera 0"),
        ("\tframe\t0\n", "\tframe\t0\n\tframe\t1\n", "a second 'frame' in camera 0"),
    ],
)
def test_errors_say_what_was_found(tmp_path, old, new, finding):
    path = tmp_path / "ts1-4cameras.calib"
    path.write_text(format_captury([STUDIO]).replace(old, new, 1))
    with pytest.raises(RawDataError) as caught:
        read_captury(path)
    assert str(path) in str(caught.value)
    assert finding in str(caught.value)
    assert "Restore the original file" in caught.value.remedy


def test_header_alone_and_binary(tmp_path):
    with pytest.raises(RawDataError, match="no camera"):
        parse_captury("tc camera calibration v0.3\n", PATH)
    path = tmp_path / "binary.calib"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RawDataError, match="not text"):
        read_captury(path)
