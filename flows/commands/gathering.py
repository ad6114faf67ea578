"""All that ``poseshift models`` can list, from the open lists themselves, those of plugins included.

``python -m poseshift.flows.commands.gathering`` writes the file that the command reads where there are none.
"""

from __future__ import annotations

from pathlib import Path

from poseshift.adaptation.methods import METHODS
from poseshift.flows.commands.listing import (
    LISTING_FILE,
    LifterRow,
    Listing,
    MethodRow,
    ProtocolRow,
    ShippedRow,
)
from poseshift.storage.files import write_atomically
from poseshift.training.checkpoint import WEIGHTS_FILE, describe_lifter
from poseshift.training.evaluation.protocols import PROTOCOLS
from poseshift.training.licences import licence_of
from poseshift.training.lifters.registry import describe
from poseshift.training.shipped import lifter_folder, shipped_lifters


def gathered_listing() -> Listing:
    """Go through the lists of lifters, methods and protocols, and the lifters that ship with the package."""
    return Listing(
        lifters=tuple(LifterRow(**vars(one)) for one in describe()),
        shipped=tuple(_shipped_row(name) for name in shipped_lifters()),
        methods=tuple(
            MethodRow(
                name=entry.name,
                label=entry.label,
                description=entry.description,
                labels=entry.labels,
                parts=entry.parts,
            )
            for entry in METHODS.values()
        ),
        protocols=tuple(
            ProtocolRow(name=one.name, dataset=one.dataset, description=one.description, source=one.source)
            for one in PROTOCOLS.values()
        ),
    )


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
    )


if __name__ == "__main__":
    without_places = {"shipped": {"__all__": {"card"}}}
    text = gathered_listing().model_dump_json(indent=1, exclude=without_places)
    write_atomically(LISTING_FILE, f"{text}\n")
