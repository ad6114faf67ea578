"""The command ``poseshift runs``: what was run, how far it came, and what it found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from poseshift.flows.commands.console import print_json, say, show, user_errors
from poseshift.flows.commands.options import Json, Plugins
from poseshift.flows.experiment.runs import Run, list_runs
from poseshift.storage.model import FrozenModel

app = typer.Typer()


class RunsAnswer(FrozenModel):
    """What ``runs --json`` answers with."""

    runs: tuple[Run, ...]
    """The latest first."""


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(help="Where to look, folders below it included.")] = Path("runs"),
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """List runs with date, method, seeds, headline figure, snapshots and state; the latest first."""
    with user_errors(FileNotFoundError):
        found = list_runs(folder)
    if as_json:
        print_json(RunsAnswer(runs=found))
        return
    if not found:
        say(f"No run lies in {folder}.")
        return
    began, state = (Column(name, no_wrap=True) for name in ("began", "state"))
    folded = (Column(name, overflow="fold") for name in ("method", "seeds", "MPJPE mm"))
    table = Table(Column("run", overflow="fold"), began, *folded, state)
    for run in found:
        table.add_row(
            run.name,
            f"{run.date:%Y-%m-%d %H:%M}",
            run.method or "",
            ", ".join(map(str, run.seeds)),
            "" if run.headline_mm is None else str(run.headline_mm),
            run.state,
        )
    show(table)
    for run in found:
        say(f"{run.name}: {run.folder}{f': {run.remark}' if run.remark else ''}")
        if run.headline_mm is not None:
            say(f"  measured by {run.protocol}")
        if run.snapshots:
            say(f"  snapshots {', '.join(dict.fromkeys(run.snapshots.values()))}")
