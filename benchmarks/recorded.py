"""Recorded runs of a benchmark: one JSON line each, in a file beside the benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from poseshift.storage.files import write_atomically
from poseshift.storage.model import FrozenModel

Line = TypeVar("Line", bound=FrozenModel)


def read_lines(path: Path, kind: type[Line]) -> tuple[Line, ...]:
    """Read the finished runs; none where there is no file."""
    if not path.exists():
        return ()
    return tuple(kind.model_validate_json(text) for text in path.read_text("utf-8").splitlines())


def add_line(path: Path, line: FrozenModel) -> None:
    """Add a finished run, all of it or nothing."""
    before = path.read_text("utf-8") if path.exists() else ""
    write_atomically(path, f"{before}{line.model_dump_json()}\n")
