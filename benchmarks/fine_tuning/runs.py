"""Lifters adapted to a domain from a trained lifter, and from scratch: the same method, data and answers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from poseshift.adaptation.methods import METHODS
from poseshift.flows.benchmark.data import BenchmarkData, prepare_benchmark
from poseshift.flows.benchmark.domains import DomainName
from poseshift.flows.benchmark.forms import FormName
from poseshift.flows.benchmark.lines import Job, append_line, read_lines
from poseshift.flows.benchmark.plan import PLANS, Plan
from poseshift.flows.benchmark.run import run_job
from poseshift.flows.experiment.initial import describe_initial
from poseshift.flows.experiment.recipe import PoseData
from poseshift.flows.experiment.train import CHECKPOINT, TrainingJob, train_lifter
from poseshift.training.lifters.registry import preset
from poseshift.training.schedule import Schedule

logger = logging.getLogger(__name__)

LIFTER = "simple-baseline-small"

INITIAL = "no_target"
"""The method of the lifter that is there already: it has seen the source alone."""

SCRATCH = PLANS["adaptation", "short"].schedule
TUNED = Schedule(epochs=6, steps_per_epoch=150, batch_size=256, learning_rate=5e-3, warmup_steps=50)
"""Chosen on the development split; three eighths of the steps from scratch."""


@dataclass(frozen=True)
class Asked:
    """What is compared.

    Attributes
    ----------
    motion : str
        The motion that is restaged.
    splits, domains, forms, methods
        Every combination is trained twice, for every seed.
    seeds : sequence of int
        Of weights and of everything random.
    """

    motion: str
    splits: Sequence[int]
    domains: Sequence[DomainName]
    forms: Sequence[FormName]
    methods: Sequence[str]
    seeds: Sequence[int]


def run_missing(asked: Asked, data_folder: Path, work: Path, lines: Path) -> None:
    """Train and measure what has no line yet, one after the other with one thread, and add its line.

    Parameters
    ----------
    asked : Asked
        What is compared.
    data_folder : Path
        Gets the restaged stores, a folder a split; those of ``poseshift benchmark`` are known again.
    work : Path
        Gets the lifters to start from; an unfinished training is not kept, as its line tells what it costs.
    lines : Path
        Folder of the lines.
    """
    torch.set_num_threads(1)
    for split in asked.splits:
        data = prepare_benchmark(asked.motion, data_folder, 0, split)
        for seed in asked.seeds:
            initial = _lifter_of_source(data, seed, work / f"initial-split-{split}-seed-{seed}")
            for job, start in _jobs(asked, data, split, seed, initial):
                if job.digest in {line.digest for line in read_lines(lines)}:
                    continue
                # In a folder of its own: gravity that was found before would cost nothing.
                with TemporaryDirectory(dir=work) as place:
                    line = run_job(job, data, Path(place), torch.device("cpu"), start)
                append_line(lines, line)
                logger.info(
                    "%s, from %s: %.1f mm", job.title, start or "scratch", line.under("last").mpjpe_mm.value
                )


def _jobs(
    asked: Asked, data: BenchmarkData, split: int, seed: int, initial: Path
) -> Iterable[tuple[Job, Path | None]]:
    """List the trainings of a split and a seed, each with the lifter that it starts from."""
    described = describe_initial(initial)
    for domain, form, method in product(asked.domains, asked.forms, asked.methods):
        plan = Plan(
            lifters=(LIFTER,),
            methods=(method,),
            domains=(domain,),
            forms=(form,),
            splits=(split,),
            seeds=seed + 1,
            schedule=SCRATCH,
        )
        scratch = plan.jobs({split: data})[seed]
        yield scratch, None
        yield scratch.model_copy(update={"schedule": TUNED, "initial": described}), initial


def _lifter_of_source(data: BenchmarkData, seed: int, folder: Path) -> Path:
    """Train the lifter that is there before any target is known, unless it is there."""
    method = METHODS[INITIAL]
    job = TrainingJob(
        adaptation=method.adaptation,
        lifter=preset(LIFTER),
        encoding=method.encoding,
        rays=method.rays,
        detector_noise=method.detector_noise,
        schedule=SCRATCH,
        seed=seed,
        labelled=PoseData(dataset="human36m", store=str(data.place("human36m"))),
        target=None,
        device="cpu",
        threads=1,
    )
    train_lifter(job, folder)
    return folder / CHECKPOINT
