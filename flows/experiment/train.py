"""Training one lifter as a stage: from a job to a checkpoint folder.

A job is the complete description of a lifter, so that its digest says whether the lifter is there already.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from pydantic import Field, JsonValue, model_validator

from poseshift.adaptation.candidates import Candidate, candidates, restore_chosen
from poseshift.adaptation.plan import learns_beside_lifter
from poseshift.adaptation.rollback import Rollback
from poseshift.adaptation.selection import SelectionConfig
from poseshift.adaptation.tuning_config import TuningCheck
from poseshift.augmentation.checkpoint import save_generator
from poseshift.augmentation.collapse import Health
from poseshift.augmentation.detector_noise import DetectorErrors, NoiseFitted
from poseshift.flows.experiment.data import DataInputs, OpenData, open_poses
from poseshift.flows.experiment.fitting import (
    CANDIDATES,
    EpochListener,
    Taught,
    Teaching,
    Watching,
    resolve_device,
    teach,
)
from poseshift.flows.experiment.initial import InitialWeights, describe_initial, require_same_lifter
from poseshift.flows.experiment.launch import Launch, LaunchError
from poseshift.flows.experiment.recipe import CheckpointChoice, PoseData
from poseshift.flows.experiment.stage import StageOutcome, run_stage
from poseshift.geometry.bones import bone_statistics
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.frame_rates import sampling_hz
from poseshift.storage.model import FrozenModel, is_left_out
from poseshift.storage.provenance import git_commit, software_versions
from poseshift.storage.registry import load_plugins, loaded_plugins
from poseshift.storage.schema import PositionsKind
from poseshift.training.checkpoint import LearnedScale, TrainedLifter, describe_lifter, save_lifter
from poseshift.training.encoding import encoding
from poseshift.training.evaluation.recalibration import learned_scale
from poseshift.training.licences import RECORDED_AS, LearnedFrom, Role, inherited
from poseshift.training.lifters.registry import skeleton_of
from poseshift.training.losses import ScaledLoss, loss
from poseshift.training.shipped import lifter_folder

CHECKPOINT = "lifter"
"""Folder of the trained lifter inside its stage."""

GENERATOR = "generator"
"""Folder of the trained generator of augmentations, where the adaptation has one."""

GRAVITY = "camera_gravity.json"
"""What was found of the target cameras' gravity, inside the folder of a training stage."""

Slot = Callable[[torch.device], AbstractContextManager[None]]
"""Waits until a device may be trained on, and holds it for the length of a ``with`` block."""


class TrainingJob(Teaching):
    """Everything that decides a trained lifter, with the places of its data."""

    labelled: PoseData
    """Poses whose 3D is learned."""
    target: PoseData | None
    """The domain that the adaptation looks at (2D keypoints and intrinsics only)."""
    watched: PoseData | None = None
    """Poses by whose keypoints every epoch's lifter is measured without labels, where nothing tests it."""
    selection: CheckpointChoice = "last"
    """Which epoch's lifter is kept; label-free needs a target."""
    initial: Path | None = None
    """Trained lifter whose weights are the first ones: a folder, or the name of a shipped one.

    Its content is part of the inputs.
    """
    device: str = "auto"
    """Where to train; not part of the inputs."""
    threads: int | None = Field(default=None, ge=1, exclude_if=is_left_out)
    """Threads to compute with on a CPU, as `threads` of a recipe; not part of the inputs."""

    @property
    def teaching(self) -> Teaching:
        """How the lifter is taught, without the data."""
        return Teaching(**{name: getattr(self, name) for name in Teaching.model_fields})


class TrainingInputs(Teaching):
    """What a trained lifter depends on, in content."""

    labelled: DataInputs
    """The labelled data."""
    target: DataInputs | None
    """The target's data."""
    watched: DataInputs | None = Field(default=None, exclude_if=lambda value: value is None)
    """The data by which epochs are measured, where nothing tests the lifter."""
    selection: CheckpointChoice
    """Which epoch's lifter is kept."""
    initial: InitialWeights | None = Field(default=None, exclude_if=lambda value: value is None)
    """The trained lifter that it starts from; not written where there is none, as digests had it before."""


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
    left_out: int = 0
    """Labelled poses that lack a keypoint, so that nothing was learned from them."""
    target_left_out: int = 0
    """Poses of the target that lack a keypoint, so that nothing was adapted to them."""
    positions: tuple[PositionsKind, ...] = ()
    """Kinds of 3D among them: annotated, universal; empty in records that do not say."""
    remarks: tuple[str, ...] = ()
    """What deserves a second look: selections that leave little of a store."""
    curve: tuple[CurvePoint, ...]
    """Training loss by epoch."""
    seconds: float
    """Wall-clock time of training."""
    device: str
    """Where it ran; the first process's device, when there were several."""
    processes: int = 1
    """Processes that trained together."""
    selection: CheckpointChoice = "last"
    """How the checkpoint was chosen: `last` is the end of the schedule; no label of the target is seen."""
    epoch: int
    """The epoch whose lifter was kept, from 1."""
    candidates: tuple[Candidate, ...] = ()
    """Every epoch with its criteria, for a label-free choice or where nothing tests the lifter."""
    rollbacks: tuple[Rollback, ...] = ()
    """Times that adversarial augmentation collapsed and the run went back."""
    augmentation: tuple[Health, ...] = ()
    """Checks of adversarial augmentation, in the run as it ended."""
    tuning: tuple[TuningCheck, ...] = ()
    """What answers to target keypoints were like while the lifter was tuned on them."""
    detector: DetectorErrors | None = Field(default=None, exclude_if=is_left_out)
    """The detector's errors that labelled keypoints were given; none where keypoints stayed as they are."""


class SharedTraining(FrozenModel):
    """What the first process of a launch tells the others of a training."""

    plugins: tuple[str, ...]
    """Modules that add what the job may name; imported before it is read."""
    job: TrainingJob
    """The training, its data pinned to the snapshots that the first process reads."""
    folder: Path
    """The stage's folder, where the state to resume from lies."""

    @model_validator(mode="before")
    @classmethod
    def _with_plugins(cls, content: Any) -> Any:
        if isinstance(content, dict):
            load_plugins(content.get("plugins", ()))
        return content


def train_lifter(
    job: TrainingJob,
    folder: Path,
    on_epoch: EpochListener = lambda log: None,
    slot: Slot = lambda device: nullcontext(),
) -> StageOutcome[TrainingRecord]:
    """Train the lifter of a job in a folder, unless it is there already for the same inputs.

    Parameters
    ----------
    job : TrainingJob
        What to train, on what.
    folder : Path
        The stage's folder; the lifter is in ``folder / "lifter"`` afterwards. An interrupted run resumes.
    on_epoch : callable
        Called after every epoch that was trained.
    slot : callable
        Reserves the device.

    Raises
    ------
    StoreError, WrongDatasetError, ValueError
        The data are not there, or not what the job says; or the lifter to start from is of another kind.
    FileNotFoundError
        There is no lifter to start from.
    LaunchError
        The job cannot be shared by the processes of this launch, or one of them failed.

    Notes
    -----
    In a launch of several processes the first one calls this; the others are in :func:`take_part`.
    """
    launch = Launch.here()
    require_shareable(job, launch)
    labelled = open_poses(job.labelled)
    target = None if job.target is None else open_poses(job.target)
    watched = None if job.watched is None else open_poses(job.watched)
    inputs = _inputs(job, labelled, target, watched)

    def work(place: Path) -> TrainingRecord:
        named = resolve_device(job.device)
        device = launch.own_device(named)
        with ExitStack() as held:
            for one in launch.devices(named):
                held.enter_context(slot(one))
            return _train(job, labelled, target, watched, inputs, device, place, on_epoch, launch)

    return run_stage(folder, inputs, TrainingRecord, work)


def take_part(training: SharedTraining) -> None:
    """Train beside the first process of the launch, and leave what comes of it to that one.

    Parameters
    ----------
    training : SharedTraining
        As :func:`train_lifter` announced it in the first process.
    """
    job = training.job
    target = None if job.target is None else open_poses(job.target)
    teach(
        job.teaching,
        open_poses(job.labelled).labelled(),
        None if target is None else target.unlabelled(),
        training.folder,
        training.folder / GRAVITY,
        Launch.here().own_device(resolve_device(job.device)),
        detected=_detected(job, target),
        initial=job.initial,
    )


def require_shareable(job: TrainingJob, launch: Launch) -> None:
    """Refuse a job that one process must train, in a launch of several.

    Raises
    ------
    LaunchError
        Something learns beside the lifter, from the batches of one process.
    """
    if launch.shared and learns_beside_lifter(job.adaptation):
        raise LaunchError(
            f"adaptation {job.adaptation.method!r} learns from the batches of one process, but this launch "
            f"has {launch.processes}; start it without torchrun, or with --nproc-per-node 1"
        )


def training_inputs(job: TrainingJob) -> TrainingInputs:
    """Describe what a job's lifter would depend on now; raises what :func:`train_lifter` raises."""
    target, watched = (None if data is None else open_poses(data) for data in (job.target, job.watched))
    return _inputs(job, open_poses(job.labelled), target, watched)


def _train(
    job: TrainingJob,
    labelled: OpenData,
    target: OpenData | None,
    watched: OpenData | None,
    inputs: TrainingInputs,
    device: torch.device,
    place: Path,
    on_epoch: EpochListener,
    launch: Launch,
) -> TrainingRecord:
    started = perf_counter()
    # The smaller ones first: what is wrong with them is then told at once.
    seen, answered = (None if data is None else data.unlabelled() for data in (target, watched))
    columns = labelled.labelled()
    read = ((labelled, columns), (target, seen), (watched, answered))
    remarks = tuple(
        remark
        for data, poses in read
        if data is not None and poses is not None
        for remark in data.remarks(poses)
    )
    watching = None
    if job.selection == "label-free" or watched is not None:
        known = columns.on_skeleton(skeleton_of(job.lifter))
        bones = bone_statistics(known.positions_camera, skeleton(known.skeleton))
        watching = Watching(SelectionConfig(), bones, answered)
    launch.announce(_shared(job, labelled, target, place).model_dump_json())
    try:
        taught = teach(
            job.teaching,
            columns,
            seen,
            place,
            place / GRAVITY,
            device,
            detected=_detected(job, target),
            initial=job.initial,
            watching=watching,
            on_epoch=on_epoch,
        )
    except OSError as error:
        if not launch.shared:
            raise
        # Elsewhere such errors are waited out, but the other processes stand in the middle of a step.
        raise LaunchError(f"{error}; launch it again, and the training goes on from its state") from error
    history = taught.fitted.fit.history
    chosen = restore_chosen(taught.lifter, place / CANDIDATES) if job.selection == "label-free" else None
    rate = taught.clip_hz or sampling_hz(columns)
    record = TrainingRecord(
        snapshots={
            data.data.dataset: data.store.snapshot for data in (labelled, target, watched) if data is not None
        },
        poses=taught.poses,
        left_out=taught.left_out,
        target_left_out=taught.target_left_out,
        positions=tuple(sorted({trial.positions for trial in columns.trials if trial.positions})),
        remarks=remarks,
        curve=tuple(CurvePoint(epoch=log.epoch, loss=log.loss) for log in history),
        seconds=perf_counter() - started,
        device=str(device),
        processes=launch.processes,
        selection=job.selection,
        epoch=history[-1].epoch if chosen is None else chosen.epoch,
        candidates=candidates(place / CANDIDATES),
        rollbacks=taught.fitted.rollbacks,
        augmentation=taught.fitted.health,
        tuning=taught.fitted.tuning,
        detector=taught.detector,
    )
    origins = learned_from(job, labelled, target, watched)
    scale = _scale(job, taught, columns)
    _save(job, taught, record, inputs, origins, None if math.isnan(rate) else rate, scale, place)
    return record


def _detected(job: TrainingJob, target: OpenData | None) -> CameraPoses | None:
    """Read the target once more as its detector left it, where gaps are filled and errors are fitted."""
    fitted = isinstance(job.detector_noise, NoiseFitted)
    return target.detected() if target is not None and fitted and target.data.longest_gap_s > 0 else None


def learned_from(
    job: TrainingJob, labelled: OpenData, target: OpenData | None, watched: OpenData | None
) -> tuple[LearnedFrom, ...]:
    """List the stores that a job's lifter depends on, with those of the lifter that it starts from."""
    roles: tuple[tuple[Role, OpenData | None], ...] = (
        ("labelled", labelled),
        ("target", target),
        ("watched", watched),
    )
    own = tuple(
        LearnedFrom(
            role=role,
            dataset=data.store.dataset,
            snapshot=data.store.snapshot,
            motion=data.store.attributes.restaged_from,
        )
        for role, data in roles
        if data is not None
    )
    return (
        own
        if job.initial is None
        else (*own, *inherited(describe_lifter(lifter_folder(job.initial)).provenance))
    )


def _scale(job: TrainingJob, taught: Taught, labelled: CameraPoses) -> LearnedScale | None:
    """Measure what is to be known of a lifter's scales, where it was taught to tell them."""
    if not isinstance(loss(job.schedule.loss), ScaledLoss):
        return None
    seen_by = encoding(job.encoding)
    trained = TrainedLifter(taught.lifter, seen_by, job.lifter, {}, taught.answer, LearnedScale())
    return learned_scale(trained, labelled.on_skeleton(taught.lifter.skeleton).without_gaps())


def _save(
    job: TrainingJob,
    taught: Taught,
    record: TrainingRecord,
    inputs: TrainingInputs,
    origins: tuple[LearnedFrom, ...],
    rate_hz: float | None,
    scale: LearnedScale | None,
    place: Path,
) -> None:
    """Write the lifter and, where there is one, the generator, with where they come from."""
    provenance: dict[str, JsonValue] = {
        "inputs": inputs.model_dump(mode="json"),
        RECORDED_AS: [one.model_dump(mode="json") for one in origins],
        "git_commit": git_commit(),
        "versions": dict(software_versions()),
        "selection": record.selection,
        "epoch": record.epoch,
        "device": record.device,
        "sampling_hz": rate_hz,
        "positions": list(record.positions),
    }
    if taught.detector is not None:
        provenance["detector"] = taught.detector.model_dump(mode="json")
    if taught.adaptation.learner is not None:
        save_generator(place / GENERATOR, taught.adaptation.learner.generator, provenance)
    save_lifter(
        place / CHECKPOINT,
        job.lifter,
        job.encoding,
        taught.lifter,
        provenance,
        taught.answer,
        scale,
    )


def _shared(job: TrainingJob, labelled: OpenData, target: OpenData | None, place: Path) -> SharedTraining:
    """Describe a training for other processes, which must read the same snapshots from the same places."""
    pinned = {
        role: data.data.model_copy(update={"raw": None, "snapshot": data.store.snapshot})
        for role, data in (("labelled", labelled), ("target", target))
        if data is not None
    }
    initial = None if job.initial is None else lifter_folder(job.initial).absolute()
    shared = job.model_copy(update={**pinned, "initial": initial})
    return SharedTraining(plugins=loaded_plugins(), job=shared, folder=place.absolute())


def _inputs(
    job: TrainingJob, labelled: OpenData, target: OpenData | None, watched: OpenData | None
) -> TrainingInputs:
    initial = None
    if job.initial is not None:
        initial = describe_initial(job.initial)
        require_same_lifter(initial, job.initial, job.lifter, job.encoding)
    return TrainingInputs(
        labelled=labelled.inputs,
        target=None if target is None else target.inputs,
        watched=None if watched is None else watched.inputs,
        selection=job.selection,
        initial=initial,
        **{name: getattr(job, name) for name in Teaching.model_fields},
    )
