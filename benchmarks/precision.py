"""Lifters trained in single and in half precision (bf16-mixed): what that costs in millimetres.

    python -m benchmarks.precision --motion cmu_h36m17_core_50hz.npz --data DATA --work WORK --out OUT

Every pair is one method, seed, division of people and schedule, on one device and thread. Adds a line for
each run to ``runs.jsonl`` in the folder of ``--out``, goes on where it was interrupted, and prints the table.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch

from poseshift.flows.benchmark.data import prepare_benchmark
from poseshift.flows.benchmark.lines import RunLine, append_line, read_lines
from poseshift.flows.benchmark.plan import REPORTED_SPLITS, Plan
from poseshift.flows.benchmark.pooling import paired, pooled
from poseshift.flows.benchmark.run import run_job
from poseshift.training.evaluation.results import EvaluationResult
from poseshift.training.schedule import Schedule

PRECISIONS: tuple[Literal["32-true", "bf16-mixed"], ...] = ("32-true", "bf16-mixed")

LEARNING_RATE = 1e-2
"""That of the benchmark's short plans for these lifters."""


def main() -> None:
    """Run what has no line yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--motion", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--lifters", nargs="+", default=["simple-baseline-small", "ampose-small"])
    parser.add_argument("--method", default="diverse")
    parser.add_argument("--splits", type=int, nargs="+", default=list(REPORTED_SPLITS))
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for folder in (given.work, given.out):
        folder.mkdir(parents=True, exist_ok=True)
    digests = []
    for split in given.splits:
        data = prepare_benchmark(given.motion, given.data, 0, split)
        for precision in PRECISIONS:
            plan = Plan(
                lifters=tuple(given.lifters),
                methods=(given.method,),
                domains=("chest-height",),
                splits=(split,),
                seeds=1,
                schedule=Schedule(
                    epochs=1,
                    steps_per_epoch=given.steps,
                    batch_size=given.clips,
                    learning_rate=LEARNING_RATE,
                    warmup_steps=given.steps // 8,
                    precision=precision,
                ),
            )
            for job in plan.jobs({split: data}):
                digests.append(job.digest)
                if job.digest not in {line.digest for line in read_lines(given.out)}:
                    with TemporaryDirectory(dir=given.work) as place:
                        append_line(given.out, run_job(job, data, Path(place), torch.device(given.device)))
    print(table([line for line in read_lines(given.out) if line.digest in digests]))


def table(lines: Sequence[RunLine]) -> str:
    """Write a row for each lifter, as Markdown, of the splits that both precisions have."""
    shown = [
        "| lifter | splits | single, mm | half, mm | half costs, mm | CPU s single | CPU s half |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for lifter in dict.fromkeys(line.job.lifter for line in lines):
        both = [
            {
                line.job.split: line
                for line in lines
                if line.job.lifter == lifter and line.job.schedule.precision == precision
            }
            for precision in PRECISIONS
        ]
        splits = sorted(set(both[0]) & set(both[1]))
        single, half = ([some[split] for split in splits] for some in both)
        if not splits:
            continue
        means = (f"{pooled(some, _last, 'mpjpe_mm').value:.1f}" for some in (single, half))
        seconds = (f"{sum(line.cpu_seconds or 0.0 for line in some):.0f}" for some in (single, half))
        cells = (", ".join(map(str, splits)), *means, str(paired(single, half, _last)), *seconds)
        shown.append(f"| `{lifter}` | {' | '.join(cells)} |")
    return "\n".join(shown)


def _last(line: RunLine) -> EvaluationResult:
    return line.under("last")


if __name__ == "__main__":
    main()
