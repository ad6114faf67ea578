"""The command that lists what there is: lifters with their size and cost, methods, evaluation protocols."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from poseshift.flows.commands.console import print_json, show
from poseshift.flows.commands.listing import Listing, shipped_listing
from poseshift.flows.commands.options import Json, Plugins

app = typer.Typer()


@app.command()
def models(
    methods: Annotated[bool, typer.Option("--methods", help="List methods instead.")] = False,
    protocols: Annotated[
        bool, typer.Option("--protocols", help="List evaluation protocols instead.")
    ] = False,
    shipped: Annotated[
        bool, typer.Option("--shipped", help="List trained lifters that ship with PoseShift instead.")
    ] = False,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """List the lifters with their size and cost, trained ones, the methods, or the evaluation protocols."""
    there = _with_plugins() if plugin else shipped_listing()
    if protocols:
        listing, table = Listing(protocols=there.protocols), _protocol_table(there)
    elif methods:
        listing, table = Listing(methods=there.methods), _method_table(there)
    elif shipped:
        listing, table = Listing(shipped=there.shipped), _shipped_table(there)
    else:
        listing, table = Listing(lifters=there.lifters), _lifter_table(there)
    if as_json:
        print_json(listing)
    else:
        show(table)


def _with_plugins() -> Listing:
    from poseshift.flows.commands.gathering import gathered_listing  # imports torch

    return gathered_listing()


def _lifter_table(listing: Listing) -> Table:
    table = Table(title="Lifters")
    table.add_column("preset", no_wrap=True)
    for column in ("parameters", "multiply-adds per clip", "frames in", "frames out"):
        table.add_column(column, justify="right")
    for one in listing.lifters:
        table.add_row(one.name, f"{one.parameters:,}", f"{one.multiply_adds:,}", str(one.frames), one.output)
    return table


def _shipped_table(listing: Listing) -> Table:
    table = Table("name", title="Trained lifters that ship with PoseShift")
    for column in ("lifter", "skeleton", "encoding", "data", "MB"):
        table.add_column(column)
    table.add_column("model card", overflow="fold")
    for row in listing.shipped:
        table.add_row(
            row.name, row.lifter, row.skeleton, row.encoding, row.use, f"{row.megabytes:.1f}", row.card
        )
    return table


def _method_table(listing: Listing) -> Table:
    table = Table("method", "what it is", "made of", title="Methods", show_lines=True)
    for row in listing.methods:
        table.add_row(row.name, row.description, f"labels of {row.labels}, {row.parts}")
    return table


def _protocol_table(listing: Listing) -> Table:
    table = Table(
        "protocol", "data set", "what it measures", "after", title="Evaluation protocols", show_lines=True
    )
    for row in listing.protocols:
        table.add_row(row.name, row.dataset, row.description, row.source)
    return table
