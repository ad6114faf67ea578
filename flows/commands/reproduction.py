"""The command that does a recorded run again and says whether it came out the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue
from rich.table import Table

from poseshift.flows.commands.console import print_json, say, show, user_errors
from poseshift.flows.commands.options import (
    Json,
    Prefect,
)
from poseshift.flows.commands.running import run_shown
from poseshift.flows.experiment.recipe import RecipeError
from poseshift.flows.reproduce import REPORT, Difference, Reproduction
from poseshift.flows.reproduce import reproduce as reproduce_run
from poseshift.storage.store import StoreError

_SHOWN = 20


app = typer.Typer()


@app.command()
def reproduce(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", exists=True, file_okay=False)],
    out: Annotated[
        Path | None, typer.Option(help="New folder for the repeated run. Default: RUN-repeated.")
    ] = None,
    prefect: Prefect = False,
    as_json: Json = False,
) -> None:
    """Do a recorded run again from its recipe and snapshots, and compare the results bit for bit.

    Start it from the folder that the run was started from: recipes name stores relative to it. The exit code
    is 1 when any result differs.
    """
    into = out or run.with_name(f"{run.name}-repeated")
    with (
        user_errors(ValueError, RecipeError, StoreError, FileNotFoundError),
        run_shown(prefect=prefect) as launch,
    ):
        result = launch(reproduce_run, run, into)
    if as_json:
        print_json(result)
    else:
        _print(result)
    if not result.succeeded:
        raise typer.Exit(code=1)


def _print(result: Reproduction) -> None:
    if result.differences:
        show(_table("What came out differently", result.differences))
        say(f"Not reproduced: {len(result.differences)} of {result.compared} results differ.", "red")
    else:
        say(f"Reproduced: all {result.compared} results are equal, bit for bit.", "green")
    if result.circumstances:
        show(_table("What was different beforehand", result.circumstances))
    say(f"Report: {result.repeated_in / REPORT}")


def _table(title: str, differences: tuple[Difference, ...]) -> Table:
    hidden = len(differences) - _SHOWN
    table = Table(
        "what", "recorded", "repeated", title=title, caption=f"and {hidden} more" if hidden > 0 else None
    )
    for one in differences[:_SHOWN]:
        table.add_row(one.what, _text(one.recorded), _text(one.repeated))
    return table


def _text(value: JsonValue) -> str:
    return "-" if value is None else str(value)
