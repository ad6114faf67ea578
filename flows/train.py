"""Training one lifter as a run; the work is :func:`poseshift.flows.experiment.train.train_lifter`."""

from __future__ import annotations

from pathlib import Path

from poseshift.flows.experiment.fitting import EpochListener
from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.flows.experiment.stage import StageOutcome
from poseshift.flows.experiment.train import TrainingJob, TrainingRecord, train_lifter
from poseshift.flows.runtime.logs import recorded
from poseshift.flows.runtime.notify import failure_told
from poseshift.flows.runtime.orchestrator import orchestrator
from poseshift.flows.runtime.retries import patient_task
from poseshift.training.fit import EpochLog
from poseshift.training.threads import computing_with, threads_for


def train_with_progress(
    job: TrainingJob, folder: Path, name: str, on_epoch: EpochListener = lambda log: None
) -> StageOutcome[TrainingRecord]:
    """Train a lifter when its device is free, and report every epoch as progress of the step ``name``."""
    epochs = job.schedule.epochs
    report_progress(Step(name, 0, epochs))

    def after_epoch(log: EpochLog) -> None:
        on_epoch(log)
        report_progress(Step(name, log.epoch, epochs, f"loss {log.loss:.4f}"))

    outcome = train_lifter(job, folder, after_epoch, orchestrator().slot)
    took = "was there already" if outcome.reused else f"{outcome.result.seconds:.0f} s"
    report_progress(Step(name, epochs, epochs, took))
    return outcome


_train_task = patient_task(train_with_progress, name="train lifter")


def train(job: TrainingJob, folder: Path) -> TrainingRecord:
    """Train one lifter, unless it is there already for the same inputs."""
    threads = threads_for(job.lifter, job.threads)
    with failure_told(f"train {folder}"), recorded(), computing_with(threads):
        return _train_task(job, folder, "train").result


def adapt(job: TrainingJob, folder: Path) -> TrainingRecord:
    """Train one lifter by a job whose adaptation looks at a target."""
    return train(job, folder)
