"""Lifters on somebody's own cameras: taught, lifting as ``poseshift predict`` does, scored in 3D."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from benchmarks.own_cameras.domain import FREE_MOTION, HUMAN36M, Stores
from benchmarks.own_cameras.scene import JOINTS
from benchmarks.real_rig.runs import SCHEDULE
from benchmarks.real_rig.scoring import scored
from benchmarks.recorded import add_line, read_lines
from pydantic import Field

from poseshift.adaptation.method import Method
from poseshift.adaptation.methods import METHODS
from poseshift.flows.experiment.predict import (
    MotionRecord,
    PredictionOptions,
    PredictionRecord,
    predict_store,
)
from poseshift.flows.experiment.recipe import PoseData
from poseshift.flows.experiment.train import CHECKPOINT, TrainingJob, train_lifter
from poseshift.storage.model import FrozenModel, is_left_out
from poseshift.storage.provenance import digest_json, git_commit, software_versions
from poseshift.storage.store import PoseStore
from poseshift.training.evaluation.metrics import mpjpe_mm, pa_mpjpe_mm
from poseshift.training.lifters.registry import preset
from poseshift.training.prediction.fusion import FUSED
from poseshift.training.prediction.smoothing import NoSmoothing
from poseshift.training.schedule import Schedule

logger = logging.getLogger(__name__)

LINES = Path(__file__).with_name("runs.jsonl")
"""The recorded runs."""

LONGEST_GAP_S = 0.5
"""Of joints that were not seen and are filled in over time before a lifter is adapted to the keypoints."""

SHIPPED = "free-motion-1"
ADAPTING = METHODS["diverse_both_mixed_detected"]


@dataclass(frozen=True)
class Recipe:
    """How a lifter comes about.

    Attributes
    ----------
    source : str
        Data set that it learns from.
    method : Method
        How it is taught.
    initial : str or None
        Shipped lifter, or another recipe of the same seed, whose weights are the first ones.
    """

    source: str
    method: Method
    initial: str | None = None


RECIPES: Mapping[str, Recipe | None] = MappingProxyType(
    {
        SHIPPED: None,
        f"{SHIPPED}, adapted": Recipe(FREE_MOTION, ADAPTING, SHIPPED),
        "free motion, adapted": Recipe(FREE_MOTION, ADAPTING),
        "free motion, adapted, random viewpoints": Recipe(
            FREE_MOTION, METHODS["diverse_both_mixed_detected_random"]
        ),
        "free motion, adapted, found viewpoints": Recipe(
            FREE_MOTION, METHODS["diverse_both_mixed_detected_found"]
        ),
        "free motion, adapted, calibrated views": Recipe(
            FREE_MOTION, METHODS["diverse_both_mixed_detected_found_views"]
        ),
        "free motion": Recipe(FREE_MOTION, METHODS["no_target_mixed"]),
        "free motion, then adapted": Recipe(FREE_MOTION, ADAPTING, "free motion"),
        "restaged Human3.6M": Recipe(HUMAN36M, METHODS["perspective"]),
        "restaged Human3.6M, adapted": Recipe(HUMAN36M, ADAPTING, "restaged Human3.6M"),
    }
)
"""What is compared; None is lifted by as it ships."""


class OwnJob(FrozenModel):
    """Everything that decides a run's figures."""

    name: str
    """Of the recipe."""
    source_digest: str | None = Field(default=None, exclude_if=is_left_out)
    """Content of what is learned from; none where nothing is."""
    method: Method | None = Field(default=None, exclude_if=is_left_out)
    """How it is taught."""
    initial: str | None = Field(default=None, exclude_if=is_left_out)
    """Where the weights begin."""
    schedule: Schedule | None = Field(default=None, exclude_if=is_left_out)
    """How long it learns."""
    target_digest: str
    """Content of the domain."""
    seed: int
    """Of everything random in the training."""

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return digest_json(self)


class SequenceScore(FrozenModel):
    """One person in one clip before one camera, or before all: millimetres over twelve joints."""

    person: str
    """Who."""
    clip: str
    """The clip."""
    camera: str
    """The camera, or ``fused``."""
    frames: int
    """Frames in which all of the person is in the image; of fused motions, in that of two cameras."""
    mpjpe_mm: float
    """Mean error, relative to the middle of the hips."""
    pa_mpjpe_mm: float
    """The same after Procrustes alignment of every pose."""


class OwnLine(FrozenModel):
    """One finished run."""

    digest: str
    """Of the job."""
    job: OwnJob
    """What was run."""
    sequences: tuple[SequenceScore, ...]
    """Errors, before each camera and fused."""
    cpu_seconds: float
    """Processor time of training and lifting, of the last attempt."""
    git_commit: str | None
    """Commit of the program."""
    versions: dict[str, str]
    """Versions of the software."""


def job_of(name: str, stores: Stores, seed: int) -> OwnJob:
    """Describe a run by its content."""
    recipe = RECIPES[name]
    target = PoseStore.open(stores.target).digest()
    if recipe is None:
        return OwnJob(name=name, target_digest=target, seed=seed)
    return OwnJob(
        name=name,
        source_digest=PoseStore.open(stores.source(recipe.source)).digest(),
        method=recipe.method,
        initial=recipe.initial,
        schedule=SCHEDULE,
        target_digest=target,
        seed=seed,
    )


def run(name: str, stores: Stores, seed: int, work: Path) -> OwnLine:
    """Train where that is meant, lift and score; what lies in the folder of work is gone on with."""
    started = time.process_time()
    torch.set_num_threads(1)
    job = job_of(name, stores, seed)
    lifter = _lifter(name, stores, seed, work)
    lifted = work / job.digest[:16] / "lifted"
    options = PredictionOptions(keypoints="detected", smoothing=NoSmoothing())
    record = predict_store(lifter, stores.target, options, lifted, "cpu").record
    return OwnLine(
        digest=job.digest,
        job=job,
        sequences=score(record, lifted, stores.withheld),
        cpu_seconds=time.process_time() - started,
        git_commit=git_commit(),
        versions=software_versions(),
    )


def _lifter(name: str, stores: Stores, seed: int, work: Path) -> Path:
    """Find or train the lifter of a recipe, and the one that it starts from before it."""
    recipe = RECIPES.get(name)
    if recipe is None:
        return Path(name)
    initial = None if recipe.initial is None else _lifter(recipe.initial, stores, seed, work)
    training = TrainingJob(
        labelled=PoseData(dataset=recipe.source, store=stores.source(recipe.source)),
        target=PoseData(
            dataset=PoseStore.open(stores.target).dataset,
            store=stores.target,
            keypoints="detected",
            longest_gap_s=LONGEST_GAP_S,
        )
        if recipe.method.needs_target
        else None,
        adaptation=recipe.method.adaptation,
        lifter=preset("simple-baseline-small"),
        encoding=recipe.method.encoding,
        rays=recipe.method.rays,
        detector_noise=recipe.method.detector_noise,
        schedule=SCHEDULE,
        initial=initial,
        seed=seed,
        device="cpu",
    )
    folder = work / job_of(name, stores, seed).digest[:16] / "training"
    train_lifter(training, folder)
    return folder / CHECKPOINT


def score(record: PredictionRecord, lifted: Path, withheld: Path) -> tuple[SequenceScore, ...]:
    """Compare every motion of a prediction with the 3D that was withheld."""
    order = sorted({one.camera for one in record.motions} - {FUSED})
    return tuple(_score(one, lifted / one.files["npz"], withheld, order) for one in record.motions)


def _score(one: MotionRecord, file: Path, withheld: Path, order: list[str]) -> SequenceScore:
    if one.axes != "world":
        raise ValueError(f"{file}: {one.axes} axes, but the rig is calibrated and its world has z up")
    with np.load(withheld / f"{one.trial}.npz") as held:
        world, inside = held[one.subject], held[f"{one.subject}_inside"]
    with np.load(file) as held:
        frame, positions = held["frame"], held["positions"]
    fused = one.camera == FUSED
    whole = inside.sum(axis=0) >= 2 if fused else inside[order.index(one.camera)]
    kept = whole[frame]
    answer, truth = scored(positions[kept], JOINTS), scored(world[frame[kept]], JOINTS)
    return SequenceScore(
        person=one.subject,
        clip=one.trial,
        camera=one.camera,
        frames=int(kept.sum()),
        mpjpe_mm=float(mpjpe_mm(answer, truth).mean()),
        pa_mpjpe_mm=float(pa_mpjpe_mm(answer, truth).mean()),
    )


def run_missing(seeds: list[int], stores: Stores, work: Path, lines: Path) -> None:
    """Run what has no line yet, and add each line as its run ends; what ships is the same for all seeds."""
    for seed in seeds:
        for name, recipe in RECIPES.items():
            known = {one.digest for one in read_lines(lines, OwnLine)}
            if (recipe is None and seed != seeds[0]) or job_of(name, stores, seed).digest in known:
                continue
            line = run(name, stores, seed, work)
            add_line(lines, line)
            logger.info("%s, seed %d: %.0f s of processor time", name, seed, line.cpu_seconds)
