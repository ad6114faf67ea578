"""One run of the benchmark: train by a method, measure every epoch, choose, and report as a line.

The working folder holds the state to resume from and every epoch's weights; a run that was killed at any
moment ends with the figures of an undisturbed one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import torch
from filelock import FileLock

from poseshift.adaptation.candidates import (
    Candidate,
    CandidateRecorder,
    candidates,
    record_last_epoch,
    restore,
)
from poseshift.adaptation.global_position import GlobalPositionAlignment, TargetKeypoints
from poseshift.adaptation.gravity import CameraGravity, GravityConfig, learn_camera_gravity
from poseshift.adaptation.poseda import PoseDA
from poseshift.adaptation.rollback import fit_with_rollback, read_rollbacks
from poseshift.adaptation.selection import choose, measure, rank_correlation
from poseshift.adaptation.viewpoint import AlignedViewpoint, viewpoint_transforms
from poseshift.augmentation.collapse import CollapseError
from poseshift.augmentation.random_augmentation import RandomAugmentation
from poseshift.flows.benchmark.data import BenchmarkData, without_labels
from poseshift.flows.benchmark.lines import Choice, CollapseEvent, EpochRecord, Job, RunLine
from poseshift.geometry.bones import BoneStatistics, bone_statistics
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses, Selection, read_camera_poses
from poseshift.storage.files import write_atomically
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import digest_json, git_commit, software_versions
from poseshift.training.batches import BatchTransform, DevicePoses
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.encoding import Encoding, encoding
from poseshift.training.evaluation.evaluate import evaluate, predict, rows_within
from poseshift.training.evaluation.results import EvaluationResult
from poseshift.training.fit import EpochLog, fit
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.registry import build
from poseshift.training.run_state import STATE_FILE

_TRAINING, _CANDIDATES = "training", "candidates"


class GravityJob(FrozenModel):
    """What the gravity found for target cameras depends on."""

    source_digest: str
    """Content of the source's store."""
    target_digest: str
    """Content of the target's store."""
    cameras: tuple[str, ...] | None
    """Cameras of the target."""
    config: GravityConfig
    """How it is learned."""
    seed: int
    """Of the estimator."""


@dataclass(frozen=True)
class _Lesson:
    """A job's data on its device.

    Attributes
    ----------
    source : labelled poses of the source.
    target : the poses to adapt to, without their 3D.
    labelled : what is learned from, cut to clips.
    unlabelled : ``target``, cut to clips.
    source_bones : lengths that the criteria know.
    """

    source: CameraPoses
    target: CameraPoses
    labelled: DevicePoses
    unlabelled: DevicePoses
    source_bones: BoneStatistics


def run_job(job: Job, data: BenchmarkData, folder: Path, device: torch.device) -> RunLine:
    """Train and measure; go on where an interrupted run stopped.

    Parameters
    ----------
    job : what to run.
    data : holds the stores that the job names by their digests.
    folder : work of all jobs; this one's lies in a folder named by its digest.
    device : where to train and predict.
    """
    started = perf_counter()
    place = folder / job.digest[:16]
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        chosen_encoding = encoding(job.method_config.encoding)
        lifter = build(job.lifter_config, chosen_encoding.channels, seed=job.seed)
        lesson = _lesson(job, data, lifter.frames, device)
        given_up = None
        try:
            history = _train(job, lesson, lifter, chosen_encoding, place, folder)
        except CollapseError as collapse:
            given_up, history = str(collapse), ()
        recorded = () if given_up else candidates(place / _CANDIDATES)
        trained = TrainedLifter(lifter.to(device).eval(), chosen_encoding, job.lifter_config, {})
        results = _measure(job, data, trained, recorded, place / _CANDIDATES)
    errors = [result.mpjpe_mm.value for result in results]
    chosen = _choose(recorded, errors) if recorded else {}
    kept = sorted(set(chosen.values()))
    return RunLine(
        digest=job.digest,
        job=job.label,
        settings=job.settings,
        poses=len(lesson.labelled),
        epochs=tuple(
            EpochRecord(epoch=one.epoch, loss=log.loss, criteria=one.criteria, mpjpe_mm=error)
            for one, log, error in zip(recorded, history, errors, strict=True)
        ),
        chosen=chosen,
        results=tuple(result for one, result in zip(recorded, results, strict=True) if one.epoch in kept),
        rank_correlation=_correlation(recorded, errors),
        collapses=tuple(
            CollapseEvent(step=entry.health.step, signs=entry.signs, to_epoch=entry.to_epoch)
            for entry in read_rollbacks(place / _TRAINING)
        ),
        given_up=given_up,
        seconds=perf_counter() - started,
        device=_name_of(device),
        git_commit=git_commit(),
        versions=software_versions(),
    )


def _lesson(job: Job, data: BenchmarkData, frames: int, device: torch.device) -> _Lesson:
    source = data.read("human36m", Selection())
    seen = data.read(job.target.train, Selection(cameras=job.target.train_cameras))
    if job.method_config.labelled == "source_there":
        labelled = data.read(job.target.source_there, Selection())
    else:
        labelled = source if job.method_config.labelled == "source" else seen
    target = without_labels(seen)
    return _Lesson(
        source=source,
        target=target,
        labelled=DevicePoses.from_columns(labelled, device, frames),
        unlabelled=DevicePoses.from_columns(target, device, frames),
        source_bones=bone_statistics(source.positions_camera, skeleton(source.skeleton)),
    )


def _train(
    job: Job, lesson: _Lesson, lifter: Lifter, chosen: Encoding, place: Path, shared: Path
) -> tuple[EpochLog, ...]:
    measured = partial(
        measure,
        encoding=chosen,
        target=lesson.unlabelled,
        source_bones=lesson.source_bones,
        config=job.selection,
    )
    run_dir, kept = place / _TRAINING, place / _CANDIDATES
    twin = build(job.lifter_config, chosen.channels, seed=job.seed).to(lesson.labelled.device)
    record_last_epoch(run_dir / STATE_FILE, twin, CandidateRecorder(twin, measured, kept))
    recorder = CandidateRecorder(lifter, measured, kept)
    moved = _transforms(job, lesson, shared)
    if job.method_config.poseda is None:
        return fit(
            lifter,
            chosen,
            lesson.labelled,
            job.schedule,
            run_dir=run_dir,
            seed=job.seed,
            transforms=moved,
            on_epoch=recorder,
        ).history
    adaptation = PoseDA(
        job.method_config.poseda,
        lesson.source,
        TargetKeypoints.from_poses(lesson.target),
        seed=job.seed,
        device=lesson.labelled.device,
    )
    return fit_with_rollback(
        lifter,
        chosen,
        lesson.labelled,
        job.schedule,
        adaptation,
        run_dir=run_dir,
        seed=job.seed,
        transforms=moved,
        on_epoch=recorder,
    ).fit.history


def _transforms(job: Job, lesson: _Lesson, shared: Path) -> Sequence[BatchTransform]:
    config = job.method_config
    if config.position is None:
        return ()
    target = TargetKeypoints.from_poses(lesson.target)
    position = GlobalPositionAlignment(config.position, target, lesson.labelled.device)
    gravity = None
    if isinstance(config.viewpoint, AlignedViewpoint):
        gravity = _gravity(job, lesson, target, config.viewpoint.gravity, shared)
    placed = viewpoint_transforms(config.viewpoint, position, gravity)
    if config.augmentation is None:
        return placed
    return (RandomAugmentation(config.augmentation, skeleton(lesson.source.skeleton)), *placed)


def _gravity(
    job: Job, lesson: _Lesson, target: TargetKeypoints, config: GravityConfig, shared: Path
) -> CameraGravity:
    """Learn the gravity of the target's cameras, once for all lifters and methods with the same seed."""
    wanted = GravityJob(
        source_digest=job.source_digest,
        target_digest=job.target_digest,
        cameras=job.target.train_cameras,
        config=config,
        seed=job.seed,
    )
    record = shared / f"gravity-{digest_json(wanted)[:16]}.json"
    with FileLock(record.with_suffix(".lock")):
        if not record.exists():
            single = DevicePoses.from_columns(lesson.source, lesson.labelled.device, frames=1)
            found = learn_camera_gravity(single, target, config, job.seed)
            write_atomically(record, found.model_dump_json(indent=2) + "\n")
    return CameraGravity.model_validate_json(record.read_text(encoding="utf-8"))


def _measure(
    job: Job, data: BenchmarkData, trained: TrainedLifter, recorded: Sequence[Candidate], weights: Path
) -> tuple[EvaluationResult, ...]:
    """Measure every epoch's lifter by the domain's protocol."""
    measured_by = job.target.protocol
    store = data.open(job.target.test)
    poses = data.known(job.target.test, measured_by.read(store))
    seen = poses
    if trained.lifter.frames > 1:
        seen = data.known(job.target.test, read_camera_poses(store, measured_by.context()))
    rows = rows_within(poses, seen)
    results = []
    for one in recorded:
        restore(trained.lifter, weights, one)
        predicted = predict(trained, seen, test_time=measured_by.test_time)
        results.append(evaluate(predicted[rows], poses, measured_by))
    return tuple(results)


def _choose(recorded: Sequence[Candidate], errors: Sequence[float]) -> dict[Choice, int]:
    best = min(range(len(errors)), key=errors.__getitem__)
    return {
        "last": recorded[-1].epoch,
        "label-free": recorded[choose([one.criteria for one in recorded])].epoch,
        "oracle": recorded[best].epoch,
    }


def _correlation(recorded: Sequence[Candidate], errors: Sequence[float]) -> float | None:
    if len(recorded) < 3:
        return None
    combined = rank_correlation([one.criteria for one in recorded], errors).combined
    return None if math.isnan(combined) else combined


def _name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
