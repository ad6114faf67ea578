"""Written files against readers that share no code with the writers: scipy (v5), mat73 and h5py (v7.3)."""

from pathlib import Path

import h5py
import mat73
import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from poseshift.preprocessing.mpi_inf_3dhp import layout, write

RELEVANT_17_OF_28 = [
    7,
    5,
    14,
    15,
    16,
    9,
    10,
    11,
    23,
    24,
    25,
    18,
    19,
    20,
    4,
    3,
    6,
]  # mpii_get_joint_set.m, from 0
BLENDED_OF_28 = [3, 18, 23]


def six_digits(values: np.ndarray) -> np.ndarray:
    return np.array([float(f"{value:.6g}") for value in values.ravel()]).reshape(values.shape)


def raw_calibration(path: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """K and [R|t] of each camera, straight from the text."""
    words = [line.split() for line in path.read_text().splitlines()]
    intrinsic = [
        np.reshape(np.array(line[1:], float), (4, 4))[:3, :3] for line in words if line[0] == "intrinsic"
    ]
    extrinsic = [
        np.reshape(np.array(line[1:], float), (4, 4))[:3] for line in words if line[0] == "extrinsic"
    ]
    return list(zip(intrinsic, extrinsic, strict=True))


def test_training_file_has_the_variables_of_the_release(tree):
    content = scipy.io.loadmat(tree.root / "S1" / "Seq1" / "annot.mat")
    assert {key for key in content if not key.startswith("__")} == {
        "annot2",
        "annot3",
        "univ_annot3",
        "cameras",
        "frames",
    }
    assert content["__header__"].startswith(b"MATLAB 5.0 MAT-file")
    for key, columns in (("annot2", 56), ("annot3", 84), ("univ_annot3", 84)):
        assert content[key].shape == (14, 1)
        assert {(cell.shape, str(cell.dtype)) for cell in content[key].ravel()} == {((9, columns), "float64")}
    assert (content["cameras"].shape, content["cameras"].dtype) == ((1, 14), np.uint8)
    np.testing.assert_array_equal(content["cameras"][0], range(14))
    assert (content["frames"].shape, content["frames"].dtype) == ((9, 1), np.uint16)
    np.testing.assert_array_equal(content["frames"][:, 0], range(9))


def test_training_values_are_projections_by_the_written_calibration(tree):
    folder = tree.root / "S1" / "Seq1"
    content = scipy.io.loadmat(folder / "annot.mat")
    world_mm = tree.world_mm["S1/Seq1"]
    for index, (intrinsic, extrinsic) in enumerate(raw_calibration(folder / "camera.calibration")):
        in_camera = world_mm @ extrinsic[:, :3].T + extrinsic[:, 3]
        homogeneous = in_camera @ intrinsic.T
        annot3 = content["annot3"][index, 0].reshape(-1, 28, 3)
        annot2 = content["annot2"][index, 0].reshape(-1, 28, 2)
        np.testing.assert_allclose(annot3, in_camera, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(annot2, homogeneous[..., :2] / homogeneous[..., 2:], rtol=1e-5)
        exact = np.delete(annot3, BLENDED_OF_28, axis=1), np.delete(annot2, BLENDED_OF_28, axis=1)
        for values in exact:
            np.testing.assert_array_equal(values, six_digits(values))
        universal = content["univ_annot3"][index, 0].reshape(-1, 28, 3)
        np.testing.assert_array_equal(universal[:, 4], annot3[:, 4])
        np.testing.assert_allclose(universal - annot3[:, 4:5], 1.08 * (annot3 - annot3[:, 4:5]), atol=1e-9)


def test_test_file_has_the_layout_of_the_release(tree):
    path = tree.test_set / "TS5" / "annot_data.mat"
    head = path.read_bytes()[:520]
    assert head.startswith(b"MATLAB 7.3 MAT-file, ")
    assert b" HDF5 schema 1.00 ." in head[:116]
    assert head[124:128] == b"\x00\x02IM"
    assert head[512:] == b"\x89HDF\r\n\x1a\n"
    with h5py.File(path, "r") as file:
        assert file.userblock_size == 512
        assert set(file) == {
            "#refs#",
            "activity_annotation",
            "annot2",
            "annot3",
            "bb_crop",
            "univ_annot3",
            "valid_frame",
        }
        for key, last in (("annot2", 2), ("annot3", 3), ("univ_annot3", 3)):
            assert (file[key].shape, file[key].dtype) == ((9, 1, 17, last), np.float64)
            assert (file[key].compression, file[key].compression_opts) == ("gzip", 3)
            assert file[key].chunks is not None
            assert file[key].attrs["MATLAB_class"] == b"double"
        for key in ("valid_frame", "activity_annotation"):
            assert (file[key].shape, file[key].dtype, file[key].chunks) == ((9, 1), np.float64, None)
        assert file["bb_crop"].attrs["MATLAB_class"] == b"cell"
        assert file["bb_crop"].shape == (9, 1)
        boxes = [file[reference][()] for reference in file["bb_crop"][:, 0]]
        assert {box.shape for box in boxes} == {(34, 1)}


def test_test_values_by_mat73(tree):
    content = mat73.loadmat(tree.test_set / "TS5" / "annot_data.mat")
    camera_mm = tree.camera_mm["TS5"]
    annot3 = np.moveaxis(content["annot3"][:, :, 0], -1, 0).swapaxes(1, 2)  # MATLAB's 3 x 17 x 1 x N
    annot2 = np.moveaxis(content["annot2"][:, :, 0], -1, 0).swapaxes(1, 2)
    universal = np.moveaxis(content["univ_annot3"][:, :, 0], -1, 0).swapaxes(1, 2)
    np.testing.assert_allclose(annot3, camera_mm, rtol=1e-5)
    expected = camera_mm[..., :2] / camera_mm[..., 2:] * (1683.98346, 1672.59371) + (939.85754, 560.14074)
    np.testing.assert_allclose(annot2, expected, rtol=1e-5)
    np.testing.assert_allclose(universal - annot3[:, 14:15], 1.08 * (annot3 - annot3[:, 14:15]), atol=1e-9)
    np.testing.assert_array_equal(content["valid_frame"], tree.valid)
    np.testing.assert_array_equal(content["activity_annotation"], tree.activity)
    assert len(content["bb_crop"]) == 9


@settings(max_examples=300, deadline=None)
@given(st.floats(1e-15, 1e15) | st.floats(-1e15, -1e-15) | st.just(0.0))
def test_rounding_is_that_of_text(value):
    # A value exactly between two roundings may go either way; both are within half a unit of the sixth digit.
    rounded = float(write.round_significant(value))
    assert rounded == pytest.approx(float(f"{value:.6g}"), rel=1.1e-5, abs=0)
    assert rounded == float(f"{rounded:.6g}")
    assert abs(rounded - value) <= 0.5000001 * 10.0 ** np.floor(np.log10(max(abs(value), 1e-300)) - 5)


def test_calibration_files_of_the_test_set(tree):
    folder = tree.test_set / "test_util" / "camera_calibration"
    assert {path.name for path in folder.iterdir()} == {"ts1-4cameras.calib", "ts5-6cameras.calib"}
    words = dict(
        line.partition("#")[0].split(maxsplit=1)
        for line in (folder / "ts5-6cameras.calib").read_text().splitlines()[1:]
    )
    assert words["focalLength"].strip() == "8.770747185"
    assert words["origin"].split() == ["-2104.3074", "1038.6707", "-4596.6367"]


def test_impossible_requests_are_refused(tmp_path):
    standing = np.tile((0.0, 1000.0, 0.0), (2, 28, 1))
    for subject, sequence in ((9, 1), (1, 3)):
        with pytest.raises(ValueError, match="no training sequence"):
            write.write_training_sequence(tmp_path, subject, sequence, standing, 1.0)
    with pytest.raises(ValueError, match=r"positions_world_mm has shape \(2, 17, 3\)"):
        write.write_training_sequence(tmp_path, 1, 1, standing[:, :17], 1.0)
    outside = np.tile((0.0, 1000.0, 9000.0), (2, 28, 1))
    with pytest.raises(ValueError, match="S1/Seq1 before camera 0: a joint in frame 0 is not in front"):
        write.write_training_sequence(tmp_path, 1, 1, outside, 1.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "TS7"}, "no test sequence TS7"),
        ({"positions_camera_mm": np.ones((2, 28, 3))}, "positions_camera_mm has shape"),
        ({"positions_camera_mm": -np.ones((2, 17, 3))}, "frame 0 is not in front of the camera"),
        ({"positions_camera_mm": np.full((2, 17, 3), np.nan)}, "frame 0 is not in front of the camera"),
        ({"valid": np.ones(3, bool)}, "valid has shape"),
        ({"activity": np.array([1, 8])}, r"activities \[8\]; expected 1 to 7"),
    ],
)
def test_impossible_test_sequences_are_refused(tmp_path, change, message):
    good = {
        "name": "TS1",
        "positions_camera_mm": np.ones((2, 17, 3)),
        "camera": layout.TEST_CAMERAS["TS1"],
        "valid": np.ones(2, bool),
        "activity": np.ones(2, int),
        "universal_scale": 1.0,
    }
    with pytest.raises(ValueError, match=message):
        write.write_test_sequence(tmp_path, **{**good, **change})
    assert not list(tmp_path.iterdir())
