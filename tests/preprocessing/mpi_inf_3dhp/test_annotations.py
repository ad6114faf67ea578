"""Every way in which an annotation file can be wrong, and what the reader says of it."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.mpi_inf_3dhp.annotations import (
    read_test_annotations,
    read_training_annotations,
)
from poseshift.preprocessing.mpi_inf_3dhp.matlab import matlab_format


def rewrite_v5(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = {key: value for key, value in scipy.io.loadmat(path).items() if not key.startswith("__")}
    change(content)
    scipy.io.savemat(path, content)


def in_cell(
    key: str, camera: int, change: Callable[[np.ndarray], np.ndarray]
) -> Callable[[dict[str, Any]], None]:
    def apply(content: dict[str, Any]) -> None:
        content[key][camera, 0] = change(content[key][camera, 0])

    return apply


def with_gap(values: np.ndarray) -> np.ndarray:
    values[4, 10] = np.nan
    return values


def test_arrays_of_the_training_file(tree):
    annotations = read_training_annotations(tree.root / "S8" / "Seq2" / "annot.mat", max_frames=5)
    assert annotations.keypoints_px.shape == (14, 5, 28, 2)
    assert annotations.positions_camera_mm.shape == annotations.universal_camera_mm.shape == (14, 5, 28, 3)
    np.testing.assert_array_equal(annotations.frame_numbers, range(5))
    content = scipy.io.loadmat(tree.root / "S8" / "Seq2" / "annot.mat")
    # columns are x1 y1 z1 x2 ...
    assert annotations.positions_camera_mm[3, 2, 20, 1] == content["annot3"][3, 0][2, 61]
    assert annotations.keypoints_px[3, 2, 20, 1] == content["annot2"][3, 0][2, 41]


def test_arrays_of_the_test_file(tree):
    path = tree.test_set / "TS2" / "annot_data.mat"
    annotations = read_test_annotations(path)
    with h5py.File(path, "r") as file:
        np.testing.assert_array_equal(annotations.keypoints_px, np.squeeze(file["annot2"]))
        np.testing.assert_array_equal(annotations.positions_camera_mm, np.squeeze(file["annot3"]))
        np.testing.assert_array_equal(annotations.universal_camera_mm, np.squeeze(file["univ_annot3"]))
    np.testing.assert_array_equal(annotations.valid, tree.valid)
    np.testing.assert_array_equal(annotations.activity, tree.activity)
    assert (annotations.valid.dtype, annotations.activity.dtype) == (np.bool_, np.int8)


def test_formats_are_told_apart(tree, tmp_path):
    assert matlab_format(tree.root / "S1" / "Seq1" / "annot.mat") == "MATLAB v5"
    assert matlab_format(tree.test_set / "TS1" / "annot_data.mat") == "MATLAB v7.3"
    assert matlab_format(tree.root / "S1" / "Seq1" / "camera.calibration") == "no MATLAB file"
    with h5py.File(tmp_path / "without_user_block.mat", "w"):
        pass
    assert matlab_format(tmp_path / "without_user_block.mat") == "MATLAB v7.3"
    (tmp_path / "empty.mat").touch()
    assert matlab_format(tmp_path / "empty.mat") == "no MATLAB file"


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda content: content.pop("annot2"), "no annot2"),
        (lambda content: content.update(annot3=content["annot3"][:13]), "'annot3' with 13 cells"),
        (lambda content: content.update(annot3=np.zeros((9, 84))), "'annot3' with an array of shape (9, 84)"),
        (in_cell("annot2", 6, lambda cell: cell[:, :34]), "'annot2' of camera 6 with shape (9, 34)"),
        (in_cell("annot3", 6, lambda cell: cell[:, :56]), "'annot3' of camera 6 with shape (9, 56)"),
        (in_cell("annot3", 0, lambda cell: np.array(["text"])), "cell 0 of 'annot3' of char"),
        (in_cell("univ_annot3", 2, lambda cell: cell[:7]), "arrays of 7 and 9 rows"),
        (lambda content: content.update(frames=content["frames"][:8]), "arrays of 8 and 9 rows"),
        (lambda content: content.update(frames=np.array(["a"] * 9)), "'frames' of char"),
        (in_cell("annot2", 13, with_gap), "(NaN) in 1 rows of annot2 of camera 13, first in row 4"),
        (lambda content: content.update(cameras=content["cameras"][:, ::-1]), "cameras [13, 12, 11"),
    ],
)
def test_damage_to_the_training_file_is_named(own_tree, change, finding):
    path = own_tree.root / "S1" / "Seq1" / "annot.mat"
    rewrite_v5(path, change)
    with pytest.raises(RawDataError) as caught:
        read_training_annotations(path)
    assert str(path) in str(caught.value)
    assert finding in str(caught.value)
    assert caught.value.remedy.startswith(("Download", "Restore"))


def test_gaps_beyond_the_official_frames_do_not_matter(own_tree):
    path = own_tree.root / "S1" / "Seq1" / "annot.mat"
    rewrite_v5(path, in_cell("annot2", 13, with_gap))
    assert read_training_annotations(path, max_frames=4).keypoints_px.shape[1] == 4


@pytest.mark.parametrize("length", [0, 100, 300, 20000])
def test_a_cut_training_file_is_damaged_or_none(own_tree, length):
    path = own_tree.root / "S1" / "Seq1" / "annot.mat"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(RawDataError, match=r"no MATLAB file|damaged file|no annot"):
        read_training_annotations(path)


@pytest.mark.parametrize("length", [0, 100, 512, 3000])
def test_a_cut_test_file_is_damaged_or_none(own_tree, length):
    path = own_tree.test_set / "TS1" / "annot_data.mat"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(RawDataError, match=r"no MATLAB file|damaged file"):
        read_test_annotations(path)


def save_as_v73(path):
    """Save a training file as MATLAB does with -v7.3: axes in reverse, cells as references to arrays."""
    content = scipy.io.loadmat(path)
    path.unlink()
    with h5py.File(path, "w", userblock_size=512) as file:
        cells = file.create_group("#refs#")
        for key in ("annot2", "annot3", "univ_annot3"):
            array = file.create_dataset(key, content[key].shape[::-1], dtype=h5py.ref_dtype)
            for row, cell in enumerate(content[key].ravel()):
                stored = cells.create_dataset(f"{key}{row}", data=cell.T, compression="gzip")
                array[0, row] = stored.ref
        for key in ("cameras", "frames"):
            file[key] = content[key].T


def test_a_training_file_that_was_saved_as_v73_is_read(own_tree):
    path = own_tree.root / "S1" / "Seq1" / "annot.mat"
    before = read_training_annotations(path)
    save_as_v73(path)
    assert matlab_format(path) == "MATLAB v7.3"
    after = read_training_annotations(path)
    for name in ("keypoints_px", "positions_camera_mm", "universal_camera_mm", "frame_numbers"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_a_test_file_that_was_saved_as_v5_is_read(own_tree):
    path = own_tree.test_set / "TS1" / "annot_data.mat"
    before = read_test_annotations(path)
    keys = ("annot2", "annot3", "univ_annot3", "valid_frame", "activity_annotation")
    with h5py.File(path, "r") as file:
        content = {key: file[key][()].T for key in keys}
    scipy.io.savemat(path, content, format="5", do_compression=True)
    assert matlab_format(path) == "MATLAB v5"
    after = read_test_annotations(path)
    for name in ("keypoints_px", "positions_camera_mm", "universal_camera_mm", "valid", "activity"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


@pytest.mark.parametrize("target", ["outside", "group", "nothing", "text"])
def test_cells_that_are_no_arrays_of_the_file_are_refused(own_tree, target):
    path = own_tree.root / "S1" / "Seq1" / "annot.mat"
    save_as_v73(path)
    with h5py.File(path, "r+") as file:
        cells = file["#refs#"]
        if target == "outside":
            outside = h5py.VirtualLayout((4, 4), "f8")
            outside[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 4))
            file["annot2"][0, 3] = cells.create_virtual_dataset("out", outside).ref
        elif target == "group":
            file["annot2"][0, 3] = cells.create_group("g").ref
        elif target == "text":
            file["annot2"][0, 3] = cells.create_dataset("t", data=np.bytes_("text")).ref
        else:
            file["annot2"][0, 3] = h5py.Reference()
    with pytest.raises(RawDataError, match=r"annot\.mat.*annot2"):
        read_training_annotations(path)


def test_each_kind_of_matlab_file_in_the_place_of_the_other(tree):
    with pytest.raises(RawDataError, match=r"found no cameras, frames"):
        read_training_annotations(tree.test_set / "TS1" / "annot_data.mat")
    with pytest.raises(RawDataError, match=r"found no valid_frame, activity_annotation"):
        read_test_annotations(tree.root / "S1" / "Seq1" / "annot.mat")
    with pytest.raises(RawDataError, match="found no file"):
        read_training_annotations(tree.root / "S2" / "Seq1" / "annot.mat")


def replace(key: str, values: np.ndarray) -> Callable[[h5py.File], None]:
    def apply(file: h5py.File) -> None:
        del file[key]
        file[key] = values

    return apply


def assign(key: str, row: int, value: float) -> Callable[[h5py.File], None]:
    def apply(file: h5py.File) -> None:
        file[key][row] = value

    return apply


def claim_rows(rows: int) -> Callable[[h5py.File], None]:
    """An array of any size without a byte of values."""

    def apply(file: h5py.File) -> None:
        del file["annot3"]
        file.create_dataset("annot3", shape=(rows, 1, 17, 3), chunks=(256, 1, 17, 3), dtype="f8")

    return apply


def compress_a_bomb(file: h5py.File) -> None:
    """A chunk of 9 rows that inflates to 16 MB."""
    del file["annot3"]
    values = file.create_dataset(
        "annot3", (9, 1, 17, 3), dtype="f8", chunks=(9, 1, 17, 3), compression="gzip"
    )
    values.id.write_direct_chunk((0, 0, 0, 0), zlib.compress(bytes(2**24)))


def replace_compressed(method: str) -> Callable[[h5py.File], None]:
    def apply(file: h5py.File) -> None:
        del file["annot3"]
        file.create_dataset("annot3", data=np.zeros((9, 1, 17, 3)), compression=method)

    return apply


def link(target: h5py.SoftLink | h5py.ExternalLink) -> Callable[[h5py.File], None]:
    def apply(file: h5py.File) -> None:
        del file["annot3"]
        file["annot3"] = target

    return apply


def store_elsewhere(file: h5py.File) -> None:
    """Values that are the bytes of another file."""
    del file["annot3"]
    file.create_dataset("annot3", shape=(1, 1, 17, 3), dtype="u1", external=[("/etc/passwd", 0, 51)])


def gather_from_elsewhere(file: h5py.File) -> None:
    """Values that HDF5 gathers from another HDF5 file."""
    del file["annot3"]
    layout = h5py.VirtualLayout(shape=(9, 1, 17, 3), dtype="f8")
    layout[:] = h5py.VirtualSource("secret.mat", "annot3", shape=(9, 1, 17, 3))
    file.create_virtual_dataset("annot3", layout)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda file: file.pop("valid_frame"), "no valid_frame"),
        (replace("annot3", np.zeros((9, 17, 3))), "'annot3' of shape (9, 17, 3); expected (N, 1, 17, 3)"),
        (replace("annot3", np.zeros((8, 1, 17, 3))), "'annot3' of shape (8, 1, 17, 3)"),
        (replace("annot2", np.zeros((0, 1, 17, 2))), "'annot2' of shape (0, 1, 17, 2)"),
        (replace("annot2", np.zeros(())), "'annot2' of shape ()"),
        (replace("valid_frame", np.ones(9)), "'valid_frame' of shape (9,); expected (N, 1)"),
        (assign("valid_frame", 2, 0.5), "0.5 in row 2 of 'valid_frame'"),
        (assign("activity_annotation", 3, 8), "8 in row 3 of 'activity_annotation'"),
        (assign("univ_annot3", 4, np.nan), "(NaN) in 1 rows of univ_annot3, first in row 4"),
        (
            lambda file: (file.pop("annot2"), file.create_group("annot2")),
            "'annot2' that is no array of this file",
        ),
        (replace("annot2", np.array([b"text"])), "'annot2' of type |S4"),
        (claim_rows(10**9), "'annot3' of shape (1000000000, 1, 17, 3)"),
        (compress_a_bomb, "'annot3' with compressed values that are more than its shape"),
        (replace_compressed("lzf"), "'annot3' with compressed values"),
        (link(h5py.SoftLink("/valid_frame")), "'annot3' that is no array of this file"),
        (link(h5py.ExternalLink("secret.mat", "/annot3")), "'annot3' that is no array of this file"),
        (store_elsewhere, "'annot3' that is no array of this file"),
        (gather_from_elsewhere, "'annot3' that is no array of this file"),
    ],
)
def test_damage_to_the_test_file_is_named(own_tree, change, finding):
    path = own_tree.test_set / "TS1" / "annot_data.mat"
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(RawDataError) as caught:
        read_test_annotations(path)
    assert str(path) in str(caught.value)
    assert finding in str(caught.value)
    assert caught.value.remedy.startswith(("Download", "Restore"))


def test_gaps_in_invalid_rows_are_kept(own_tree):
    path = own_tree.test_set / "TS1" / "annot_data.mat"
    with h5py.File(path, "r+") as file:
        file["annot3"][0] = np.nan  # row 0 is not valid
    assert np.isnan(read_test_annotations(path).positions_camera_mm[0]).all()
