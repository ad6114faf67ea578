"""The command that writes a trained lifter as one file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poseshift.flows.commands.console import print_json, say, user_errors, work_shown
from poseshift.flows.commands.options import Json, Plugins, TrainedLifterName


def export_model(
    lifter: TrainedLifterName,
    out: Annotated[Path, typer.Option(help="The file to write; its card is put beside it.", dir_okay=False)],
    kind: Annotated[
        str | None, typer.Option("--format", help="onnx or pt2. Default: what the file's ending says.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite a file that was made from something else.")
    ] = False,
    plugin: Plugins = None,
    as_json: Json = False,
) -> None:
    """Write a trained lifter as ONNX or torch.export's .pt2: pixels in, metres out, with a model card."""
    from poseshift.flows.experiment import exported  # imports torch
    from poseshift.training.export.formats import ExportError

    with user_errors(ValueError, OSError, ModuleNotFoundError, ExportError), work_shown(f"export {out}"):
        written = exported.export_model(lifter, out, exported.format_of(kind, out), replace=replace)
    if as_json:
        print_json(written)
        return
    say(f"{written.model}, {written.bytes / 1e6:.1f} MB\n  described by {written.card}")
    apart = f"at most {written.difference_m * 1000:.4f} mm apart"
    say(f"  answers as the lifter does on {written.poses:,} poses: {apart}")
