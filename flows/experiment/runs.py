"""The runs that lie in a folder: what each is, how far it came, and its headline figure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter

from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.label_free import LabelFreeSummary
from poseshift.flows.experiment.recipe import RecipeError, load_recipe
from poseshift.flows.experiment.results import Summary
from poseshift.storage.model import FrozenModel
from poseshift.training.evaluation.intervals import Estimate

State = Literal["finished", "not finished", "bad files", "unreadable"]
"""Finished: the summary is of the recipe as it was run last. Bad files: raw files ended the latest run."""

_SUMMARY: TypeAdapter[Summary | LabelFreeSummary] = TypeAdapter(Summary | LabelFreeSummary)


class Run(FrozenModel):
    """One run's folder."""

    folder: str
    """Where it lies."""
    name: str
    """Of the recipe; of the folder where the recipe cannot be read."""
    date: datetime
    """When the latest run began; where that is not recorded, when its recipe was written."""
    method: str | None = None
    """The method that the experiment is for."""
    seeds: tuple[int, ...] = ()
    """One lifter of each method is trained per seed."""
    headline_mm: Estimate | None = None
    """MPJPE of the method under the first protocol; None without a test, or before the run is finished."""
    protocol: str | None = None
    """The first protocol; None without a test."""
    snapshots: dict[str, str] = Field(default_factory=dict)
    """Store snapshot of each data set that was read; empty before the run is finished."""
    state: State
    """How far it came."""
    remark: str = ""
    """Why it cannot be read."""


def list_runs(folder: Path) -> tuple[Run, ...]:
    """List the runs in a folder and the folders below it, the latest first.

    Raises
    ------
    FileNotFoundError
        There is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; give the one that holds your runs")
    return tuple(sorted(map(_run, run_folders(folder)), key=lambda run: run.date, reverse=True))


def run_folders(folder: Path) -> Iterator[RunFolder]:
    """Find folders with a recipe beside what a run leaves there; what lies inside a run is no run."""
    run = RunFolder(folder)
    if run.recipe.is_file() and (run.log.exists() or run.environment.exists() or run.summary.exists()):
        yield run
        return
    for one in sorted(folder.iterdir()):
        if one.is_dir() and not one.is_symlink():
            yield from run_folders(one)


def _run(folder: RunFolder) -> Run:
    date = _began(folder)
    try:
        recipe = load_recipe(folder.recipe)
        summary = read_summary(folder) if folder.summary.exists() else None
    except (RecipeError, ValueError) as error:
        remark = str(error).splitlines()[0]
        return Run(
            folder=str(folder.path), name=folder.path.name, date=date, state="unreadable", remark=remark
        )
    current = None if summary is None or summary.recipe_digest != recipe.digest else summary
    tested = current if isinstance(current, Summary) else None
    return Run(
        folder=str(folder.path),
        name=recipe.name,
        date=date,
        method=recipe.method.name,
        seeds=recipe.seeds,
        headline_mm=None if tested is None else tested.headline.figures.mpjpe_mm,
        protocol=None if recipe.test is None else recipe.test.protocols[0],
        snapshots={} if current is None else current.snapshots,
        state=_state(folder, finished=current is not None),
    )


def _state(folder: RunFolder, *, finished: bool) -> State:
    if folder.bad_files.exists():
        return "bad files"
    return "finished" if finished else "not finished"


def read_summary(folder: RunFolder) -> Summary | LabelFreeSummary:
    """Read what a run found; raises a ValueError where it is none of this version."""
    return _SUMMARY.validate_json(folder.summary.read_text(encoding="utf-8"))


def _began(folder: RunFolder) -> datetime:
    try:
        return datetime.fromisoformat(json.loads(folder.environment.read_text(encoding="utf-8"))["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return datetime.fromtimestamp(folder.recipe.stat().st_mtime, UTC)
