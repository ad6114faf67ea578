"""Measurements of checkouts of the code, side by side: each in processes of its own with one thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def checkouts(given: Iterable[str]) -> dict[str, Path]:
    """Read ``NAME=CHECKOUT`` of each that is compared."""
    return {name: Path(place).resolve() for name, _, place in (one.partition("=") for one in given)}


def environment(code: Path) -> Mapping[str, str]:
    """Variables by which a process imports the code of a checkout and computes with one thread."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(code / "src"), str(code))),
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    }


def said_by(program: str, words: Sequence[str], code: Path, case: str) -> str:
    """Run a program with the code of a checkout and give what it prints.

    Parameters
    ----------
    program : str
        Python.
    words : sequence of str
        Its arguments.
    code : Path
        The checkout.
    case : str
        What it measures, for the message where it fails.

    Raises
    ------
    RuntimeError
        The program failed; the message ends with what it complained of.
    """
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env=environment(code),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{case} by {code} failed: {done.stderr[-2000:]}")
    return done.stdout


@dataclass(frozen=True)
class Case:
    """What is measured: its name, its program, the checkout that is imported, and the program's words."""

    name: str
    program: str
    code: Path
    words: tuple[str, ...] = ()

    def said(self, *places: str) -> str:
        """Run the program, with places before its own words, and give what it prints; see :func:`said_by`."""
        return said_by(self.program, (*places, *self.words), self.code, self.name)


def add_measurements(out: Path, found: Iterable[DataclassInstance]) -> None:
    """Add a JSON line for each measurement to a file."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(asdict(one))}\n" for one in found)
