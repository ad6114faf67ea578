"""The command ``poseshift doctor``: what killed runs left behind, and its removal."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from poseshift.flows.commands.console import print_json, say, user_errors
from poseshift.flows.commands.options import Json
from poseshift.flows.doctor.disk import KEPT
from poseshift.flows.doctor.examine import examine
from poseshift.flows.doctor.finding import listed, mended

app = typer.Typer()

_COLOURS = {"leftover": "yellow", "note": None, "mended": "green", "not mended": "red"}


@app.command()
def doctor(
    folder: Annotated[
        list[Path] | None,
        typer.Argument(help="Where runs and stores lie, folders below included. Default: here."),
    ] = None,
    mend: Annotated[
        bool, typer.Option("--mend", help="Mend what is found; nothing that lives is touched.")
    ] = False,
    keep_days: Annotated[
        float,
        typer.Option(min=0, help="Half stages and superseded folders touched later than this are kept."),
    ] = KEPT.days,
    as_json: Json = False,
) -> None:
    """List what killed runs left: runs and slots in Prefect, servers, locks, half stages, old folders.

    The exit code is 1 when leftovers remain.
    """
    with user_errors(FileNotFoundError):
        found = tuple(examine(folder or [Path()], timedelta(days=keep_days)))
    answer = mended(found) if mend else listed(found)
    if as_json:
        print_json(answer)
    else:
        for one in answer.findings:
            say(f"{one.state}: {one.kind}", _COLOURS[one.state])
            say(f"  {one.where}")
            say(f"  why: {one.why}")
            say(f"  {'advice' if one.state == 'note' else 'mending'}: {one.mending}")
            if one.remark:
                say(f"  remains: {one.remark}")
        count = len(answer.remaining)
        say(
            f"{count} leftovers remain{'' if mend or not count else '; --mend mends them'}"
            if count
            else "No leftovers."
        )
    if answer.remaining:
        raise typer.Exit(1)
