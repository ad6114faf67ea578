"""Training one lifter as a flow; the work is :func:`poseshift.flows.experiment.train.train_lifter`."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from poseshift.flows.experiment.fitting import EpochListener
from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.flows.experiment.stage import StageOutcome
from poseshift.flows.experiment.train import TrainingJob, TrainingRecord, train_lifter
from poseshift.flows.runtime.logs import recorded
from poseshift.flows.runtime.retries import patient_task
from poseshift.flows.runtime.slots import training_slot
from poseshift.training.fit import EpochLog


def train_with_progress(
    job: TrainingJob, folder: Path, name: str, on_epoch: EpochListener = lambda log: None
) -> StageOutcome[TrainingRecord]:
    """Train a lifter when its device is free, and report every epoch as progress of the step ``name``."""
    epochs = job.schedule.epochs
    report_progress(Step(name, 0, epochs))

    def after_epoch(log: EpochLog) -> None:
        on_epoch(log)
        report_progress(Step(name, log.epoch, epochs, f"loss {log.loss:.4f}"))

    outcome = train_lifter(job, folder, after_epoch, training_slot)
    took = "was there already" if outcome.reused else f"{outcome.result.seconds:.0f} s"
    report_progress(Step(name, epochs, epochs, took))
    return outcome


_train_task = patient_task(train_with_progress, name="train lifter")


@flow(name="train", flow_run_name="train {folder}", timeout_seconds=48 * 3600)
def train(job: TrainingJob, folder: Path) -> TrainingRecord:
    """Train one lifter, unless it is there already for the same inputs."""
    with recorded():
        return _train_task(job, folder, "train").result


adapt = train.with_options(name="adapt", flow_run_name="adapt {folder}")
"""The same flow under the name of what it is used for: a job whose adaptation looks at a target."""
