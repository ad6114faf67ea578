"""Training one lifter: from a job to a checkpoint folder, as a plain function and as a flow around it.

A job is the complete description of a lifter, so that its digest says whether the lifter is there already.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import torch
from prefect import flow
from pydantic import JsonValue

from poseshift.adaptation.candidates import (
    Candidate,
    CandidateRecorder,
    candidates,
    record_last_epoch,
    restore_chosen,
)
from poseshift.adaptation.rollback import AdaptedFit, Rollback, fit_with_rollback
from poseshift.adaptation.selection import SelectionConfig, measure
from poseshift.augmentation.checkpoint import save_generator
from poseshift.augmentation.collapse import Health
from poseshift.flows.adapt import keep_found_gravity, learner, target_gravity, transforms, unlabelled
from poseshift.flows.experiment.data import DataInputs, OpenData, open_poses
from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.flows.experiment.recipe import Adaptation, CheckpointChoice, PoseData
from poseshift.flows.experiment.stage import StageOutcome, run_stage
from poseshift.flows.runtime.logs import recorded
from poseshift.flows.runtime.retries import patient_task
from poseshift.flows.runtime.slots import training_slot
from poseshift.geometry.bones import bone_statistics
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses, sampling_hz
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import git_commit, software_versions
from poseshift.training.batches import DevicePoses
from poseshift.training.checkpoint import save_lifter
from poseshift.training.encoding import EncodingName, encoding
from poseshift.training.fit import EpochLog, fit
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.registry import LifterConfig, build
from poseshift.training.run_state import STATE_FILE
from poseshift.training.schedule import Schedule

CHECKPOINT = "lifter"
"""Folder of the trained lifter inside its stage."""

GENERATOR = "generator"
"""Folder of the trained generator of augmentations, where the adaptation has one."""

EpochListener = Callable[[EpochLog], None]


class TrainingJob(FrozenModel):
    """Everything that decides a trained lifter, with the places of its data."""

    labelled: PoseData
    """Poses whose 3D is learned."""
    target: PoseData | None
    """The domain that the adaptation looks at (2D keypoints and intrinsics only)."""
    adaptation: Adaptation
    """How the labelled poses are moved."""
    lifter: LifterConfig
    """The network."""
    encoding: EncodingName
    """How pixels become its input."""
    schedule: Schedule
    """Epochs, batch size, learning rate."""
    selection: CheckpointChoice = "last"
    """Which epoch's lifter is kept; label-free needs a target."""
    seed: int
    """Seed of the weights, of the order of the batches and of every random transform."""
    device: str = "auto"
    """Where to train; not part of the inputs."""


class TrainingInputs(FrozenModel):
    """What a trained lifter depends on, in content."""

    labelled: DataInputs
    """The labelled data."""
    target: DataInputs | None
    """The target's data."""
    adaptation: Adaptation
    """How the labelled poses are moved."""
    lifter: LifterConfig
    """The network."""
    encoding: EncodingName
    """How pixels become its input."""
    schedule: Schedule
    """Epochs, batch size, learning rate."""
    selection: CheckpointChoice
    """Which epoch's lifter is kept."""
    seed: int
    """Seed of everything random."""


class CurvePoint(FrozenModel):
    """One epoch of a learning curve."""

    epoch: int
    """Epochs finished, from 1."""
    loss: float
    """Mean training loss of the epoch, in the loss's own unit (metres for mpjpe)."""


class TrainingRecord(FrozenModel):
    """What training left behind."""

    snapshots: dict[str, str]
    """Snapshot of each data set that was read."""
    poses: int
    """Labelled poses learned from."""
    curve: tuple[CurvePoint, ...]
    """Training loss by epoch."""
    seconds: float
    """Wall-clock time of training."""
    device: str
    """Where it ran."""
    selection: CheckpointChoice = "last"
    """How the checkpoint was chosen: `last` is the end of the schedule; no label of the target is seen."""
    epoch: int
    """The epoch whose lifter was kept, from 1."""
    candidates: tuple[Candidate, ...] = ()
    """Every epoch with its criteria, for a label-free choice."""
    rollbacks: tuple[Rollback, ...] = ()
    """Times that adversarial augmentation collapsed and the run went back."""
    augmentation: tuple[Health, ...] = ()
    """Checks of adversarial augmentation, in the run as it ended."""


def train_lifter(
    job: TrainingJob, folder: Path, on_epoch: EpochListener = lambda log: None
) -> StageOutcome[TrainingRecord]:
    """Train the lifter of a job in a folder, unless it is there already for the same inputs.

    Parameters
    ----------
    job : TrainingJob
        What to train, on what.
    folder : Path
        The stage's folder; the lifter is in ``folder / "lifter"`` afterwards. An interrupted run resumes.
    on_epoch : callable
        Told of every epoch that was trained.

    Raises
    ------
    StoreError, WrongDatasetError, ValueError
        The data are not there, or not what the job says.
    """
    labelled = open_poses(job.labelled)
    target = None if job.target is None else open_poses(job.target)
    inputs = _inputs(job, labelled, target)

    def work(place: Path) -> TrainingRecord:
        device = resolve_device(job.device)
        with training_slot(device):
            return train_on(device, place)

    def train_on(device: torch.device, place: Path) -> TrainingRecord:
        started = perf_counter()
        chosen = encoding(job.encoding)
        lifter = build(job.lifter, chosen.channels, seed=job.seed)
        columns = labelled.labelled()
        poses = DevicePoses.from_columns(columns, device, lifter.frames)
        seen = unlabelled(target)
        gravity = target_gravity(job.adaptation, poses, seen, job.seed, place)
        learning = learner(job.adaptation, columns, seen, seed=job.seed, device=device, gravity=gravity)
        choosing = None if job.selection == "last" else _choosing(job, columns, seen, device, lifter, place)

        def after_epoch(log: EpochLog) -> None:
            if choosing is not None:
                choosing.record(log)
            on_epoch(log)

        moved = transforms(job.adaptation, seen, device, gravity) if learning is None else learning.before
        if learning is None:
            plain = fit(
                lifter,
                chosen,
                poses,
                job.schedule,
                transforms=moved,
                run_dir=place / "training",
                seed=job.seed,
                on_epoch=after_epoch,
            )
            adapted = AdaptedFit(plain, (), ())
        else:
            adapted = fit_with_rollback(
                lifter,
                chosen,
                poses,
                job.schedule,
                learning.transform,
                transforms=moved,
                run_dir=place / "training",
                seed=job.seed,
                on_epoch=after_epoch,
            )
        result = adapted.fit
        keep_found_gravity(moved, seen, place)
        kept = result.history[-1].epoch if choosing is None else choosing.keep().epoch
        record = TrainingRecord(
            snapshots={
                data.data.dataset: data.store.snapshot for data in (labelled, target) if data is not None
            },
            poses=len(poses),
            curve=tuple(CurvePoint(epoch=log.epoch, loss=log.loss) for log in result.history),
            seconds=perf_counter() - started,
            device=str(device),
            selection=job.selection,
            epoch=kept,
            candidates=() if choosing is None else choosing.candidates,
            rollbacks=adapted.rollbacks,
            augmentation=adapted.health,
        )
        rate = sampling_hz(columns)
        provenance: dict[str, JsonValue] = {
            "inputs": inputs.model_dump(mode="json"),
            "git_commit": git_commit(),
            "versions": dict(software_versions()),
            "selection": record.selection,
            "epoch": record.epoch,
            "device": record.device,
            "sampling_hz": None if math.isnan(rate) else rate,
        }
        if learning is not None:
            save_generator(place / GENERATOR, learning.transform.generator, provenance)
        save_lifter(place / CHECKPOINT, job.lifter, job.encoding, result.lifter, provenance)
        return record

    return run_stage(folder, inputs, TrainingRecord, work)


@dataclass(frozen=True)
class _Choosing:
    """A label-free choice among the epochs of one run.

    Attributes
    ----------
    lifter : the one in training; ends with the weights that are kept.
    recorder : of every epoch.
    folder : of what it records.
    """

    lifter: Lifter
    recorder: CandidateRecorder
    folder: Path

    def record(self, log: EpochLog) -> None:
        """Keep an epoch."""
        self.recorder(log)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """What was recorded."""
        return candidates(self.folder)

    def keep(self) -> Candidate:
        """Give the lifter the weights that the criteria choose."""
        return restore_chosen(self.lifter, self.folder)


def _choosing(
    job: TrainingJob,
    source: CameraPoses,
    target: CameraPoses | None,
    device: torch.device,
    lifter: Lifter,
    place: Path,
) -> _Choosing:
    if target is None:
        raise ValueError("label-free selection looks at the target's keypoints; give a target or keep `last`")
    chosen = encoding(job.encoding)
    measured = partial(
        measure,
        encoding=chosen,
        target=DevicePoses.from_columns(target, device, lifter.frames),
        source_bones=bone_statistics(source.positions_camera, skeleton(source.skeleton)),
        config=SelectionConfig(),
    )
    folder = place / "candidates"
    twin = build(job.lifter, chosen.channels, seed=job.seed).to(device)
    record_last_epoch(place / "training" / STATE_FILE, twin, CandidateRecorder(twin, measured, folder))
    return _Choosing(lifter, CandidateRecorder(lifter, measured, folder), folder)


def training_inputs(job: TrainingJob) -> TrainingInputs:
    """Describe what a job's lifter would depend on now; raises what :func:`train_lifter` raises."""
    return _inputs(job, open_poses(job.labelled), None if job.target is None else open_poses(job.target))


def _inputs(job: TrainingJob, labelled: OpenData, target: OpenData | None) -> TrainingInputs:
    return TrainingInputs(
        labelled=labelled.inputs,
        target=None if target is None else target.inputs,
        adaptation=job.adaptation,
        lifter=job.lifter,
        encoding=job.encoding,
        schedule=job.schedule,
        selection=job.selection,
        seed=job.seed,
    )


def resolve_device(name: str) -> torch.device:
    """Find the device that a recipe means.

    Raises
    ------
    ValueError
        It is not there on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"{name!r} is not a device; use auto, cpu, cuda or cuda:<n>") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name!r}: this machine has no CUDA device; use `device: auto` or `cpu`")
    return device


def narrated_training(job: TrainingJob, folder: Path, name: str) -> StageOutcome[TrainingRecord]:
    """:func:`train_lifter`, told to whoever listens under ``name``."""
    epochs = job.schedule.epochs
    report_progress(Step(name, 0, epochs))
    outcome = train_lifter(
        job, folder, lambda log: report_progress(Step(name, log.epoch, epochs, f"loss {log.loss:.4f}"))
    )
    took = "was there already" if outcome.reused else f"{outcome.result.seconds:.0f} s"
    report_progress(Step(name, epochs, epochs, took))
    return outcome


_train_task = patient_task(narrated_training, name="train lifter")


@flow(name="train", flow_run_name="train {folder}", timeout_seconds=48 * 3600)
def train(job: TrainingJob, folder: Path) -> TrainingRecord:
    """Train one lifter, unless it is there already for the same inputs."""
    with recorded():
        return _train_task(job, folder, "train").result


adapt = train.with_options(name="adapt", flow_run_name="adapt {folder}")
"""The same flow under the name of what it is used for: a job whose adaptation looks at a target."""
