"""Plain members are read without pickle; object members only on request, and then without code."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseshift.storage.exchange.npz import ExchangeError, read_npz


class Attack:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (os.system, ("touch was-run",))


def save_objects(path: Path, **members: Any) -> Path:
    np.savez_compressed(path, **{name: np.array(value, dtype=object) for name, value in members.items()})
    return path


def test_plain_arrays_need_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "plain.npz"
    np.savez(path, a=np.asfortranarray(np.eye(3)), names=np.array(["x", "yy"]), n=np.float32(2))
    content = read_npz(path)
    np.testing.assert_array_equal(content["a"], np.eye(3))
    assert content["names"].tolist() == ["x", "yy"]
    assert content["n"] == 2


def test_objects_are_refused_unless_asked_for_and_the_message_says_why(tmp_path: Path) -> None:
    path = save_objects(tmp_path / "objects.npz", positions_3d={"S1": {"Walking": np.ones((2, 3))}})
    with pytest.raises(ExchangeError, match="pickle can name code to run") as refusal:
        read_npz(path)
    assert "object_arrays='restricted'" in str(refusal.value)
    assert str(path) in str(refusal.value)
    assert pickle.loads(pickle.dumps(refusal.value)).problem == refusal.value.problem  # noqa: S301
    content = read_npz(path, "restricted")
    np.testing.assert_array_equal(content["positions_3d"]["S1"]["Walking"], np.ones((2, 3)))


def test_an_attack_is_refused_even_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = save_objects(tmp_path / "attack.npz", data={"S1": Attack()})
    with pytest.raises(ExchangeError, match="system, which is not plain data"):
        read_npz(path, "restricted")
    assert not Path("was-run").exists()


def npy(header: str, body: bytes = b"") -> bytes:
    padded = header.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + body


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,)}"), "0 bytes for an array"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", bytes(8)), "8 bytes for an array"),
        (npy("{'descr': '<f8', 'fortran_order': False, 'shape': (2,"), "cannot be read"),
        (npy("((((("), "cannot be read"),
        (b"\x93NUMPY\x09\x00", "npy version"),
        (npy("{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}", b"\xff" * 4), "not Unicode"),
        (npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", bytes(4)), "with fields"),
        (b"", "cannot be read"),
    ],
)
def test_a_header_is_not_believed(tmp_path: Path, member: bytes, message: str) -> None:
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", member)
    with pytest.raises(ExchangeError, match=message):
        read_npz(path)


def test_a_bomb_is_not_inflated(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, a=np.zeros(1_000_000))
    assert path.stat().st_size < 10_000
    with pytest.raises(ExchangeError, match="at most 1000000 are believed"):
        read_npz(path, max_bytes=1_000_000)


def test_other_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(b"not a zip")
    with pytest.raises(ExchangeError, match="not an npz file"):
        read_npz(path)
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "none.npz")
