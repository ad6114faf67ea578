"""What stops in the interpreter is read again; what a file is to blame for is told at once."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.human36m.cdf import read_pose, write_pose
from poseshift.storage.exchange.npz import read_npz
from poseshift.storage.interpreter import read_again_on_interpreter_error

MISMATCH = "AST constructor recursion depth mismatch (before=78, after=75)"


@pytest.fixture
def failing_parser(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[str]]:
    """Makes the parser of literals, which NumPy calls, stop so many times, as another thread would."""

    def make(failures: int) -> list[str]:
        calls: list[str] = []
        sound = ast.literal_eval

        def literal_eval(text: Any) -> Any:
            calls.append(text)
            if len(calls) <= failures:
                raise SystemError(MISMATCH)
            return sound(text)

        monkeypatch.setattr(ast, "literal_eval", literal_eval)
        return calls

    return make


def test_a_sound_pose_file_is_read_although_the_interpreter_stopped(
    tmp_path: Path, failing_parser: Callable[[int], list[str]]
) -> None:
    poses = np.arange(4 * 32 * 2, dtype=np.float32).reshape(4, 32, 2)
    write_pose(tmp_path / "Directions 1.cdf", poses)
    calls = failing_parser(2)
    np.testing.assert_array_equal(read_pose(tmp_path / "Directions 1.cdf", 32, 2), poses)
    assert len(calls) > 2


def test_a_sound_npz_is_read_although_the_interpreter_stopped(
    tmp_path: Path, failing_parser: Callable[[int], list[str]]
) -> None:
    np.savez(tmp_path / "a.npz", one=np.arange(3), two=np.eye(2))
    calls = failing_parser(2)
    content = read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(content["one"], np.arange(3))
    np.testing.assert_array_equal(content["two"], np.eye(2))
    assert len(calls) > 2


def test_an_interpreter_that_always_stops_is_told(
    tmp_path: Path, failing_parser: Callable[[int], list[str]]
) -> None:
    write_pose(tmp_path / "Directions 1.cdf", np.ones((4, 32, 2), np.float32))
    failing_parser(1000)
    with pytest.raises(RawDataError, match="AST constructor"):
        read_pose(tmp_path / "Directions 1.cdf", 32, 2)


def test_another_error_is_raised_at_once() -> None:
    calls = []

    def read() -> None:
        calls.append(1)
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        read_again_on_interpreter_error(read)
    assert len(calls) == 1
