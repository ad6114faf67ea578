"""The command that says what a lifter was trained on, and under which terms those data may be used."""

from __future__ import annotations

import typer

from poseshift.flows.commands.console import print_json, say, user_errors
from poseshift.flows.commands.options import Json, TrainedLifterName
from poseshift.training.checkpoint import describe_lifter
from poseshift.training.licences import NO_ADVICE, ROLES, Licence, licence_of
from poseshift.training.shipped import lifter_folder

app = typer.Typer()


@app.command()
def licence(
    lifter: TrainedLifterName,
    as_json: Json = False,
) -> None:
    """Print what a lifter was trained on and the terms of those data; `unknown` where it is not recorded."""
    with user_errors(ValueError, OSError):
        provenance = describe_lifter(lifter_folder(lifter)).provenance
        found = licence_of(str(lifter), provenance)
    if as_json:
        print_json(found)
        return
    _print(found)


def _print(found: Licence) -> None:
    say(f"{found.lifter}: {found.use}")
    for part in found.parts:
        say(f"{ROLES[part.data.role]}: {part.data.told}")
        source = "" if part.terms.source is None else f" ({part.terms.source})"
        say(f"  {part.terms.use}: {part.terms.text}{source}")
    say(NO_ADVICE, "yellow")
