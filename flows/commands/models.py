"""The command that lists what there is: lifters with their size and cost, and evaluation protocols."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from poseshift.flows.commands.console import Json, console, print_json
from poseshift.storage.model import FrozenModel
from poseshift.training.evaluation.protocols import PROTOCOLS
from poseshift.training.lifters.registry import describe


class ProtocolRow(FrozenModel):
    """One protocol, as listed."""

    name: str
    dataset: str
    description: str
    source: str


class LifterRow(FrozenModel):
    """One lifter's preset, as listed."""

    name: str
    parameters: int
    multiply_adds: int
    frames: int
    output: str


class Listing(FrozenModel):
    """What there is to choose from."""

    lifters: tuple[LifterRow, ...] = ()
    protocols: tuple[ProtocolRow, ...] = ()


app = typer.Typer()


@app.command()
def models(
    protocols: Annotated[
        bool, typer.Option("--protocols", help="List evaluation protocols instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the lifters with their size and cost, or the evaluation protocols."""
    listing = _protocol_listing() if protocols else _lifter_listing()
    if as_json:
        print_json(listing)
        return
    table = Table(title="Evaluation protocols" if protocols else "Lifters", show_lines=protocols)
    if protocols:
        for column in ("protocol", "data set", "what it measures", "after"):
            table.add_column(column)
        for row in listing.protocols:
            table.add_row(row.name, row.dataset, row.description, row.source)
    else:
        table.add_column("preset")
        for column in ("parameters", "multiply-adds per clip", "frames in", "frames out"):
            table.add_column(column, justify="right")
        for one in listing.lifters:
            table.add_row(
                one.name, f"{one.parameters:,}", f"{one.multiply_adds:,}", str(one.frames), one.output
            )
    console.print(table)


def _lifter_listing() -> Listing:
    return Listing(lifters=tuple(LifterRow(**vars(one)) for one in describe()))


def _protocol_listing() -> Listing:
    return Listing(
        protocols=tuple(
            ProtocolRow(name=one.name, dataset=one.dataset, description=one.description, source=one.source)
            for one in PROTOCOLS.values()
        )
    )
