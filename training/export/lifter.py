"""Export of a trained lifter: the program, written in a format, run again and compared with the lifter."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.export import Dim

from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.export.formats import ExportError, ModelFormat
from poseshift.training.export.program import KeypointsToPose, Seen, examples

TOLERANCE_M = 1e-4
"""A tenth of a millimetre: exported kernels may sum in another order, no more."""

CHECKED_POSES = 1000
"""Drawn poses on which a written file must answer as the lifter does."""


@dataclass(frozen=True)
class Exported:
    """A lifter's file, checked.

    Attributes
    ----------
    content : bytes
        What to write.
    difference_m : float
        Largest difference between a coordinate of its answers and of the lifter's, metres.
    """

    content: bytes
    difference_m: float


def export_lifter(trained: TrainedLifter, kind: ModelFormat) -> Exported:
    """Make a lifter's file and check it; nothing is written to disk.

    Parameters
    ----------
    trained : TrainedLifter
        From :func:`poseshift.training.checkpoint.load_lifter`.
    kind : ModelFormat
        One of :data:`poseshift.training.export.formats.MODEL_FORMATS`.

    Raises
    ------
    ExportError
        An answer differs by more than 0.1 mm, or is not a number; or the format cannot hold the lifter.
    ModuleNotFoundError
        A library that the format needs is missing.
    """
    kind.require()
    model = KeypointsToPose(trained)
    seen = examples(model, CHECKED_POSES, seed=1)
    # Before the export: constants that are kept must not be made of the exporter's stand-ins for tensors.
    with torch.no_grad():
        expected = model(*seen).cpu()
    batch = Dim("batch")
    program = torch.export.export(
        model, tuple(examples(model, 2, seed=0)), dynamic_shapes=({0: batch},) * len(Seen._fields)
    )
    content = kind.encode(program)
    difference = float((kind.run(content, seen).cpu() - expected).abs().max())
    if not difference <= TOLERANCE_M:  # NaN is no agreement
        raise ExportError(
            f"the exported program is {difference * 1000:.3f} mm off the lifter; nothing written"
        )
    return Exported(content, difference)
