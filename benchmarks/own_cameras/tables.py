"""The table of docs/domains.md, made of recorded runs: means over people, with intervals over people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from benchmarks.own_cameras.runs import RECIPES, OwnLine, SequenceScore
from numpy.typing import NDArray

from poseshift.training.evaluation.intervals import Estimate, draw_weights, estimate

Figure = Literal["mpjpe_mm", "pa_mpjpe_mm"]

REFERENCE = "free-motion-1"
"""What differences are from."""

_BOOTSTRAP_SEED = 0


def table(lines: Sequence[OwnLine]) -> str:
    """Make the table: one camera at a time, and the cameras together."""
    shown = [
        "| lifter | seeds | one camera: MPJPE | PA-MPJPE | difference | four cameras: MPJPE |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    reference = _sequences(lines, REFERENCE, fused=False)
    for name in RECIPES:
        seeds = len([line for line in lines if line.job.name == name])
        if not seeds:
            continue
        single = _sequences(lines, name, fused=False)
        difference = "" if name == REFERENCE else str(_mean(single, _values(single) - _values(reference)))
        cells = (
            _mean(single, _values(single)),
            _mean(single, _values(single, "pa_mpjpe_mm")),
            difference,
            _mean(fused := _sequences(lines, name, fused=True), _values(fused)),
        )
        shown.append(f"| {name} | {seeds} | {' | '.join(map(str, cells))} |")
    return "\n".join(shown)


def _sequences(lines: Sequence[OwnLine], name: str, *, fused: bool) -> list[SequenceScore]:
    """Average the seeds' errors of each sequence; the sequences are the same for all lifters."""
    runs = [
        [one for one in line.sequences if (one.camera == "fused") == fused]
        for line in lines
        if line.job.name == name
    ]
    return [
        some[0].model_copy(
            update={
                figure: float(np.mean([getattr(one, figure) for one in some]))
                for figure in ("mpjpe_mm", "pa_mpjpe_mm")
            }
        )
        for some in zip(*runs, strict=True)
        if some[0].frames
    ]


def _values(sequences: Sequence[SequenceScore], figure: Figure = "mpjpe_mm") -> NDArray[np.float64]:
    return np.array([getattr(one, figure) for one in sequences])


def _mean(sequences: Sequence[SequenceScore], values: NDArray[np.float64]) -> Estimate:
    people = [one.person for one in sequences]
    frames = np.array([one.frames for one in sequences], dtype=np.float64)
    return estimate(values, frames, ["all"] * len(people), draw_weights(people, _BOOTSTRAP_SEED))
