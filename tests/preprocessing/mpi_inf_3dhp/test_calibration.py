from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from poseshift.geometry.camera import Camera
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.mpi_inf_3dhp.calibration import (
    format_calibration,
    parse_calibration,
    read_calibration,
)
from poseshift.preprocessing.mpi_inf_3dhp.layout import TRAINING_CAMERAS
from poseshift.preprocessing.mpi_inf_3dhp.world import camera_from_3dhp

PATH = Path("S1/Seq1/camera.calibration")
TEXT = format_calibration(TRAINING_CAMERAS)
CAMERA_0 = """\
name          0
  sensor      10 10
  size        2048 2048
  animated    0
  intrinsic   1497.693 0 1024.704 0 0 1497.103 1051.394 0 0 0 1 0 0 0 0 1 $
  extrinsic   0.9650164 0.00488022 0.262144 -562.8666 -0.004488356 -0.9993728 0.0351275 1398.138 \
0.262151 -0.03507521 -0.9643893 3852.623 0 0 0 1 $
  radial      0
""".replace("$", "")  # the originals end these two lines with a space


def test_text_of_the_release_is_reproduced_to_the_character():
    assert TEXT.startswith("Skeletool Camera Calibration File V1.0\n" + CAMERA_0 + "name          1\n")
    assert len(TEXT.splitlines()) == 1 + 14 * 7


def test_text_of_the_release_is_read_as_the_built_in_calibration(tmp_path: Path):
    path = tmp_path / "camera.calibration"
    path.write_text(TEXT)
    assert read_calibration(path) == TRAINING_CAMERAS


def test_exponents_tabs_and_other_line_ends_are_read():
    changed = TEXT.replace("1497.693", "1.497693e+03").replace("  extrinsic   ", "\textrinsic\t")
    assert parse_calibration(changed.replace("\n", "\r\n"), PATH) == TRAINING_CAMERAS


@st.composite
def calibrations(draw: st.DrawFn) -> tuple[Camera, ...]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = (draw(st.integers(1, 9999)), draw(st.integers(1, 9999)))
    return tuple(
        camera_from_3dhp(
            name=str(index),
            size_px=size,
            focal_px=tuple(rng.uniform(10, 9000, 2)),
            centre_px=tuple(rng.uniform(-500, 5000, 2)),
            rotation=Rotation.random(rng=rng).as_matrix(),
            translation_mm=tuple(rng.uniform(-9000, 9000, 3)),
        )
        for index in range(14)
    )


@settings(max_examples=25, deadline=None)
@given(calibrations())
def test_any_calibration_survives_its_text(cameras):
    text = format_calibration(cameras)
    back = parse_calibration(text, PATH)
    for before, after in zip(cameras, back, strict=True):
        assert (after.name, after.size_px) == (before.name, before.size_px)
        np.testing.assert_allclose(after.focal_px, before.focal_px, rtol=5e-7)
        np.testing.assert_allclose(after.centre_px, before.centre_px, rtol=5e-7)
        np.testing.assert_allclose(after.rotation, before.rotation, atol=5e-7)
        np.testing.assert_allclose(after.translation, before.translation, rtol=5e-7)
    assert format_calibration(back) == text


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 14 * 7), st.sampled_from(["drop", "double", "first word", "last word", "one more"]))
def test_a_damaged_line_is_an_error_that_names_the_file(line, damage):
    lines = TEXT.splitlines()
    words = lines[line].split()
    if damage == "drop":
        lines[line : line + 1] = []
    elif damage == "double":
        lines[line : line + 1] = [lines[line]] * 2
    elif damage == "first word":
        lines[line] = " ".join(["wrong", *words[1:]])
    elif damage == "last word" and words[0] not in ("sensor", "animated"):  # these two say nothing we use
        lines[line] = " ".join([*words[:-1], "n4n"])
    elif damage == "one more" and words[0] not in ("sensor", "animated"):
        lines[line] += " 7"
    else:
        return
    with pytest.raises(RawDataError, match=r"S1/Seq1/camera\.calibration.*Restore the original file"):
        parse_calibration("\n".join(lines), PATH)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_any_other_text_is_refused_and_nothing_else_raised(text):
    with pytest.raises(RawDataError):
        parse_calibration(text, PATH)
    with pytest.raises(RawDataError):
        parse_calibration("Skeletool Camera Calibration File V1.0\n" + text, PATH)


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("V1.0", "V2.0", "first line 'Skeletool Camera Calibration File V2.0'"),
        ("name          3", "name          4", "camera name '4' at place 3"),
        ("  radial      0", "  radial      0.1", "radial distortion in camera 0"),
        ("1497.693 0 1024.704", "1497.693 0.5 1024.704", "intrinsic matrix of camera 0 that is no pinhole"),
        ("0.9650164", "0.9750164", "extrinsic matrix of camera 0 without a rotation"),
        ("2048 2048", "2048 204.8", "size 2048 x 204.8 of camera 0"),
        ("1497.693", "nan", "'intrinsic' of camera 0 with 16 values"),
        ("-562.8666", "-562,8666", "could not convert string to float: '-562,8666'"),
    ],
)
def test_errors_say_what_was_found(old, new, finding):
    with pytest.raises(RawDataError) as caught:
        parse_calibration(TEXT.replace(old, new, 1), PATH)
    assert finding in str(caught.value)
    assert caught.value.expected in str(caught.value)


def test_a_mirrored_extrinsic_is_refused():
    mirrored = TEXT.replace("0.9650164 0.00488022 0.262144 ", "-0.9650164 -0.00488022 -0.262144 ", 1)
    with pytest.raises(RawDataError, match=r"determinant \+1"):
        parse_calibration(mirrored, PATH)


def test_bytes_that_are_no_text(tmp_path: Path):
    path = tmp_path / "camera.calibration"
    path.write_bytes(b"\x89HDF\r\n\xff")
    with pytest.raises(RawDataError, match="not ASCII"):
        read_calibration(path)
