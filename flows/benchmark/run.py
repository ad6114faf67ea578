"""One run of the benchmark: train by a method, measure every epoch, choose, and report as a line.

Training is :func:`poseshift.flows.experiment.fitting.teach`, the same as a recipe's; the benchmark adds that
every epoch's lifter is measured on the test. The working folder holds the state to resume from and every
epoch's weights; a run that was killed at any moment ends with the figures of an undisturbed one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from poseshift.adaptation.candidates import Candidate, candidates, restore
from poseshift.adaptation.config import alignment_of
from poseshift.adaptation.gravity import GravityConfig
from poseshift.adaptation.rollback import read_rollbacks
from poseshift.adaptation.selection import choose, rank_correlation
from poseshift.adaptation.viewpoint import AlignedViewpoint
from poseshift.augmentation.collapse import CollapseError
from poseshift.flows.benchmark.content import Content, errors_by_content
from poseshift.flows.benchmark.data import BenchmarkData
from poseshift.flows.benchmark.forms import FORMS
from poseshift.flows.benchmark.lines import Choice, CollapseEvent, EpochRecord, Job, RaysKind, RunLine
from poseshift.flows.experiment.fitting import CANDIDATES, TRAINING, Taught, Watching, teach
from poseshift.flows.experiment.initial import describe_initial
from poseshift.geometry.bones import bone_statistics
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import digest_json, git_commit, software_versions
from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.training.answer import FARTHEST_BELIEVED, Rays, RaysBlend, RaysOff, RaysSnap
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.encoding import encoding
from poseshift.training.evaluation.answering import predict_each
from poseshift.training.evaluation.evaluate import evaluate, rows_within
from poseshift.training.evaluation.results import Errors, EvaluationResult
from poseshift.training.lifters.registry import build

DETECTOR_SEEDS = (1, 2)
"""Of the detector's errors in target and test."""


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
class _Poses:
    """A job's poses.

    Attributes
    ----------
    source : CameraPoses
        Labelled poses of the source, whose bone lengths the criteria know.
    labelled : CameraPoses
        What is learned from.
    target : CameraPoses
        The poses to adapt to, without their 3D.
    """

    source: CameraPoses
    labelled: CameraPoses
    target: CameraPoses


def run_job(
    job: Job, data: BenchmarkData, folder: Path, device: torch.device, initial: Path | None = None
) -> RunLine:
    """Train and measure; go on where an interrupted run stopped.

    Parameters
    ----------
    job : Job
        What to run.
    data : BenchmarkData
        Holds the stores that the job names by their digests.
    folder : Path
        Work of all jobs; this one's lies in a folder named by its digest.
    device : torch.device
        Where to train and predict.
    initial : Path or None
        Folder of the trained lifter that the job starts from.

    Raises
    ------
    ValueError
        The folder's lifter is not the one that the job names.
    """
    given = None if initial is None else describe_initial(initial)
    if given != job.initial:
        raise ValueError(
            f"{job.title} starts from {job.initial}, but the lifter of {initial} is {given}; give that one"
        )
    started, computed = perf_counter(), process_time()
    place = folder / job.digest[:16]
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        poses = _poses(job, data)
        given_up, taught = None, None
        try:
            taught = _teach(job, poses, place, folder, device, initial)
        except CollapseError as collapse:
            given_up = str(collapse)
        recorded: tuple[Candidate, ...] = ()
        measured = _Measured((), {}, {})
        if taught is not None:
            recorded = candidates(place / CANDIDATES)
            measured = _measure(job, data, taught, recorded, place / CANDIDATES, device)
    results = measured.by_epoch
    history = () if taught is None else taught.fitted.fit.history
    errors = [result.mpjpe_mm.value for result in results]
    chosen = _choose(recorded, errors) if recorded else {}
    kept = sorted(set(chosen.values()))
    return RunLine(
        digest=job.digest,
        job=job.label,
        settings=job.settings,
        poses=len(poses.labelled),
        epochs=tuple(
            EpochRecord(epoch=one.epoch, loss=log.loss, criteria=one.criteria, mpjpe_mm=error)
            for one, log, error in zip(recorded, history, errors, strict=True)
        ),
        chosen=chosen,
        results=tuple(result for one, result in zip(recorded, results, strict=True) if one.epoch in kept),
        people=data.stores.people,
        by_rays=measured.by_rays,
        by_content=measured.by_content,
        rank_correlation=_correlation(recorded, errors),
        collapses=tuple(
            CollapseEvent(step=entry.health.step, signs=entry.signs, to_epoch=entry.to_epoch)
            for entry in read_rollbacks(place / TRAINING)
        ),
        augmentation=None if taught is None or not taught.fitted.health else taught.fitted.health[-1],
        tuning=() if taught is None else taught.fitted.tuning,
        detector=None if taught is None else taught.detector,
        given_up=given_up,
        seconds=perf_counter() - started,
        cpu_seconds=process_time() - computed,
        device=_name_of(device),
        git_commit=git_commit(),
        versions=software_versions(),
    )


def _poses(job: Job, data: BenchmarkData) -> _Poses:
    form = FORMS[job.form]
    source = form.source(data.read("human36m", Selection()))
    seen = form.target(
        data.read(job.target.train, Selection(cameras=job.target.train_cameras)), DETECTOR_SEEDS[0]
    )
    if job.labels == "source_in_target":
        labelled = form.source(data.read(job.target.source_there, Selection()))
    else:
        labelled = source if job.labels == "source" else seen
    return _Poses(source, labelled, seen.unlabelled())


def _teach(
    job: Job, poses: _Poses, place: Path, shared: Path, device: torch.device, initial: Path | None
) -> Taught:
    bones = bone_statistics(poses.source.positions_camera, skeleton(poses.source.skeleton))
    return teach(
        job.teaching,
        poses.labelled,
        poses.target,
        place,
        _gravity_file(job, place, shared),
        device,
        initial=initial,
        watching=Watching(job.selection, bones),
    )


def _gravity_file(job: Job, place: Path, shared: Path) -> Path:
    """Name the file of the target cameras' gravity: learned once for all lifters and methods of a seed."""
    aligned = alignment_of(job.adaptation)
    if aligned is None or not isinstance(aligned.viewpoint, AlignedViewpoint):
        return place / "gravity.json"
    wanted = GravityJob(
        source_digest=job.source_digest,
        target_digest=job.target_digest,
        cameras=job.target.train_cameras,
        config=aligned.viewpoint.gravity,
        seed=job.seed,
    )
    return shared / f"gravity-{digest_json(wanted)[:16]}.json"


@dataclass(frozen=True)
class _Measured:
    """Results of every epoch's lifter, and of the last one's by what is done with rays and what people do."""

    by_epoch: tuple[EvaluationResult, ...]
    by_rays: dict[RaysKind, EvaluationResult]
    by_content: dict[Content, Errors]


def _measure(
    job: Job,
    data: BenchmarkData,
    taught: Taught,
    recorded: Sequence[Candidate],
    weights: Path,
    device: torch.device,
) -> _Measured:
    """Measure the lifter of every epoch, of which there is at least one, by the domain's protocol."""
    chosen = encoding(job.encoding)
    lifter = build(job.lifter_config, chosen.channels, seed=job.seed).to(device).eval()
    trained = TrainedLifter(lifter, chosen, job.lifter_config, {"sampling_hz": taught.clip_hz}, taught.answer)
    measured_by = job.target.protocol
    store = data.open(job.target.test)
    poses = data.known(job.target.test, measured_by.read(store))
    seen = poses
    if trained.lifter.frames > 1:
        seen = data.known(job.target.test, read_camera_poses(store, measured_by.context()))
    rows = rows_within(poses, seen)
    seen = FORMS[job.form].target(seen, DETECTOR_SEEDS[1])
    poses = seen.take(rows)

    def answered(ways: Sequence[Rays]) -> tuple[NDArray[np.floating], ...]:
        answers = [taught.answer.model_copy(update={"rays": rays}) for rays in ways]
        return predict_each(trained, seen, answers, rows=rows, test_time=measured_by.test_time)

    by_epoch = []
    for one in recorded[:-1]:
        restore(lifter, weights, one)
        (positions,) = answered([taught.answer.rays])
        by_epoch.append(evaluate(positions, poses, measured_by))
    kinds: dict[RaysKind, Rays] = {
        "off": RaysOff(),
        "snap": RaysSnap(),
        "blend": RaysBlend(),
        "near": RaysBlend(farthest=FARTHEST_BELIEVED),
        "snap-body": RaysSnap(body="view"),
        "near-body": RaysBlend(farthest=FARTHEST_BELIEVED, body="view"),
    }
    restore(lifter, weights, recorded[-1])
    last, *others = answered([taught.answer.rays, *kinds.values()])
    by_epoch.append(evaluate(last, poses, measured_by))
    by_rays = {kind: evaluate(answer, poses, measured_by) for kind, answer in zip(kinds, others, strict=True)}
    return _Measured(tuple(by_epoch), by_rays, errors_by_content(last, poses, measured_by))


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
