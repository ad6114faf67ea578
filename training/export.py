"""Export of a trained lifter to one file that runs without this project (``torch.export``, ``.pt2``).

The program takes encoded keypoints (batch, frames, joints, channels) and gives root-relative metres in the
encoding's axes, for any batch size; what the encoding is stands in ``lifter.json`` beside the weights.
Written files are read back and must answer as the lifter does.
"""

from __future__ import annotations

import io
from pathlib import Path

import torch

from poseshift.storage.files import write_atomically
from poseshift.training.checkpoint import TrainedLifter

_TOLERANCE_M = 1e-4
"""A tenth of a millimetre: exported kernels may sum in another order, no more."""


class ExportError(RuntimeError):
    """The exported program does not answer as the lifter does."""


def export_lifter(trained: TrainedLifter, path: Path) -> float:
    """Write a lifter as a ``torch.export`` program and check it.

    Parameters
    ----------
    trained : TrainedLifter
        From :func:`poseshift.training.checkpoint.load_lifter`.
    path : Path
        Of the file, by custom with the ending ``.pt2``.

    Returns
    -------
    Largest difference between the program's answers and the lifter's, in metres.

    Raises
    ------
    ExportError
        When that difference is larger than 0.1 mm; the file is not written then.
    """
    lifter = trained.lifter.eval()
    device = next(lifter.parameters()).device
    generator = torch.Generator().manual_seed(0)

    def examples(batch: int) -> torch.Tensor:
        shape = (batch, lifter.frames, lifter.joints, lifter.channels)
        return torch.randn(shape, generator=generator).to(device)

    program = torch.export.export(
        lifter, (examples(2),), dynamic_shapes={"keypoints": {0: torch.export.Dim("batch")}}, strict=True
    )
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    buffer.seek(0)
    restored = torch.export.load(buffer).module()
    keypoints = examples(5)
    with torch.no_grad():
        difference = float((restored(keypoints) - lifter(keypoints)).abs().max())
    if difference > _TOLERANCE_M:
        raise ExportError(
            f"the exported program is {difference * 1000:.3f} mm off the lifter; nothing written"
        )
    write_atomically(path, buffer.getvalue())
    return difference
