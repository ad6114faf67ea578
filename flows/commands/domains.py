"""The command ``poseshift gap``: what lies between the two domains of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from poseshift.adaptation.domain_gap import Compared, KeypointStage, LabelledStage
from poseshift.adaptation.two_sample import TwoSample
from poseshift.flows.commands.console import (
    error_console,
    print_json,
    say,
    show,
    user_errors,
)
from poseshift.flows.commands.intrinsics import tell_intrinsics
from poseshift.flows.commands.options import Json
from poseshift.flows.commands.recipes import given_recipe
from poseshift.flows.commands.steps import shown_on
from poseshift.flows.experiment.data import open_store
from poseshift.flows.experiment.recipe import RecipeError
from poseshift.flows.report.gap import (
    GapReport,
    GapRequest,
    keypoint_quantities,
    labelled_quantities,
    measure_gap,
)
from poseshift.storage.store import StoreError

app = typer.Typer()


@app.command()
def gap(
    recipe: Annotated[Path, typer.Argument(help="A recipe with a target, whose stores are prepared.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for figures and plots. Default: `gap` in the run's folder.")
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Look at the target's 3D as well: depth, pitch, bones, poses.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what differs between source and target, before and after each step of the adaptation."""
    with user_errors(RecipeError, ValueError, FileNotFoundError, StoreError):
        loaded = given_recipe(recipe)
        folder = out or loaded.run_dir / "gap"
        with shown_on(error_console):
            report = measure_gap(GapRequest(recipe=loaded, labelled=labels), folder)
    if as_json:
        print_json(report)
        return
    _print(report)
    if loaded.target is not None:
        tell_intrinsics(open_store(loaded.target))
    say(f"Figures and plots in {folder}")


def _print(report: GapReport) -> None:
    table = Table(title="Mean ± standard deviation; proxy A-distance between 0 (alike) and 2")
    for column in ("after", "quantity", "source", "target"):
        table.add_column(column)
    for seen in report.keypoints:
        _add(table, seen, keypoint_quantities(seen))
        _add_distance(table, "position in the image", seen.gap.position_distance)
        _add_distance(table, "2D pose", seen.gap.shape_distance)
    for known in report.labelled:
        depth, pitch, *_bones = labelled_quantities(known)
        _add(table, known, (depth, pitch))
        _add_distance(table, "3D pose", known.gap.pose_distance)
    show(table)


def _add(table: Table, stage: KeypointStage | LabelledStage, quantities: tuple[Compared, ...]) -> None:
    for number, one in enumerate(quantities):
        table.add_row(
            stage.step if number == 0 else "",
            f"{one.quantity} ({one.unit})",
            *(f"{side.mean:.2f} ± {side.deviation:.2f}" for side in (one.source, one.target)),
        )


def _add_distance(table: Table, name: str, found: TwoSample) -> None:
    table.add_row("", f"distance of {name}", f"{found.proxy_a_distance:.2f}", "")
