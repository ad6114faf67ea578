"""The table of docs/domains.md, made of recorded runs: means over people, with intervals over people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from benchmarks.own_cameras.runs import RECIPES, OwnLine, SequenceScore
from numpy.typing import NDArray

from poseshift.training.evaluation.intervals import Estimate, draw_weights, estimate
from poseshift.training.prediction.fusion import FUSED

Figure = Literal["mpjpe_mm", "pa_mpjpe_mm"]

FIGURES: tuple[Figure, ...] = get_args(Figure)

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
        difference = "" if name == REFERENCE else str(mean(single, values_of(single) - values_of(reference)))
        cells = (
            mean(single, values_of(single)),
            mean(single, values_of(single, "pa_mpjpe_mm")),
            difference,
            mean(fused := _sequences(lines, name, fused=True), values_of(fused)),
        )
        shown.append(f"| {name} | {seeds} | {' | '.join(map(str, cells))} |")
    return "\n".join(shown)


def _sequences(lines: Sequence[OwnLine], name: str, *, fused: bool) -> list[SequenceScore]:
    return averaged([line.sequences for line in lines if line.job.name == name], fused=fused)


def averaged(seeds: Sequence[Sequence[SequenceScore]], *, fused: bool) -> list[SequenceScore]:
    """Average the seeds' errors of each sequence that has frames; the sequences are the same for all.

    Parameters
    ----------
    seeds : sequence of sequences of SequenceScore
        One of each seed.
    fused : bool
        Whether the cameras together are wanted, or each by itself.
    """
    runs = [[one for one in sequences if (one.camera == FUSED) == fused] for sequences in seeds]
    return [
        some[0].model_copy(
            update={figure: float(np.mean([getattr(one, figure) for one in some])) for figure in FIGURES}
        )
        for some in zip(*runs, strict=True)
        if some[0].frames
    ]


def values_of(sequences: Sequence[SequenceScore], figure: Figure = "mpjpe_mm") -> NDArray[np.float64]:
    """Take a figure of each sequence, mm."""
    return np.array([getattr(one, figure) for one in sequences])


def mean(sequences: Sequence[SequenceScore], values: NDArray[np.float64]) -> Estimate:
    """Average values of sequences over their frames, with an interval over people."""
    people = [one.person for one in sequences]
    frames = np.array([one.frames for one in sequences], dtype=np.float64)
    return estimate(values, frames, ["all"] * len(people), draw_weights(people, _BOOTSTRAP_SEED))
