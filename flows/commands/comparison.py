"""The command that puts several runs on one page."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from poseshift.flows.commands.console import print_json, say, user_errors
from poseshift.flows.commands.options import Json, Plugins
from poseshift.flows.experiment.recipe import RecipeError
from poseshift.flows.experiment.side_by_side import ReadRun, read_runs
from poseshift.flows.report.comparison import comparison_view
from poseshift.flows.report.page import write_page
from poseshift.storage.exchange.publication import ExportOrigin, publish, staged
from poseshift.storage.model import FrozenModel

app = typer.Typer()


class ComparisonAnswer(FrozenModel):
    """What ``compare --json`` answers with."""

    page: str
    """The page."""
    runs: tuple[str, ...]
    """What the runs are called on it."""


@app.command()
def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of finished runs, two or more.", metavar="RUN RUN...")
    ],
    out: Annotated[Path, typer.Option(help="The page to write.", dir_okay=False)],
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite a file that was made from something else.")
    ] = False,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Put several runs on one page: figures side by side, paired differences, label-free criteria."""
    with user_errors(ValueError, OSError, RecipeError, KeyError):
        read = read_runs(runs)
        with staged(out) as draft:
            write_page(comparison_view(read), draft)
            publish(draft, out, _origin(read), replace=replace)
    labels = tuple(run.label for run in read)
    if as_json:
        print_json(ComparisonAnswer(page=str(out), runs=labels))
        return
    say(f"{len(labels)} runs: {out}")


def _origin(runs: tuple[ReadRun, ...]) -> ExportOrigin:
    """Name what the page is made from: the runs' own summaries, in their order."""
    found = hashlib.sha256(b"".join(run.folder.summary.read_bytes() for run in runs)).hexdigest()
    return ExportOrigin(
        layout="compare", source=", ".join(str(run.folder.path) for run in runs), snapshot=found
    )
