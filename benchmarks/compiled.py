"""Steps of a training with the plain network and with a compiled one, and what compiling costs.

    python -m benchmarks.compiled --lifter simple-baseline-small --clips 256 --out runs/compiled.jsonl

Both train the same weights on the same made-up clips in one process with one thread, in turns, so that other
work on the machine falls on both alike. Compiling starts from an empty folder.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Literal

import torch
from benchmarks.recorded import add_line

from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import software_versions
from poseshift.training.compiled import compiled_answers
from poseshift.training.lifters.registry import build, preset

Step = Callable[[], float]

KINDS = ("plain", "compiled")


class Compared(FrozenModel):
    """Steps of one lifter with both kinds of its network."""

    benchmark: Literal["compiled"] = "compiled"
    """What was measured."""
    lifter: str
    """Name of the preset."""
    clips: int
    """Of a step."""
    steps: int
    """Of a repetition."""
    cpu_ms_a_step: dict[str, float]
    """Processor time of a step, the median of the repetitions, by kind."""
    all_cpu_s: tuple[dict[str, float], ...]
    """Processor time of all steps, by repetition and kind."""
    first_step_cpu_s: dict[str, float]
    """Processor time of the first step, compiling included, by kind."""
    first_loss: dict[str, float]
    """Its loss, by kind."""
    load: tuple[float, float, float]
    """Of the machine at the end, over 1, 5 and 15 minutes."""
    versions: dict[str, str]
    """Versions of the software."""


def step_of(name: str, clips: int, *, compiled: bool) -> Step:
    """Make a function that trains a lifter by one step and returns the loss."""
    lifter = build(preset(name), channels=2, seed=0).train()
    optimiser = torch.optim.AdamW(lifter.parameters(), fused=True)
    answering = compiled_answers(lifter) if compiled else lifter.answered
    generator = torch.Generator().manual_seed(0)
    keypoints = torch.randn(clips, lifter.frames, lifter.joints, 2, generator=generator)
    positions = torch.randn(clips, 1, lifter.joints, 3, generator=generator)

    def step() -> float:
        errors = [(one.positions - positions).norm(dim=-1).mean() for one in answering(keypoints)]
        loss = torch.stack(errors).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step


def cpu_seconds_of(steps: int, step: Step) -> float:
    """Measure the processor time of so many steps, children such as a C++ compiler included."""
    before = os.times()
    started = process_time()
    for _ in range(steps):
        step()
    after = os.times()
    children = after.children_user + after.children_system - before.children_user - before.children_system
    return process_time() - started + children


def main() -> None:
    """Measure, print, and add a JSON line to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lifter", default="simple-baseline-small")
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        steps = {kind: step_of(given.lifter, given.clips, compiled=kind == "compiled") for kind in KINDS}
        losses: dict[str, float] = {}
        first: dict[str, float] = {}
        for kind, step in steps.items():
            torch.manual_seed(0)
            first[kind] = cpu_seconds_of(1, lambda step=step, kind=kind: losses.setdefault(kind, step()))
        runs = [
            {kind: cpu_seconds_of(given.steps, step) for kind, step in steps.items()}
            for _ in range(given.repeats + 1)
        ][1:]
    ms = {kind: 1000 * median(run[kind] for run in runs) / given.steps for kind in KINDS}
    line = Compared(
        lifter=given.lifter,
        clips=given.clips,
        steps=given.steps,
        cpu_ms_a_step=ms,
        all_cpu_s=tuple(runs),
        first_step_cpu_s=first,
        first_loss=losses,
        load=os.getloadavg(),
        versions=software_versions(),
    )
    given.out.parent.mkdir(parents=True, exist_ok=True)
    add_line(given.out, line)
    cells = (f"{ms['plain']:.1f}", f"{ms['compiled']:.1f}", f"{ms['plain'] / ms['compiled']:.2f}")
    print(f"| `{given.lifter}` | {given.clips} | {' | '.join(cells)} | {first['compiled']:.0f} |")


if __name__ == "__main__":
    main()
