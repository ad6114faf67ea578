"""PoseDA's experiment as it was published: source only, then GPA, then GPA and LPA, each measured.

A run's folder holds ``paper.json`` and ``paper.md`` beside lifters and evaluations, which lie where those of
a recipe's run lie. Work that is there already for the same inputs is not done again.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from poseshift.flows.experiment.data import open_poses, open_store
from poseshift.flows.experiment.evaluate import EvaluationRecord, evaluate_lifter
from poseshift.flows.experiment.fitting import answer_of, resolve_device
from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.flows.experiment.recipe import PoseData, StoredData, Test
from poseshift.flows.experiment.train import TrainingJob, TrainingRecord
from poseshift.flows.papers.oracle import EpochsOnTest, read_tested, tested_epoch
from poseshift.flows.papers.outcome import (
    PUBLISHED,
    PaperOutcome,
    TestedEpoch,
    first_outside,
    markdown,
    stage_outcome,
    told,
)
from poseshift.flows.papers.settings import STAGES, PoseDASettings, Stage
from poseshift.flows.runtime.environment import describe_environment
from poseshift.flows.runtime.logs import recorded
from poseshift.flows.runtime.retries import patient_task
from poseshift.flows.train import train_with_progress
from poseshift.storage.files import write_atomically
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import git_commit, software_versions
from poseshift.storage.store import PoseStore
from poseshift.training.evaluation.protocols import protocol
from poseshift.training.lifters.registry import skeleton_of
from poseshift.training.schedule import Schedule

REPORT, TABLE = "paper.json", "paper.md"
"""Files of the outcome inside the run's folder."""

Part = Literal["source", "target", "test"]


class Shortened(FrozenModel):
    """What a short try replaces of the published settings."""

    epochs: int | None = Field(default=None, ge=1)
    """Epochs of every stage."""
    steps_per_epoch: int | None = Field(default=None, ge=1)
    """Steps of an epoch, in place of a pass over the data."""
    batch_size: int | None = Field(default=None, ge=1)
    """Poses in a step."""

    @property
    def replaced(self) -> dict[str, int]:
        """What is replaced, by what."""
        return self.model_dump(exclude_none=True)


class PaperRequest(FrozenModel):
    """What to run on which stores."""

    human36m: str
    """Store of Human3.6M, the labelled source."""
    target: str
    """Store whose keypoints are adapted to: the test set of MPI-INF-3DHP or its training set."""
    test: str
    """Store of the test set of MPI-INF-3DHP."""
    out: Path
    """Folder for everything that is written."""
    settings: PoseDASettings = PoseDASettings()
    """The published settings."""
    shortened: Shortened = Shortened()
    """What a short try replaces."""
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    """One lifter of each stage is trained per seed."""
    device: str = "auto"
    """Where to train."""


class PaperData(FrozenModel):
    """The stores of a request, opened once and named by their snapshots."""

    source: PoseData
    """The labelled source."""
    target: PoseData
    """The target."""
    test: Test
    """The test."""
    motions: dict[Part, str]
    """The motion behind each part that is restaged."""
    absent: tuple[str, ...]
    """Subjects of the published source that the store lacks."""


def find_data(request: PaperRequest) -> PaperData:
    """Open the stores of a request.

    Raises
    ------
    StoreError
        There is no such store.
    ValueError
        A store holds another data set than its part needs.
    """
    settings = request.settings
    opened: dict[Part, PoseStore] = {
        "source": PoseStore.open(request.human36m),
        "target": PoseStore.open(request.target),
        "test": PoseStore.open(request.test),
    }
    wanted: dict[Part, tuple[str, ...]] = {
        "source": ("human36m",),
        "target": ("mpi_inf_3dhp_test", "mpi_inf_3dhp_train"),
        "test": (protocol(settings.protocol).dataset,),
    }
    for part, store in opened.items():
        if store.dataset not in wanted[part]:
            raise ValueError(
                f"{store.location} holds {store.dataset}, but the paper's {part} is "
                f"{' or '.join(wanted[part])}; give another store"
            )
    source, target, test = (opened[part] for part in ("source", "target", "test"))
    held = {key.subject for key in source.keys()}
    return PaperData(
        source=PoseData(
            dataset=source.dataset,
            store=request.human36m,
            snapshot=source.snapshot,
            subjects=settings.subjects,
            frame_step=settings.frame_step,
            keypoints=settings.keypoints,
        ),
        target=PoseData(
            dataset=target.dataset,
            store=request.target,
            snapshot=target.snapshot,
            keypoints=settings.keypoints,
        ),
        test=Test(
            data=StoredData(
                dataset=test.dataset,
                store=request.test,
                snapshot=test.snapshot,
                keypoints=settings.keypoints,
            ),
            protocols=(settings.protocol,),
        ),
        motions={
            part: store.attributes.restaged_from
            for part, store in opened.items()
            if store.attributes.restaged_from is not None
        },
        absent=tuple(name for name in settings.subjects if name not in held),
    )


def stage_job(request: PaperRequest, data: PaperData, stage: Stage, seed: int) -> TrainingJob:
    """Describe the training of one stage.

    Parameters
    ----------
    request : PaperRequest
        What to run.
    data : PaperData
        On which data.
    stage : Stage
        Which one.
    seed : int
        Of everything random.
    """
    settings, first = request.settings, stage == STAGES[0]
    return TrainingJob(
        labelled=data.source,
        target=None if first else data.target,
        adaptation=settings.adaptation(stage),
        lifter=settings.lifter,
        encoding=settings.encoding,
        schedule=_schedule(request, stage),
        initial=None if first else RunFolder(request.out).lifter(STAGES[0], seed),
        seed=seed,
        device=request.device,
    )


def train_stage(request: PaperRequest, data: PaperData, stage: Stage, seed: int) -> TrainingRecord:
    """Train the lifter of one stage, and measure each of its epochs on the test for the oracle's column."""
    job, folder = stage_job(request, data, stage, seed), RunFolder(request.out).training(stage, seed)
    joints, measured_by = skeleton_of(job.lifter), protocol(request.settings.protocol)

    @cache
    def on_test() -> EpochsOnTest:  # reads both stores, which a stage that is there already need not
        answer = answer_of(job.teaching, open_poses(data.source).labelled().on_skeleton(joints))
        test = measured_by.read(open_store(data.test.data), data.test.data.keypoints).on_skeleton(joints)
        device = resolve_device(job.device)
        return EpochsOnTest(job.lifter, job.encoding, answer, test, measured_by, folder, device)

    name = f"train {PUBLISHED[stage].label}, seed {seed}"
    return train_with_progress(job, folder, name, lambda log: on_test()(log)).result


def evaluate_stage(request: PaperRequest, data: PaperData, stage: Stage, seed: int) -> EvaluationRecord:
    """Measure the last epoch's lifter of one stage."""
    name, folder = f"evaluate {PUBLISHED[stage].label}, seed {seed}", RunFolder(request.out)
    report_progress(Step(name, 0, 1))
    place = folder.evaluation(stage, seed)
    record = evaluate_lifter(folder.lifter(stage, seed), data.test, place, request.device).result
    report_progress(Step(name, 1, 1, f"{record.results[0].mpjpe_mm.value:.1f} mm"))
    return record


_train_task = patient_task(train_stage, "train stage", "train {stage} seed {seed}")
_evaluate_task = patient_task(evaluate_stage, "evaluate stage", "evaluate {stage} seed {seed}")


def reproduce_poseda(request: PaperRequest) -> PaperOutcome:
    """Run PoseDA's stages with its published settings and compare them with its published figures.

    Raises
    ------
    StoreError, ValueError
        A store is not there, or holds other data than its part needs.
    """
    data, folder = find_data(request), RunFolder(request.out)
    with recorded(folder.log):
        environment = describe_environment()
        write_atomically(folder.environment, environment.model_dump_json(indent=2) + "\n")
        measured: dict[Stage, list[EvaluationRecord]] = {stage: [] for stage in STAGES}
        for seed in request.seeds:
            for stage in STAGES:
                _train_task(request, data, stage, seed)
                measured[stage].append(_evaluate_task(request, data, stage, seed))
        outcome = _outcome(request, data, measured)
    write_atomically(request.out / REPORT, outcome.model_dump_json(indent=2) + "\n")
    write_atomically(request.out / TABLE, markdown(outcome))
    report_progress(Step("compare with the paper", 1, 1, told(outcome)))
    return outcome


def _outcome(
    request: PaperRequest, data: PaperData, measured: dict[Stage, list[EvaluationRecord]]
) -> PaperOutcome:
    stages = tuple(
        stage_outcome(
            stage,
            request.settings,
            [record.results[0] for record in measured[stage]],
            [
                _tested(request, stage, seed, record)
                for seed, record in zip(request.seeds, measured[stage], strict=True)
            ],
        )
        for stage in STAGES
    )
    frames = measured["source_only"][0].results[0].frames
    snapshots = {"source": data.source.snapshot, "target": data.target.snapshot}
    return PaperOutcome(
        protocol=request.settings.protocol,
        frames=frames,
        target=data.target.dataset,
        seeds=request.seeds,
        not_comparable=tuple(_reasons(request, data, frames)),
        notes=_notes(data),
        stages=stages,
        first_outside=first_outside(stages),
        settings=request.settings.told,
        shortened=request.shortened.replaced,
        snapshots={
            part: snapshot
            for part, snapshot in {**snapshots, "test": data.test.data.snapshot}.items()
            if snapshot is not None
        },
        git_commit=git_commit(),
        versions=software_versions(),
    )


def _tested(
    request: PaperRequest, stage: Stage, seed: int, record: EvaluationRecord
) -> tuple[TestedEpoch, ...]:
    """List every epoch that was measured, the last one by the evaluation of what was kept."""
    folder = RunFolder(request.out).training(stage, seed)
    last = _schedule(request, stage).epochs
    before = [one for one in read_tested(folder) if one.epoch < last]
    return (*before, tested_epoch(last, record.results[0]))


def _schedule(request: PaperRequest, stage: Stage) -> Schedule:
    """Make the published schedule of a stage, shortened as the request says."""
    return request.settings.schedule(stage).model_copy(update=request.shortened.replaced)


def _reasons(request: PaperRequest, data: PaperData, frames: int) -> list[str]:
    """Say why figures are not comparable with published ones."""
    reasons = []
    if request.shortened.replaced:
        named = ", ".join(f"{name} {value}" for name, value in request.shortened.replaced.items())
        reasons.append(f"This is a short try ({named}), not the published schedule.")
    reasons += [f"The {part} is restaged: its motion is {motion}." for part, motion in data.motions.items()]
    if data.absent:
        reasons.append(f"The source lacks {', '.join(data.absent)}.")
    if frames != request.settings.tested_frames:
        reasons.append(
            f"{frames:,} frames were tested; the published test has {request.settings.tested_frames:,}."
        )
    return reasons


def _notes(data: PaperData) -> tuple[str, ...]:
    chosen = (
        "The published figures are likely those of the epoch that is best on the test, as PoseAug's code "
        "chooses; the column of the oracle is to be compared with such a choice and is no result of a method."
    )
    if data.target.dataset == "mpi_inf_3dhp_test":
        seen = "Adaptation has seen the keypoints of the very frames that are tested, as PoseDA's likely has."
    else:
        seen = "Adaptation has seen the training set's keypoints; PoseDA's has likely seen the test set's."
    return chosen, seen
