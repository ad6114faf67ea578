"""What a training step moves between processor and device, and what it waits for, by lifter and method.

    python -m benchmarks.transfers

Every method trains ``simple-baseline-small`` for six steps, and every small lifter is trained by the method
``gpa_perspective``, twice: on the processor, and on a device that is pretended
(:mod:`benchmarks.pretended_device`). Both are measured on the test afterwards.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import torch
from benchmarks.brief import brief, brief_data
from benchmarks.pretended_device import counted, pretended

from poseshift.adaptation.methods import METHODS
from poseshift.adaptation.selection import SelectionConfig
from poseshift.flows.benchmark.data import BenchmarkData
from poseshift.flows.benchmark.lines import EpochRecord
from poseshift.flows.benchmark.plan import Plan
from poseshift.flows.benchmark.run import run_job
from poseshift.storage.model import FrozenModel
from poseshift.training import fit
from poseshift.training.lifters.registry import PRESETS
from poseshift.training.schedule import Schedule

SHORT = Schedule(epochs=1, steps_per_epoch=6, batch_size=8)
FRAMES = 20
"""Of a person."""


class Traffic(FrozenModel):
    """Between two steps."""

    to_device: int
    """Tensors moved to the device."""
    from_device: int
    """Tensors moved from it."""
    waited_for: int
    """Operations whose answer the processor waits for."""


class Measured(FrozenModel):
    """One lifter by one method."""

    lifter: str
    """Name of the preset."""
    method: str
    """Name of the method."""
    difference: float
    """Largest difference of an epoch's loss and error between processor and device, relative; 0 for the same
    bits. Attention is computed by another kernel there."""
    steps: tuple[Traffic, ...]
    """Of every step but the first and the last, in which data are laid out and results kept."""

    @property
    def least(self) -> Traffic:
        """The step that moves least."""
        return min(self.steps, key=_all)

    @property
    def most(self) -> Traffic:
        """The step that moves most, in which something is looked at or made for the first time, too."""
        return max(self.steps, key=_all)


def _all(traffic: Traffic) -> int:
    return traffic.to_device + traffic.from_device + traffic.waited_for


def measure(lifter: str, method: str, data: BenchmarkData) -> Measured:
    """Train on the processor and on the pretended device."""
    (job,) = Plan(
        lifters=(lifter,),
        methods=(method,),
        domains=("high-and-ceiling",),
        seeds=1,
        splits=(0,),
        schedule=SHORT,
        own_selections={lifter: SelectionConfig(clips=32)},
    ).jobs({0: data})
    job = job.model_copy(update={"adaptation": brief(method).adaptation})

    def epochs_on(device: torch.device) -> tuple[EpochRecord, ...]:
        with TemporaryDirectory() as work:
            return run_job(job, data, Path(work), device).epochs

    expected = epochs_on(torch.device("cpu"))
    with pretended() as device, _steps() as marks:
        found = epochs_on(device)
    inside = [later - earlier for earlier, later in pairwise(marks[1:])]
    values = (np.array([(one.loss, one.mpjpe_mm) for one in epochs]) for epochs in (expected, found))
    difference = max(abs(there / here - 1) for here, there in zip(*(one.flat for one in values), strict=True))
    return Measured(lifter=lifter, method=method, difference=difference, steps=tuple(map(_traffic, inside)))


def _traffic(counts: Counter[str]) -> Traffic:
    waits = sum(number for name, number in counts.items() if name.startswith("waited for"))
    return Traffic(to_device=counts["to"], from_device=counts["from"], waited_for=waits)


@contextmanager
def _steps() -> Iterator[list[Counter[str]]]:
    """Note what has been counted so far at the beginning of each step of a training."""
    marks: list[Counter[str]] = []
    draw = fit.draw_mirrored

    def draw_mirrored(clips: int, probability: float, generator: torch.Generator) -> torch.Tensor:
        marks.append(counted.copy())
        return draw(clips, probability, generator)

    with patch.object(fit, "draw_mirrored", draw_mirrored):
        yield marks


HEADING = "| lifter | method | difference | to | from | waits |\n|---|---|---:|---:|---:|---:|"


def row(one: Measured) -> str:
    """Lay out, below :data:`HEADING`, what the step that moves least and the one that moves most move."""
    cells = (f"{getattr(one.least, name)}, {getattr(one.most, name)}" for name in Traffic.model_fields)
    return f"| `{one.lifter}` | `{one.method}` | {one.difference:.0e} | {' | '.join(cells)} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lifter", action="append", help="by default every small one")
    parser.add_argument("--method", action="append", help="by default every one")
    given = parser.parse_args()
    torch.set_num_threads(1)
    small = [name for name in PRESETS if name.endswith("-small") and name != "simple-baseline-small"]
    pairs = [("simple-baseline-small", method) for method in given.method or METHODS]
    pairs += [(lifter, "gpa_perspective") for lifter in given.lifter or small]
    with TemporaryDirectory() as folder:
        data = brief_data(Path(folder), FRAMES)
        print(HEADING)
        for lifter, method in pairs:
            print(row(measure(lifter, method, data)), flush=True)


if __name__ == "__main__":
    main()
