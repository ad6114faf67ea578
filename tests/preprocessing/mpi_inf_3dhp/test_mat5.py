"""MATLAB v5 files as SciPy writes them give what was written; files that lie about themselves are refused."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from poseshift.preprocessing.mpi_inf_3dhp import mat5
from poseshift.preprocessing.mpi_inf_3dhp.mat5 import Mat5Error, read_mat5

NUMBERS = st.sampled_from(["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]).flatmap(
    lambda dtype: arrays(dtype, array_shapes(min_dims=2, max_dims=3, max_side=4))
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=NUMBERS, cells=st.lists(NUMBERS, min_size=1, max_size=4), compressed=st.booleans())
def test_what_scipy_writes(tmp_path: Path, number: np.ndarray, cells: list, compressed: bool) -> None:
    cell = np.empty((len(cells), 1), dtype=object)
    cell[:, 0] = [*cells]
    path = tmp_path / "some.mat"
    content = {"number": number, "text": "skipped", "cell": cell, "other": 1j}
    scipy.io.savemat(path, content, format="5", do_compression=compressed)
    found = read_mat5(path, ("number", "cell", "absent"))
    assert set(found) == {"number", "cell"}
    assert found["number"].dtype == number.dtype
    np.testing.assert_array_equal(found["number"], number)
    assert found["cell"].shape == (len(cells), 1)
    for mine, theirs in zip(found["cell"][:, 0], cells, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def element(kind: int, data: bytes, order: str = "<") -> bytes:
    padding = 0 if kind == 15 else -len(data) % 8
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(padding)


def small(kind: int, data: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}I", len(data) << 16 | kind) + data.ljust(4, b"\0")


def matrix(
    values: bytes,
    matlab_class: int = 6,
    shape: tuple[int, ...] = (1, 2),
    name: bytes = b"x",
    order: str = "<",
) -> bytes:
    flags = element(6, struct.pack(f"{order}II", matlab_class, 0), order)
    dimensions = element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
    return element(14, flags + dimensions + small(1, name, order) + values, order)


def mat_file(path: Path, body: bytes, order: str = "<") -> Path:
    path.write_bytes(
        b"MATLAB 5.0 MAT-file".ljust(124) + (b"\x00\x01IM" if order == "<" else b"\x01\x00MI") + body
    )
    return path


@pytest.mark.parametrize("order", ["<", ">"])
def test_doubles_that_matlab_stored_as_bytes_in_either_order(tmp_path: Path, order: str) -> None:
    path = mat_file(tmp_path / "a.mat", matrix(small(2, b"\x07\xff", order), order=order), order)
    found = read_mat5(path, ("x",))["x"]
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [[7, 255]])
    np.testing.assert_array_equal(scipy.io.loadmat(path)["x"], found)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (matrix(element(9, bytes(8))), "8 bytes for"),
        (matrix(element(9, bytes(16)), shape=(1, -2)), "a matrix of shape"),
        (matrix(element(9, bytes(16)), shape=(2**30, 2**30)), "16 bytes for"),
        (matrix(element(77, bytes(16))), "without numbers"),
        (matrix(b""), "without numbers"),
        (matrix(element(9, bytes(16)), matlab_class=6 | 0x800), "complex"),
        (matrix(element(9, bytes(16)), matlab_class=4), "char"),
        (matrix(matrix(element(9, bytes(16))), matlab_class=1), "1 cells"),
        (matrix(element(9, bytes(16)) * 2, matlab_class=1), "type 9 as cell 0"),
        (matrix(element(9, bytes(16)))[:-8], "are left"),
        (element(14, element(9, bytes(8))), "without its flags"),
        (struct.pack("<II", 14, 2**32 - 1), "are left"),
        (b"\x01\x00\x09\x00", "in the place of a tag"),
        (element(15, b"no zlib stream"), "do not inflate"),
        (
            element(15, zlib.compress(matrix(element(9, bytes(16))))[:-12]),
            "are left|do not inflate|place of a tag",
        ),
    ],
)
def test_lies_are_refused(tmp_path: Path, body: bytes, says: str) -> None:
    with pytest.raises(Mat5Error, match=says):
        read_mat5(mat_file(tmp_path / "a.mat", body), ("x",))


def test_a_bomb_is_not_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mat5, "MAX_VARIABLE_BYTES", 100_000)
    bomb = zlib.compress(matrix(element(9, bytes(8 * 10**6)), shape=(1, 10**6)))
    assert len(bomb) < 10_000
    with pytest.raises(Mat5Error, match="more than 100000 bytes"):
        read_mat5(mat_file(tmp_path / "a.mat", element(15, bomb)), ("x",))
    assert read_mat5(tmp_path / "a.mat", ("y",)) == {}


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(Mat5Error, match="no header"):
        read_mat5(path, ("x",))
