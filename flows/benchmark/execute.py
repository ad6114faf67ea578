"""Running the jobs of a benchmark in processes of one thread each, and recording each as it ends.

A job whose line is there is not run again. Processes end with the one that started them, so a benchmark that
was killed leaves nothing behind but work to go on with.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from poseshift.flows.benchmark.data import BenchmarkData
from poseshift.flows.benchmark.lines import Job, RunLine, append_line, read_lines
from poseshift.flows.benchmark.run import run_job
from poseshift.flows.experiment.progress import Step, report_progress

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
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn, initializer=_begin_process) as pool:
        waiting = {
            pool.submit(run_job, job, data[job.split], folder / WORK, torch.device(device)): job
            for job in missing
        }
        for ended in as_completed(waiting):
            job = waiting[ended]
            error = ended.exception()
            if error is None:
                append_line(folder, ended.result())
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


def _begin_process() -> None:
    # Small lifters gain little from a second thread, and figures do not depend on the number of processes.
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
