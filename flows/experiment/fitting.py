"""Teaching one lifter by a method: the one path that recipes, commands and the benchmark train by."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from filelock import FileLock
from pydantic import Field

from poseshift.adaptation.candidates import CandidateRecorder, record_last_epoch
from poseshift.adaptation.config import Adaptation
from poseshift.adaptation.detector_fit import errors_of
from poseshift.adaptation.gravity import CameraGravity
from poseshift.adaptation.plan import AdaptationPlan, needs_learned_gravity, plan
from poseshift.adaptation.rollback import AdaptedFit, fit_with_rollback
from poseshift.adaptation.selection import SelectionConfig, measure
from poseshift.adaptation.tuning import TargetLoss
from poseshift.augmentation.detector_noise import (
    NO_NOISE,
    DetectedKeypoints,
    DetectorErrors,
    DetectorNoise,
    is_quiet,
)
from poseshift.augmentation.lengths import subject_lengths
from poseshift.flows.experiment.initial import start_from
from poseshift.geometry.bones import BoneStatistics
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.files import write_atomically
from poseshift.storage.frame_rates import rows_per_frame, sampling_hz, slowest_hz
from poseshift.storage.model import FrozenModel, is_left_out
from poseshift.training.answer import Answer, Rays, RaysOff
from poseshift.training.batches import BatchTransform, DevicePoses
from poseshift.training.encoding import Encoding, EncodingName, encoding
from poseshift.training.fit import EpochLog, fit
from poseshift.training.lifters.config import LifterConfig
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.registry import build
from poseshift.training.run_state import STATE_FILE
from poseshift.training.schedule import Schedule

logger = logging.getLogger(__name__)

EpochListener = Callable[[EpochLog], None]
"""Called after each epoch."""

BODY_MARGIN = 0.25
"""By how much an answer may be larger than the largest person that was learned from."""

LEAST_DROPPED = 0.05
"""Share of the joints that are hidden in training at least, where a channel tells the lifter of it."""

TRAINING, CANDIDATES = "training", "candidates"
"""Folders of the state to resume from and of every epoch's weights, inside the folder of the work."""


class Teaching(FrozenModel):
    """Everything but the data that decides a lifter's weights."""

    adaptation: Adaptation
    """How the labelled poses are moved."""
    lifter: LifterConfig
    """The network."""
    encoding: EncodingName
    """How pixels become its input."""
    rays: Rays = RaysOff()
    """Whether answers are put on the rays of their keypoints."""
    detector_noise: DetectorNoise = Field(default=NO_NOISE, exclude_if=is_quiet)
    """A detector's errors on the labelled keypoints."""
    schedule: Schedule
    """Epochs, batch size, learning rate."""
    clip_hz: float | None = Field(default=None, gt=0, exclude_if=is_left_out)
    """Frames per second of the clips that a lifter of clips learns; None for the slowest of the target, or of
    the labelled poses where there is no target."""
    seed: int
    """Seed of the weights, of the order of the batches and of every random transform."""


@dataclass(frozen=True)
class Watching:
    """How every epoch's lifter is measured without labels and kept.

    Attributes
    ----------
    criteria : SelectionConfig
        How the criteria are measured.
    bones : BoneStatistics
        Bone lengths that the criteria know, of the labelled source.
    poses : CameraPoses or None
        Poses whose keypoints are answered to; None for those of the target.
    """

    criteria: SelectionConfig
    bones: BoneStatistics
    poses: CameraPoses | None = None


@dataclass(frozen=True)
class Taught:
    """A finished training.

    Attributes
    ----------
    lifter : Lifter
        With the weights of the last epoch.
    fitted : AdaptedFit
        The log of all epochs, and what became of the augmentation.
    adaptation : AdaptationPlan
        What the adaptation brought.
    poses : int
        Labelled poses learned from.
    left_out, target_left_out : int
        Labelled poses, and poses of the target, that lack a keypoint.
    answer : Answer
        What is done to the lifter's output.
    detector : DetectorErrors or None
        The errors that labelled keypoints were given.
    clip_hz : float or None
        Frames per second of the clips that a lifter of clips has learned; None for single frames.
    """

    lifter: Lifter
    fitted: AdaptedFit
    adaptation: AdaptationPlan
    poses: int
    left_out: int
    target_left_out: int
    answer: Answer
    detector: DetectorErrors | None
    clip_hz: float | None


def teach(
    teaching: Teaching,
    labelled: CameraPoses,
    target: CameraPoses | None,
    folder: Path,
    gravity_file: Path,
    device: torch.device,
    *,
    detected: CameraPoses | None = None,
    initial: Path | None = None,
    watching: Watching | None = None,
    on_epoch: EpochListener = lambda log: None,
) -> Taught:
    """Train a lifter; go on where an interrupted call stopped.

    Parameters
    ----------
    teaching : Teaching
        How.
    labelled : CameraPoses
        Poses whose 3D is learned, mapped to the lifter's joints; those that lack a keypoint are left out.
    target : CameraPoses or None
        The poses to adapt to, without their 3D, mapped likewise; those that lack a keypoint are left out.
    folder : Path
        Gets ``training`` (the state to resume from) and, when watching, ``candidates`` (every epoch's
        weights).
    gravity_file : Path
        Keeps what is found of the target cameras' gravity; trainings of the same data and seed may share it.
    device : torch.device
        Where to train.
    detected : CameraPoses or None
        The target as its detector left it, where gaps have been filled in ``target``; a detector's errors are
        fitted to it.
    initial : Path or None
        Folder of a trained lifter of the same kind, whose weights are the first ones.
    watching : Watching or None
        Measures and keeps every epoch's lifter; needs a target, or poses of its own.
    on_epoch : callable
        Called after each epoch.

    Raises
    ------
    ValueError
        A target is needed and missing, no labelled pose has all of its keypoints, or poses cannot be mapped
        to the lifter's joints.
    poseshift.augmentation.collapse.CollapseError
        Adversarial augmentation collapsed more often than its configuration allows.
    """
    chosen = encoding(teaching.encoding)
    lifter = build(teaching.lifter, chosen.channels, seed=teaching.seed)
    if initial is not None:
        start_from(lifter, initial)
    labelled = labelled.on_skeleton(lifter.skeleton)
    errors = errors_of(teaching.detector_noise, target if detected is None else detected)
    target = None if target is None else target.on_skeleton(lifter.skeleton)
    given, labelled = len(labelled), labelled.without_gaps()
    left_out = given - len(labelled)
    if left_out:
        logger.warning("%d of %d labelled poses lack keypoints and are left out", left_out, given)
    clip_hz = clip_rate(teaching, lifter, labelled, target)
    poses = DevicePoses.from_columns(labelled, device, lifter.frames, clip_hz)
    record = None
    if watching is not None:
        watched = target if watching.poses is None else watching.poses.on_skeleton(lifter.skeleton)
        record = _recorder(teaching, watching, watched, lifter, clip_hz, folder, device)
    adaptation = planned(
        teaching.adaptation, labelled, target, gravity_file, teaching.seed, device, clip_hz=clip_hz
    )

    def after_epoch(log: EpochLog) -> None:
        if record is not None:
            record(log)
        on_epoch(log)

    noise = _noise(errors, chosen, lifter)
    if adaptation.learner is None:
        fit_one = partial(_fit_plainly, lifter, chosen, poses, teaching.schedule, adaptation.beside)
    else:
        fit_one = partial(fit_with_rollback, lifter, chosen, poses, teaching.schedule, adaptation.learner)
    fitted = fit_one(
        run_dir=folder / TRAINING,
        seed=teaching.seed,
        transforms=adaptation.transforms,
        after=noise,
        rays=teaching.rays,
        on_epoch=after_epoch,
    )
    found = None if target is None else adaptation.gravity_found(target)
    if found is not None and found is not adaptation.gravity:  # by the lifter's own answers, in this training
        write_atomically(gravity_file, found.model_dump_json(indent=2) + "\n")
    return Taught(
        lifter=fitted.fit.lifter,
        fitted=fitted,
        adaptation=adaptation,
        poses=len(poses),
        left_out=left_out,
        target_left_out=0 if target is None else int((~target.whole).sum()),
        answer=answer_of(teaching, labelled),
        detector=errors,
        clip_hz=clip_hz,
    )


def clip_rate(
    teaching: Teaching, lifter: Lifter, labelled: CameraPoses, target: CameraPoses | None
) -> float | None:
    """Choose the frame rate of the clips that a lifter learns; None for a lifter of single frames.

    The target's own, so that motion lasts as many frames in training as in the test. Of several rates the
    slowest: others have all of its frames, and it lacks some of theirs.
    """
    if lifter.frames == 1:
        return None
    hz = teaching.clip_hz or slowest_hz(labelled if target is None else target)
    if (rows_per_frame(labelled, hz) != 1).any():
        logger.info("clips are learned at %.4g Hz, from poses at %.4g Hz", hz, sampling_hz(labelled))
    return hz


def _noise(errors: DetectorErrors | None, seen_by: Encoding, lifter: Lifter) -> tuple[BatchTransform, ...]:
    """Give labelled keypoints a detector's errors, and gaps where the encoding tells the lifter of them."""
    joint_set = skeleton(lifter.skeleton)
    if seen_by.sees_gaps:
        known = DetectorErrors() if errors is None else errors
        return (DetectedKeypoints(known.with_gaps(joint_set, LEAST_DROPPED), joint_set, "nan"),)
    return () if errors is None else (DetectedKeypoints(errors, joint_set, "filled"),)


def answer_of(teaching: Teaching, labelled: CameraPoses) -> Answer:
    """Say what is done to a lifter's output: its rays, and the largest body that it may answer.

    Parameters
    ----------
    teaching : Teaching
        How the lifter is taught.
    labelled : CameraPoses
        Poses whose 3D is learned.
    """
    sizes = subject_lengths(labelled).sum(axis=1)
    return Answer(rays=teaching.rays, largest_body_m=float(sizes.max()) * (1 + BODY_MARGIN))


def planned(
    adaptation: Adaptation,
    labelled: CameraPoses,
    target: CameraPoses | None,
    gravity_file: Path,
    seed: int,
    device: torch.device,
    *,
    clip_hz: float | None = None,
) -> AdaptationPlan:
    """Plan an adaptation; the gravity that it learns is kept in a file, and read where it is there already.

    Parameters
    ----------
    adaptation : Adaptation
        What to do.
    labelled : CameraPoses
        Poses whose 3D is learned.
    target : CameraPoses or None
        The poses to adapt to, without their 3D.
    gravity_file : Path
        Of the target cameras' gravity; one process at a time learns it.
    seed : int
        Of what learns.
    device : torch.device
        Where batches lie.
    clip_hz : float or None
        Frames per second of the clips that are moved; None for those of the rows.
    """
    with_gravity = partial(plan, adaptation, labelled, target, seed=seed, device=device, clip_hz=clip_hz)
    if not needs_learned_gravity(adaptation):
        return with_gravity()
    gravity_file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(gravity_file.with_suffix(".lock")):
        known = known_gravity(gravity_file)
        made = with_gravity(gravity=known)
        if known is None and made.gravity is not None:
            write_atomically(gravity_file, made.gravity.model_dump_json(indent=2) + "\n")
    return made


def known_gravity(file: Path) -> CameraGravity | None:
    """Read the gravity that a training has found; None when it looked for none."""
    if not file.exists():
        return None
    return CameraGravity.model_validate_json(file.read_text(encoding="utf-8"))


def resolve_device(name: str) -> torch.device:
    """Find the device that a recipe means.

    Parameters
    ----------
    name : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:<n>``.

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


def _fit_plainly(
    lifter: Lifter,
    chosen: Encoding,
    poses: DevicePoses,
    schedule: Schedule,
    beside: TargetLoss | None,
    *,
    run_dir: Path,
    seed: int,
    transforms: Sequence[BatchTransform],
    after: Sequence[BatchTransform],
    rays: Rays,
    on_epoch: EpochListener,
) -> AdaptedFit:
    """Train without anything that learns beside the lifter, and so without anything to go back from."""
    result = fit(
        lifter,
        chosen,
        poses,
        schedule,
        run_dir=run_dir,
        seed=seed,
        transforms=(*transforms, *after),
        rays=rays,
        beside=beside,
        on_epoch=on_epoch,
    )
    return AdaptedFit(result, (), (), () if beside is None else tuple(beside.checks))


def _recorder(
    teaching: Teaching,
    watching: Watching,
    target: CameraPoses | None,
    lifter: Lifter,
    clip_hz: float | None,
    folder: Path,
    device: torch.device,
) -> CandidateRecorder:
    if target is None:
        raise ValueError("label-free selection looks at the target's keypoints; give a target or keep `last`")
    chosen = encoding(teaching.encoding)
    measured = partial(
        measure,
        encoding=chosen,
        target=DevicePoses.from_columns(target.without_gaps(), device, lifter.frames, clip_hz),
        source_bones=watching.bones,
        config=watching.criteria,
    )
    place = folder / CANDIDATES
    # A run that was killed between an epoch's state and its record has that epoch in the state alone.
    twin = build(teaching.lifter, chosen.channels, seed=teaching.seed).to(device)
    record_last_epoch(folder / TRAINING / STATE_FILE, twin, CandidateRecorder(twin, measured, place))
    return CandidateRecorder(lifter, measured, place)
