"""Pose files against two other readers, and files that are damaged or not what they should be."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pycdfpp
import pytest
from cdflib.cdfwrite import CDF as CDFWriter  # noqa: N811
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.human36m.cdf import read_pose, write_pose


def write_odd(path: Path, array: np.ndarray[Any, Any], *, name: str = "Pose", **choices: Any) -> None:
    """Write a CDF as cdflib's defaults have it, but for the choices given."""
    header = {"Majority": choices.get("majority", "Row_major"), "Compressed": choices.get("compressed", 0)}
    variable = {
        "Variable": name,
        "Data_Type": choices.get("data_type", 44),
        "Num_Elements": 1,
        "Rec_Vary": True,
        "Dim_Sizes": list(array.shape[1:]),
        "Compress": choices.get("compress", 0),
    }
    writer = CDFWriter(path, cdf_spec=header, delete=True)
    writer.write_var(variable, var_data=array)
    writer.close()


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.float32, (5, 32, 3), elements=st.floats(-6000, 6000, width=32)))
def test_an_independent_reader_sees_the_same_values(
    tmp_path_factory: pytest.TempPathFactory, poses: Any
) -> None:
    path = tmp_path_factory.mktemp("cdf") / "Directions 1.cdf"
    write_pose(path, poses)
    np.testing.assert_array_equal(read_pose(path, 32, 3), poses)
    independent = pycdfpp.load(str(path))
    assert np.asarray(independent["Pose"].values).shape == (1, 5, 96)
    np.testing.assert_array_equal(np.asarray(independent["Pose"].values).reshape(5, 32, 3), poses)


def test_the_header_is_that_of_the_release(tmp_path: Path) -> None:
    path = tmp_path / "Directions 1.54138969.cdf"
    write_pose(path, np.ones((9, 32, 2)))
    independent = pycdfpp.load(str(path))
    variable = independent["Pose"]
    assert tuple(independent.distribution_version) == (3, 3, 0)
    assert independent.majority == pycdfpp.Majority.column
    assert independent.compression == pycdfpp.CompressionType.no_compression
    assert variable.type == pycdfpp.DataType.CDF_FLOAT
    assert variable.compression == pycdfpp.CompressionType.no_compression
    assert not variable.is_nrv
    assert list(independent) == ["Pose"]
    assert not list(independent.attributes)
    assert path.read_bytes()[:8].hex() == "cdf300010000ffff"


def test_doubles_row_major_and_compressed_variables_are_read_too(tmp_path: Path) -> None:
    poses = np.random.default_rng(3).normal(900, 300, (1, 40, 96))
    for choices in ({"data_type": 45}, {"data_type": 45, "compress": 6}):
        write_odd(tmp_path / "a.cdf", poses, **choices)
        read = read_pose(tmp_path / "a.cdf", 32, 3)
        assert read.dtype == np.float64
        assert read.flags.c_contiguous
        np.testing.assert_array_equal(read, poses.reshape(40, 32, 3))


@pytest.mark.parametrize(
    ("array", "choices", "found"),
    [
        (np.ones((1, 6, 95), np.float32), {}, "95 columns"),
        (np.ones((1, 6, 64), np.float32), {}, "64 columns"),
        (np.ones((1, 6, 96), np.float32), {"name": "Other"}, "Other"),
        (np.ones((2, 6, 96), np.float32), {}, "2 records"),
        (np.ones((1, 6, 32, 3), np.float32), {}, "3 dimensions"),
        (np.ones((1, 6, 96), np.int32), {"data_type": 4}, "type 4"),
        (np.ones((1, 6, 96), np.float32), {"compressed": 6}, "compressed as a whole"),
    ],
)
def test_other_contents_are_named(
    tmp_path: Path, array: np.ndarray[Any, Any], choices: dict[str, Any], found: str
) -> None:
    path = tmp_path / "Directions 1.cdf"
    write_odd(path, array, **choices)
    with pytest.raises(RawDataError, match=found) as caught:
        read_pose(path, 32, 3)
    assert caught.value.path == path


def test_not_a_number_is_found_with_its_row(tmp_path: Path) -> None:
    poses = np.ones((6, 32, 3))
    poses[4, 7, 1] = np.nan
    write_pose(tmp_path / "a.cdf", poses)
    with pytest.raises(RawDataError, match="row 4"):
        read_pose(tmp_path / "a.cdf", 32, 3)


@pytest.mark.parametrize("content", [b"", b"\xcd\xf3", b"PK\x03\x04" + bytes(500), bytes(5000)])
def test_files_that_are_no_cdf(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.cdf").write_bytes(content)
    with pytest.raises(RawDataError, match=r"a\.cdf"):
        read_pose(tmp_path / "a.cdf", 32, 3)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.cdf", tmp_path):
        with pytest.raises(RawDataError, match="no readable file"):
            read_pose(path, 32, 3)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.cdf"
    write_pose(path, np.ones((3, 32, 3)))
    whole = path.read_bytes()
    for length in [*range(0, len(whole) - 1, 37), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(RawDataError):
            read_pose(path, 32, 3)


@pytest.mark.parametrize("value", [0, 1, -1, 8, 2**31 - 1, -(2**31)])
def test_damage_anywhere_in_the_header_gives_poses_or_a_clear_error(tmp_path: Path, value: int) -> None:
    path = tmp_path / "damaged.cdf"
    write_pose(path, np.ones((3, 32, 3)))
    whole = path.read_bytes()
    refused = 0
    for at in range(0, len(whole) - 3 * 96 * 4, 4):
        content = bytearray(whole)
        struct.pack_into(">i", content, at, value)
        path.write_bytes(content)
        try:
            poses = read_pose(path, 32, 3)
        except RawDataError:
            refused += 1
        else:
            assert poses.shape[1:] == (32, 3)
            assert len(poses) <= 3
            assert np.isfinite(poses).all()
    assert refused > 20


def test_a_claim_of_gigabytes_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.cdf"
    write_pose(path, np.ones((3, 32, 3)))
    content = bytearray(path.read_bytes())
    shape = content.index(struct.pack(">ii", 3, 96))
    struct.pack_into(">i", content, shape, 20_000_000)
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(RawDataError, match="7680000000"):
        read_pose(path, 32, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_a_compressed_variable_may_not_inflate_beyond_its_claim(tmp_path: Path) -> None:
    path = tmp_path / "a.cdf"
    write_odd(path, np.zeros((1, 20_000, 96), np.float32), compress=9)
    content = bytearray(path.read_bytes())
    struct.pack_into(">i", content, content.index(struct.pack(">ii", 20_000, 96)), 10)
    path.write_bytes(content)
    with pytest.raises(RawDataError, match="inflate to more than the 3840 bytes"):
        read_pose(path, 32, 3)


def test_an_index_that_points_at_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.cdf"
    write_pose(path, np.ones((3, 32, 3)))
    content = bytearray(path.read_bytes())
    variable = content.index(b"Pose\0") - 84
    (index,) = struct.unpack_from(">q", content, variable + 28)
    struct.pack_into(">q", content, index + 12, index)
    path.write_bytes(content)
    with pytest.raises(RawDataError, match="returns to itself"):
        read_pose(path, 32, 3)
