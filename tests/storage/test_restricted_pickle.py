"""Plain data passes, code does not: nothing that a pickle names is run."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseshift.storage.restricted_pickle import load_plain_data

MARKER = "was-run"


class Calls:
    """Pickles to a call of any function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def reload(value: Any, protocol: int = 4) -> Any:
    return load_plain_data(io.BytesIO(pickle.dumps(value, protocol=protocol)))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_arrays_of_every_kind_pass(protocol: int) -> None:
    arrays = [
        np.arange(6, dtype="<f4").reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([True, False]),
        np.array(["TS1", "Übung"]),
        np.array(3, dtype=np.int8),
        np.zeros((0, 17, 3)),
        np.array([{"a": [1, (2, 3.5)]}, None], dtype=object),
    ]
    for array in arrays:
        loaded = reload(array, protocol)
        assert loaded.dtype == array.dtype
        np.testing.assert_array_equal(loaded, array)
    scalar = reload({"x": np.float32(1.5), "y": np.int64(3)}, protocol)
    assert scalar == {"x": np.float32(1.5), "y": np.int64(3)}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=10,
)


@settings(max_examples=50, deadline=None)
@given(value=PLAIN, protocol=st.integers(3, 4))
def test_plain_data_passes(value: Any, protocol: int) -> None:
    assert reload(value, protocol) == value


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, (f"touch {MARKER}",), "system"),
        (eval, (f"open({MARKER!r}, 'w')",), "eval"),
        (exec, (f"open({MARKER!r}, 'w')",), "exec"),
        (open, (MARKER, "w"), "open"),
        (getattr, (np.ndarray, "tofile"), "getattr"),
        (np.load, (MARKER,), "load"),
        (np.fromfile, (MARKER,), "fromfile"),
        (Path, (MARKER,), "Path"),
        (__import__, ("antigravity",), "__import__"),
    ],
)
def test_code_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    function: Any,
    arguments: tuple[Any, ...],
    name: str,
    protocol: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    hidden = np.array({"S1": [np.zeros(3), Calls(function, *arguments)]}, dtype=object)
    with pytest.raises(pickle.UnpicklingError, match=f"names .*{name}.*not plain data"):
        reload(hidden, protocol)
    assert not (tmp_path / MARKER).exists()


def test_dotted_names_reach_no_attributes() -> None:
    # Protocol 4 looks attributes up through dots: numpy.ndarray.tofile must not come with numpy.ndarray.
    attack = b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93."
    assert any(opcode.name == "STACK_GLOBAL" for opcode, _, _ in pickletools.genops(attack))
    with pytest.raises(pickle.UnpicklingError, match=r"numpy\.ndarray\.tofile"):
        load_plain_data(io.BytesIO(attack))


def test_other_codecs_and_outside_objects_are_refused() -> None:
    codec = b"c_codecs\nencode\n(Vabc\nVrot13\ntR."
    with pytest.raises(pickle.UnpicklingError, match="rot13"):
        load_plain_data(io.BytesIO(codec))
    with pytest.raises(pickle.UnpicklingError, match="outside the file"):
        load_plain_data(io.BytesIO(b"Pelsewhere\n."))


class BuildsArray:
    """Pickles to an array with a state of the attacker's choice."""

    def __init__(self, *state: Any) -> None:
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        return (np._core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), self.state)


class BuildsDtype:
    """Pickles to a dtype with a state of the attacker's choice."""

    def __init__(self, name: str, *state: Any) -> None:
        self.name = name
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        return (np.dtype, (self.name, False, True), self.state)


FAR_AWAY = BuildsDtype("V8", 3, "|", None, ("a",), {"a": (np.dtype("f8"), 10**12)}, 8, 1, 0)
"""A field whose offset leads out of the array: NumPy reads there, and the process dies."""


@pytest.mark.parametrize(
    "attack",
    [
        BuildsArray(1, (2,), FAR_AWAY, False, bytes(16)),
        BuildsArray(1, (2,), BuildsDtype("f8", 3, "|", None, ("a",), {"a": 1}, 8, 1, 0), False, bytes(16)),
        BuildsArray(1, (2,), BuildsDtype("f8", 3, "<", (np.dtype("f8"), (9,)), None, None, 8, 1, 0), 0, b"x"),
        BuildsArray(1, (10**9,), np.dtype("f8"), False, bytes(16)),
        BuildsArray(1, (-1,), np.dtype("f8"), False, bytes(16)),
        BuildsArray(1, (2**40, 2**40), np.dtype("f8"), False, b""),
        BuildsArray(1, (2,), np.dtype("O"), False, bytes(16)),
        BuildsArray(1, (3,), np.dtype("O"), False, [1, 2]),
        BuildsArray(1, (1,), np.dtype("<U1"), False, b"\xff\xff\xff\x7f"),
        BuildsArray(1, (1,), np.dtype("M8[s]"), False, bytes(8)),
        BuildsArray(1, (1,), "f8", False, bytes(8)),
        Calls(np._core.multiarray.scalar, np.dtype("f8"), bytes(4)),
        Calls(np._core.multiarray.scalar, np.dtype("O"), [1]),
        Calls(np.ndarray, (10**12,)),
    ],
)
def test_states_that_numpy_would_believe_are_refused(attack: Any) -> None:
    with pytest.raises(pickle.UnpicklingError):
        reload({"S1": attack}, 2)


def test_what_a_pickle_names_cannot_be_changed() -> None:
    change = b"c_codecs\nencode\n(N}X\x08\x00\x00\x00__code__K\x01stb."
    assert any(opcode.name == "BUILD" for opcode, _, _ in pickletools.genops(change))
    with pytest.raises(pickle.UnpicklingError, match="changes what it names"):
        load_plain_data(io.BytesIO(change))


def test_a_few_bytes_cannot_ask_for_gigabytes() -> None:
    for attack in (b"]r\xff\xff\xff\x7f.", b"]p2147483647\n.", b"\x8e\xff\xff\xff\xff\x00\x00\x00\x00."):
        with pytest.raises(pickle.UnpicklingError):
            load_plain_data(io.BytesIO(attack))


def test_big_endian_arrays_keep_their_values() -> None:
    for dtype in (">f8", ">i2", ">U3", "<f4"):
        array = np.array([1, 2, 300]).astype(dtype)
        np.testing.assert_array_equal(reload(array, 2), array)


@settings(max_examples=100, deadline=None)
@given(cut=st.integers(0, 400), noise=st.binary(max_size=4))
def test_damage_is_one_kind_of_error(cut: int, noise: bytes) -> None:
    plain = {"S1": {"Walking": [1.5, "x" * 30, (1, 2)], "Eating": {"a": b"y" * 200}}}
    whole = pickle.dumps(plain, protocol=4)
    with contextlib.suppress(pickle.UnpicklingError):
        load_plain_data(io.BytesIO(whole[: min(cut, len(whole) - 2)] + noise))
