"""The command that lists what there is: lifters with their size and cost, methods, evaluation protocols."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from poseshift.adaptation.method_parts import Labels, Parts
from poseshift.adaptation.methods import METHODS
from poseshift.flows.commands.console import print_json, show
from poseshift.flows.commands.options import Json, Plugins
from poseshift.storage.model import FrozenModel
from poseshift.training.checkpoint import WEIGHTS_FILE, describe_lifter
from poseshift.training.evaluation.protocols import PROTOCOLS
from poseshift.training.licences import Use, licence_of
from poseshift.training.lifters.registry import describe
from poseshift.training.shipped import CARD_FILE, lifter_folder, shipped_lifters


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


class MethodRow(FrozenModel):
    """One method, as listed."""

    name: str
    label: str
    description: str
    labels: Labels
    parts: Parts


class ShippedRow(FrozenModel):
    """One lifter that ships with the package, as listed."""

    name: str
    lifter: str
    skeleton: str
    encoding: str
    use: Use
    megabytes: float
    card: str


class Listing(FrozenModel):
    """What there is to choose from."""

    lifters: tuple[LifterRow, ...] = ()
    shipped: tuple[ShippedRow, ...] = ()
    methods: tuple[MethodRow, ...] = ()
    protocols: tuple[ProtocolRow, ...] = ()


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
    if protocols:
        listing, table = _protocol_listing()
    elif methods:
        listing, table = _method_listing()
    elif shipped:
        listing, table = _shipped_listing()
    else:
        listing, table = _lifter_listing()
    if as_json:
        print_json(listing)
    else:
        show(table)


def _lifter_listing() -> tuple[Listing, Table]:
    listing = Listing(lifters=tuple(LifterRow(**vars(one)) for one in describe()))
    table = Table("preset", title="Lifters")
    for column in ("parameters", "multiply-adds per clip", "frames in", "frames out"):
        table.add_column(column, justify="right")
    for one in listing.lifters:
        table.add_row(one.name, f"{one.parameters:,}", f"{one.multiply_adds:,}", str(one.frames), one.output)
    return listing, table


def _shipped_listing() -> tuple[Listing, Table]:
    listing = Listing(shipped=tuple(_shipped_row(name) for name in shipped_lifters()))
    table = Table("name", title="Trained lifters that ship with PoseShift")
    for column in ("lifter", "skeleton", "encoding", "data", "MB"):
        table.add_column(column)
    table.add_column("model card", overflow="fold")
    for row in listing.shipped:
        table.add_row(
            row.name, row.lifter, row.skeleton, row.encoding, row.use, f"{row.megabytes:.1f}", row.card
        )
    return listing, table


def _shipped_row(name: str) -> ShippedRow:
    folder = lifter_folder(Path(name))
    described = describe_lifter(folder)
    return ShippedRow(
        name=name,
        lifter=described.lifter.name,
        skeleton=described.skeleton,
        encoding=described.encoding,
        use=licence_of(name, described.provenance).use,
        megabytes=(folder / WEIGHTS_FILE).stat().st_size / 1e6,
        card=str(folder / CARD_FILE),
    )


def _method_listing() -> tuple[Listing, Table]:
    listing = Listing(
        methods=tuple(
            MethodRow(
                name=entry.name,
                label=entry.label,
                description=entry.description,
                labels=entry.labels,
                parts=entry.parts,
            )
            for entry in METHODS.values()
        )
    )
    table = Table("method", "what it is", "made of", title="Methods", show_lines=True)
    for row in listing.methods:
        table.add_row(row.name, row.description, f"labels of {row.labels}, {row.parts}")
    return listing, table


def _protocol_listing() -> tuple[Listing, Table]:
    listing = Listing(
        protocols=tuple(
            ProtocolRow(name=one.name, dataset=one.dataset, description=one.description, source=one.source)
            for one in PROTOCOLS.values()
        )
    )
    table = Table(
        "protocol", "data set", "what it measures", "after", title="Evaluation protocols", show_lines=True
    )
    for row in listing.protocols:
        table.add_row(row.name, row.dataset, row.description, row.source)
    return listing, table
