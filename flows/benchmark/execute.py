"""Running the jobs of a benchmark in processes of one thread each, and recording each as it ends.

A job whose line is there is not run again. Processes end with the one that started them, so a benchmark that
was killed leaves nothing behind but work to go on with.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from poseshift.flows.benchmark.data import BenchmarkData
from poseshift.flows.benchmark.lines import Job, RunLine, append_line, read_lines
from poseshift.flows.benchmark.run import run_job
from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.flows.runtime.workers import in_worker, several_at_once

logger = logging.getLogger(__name__)

WORK = "work"
"""Folder of unfinished runs inside a benchmark's folder."""


class BenchmarkBusyError(RuntimeError):
    """Another process is at work in the folder."""


@dataclass(frozen=True)
class Failure:
    """A job that ended with an error; it is run again next time."""

    job: Job
    message: str


@dataclass(frozen=True)
class Executed:
    """What became of the jobs.

    Attributes
    ----------
    lines : tuple[RunLine, ...]
        Of all jobs that are finished, in the order of the jobs.
    reused : int
        Jobs that had been finished before.
    failures : tuple[Failure, ...]
        Jobs that were not finished.
    """

    lines: tuple[RunLine, ...]
    reused: int
    failures: tuple[Failure, ...]


def execute(
    jobs: Sequence[Job], data: Mapping[int, BenchmarkData], folder: Path, processes: int, device: str
) -> Executed:
    """Run what is not there yet.

    Parameters
    ----------
    jobs : Sequence[Job]
        What to run, in this order.
    data : Mapping[int, BenchmarkData]
        The stores of every split.
    folder : Path
        For the lines and the unfinished work.
    processes : int
        Runs at the same time, each of one CPU thread.
    device : str
        ``cpu``, ``cuda`` or ``cuda:<n>``.

    Raises
    ------
    BenchmarkBusyError
        Another process writes into the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            return _execute(jobs, data, folder, processes, device)
    except Timeout:
        raise BenchmarkBusyError(
            f"another benchmark is at work in {folder}; wait, or give another folder"
        ) from None


def _execute(
    jobs: Sequence[Job], data: Mapping[int, BenchmarkData], folder: Path, processes: int, device: str
) -> Executed:
    finished = {line.digest for line in read_lines(folder)}
    for digest in finished:  # a run may have been killed after its line was written
        shutil.rmtree(folder / WORK / digest[:16], ignore_errors=True)
    missing = [job for job in jobs if job.digest not in finished]
    failures: list[Failure] = []
    done = len(jobs) - len(missing)
    report_progress(Step("runs", done, len(jobs)))

    def run(job: Job) -> RunLine:
        return in_worker(run_job)(job, data[job.split], folder / WORK, torch.device(device))

    # Small lifters gain little from a second thread, and figures do not depend on the number of processes.
    with several_at_once(run, missing, processes, threads=1) as ended:
        for job, line in ended:
            error = line.exception()
            if error is None:
                append_line(folder, line.result())
                shutil.rmtree(folder / WORK / job.digest[:16])
                remark = job.title
            else:
                logger.error("%s failed", job.title, exc_info=error)
                failures.append(Failure(job, f"{type(error).__name__}: {error}"))
                remark = f"failed: {job.title}"
            done += 1
            report_progress(Step("runs", done, len(jobs), remark))
    lines = {line.digest: line for line in read_lines(folder)}
    return Executed(
        lines=tuple(lines[job.digest] for job in jobs if job.digest in lines),
        reused=len(jobs) - len(missing),
        failures=tuple(failures),
    )
