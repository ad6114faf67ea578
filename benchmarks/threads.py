"""Steps of a small lifter's training with one thread, with two, and with two that wait asleep.

    python -m benchmarks.threads --out runs/threads.jsonl

Each case is a process of its own, because OpenMP reads its settings once. Cases take turns, so that other
work on the machine falls on all of them alike; the load is recorded, for the answer depends on it.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Literal

from benchmarks.recorded import add_line

from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import software_versions

CASES: Mapping[str, Mapping[str, str]] = {
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "2 threads": {"OMP_NUM_THREADS": "2"},
    "2 threads, waiting asleep": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"},
}

PROGRAM = """
import sys, time
import torch
from poseshift.training.lifters.registry import build, preset
lifter = build(preset(sys.argv[1]), channels=2).train()
optimiser = torch.optim.AdamW(lifter.parameters(), fused=True)
keypoints, positions = torch.randn(256, 1, 17, 2), torch.randn(256, 1, 17, 3)
def step():
    optimiser.zero_grad(set_to_none=True)
    (lifter(keypoints) - positions).norm(dim=-1).mean().backward()
    optimiser.step()
for _ in range(5):
    step()
cpu, wall, steps = time.process_time(), time.perf_counter(), int(sys.argv[2])
for _ in range(steps):
    step()
print((time.perf_counter() - wall) / steps, (time.process_time() - cpu) / steps)
"""


class Measured(FrozenModel):
    """Steps of one lifter in one case."""

    benchmark: Literal["threads"] = "threads"
    """What was measured."""
    lifter: str
    """Name of the preset."""
    case: str
    """One of :data:`CASES`."""
    wall_ms_a_step: float
    """By the clock, the median of the repetitions."""
    cpu_ms_a_step: float
    """Of processors, likewise."""
    all_wall_ms: tuple[float, ...]
    """By the clock, each repetition."""
    all_cpu_ms: tuple[float, ...]
    """Of processors, each repetition."""
    steps: int
    """Of a repetition."""
    load: tuple[float, float, float]
    """Of the machine at the end, over 1, 5 and 15 minutes."""
    cores: int | None
    """Of the machine."""
    python: str
    """Version of Python."""
    versions: dict[str, str]
    """Versions of the software."""


def run_once(case: str, lifter: str, steps: int) -> tuple[float, float]:
    """Return wall and processor seconds of a step."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, lifter, str(steps)],
        env={**clean, **CASES[case]},
        capture_output=True,
        text=True,
        check=True,
    )
    wall_s, cpu_s = map(float, done.stdout.split())
    return wall_s, cpu_s


def main() -> None:
    """Measure, print, and add a JSON line per case to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lifter", default="simple-baseline-small")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    runs = [{case: run_once(case, given.lifter, given.steps) for case in CASES} for _ in range(given.repeats)]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        wall_ms, cpu_ms = (
            [1000 * one for one in some] for some in zip(*(run[case] for run in runs), strict=True)
        )
        line = Measured(
            lifter=given.lifter,
            case=case,
            wall_ms_a_step=median(wall_ms),
            cpu_ms_a_step=median(cpu_ms),
            all_wall_ms=tuple(wall_ms),
            all_cpu_ms=tuple(cpu_ms),
            steps=given.steps,
            load=os.getloadavg(),
            cores=os.cpu_count(),
            python=platform.python_version(),
            versions=software_versions(),
        )
        add_line(given.out, line)
        print(f"| {case} | {line.wall_ms_a_step:.2f} | {line.cpu_ms_a_step:.2f} |")


if __name__ == "__main__":
    main()
