"""Methods over seeds on the rig: every run is trained, lifts the rig, is scored, and becomes one line.

A run that has its line is not run again, and one that was interrupted goes on from its last epoch. Methods
that differ in the viewpoint alone stand beside each other, so that a difference is the viewpoint's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import torch
from benchmarks.real_rig.scoring import Row, compare, mended_frames
from benchmarks.recorded import add_line, read_lines
from pydantic import Field

from poseshift.adaptation.method import Method
from poseshift.adaptation.methods import METHODS
from poseshift.adaptation.viewpoint import (
    FoundViewpoint,
    RandomViewpoint,
    Viewpoint,
)
from poseshift.augmentation.detector_noise import DetectorErrors
from poseshift.flows.experiment.predict import PredictionOptions, predict_store
from poseshift.flows.experiment.recipe import PoseData
from poseshift.flows.experiment.train import CHECKPOINT, TrainingJob, train_lifter
from poseshift.storage.model import FrozenModel, is_left_out, is_still
from poseshift.storage.provenance import digest_json, git_commit, software_versions
from poseshift.storage.store import PoseStore
from poseshift.training.answer import RaysOff
from poseshift.training.checkpoint import load_lifter, save_lifter
from poseshift.training.lifters.config import LifterConfig
from poseshift.training.lifters.registry import preset
from poseshift.training.prediction.body_height import SizeFrom
from poseshift.training.prediction.fusion import FUSED
from poseshift.training.prediction.smoothing import NoSmoothing, SavitzkyGolay, Smoothing
from poseshift.training.schedule import Schedule

logger = logging.getLogger(__name__)

LINES = Path(__file__).with_name("runs.jsonl")
"""The recorded runs."""

SCHEDULE = Schedule(epochs=8, steps_per_epoch=250, batch_size=256, learning_rate=0.01, warmup_steps=200)
"""That of ``recipes/free_motion_to_own_cameras.yaml``."""

RaysKind = Literal["own", "off", "body"]
"""Answers on their rays as the method says, as the network gives them, or as the method says with one body
in all frames of a view."""

SmoothingKind = Literal["none", "savgol"]

Way = tuple[RaysKind, SmoothingKind, SizeFrom]
"""How is answered."""

WAYS: tuple[Way, ...] = (
    ("own", "none", "source"),
    ("own", "savgol", "source"),
    ("off", "none", "source"),
    ("off", "savgol", "source"),
    ("own", "none", "cameras"),
    ("body", "none", "source"),
    ("body", "none", "cameras"),
)
"""What every lifter is scored in; lines that are older lack the last ones."""

_SMOOTHINGS: Mapping[SmoothingKind, Smoothing] = MappingProxyType(
    {"none": NoSmoothing(), "savgol": SavitzkyGolay()}
)

Figure = Literal["mpjpe_mm", "pa_mpjpe_mm", "detector_mpjpe_mm", "detector_pa_mpjpe_mm"]


def _from(base: str, name: str, viewpoint: Viewpoint) -> Method:
    """Take a method with another viewpoint, all else equal."""
    method = METHODS[base]
    adaptation = method.adaptation.model_copy(update={"viewpoint": viewpoint})
    content = {**dict(method), "name": name, "label": name, "description": "", "adaptation": adaptation}
    return Method.model_validate_json(Method(**content).model_dump_json())


_FROM_KEYPOINTS = FoundViewpoint(gravity=("learned",), jitter_degrees=10.0)
"""Where up is by what people do alone: a calibration that says it is not looked at."""

_BOTH = "diverse_both_mixed"
_DETECTED = "diverse_both_mixed_detected"
_COMBINED = "diverse_both_mixed_detected_found"

VARIANTS: Mapping[str, Method] = MappingProxyType(
    {
        one.name: one
        for one in (
            METHODS[_BOTH],
            _from(_BOTH, "both_mixed_random", RandomViewpoint()),
            METHODS[_DETECTED],
            METHODS["diverse_random_viewpoint"],
            METHODS["diverse_known_viewpoint"],
            METHODS["diverse_found_viewpoint"],
            _from("diverse_found_viewpoint", "found_without_tilt", FoundViewpoint()),
            _from("diverse_found_viewpoint", "found_from_keypoints", _FROM_KEYPOINTS),
            METHODS["diverse_viewpoint"],
            _from(_DETECTED, "detected_random", RandomViewpoint()),
            METHODS[_COMBINED],
            _from(_COMBINED, "detected_found_from_keypoints", _FROM_KEYPOINTS),
            METHODS[f"{_COMBINED}_views"],
        )
    }
)
"""What is compared, by name. Beside a method with a viewpoint stands the same with random ones."""


class RigJob(FrozenModel):
    """Everything that decides a run's figures."""

    name: str
    """Of the variant."""
    method: Method
    """Its settings."""
    lifter: LifterConfig
    """The network."""
    schedule: Schedule
    """How long it learns."""
    seed: int
    """Of everything random."""
    source_digest: str
    """Content of the labelled store."""
    target_digest: str
    """Content of the rig's store, mended."""

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON."""
        return digest_json(self)


class Score(FrozenModel):
    """Errors of one camera in millimetres, over the frames that are scored."""

    camera: str
    """The camera; `all` for all frames of all cameras, `fused` for the motion that is made of all cameras."""
    frames: int
    """How many are scored."""
    mpjpe_mm: float
    """Mean error of the twelve joints."""
    pa_mpjpe_mm: float
    """The same after Procrustes alignment of every pose."""
    detector_mpjpe_mm: float
    """The detector's own 3D on the same frames."""
    detector_pa_mpjpe_mm: float
    """The same after alignment."""


class Scored(FrozenModel):
    """The scores of one way of answering."""

    rays: RaysKind
    """Whether answers are put on their rays."""
    smoothing: SmoothingKind
    """What is done in time."""
    size: SizeFrom = Field(default="source", exclude_if=is_still("source"))
    """Where the person's size comes from."""
    scores: tuple[Score, ...]
    """By camera, and of all frames."""

    def mean(self, figure: Figure) -> float:
        """Average a figure over the cameras, every camera alike."""
        own = [float(getattr(one, figure)) for one in self.scores if one.camera not in ("all", FUSED)]
        return sum(own) / len(own)

    def together(self, figure: Figure) -> float | None:
        """Look up a figure of the cameras together; None of a line that does not have it."""
        fused = [float(getattr(one, figure)) for one in self.scores if one.camera == FUSED]
        return fused[0] if fused else None


class RigLine(FrozenModel):
    """One finished run."""

    digest: str
    """Of the job."""
    job: RigJob
    """What was run."""
    results: tuple[Scored, ...]
    """Off and on the rays, with and without smoothing, in the source's size and in that which cameras see."""
    detector: DetectorErrors | None = Field(default=None, exclude_if=is_left_out)
    """The detector's errors that source keypoints were given."""
    cpu_seconds: float
    """Processor time of training and scoring, of the last attempt."""
    git_commit: str | None
    """Commit of the program."""
    versions: dict[str, str]
    """Versions of the software."""


@dataclass(frozen=True)
class Rig:
    """Where the data of a comparison lie."""

    source: str
    target: str
    keypoints: str
    landmarks: Path
    truth: Path


def jobs(rig: Rig, names: Sequence[str], seeds: Sequence[int]) -> list[RigJob]:
    """List the runs of some variants, seed by seed, so that an unfinished list is a paired one."""
    source, target = (PoseStore.open(place).digest() for place in (rig.source, rig.target))
    return [
        RigJob(
            name=name,
            method=VARIANTS[name],
            lifter=preset("simple-baseline-small"),
            schedule=SCHEDULE,
            seed=seed,
            source_digest=source,
            target_digest=target,
        )
        for seed in seeds
        for name in names
    ]


def run(job: RigJob, rig: Rig, folder: Path) -> RigLine:
    """Train, lift and score; the folder is the run's own, and what lies in it is gone on with."""
    started = time.process_time()
    torch.set_num_threads(1)
    training = TrainingJob(
        labelled=PoseData(dataset=PoseStore.open(rig.source).dataset, store=rig.source),
        target=PoseData(
            dataset=PoseStore.open(rig.target).dataset, store=rig.target, keypoints=rig.keypoints
        ),
        adaptation=job.method.adaptation,
        lifter=job.lifter,
        encoding=job.method.encoding,
        rays=job.method.rays,
        detector_noise=job.method.detector_noise,
        schedule=job.schedule,
        seed=job.seed,
        device="cpu",
    )
    record = train_lifter(training, folder / "training").result
    own, off = folder / "training" / CHECKPOINT, folder / "off_rays"
    trained = load_lifter(own, torch.device("cpu"))
    answer = trained.answer.model_copy(update={"rays": RaysOff()})
    save_lifter(off, job.lifter, job.method.encoding, trained.lifter, trained.provenance, answer)
    lifters: dict[RaysKind, Path] = {"own": own, "off": off, "body": own}
    results = [score(way, lifters[way[0]], rig, folder) for way in WAYS]
    return RigLine(
        digest=job.digest,
        job=job,
        results=tuple(results),
        detector=record.detector,
        cpu_seconds=time.process_time() - started,
        git_commit=git_commit(),
        versions=software_versions(),
    )


def score(way: Way, lifter: Path, rig: Rig, folder: Path) -> Scored:
    """Lift the rig in one way, into the folder of a run, and score it."""
    rays, smoothing, size = way
    prediction = folder / f"lifted_{rays}_{smoothing}{'' if size == 'source' else f'_{size}'}"
    options = PredictionOptions(
        keypoints=rig.keypoints,
        smoothing=_SMOOTHINGS[smoothing],
        size_from=size,
        body="view" if rays == "body" else None,
    )
    predict_store(lifter, rig.target, options, prediction, "cpu")
    rows = compare(prediction, rig.landmarks, rig.truth, mended_frames(rig.target, prediction))
    return Scored(rays=rays, smoothing=smoothing, size=size, scores=tuple(_score(row) for row in rows))


def _score(row: Row) -> Score:
    return Score(
        camera=row.camera,
        frames=row.frames,
        mpjpe_mm=row.lifter[0],
        pa_mpjpe_mm=row.lifter[1],
        detector_mpjpe_mm=row.detector[0],
        detector_pa_mpjpe_mm=row.detector[1],
    )


def run_missing(wanted: Sequence[RigJob], rig: Rig, work: Path, lines: Path) -> None:
    """Run what has no line yet, one after the other, and add each line as its run ends."""
    for job in wanted:
        if any(one.digest == job.digest for one in read_lines(lines, RigLine)):
            continue
        line = run(job, rig, work / job.digest[:16])
        add_line(lines, line)
        logger.info("%s, seed %d: %.0f s of processor time", job.name, job.seed, line.cpu_seconds)
