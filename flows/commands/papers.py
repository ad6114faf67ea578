"""The command that runs a paper's experiment with its published settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from poseshift.augmentation.collapse import CollapseError
from poseshift.flows.commands.console import print_json, say, show, user_errors
from poseshift.flows.commands.options import Device, Json, Prefect
from poseshift.flows.commands.running import run_shown
from poseshift.flows.papers.outcome import PaperOutcome, rows, told
from poseshift.flows.papers.poseda import REPORT, TABLE, PaperRequest, Shortened, reproduce_poseda
from poseshift.storage.store import StoreError

app = typer.Typer()


@app.command("reproduce-paper")
def reproduce_paper(
    paper: Annotated[Literal["poseda"], typer.Argument(help="Which paper: poseda (arXiv 2303.16456).")],
    human36m: Annotated[str, typer.Option(help="Store of Human3.6M, the labelled source.")],
    target: Annotated[
        str,
        typer.Option(help="Store of MPI-INF-3DHP to adapt to, by its keypoints; the paper's is likely TEST."),
    ],
    test: Annotated[str, typer.Option(help="Store of the test set of MPI-INF-3DHP.")],
    out: Annotated[Path, typer.Option(help="Folder for lifters, evaluations and the comparison.")],
    seed: Annotated[list[int] | None, typer.Option(help="Seed; repeat for more. Default: 0.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="For a short try: epochs of every stage.")] = None,
    steps_per_epoch: Annotated[
        int | None, typer.Option(min=1, help="For a short try: steps of an epoch.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="For a short try: poses in a step.")] = None,
    device: Device = "auto",
    prefect: Prefect = False,
    as_json: Json = False,
) -> None:
    """Run a paper's experiment with its published settings, and say at which stage the figures depart.

    Run it again to resume. The exit code is 1 when figures are comparable with published ones and a stage is
    outside of its expected band.
    """
    del paper  # there is one so far
    with (
        user_errors(ValueError, StoreError, FileNotFoundError, CollapseError),
        run_shown(prefect=prefect) as run,
    ):
        outcome = run(
            reproduce_poseda,
            PaperRequest(
                human36m=human36m,
                target=target,
                test=test,
                out=out,
                shortened=Shortened(epochs=epochs, steps_per_epoch=steps_per_epoch, batch_size=batch_size),
                seeds=tuple(seed or (0,)),
                device=device,
            ),
        )
    if as_json:
        print_json(outcome)
    else:
        _print(outcome, out)
    if outcome.first_outside is not None and not outcome.not_comparable:
        raise typer.Exit(code=1)


def _print(outcome: PaperOutcome, out: Path) -> None:
    title = f"{outcome.paper}: MPJPE in mm, {outcome.protocol}, {outcome.frames:,} frames"
    table = Table(title=title)
    for column in ("stage", "published", "expected", "last epoch", "best on test\n(oracle)", "verdict"):
        table.add_column(column, no_wrap=column in ("stage", "expected"))
    for stage, *cells in rows(outcome):  # the first columns alone: with all of them, 80 characters are few
        table.add_row(stage, *(cell.replace(" [", "\n[").replace(" (", "\n(") for cell in cells[:5]))
    show(table)
    if outcome.not_comparable:
        say("The figures are not comparable with published ones:", "yellow")
        for reason in outcome.not_comparable:
            say(f"- {reason}", "yellow")
    say(told(outcome))
    for note in outcome.notes:
        say(note)
    say(f"PCK, AUC, settings and sources: {out / TABLE}\nFigures: {out / REPORT}")
