"""What ``poseshift models`` lists of the package's own: read from a file, and nothing is built for it.

To know a lifter's cost is to build it, and to know the methods is to import all that they are made of:
seconds of PyTorch. Both change only when the package does, so they lie in ``listing.json`` beside this file.
:mod:`poseshift.flows.commands.gathering` writes the file, and a test compares it with what would be written.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import computed_field

from poseshift.adaptation.parts import Labels, Parts
from poseshift.storage.model import FrozenModel
from poseshift.training.licences import Use
from poseshift.training.shipped import CARD_FILE, lifter_folder

LISTING_FILE = Path(__file__).resolve().with_name("listing.json")


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

    @computed_field  # type: ignore[prop-decorator]
    @property
    def card(self) -> str:
        """Path of the model card."""
        return str(lifter_folder(Path(self.name)) / CARD_FILE)


class Listing(FrozenModel):
    """What there is to choose from."""

    lifters: tuple[LifterRow, ...] = ()
    shipped: tuple[ShippedRow, ...] = ()
    methods: tuple[MethodRow, ...] = ()
    protocols: tuple[ProtocolRow, ...] = ()


def shipped_listing() -> Listing:
    """Return what comes with the package, without plugins."""
    return Listing.model_validate_json(LISTING_FILE.read_bytes())
