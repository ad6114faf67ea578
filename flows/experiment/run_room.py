"""How much room runs take, by folder and by what it is for."""

from __future__ import annotations

from pathlib import Path

from poseshift.flows.experiment.runs import run_folders
from poseshift.flows.experiment.stage import SUPERSEDED
from poseshift.storage.model import FrozenModel
from poseshift.storage.room import folder_bytes


class RunRoom(FrozenModel):
    """How much room one run takes."""

    folder: str
    total_bytes: int
    """All of it."""
    superseded_bytes: int
    """What was set aside because it was made from other inputs; it may be deleted."""
    parts: dict[str, int]
    """Bytes of each folder and file in it, the largest first."""


class RunsRoom(FrozenModel):
    """How much room a folder of runs takes."""

    folder: str
    total_bytes: int
    """All of it, with what belongs to no run."""
    runs: tuple[RunRoom, ...]
    """The largest first."""


def measure_runs(folder: Path) -> RunsRoom:
    """Measure the runs in a folder and the folders below it.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is neither a store nor a folder of runs")
    runs = (_measure(run.path) for run in run_folders(folder))
    return RunsRoom(
        folder=str(folder),
        total_bytes=folder_bytes(folder),
        runs=tuple(sorted(runs, key=lambda run: run.total_bytes, reverse=True)),
    )


def _measure(run: Path) -> RunRoom:
    parts = {one.name: folder_bytes(one) if one.is_dir() else one.lstat().st_size for one in run.iterdir()}
    return RunRoom(
        folder=str(run),
        total_bytes=folder_bytes(run),
        superseded_bytes=sum(folder_bytes(one) for one in run.rglob(SUPERSEDED) if one.is_dir()),
        parts=dict(sorted(parts.items(), key=lambda part: (-part[1], part[0]))),
    )
