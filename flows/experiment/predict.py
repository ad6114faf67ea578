"""Lifting the keypoints of a store by a trained lifter, and writing 3D that other programs read.

All of a run's files appear at once: they are written into a folder of their own, which is then given the name
that was asked for. ``prediction.json`` beside them says what they were made from and what is assumed.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from poseshift.adaptation.detector_fit import keypoint_spreads
from poseshift.adaptation.test_time import TestTimeOptimisation, predict_optimised
from poseshift.flows.experiment.assumptions import of_lifter, of_motions, of_moving_cameras
from poseshift.flows.experiment.data import StoreInputs
from poseshift.flows.experiment.fitting import resolve_device
from poseshift.flows.experiment.masks import MaskOptions, RefinedView, open_masks, refine_views, said_of
from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.files import write_atomically
from poseshift.storage.inspection import TrialIntrinsics, find_intrinsics
from poseshift.storage.model import FrozenModel, is_left_out, is_still
from poseshift.storage.motion_files.motion import Axes, Motion
from poseshift.storage.motion_files.registry import MOTION_FORMATS, MotionFormat
from poseshift.storage.names import file_part
from poseshift.storage.provenance import digest_file, git_commit, software_versions
from poseshift.storage.reading import Selection, read_keypoints
from poseshift.storage.store import PoseStore
from poseshift.training.answer import BodyOf
from poseshift.training.checkpoint import DESCRIPTION_FILE, WEIGHTS_FILE, TrainedLifter, load_lifter
from poseshift.training.prediction.body_height import SizeFrom
from poseshift.training.prediction.motions import Made, Maker
from poseshift.training.prediction.smoothing import SavitzkyGolay, Smoothing
from poseshift.training.prediction.views import View, lift_views
from poseshift.training.shipped import lifter_folder

logger = logging.getLogger(__name__)

RECORD = "prediction.json"


class PredictionOptions(FrozenModel):
    """What to lift, and how its 3D is written."""

    keypoints: str = "ground_truth"
    """Kind of the 2D keypoints."""
    least_confidence: float = Field(default=0.0, ge=0, exclude_if=is_still(0.0))
    """Joints that a detector is less sure of count as not seen, and are filled in over time."""
    subjects: tuple[str, ...] | None = None
    """Subjects kept; None for all."""
    cameras: tuple[str, ...] | None = None
    """Cameras kept; None for all."""
    heights_m: dict[str, float] = Field(default_factory=dict)
    """Body heights by subject, metres; who is not named has the size of `size_from`."""
    size_from: SizeFrom = Field(default="source", exclude_if=is_still("source"))
    """`source` keeps the size that the lifter answers; `cameras` takes that at which all cameras of a
    calibrated rig see a person in one place."""
    smoothing: Smoothing = SavitzkyGolay()
    """What is done to the motion in time."""
    formats: tuple[str, ...] = Field(default=("npz",), min_length=1)
    """Names of motion formats."""
    test_time: TestTimeOptimisation | None = Field(default=None, exclude_if=is_left_out)
    """How the lifter's input is optimised before it answers; None for not at all."""
    body: BodyOf | None = Field(default=None, exclude_if=is_left_out)
    """Whose bones the poses have: those of each frame, or one body's in all frames of a view; None for what
    the lifter says. A lifter that answers off its rays keeps each frame's."""
    masks: MaskOptions | None = Field(default=None, exclude_if=is_left_out)
    """Masks of the people that poses are moved to fit; None for the lifter's answers as they are."""

    @model_validator(mode="after")
    def _without_truth(self) -> PredictionOptions:
        if self.test_time is not None and self.test_time.root == "given":
            raise ValueError("test-time optimisation from the true root needs 3D, which a prediction has not")
        return self


class PredictionInputs(FrozenModel):
    """What the files depend on, in content."""

    weights_sha256: str
    """Digest of the lifter's weights."""
    description_sha256: str
    """Digest of the lifter's configuration and encoding."""
    store: StoreInputs
    """The keypoints' store."""
    options: PredictionOptions
    """What was asked for."""
    masks_sha256: str | None = Field(default=None, exclude_if=is_left_out)
    """Digest of the masks' files, where there are any."""


class MotionRecord(FrozenModel):
    """One motion: what is in its files."""

    subject: str
    """The person."""
    trial: str
    """The trial."""
    camera: str
    """The camera, or `fused`."""
    cameras: tuple[str, ...]
    """The cameras that it is made of."""
    frames: int
    """Number of frames."""
    fps: float
    """Frames per second."""
    axes: Axes
    """`world`: z up, floor at zero. `camera`: x right, y down, z forward, up unknown."""
    floor_m: float | None
    """Height in the cameras' world of what is z = 0 in the files; null in camera axes."""
    scale_factor: float
    """By which the lifter's poses were multiplied."""
    lifted_height_m: float | None
    """The person's height in the lifter's answers; null where no height was given."""
    height_from: Literal["upright frames", "all frames"] | None
    """What that height was measured on."""
    interpolated_frames: int
    """Frames that lack a keypoint, which is interpolated in time."""
    left_out_frames: int = 0
    """Frames of the trial before the person is first seen and after the last time, which are not written."""
    frames_without_person: int = 0
    """Frames in between in which no joint is seen: all of their keypoints are interpolated in time."""
    median_error_mm: float
    """Median of the error estimates over joints and frames."""
    error_kind: str
    """What an error estimate is."""
    files: dict[str, str]
    """Format to file, relative to the folder."""


class PredictionRecord(FrozenModel):
    """What `prediction.json` holds."""

    lifter: str
    """Folder of the lifter, or its name where it is a shipped one."""
    store: str
    """Location of the store."""
    restaged_from: str | None
    """The motion behind a restaged store; null for recordings."""
    inputs: PredictionInputs
    """What the files depend on."""
    intrinsics: tuple[TrialIntrinsics, ...] = ()
    """Where the intrinsics of the cameras come from, for every lifted trial that says so."""
    skeleton: str
    """Joint set of the files."""
    assumptions: tuple[str, ...]
    """What is assumed about scale, floor, up, smoothing and errors."""
    motions: tuple[MotionRecord, ...]
    """What was written."""
    refined: tuple[RefinedView, ...] = Field(default=(), exclude_if=is_still(()))
    """What masks did to each view, where they were given."""
    device: str
    """Where the lifter ran."""
    git_commit: str | None
    """Commit of the program, when it ran from a checkout."""
    versions: dict[str, str]
    """Versions of the software."""


@dataclass(frozen=True)
class PredictionOutcome:
    """A prediction's record, and whether its files were there already."""

    record: PredictionRecord
    reused: bool


def predict_store(
    lifter: Path, location: str, options: PredictionOptions, folder: Path, device: str = "auto"
) -> PredictionOutcome:
    """Lift a store's keypoints and write the motions, unless they are there for the same inputs.

    Parameters
    ----------
    lifter : Path
        Folder that :func:`poseshift.training.checkpoint.save_lifter` wrote, or the name of a shipped lifter.
    location : str
        Of the store; its trials need no 3D.
    options : PredictionOptions
        What is wanted.
    folder : Path
        To be made.
    device : str
        Where to lift.

    Raises
    ------
    FileExistsError
        The folder holds something else.
    FileNotFoundError, ValueError
        There is no lifter, or nothing that is selected, or an option or a mask does not fit the data.
    ModuleNotFoundError
        A format needs a library that is not installed.
    """
    formats = tuple(MOTION_FORMATS[name] for name in options.formats)
    for one in formats:
        one.require()
    on = resolve_device(device)
    place = lifter_folder(lifter)
    trained = load_lifter(place, on)
    if options.body is not None:
        trained = replace(trained, answer=trained.answer.of_body(options.body))
    store = PoseStore.open(location)
    masks = None if options.masks is None else open_masks(options.masks)
    inputs = PredictionInputs(
        weights_sha256=digest_file(place / WEIGHTS_FILE, place).sha256,
        description_sha256=digest_file(place / DESCRIPTION_FILE, place).sha256,
        store=StoreInputs(
            dataset=store.dataset,
            snapshot=store.snapshot,
            keypoints=options.keypoints,
            least_confidence=options.least_confidence,
        ),
        options=options,
        masks_sha256=None if masks is None else masks.digest(),
    )
    there = _found(folder, inputs)
    if there is not None:
        logger.info("%s is there already for the same inputs", folder)
        return PredictionOutcome(there, reused=True)

    selection = Selection(
        subjects=options.subjects,
        cameras=options.cameras,
        valid_only=False,
        keypoints=options.keypoints,
        least_confidence=options.least_confidence,
    )
    detected = read_keypoints(store, selection)
    poses = detected.on_skeleton(trained.lifter.skeleton)
    spreads = keypoint_spreads(detected) if poses.skeleton == detected.skeleton else None
    maker = Maker(skeleton(poses.skeleton), options.smoothing, options.heights_m, options.size_from)
    report_progress(Step("lift", 0, 1))
    views = _views(trained, poses, options.test_time, spreads)
    refined: tuple[RefinedView, ...] = ()
    report_progress(Step("lift", 1, 1))
    if masks is not None and options.masks is not None:
        settings = options.masks.refinement
        views, refined = refine_views(store, views, masks, settings, skeleton(poses.skeleton))
    made = tuple(maker.make(views))
    names = _file_names([one.motion for one in made])
    lifted = {one.motion.key.path for one in made}
    intrinsics = tuple(one for one in find_intrinsics(store) if one.trial in lifted)
    record = PredictionRecord(
        lifter=str(lifter),
        store=location,
        restaged_from=store.attributes.restaged_from,
        inputs=inputs,
        intrinsics=intrinsics,
        skeleton=poses.skeleton,
        assumptions=(
            *of_motions(made, intrinsics, options.heights_m, options.smoothing, options.test_time),
            *of_moving_cameras(store, made),
            *of_lifter(trained, intrinsics),
            *(() if masks is None else (said_of(masks, refined),)),
        ),
        motions=tuple(_recorded(one, name, formats) for one, name in zip(made, names, strict=True)),
        device=str(on),
        git_commit=git_commit(),
        versions=software_versions(),
        refined=refined,
    )
    _write(folder, record, made, names, formats)
    return PredictionOutcome(record, reused=False)


def _views(
    trained: TrainedLifter,
    poses: CameraPoses,
    test_time: TestTimeOptimisation | None,
    spreads: NDArray[np.float64] | None,
) -> tuple[View, ...]:
    if test_time is None:
        return lift_views(trained, poses, spreads=spreads)
    return lift_views(trained, poses, partial(predict_optimised, settings=test_time), spreads)


def _found(folder: Path, inputs: PredictionInputs) -> PredictionRecord | None:
    """Read the record of the same prediction; None where the folder may be made."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    try:
        record = PredictionRecord.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValidationError):
        raise FileExistsError(
            f"{folder} holds other files; give --out a folder that is new or empty"
        ) from None
    if record.inputs != inputs:
        raise FileExistsError(
            f"{folder} holds another prediction (lifter {record.lifter}, store {record.store}, or other "
            "options); nothing was changed: give --out another folder, or move that one away"
        )
    missing = [
        file for motion in record.motions for file in motion.files.values() if not (folder / file).is_file()
    ]
    if missing:
        raise FileExistsError(
            f"{folder} lacks {len(missing)} of the files that its {RECORD} names (first: {missing[0]}); "
            "move it away and predict again"
        )
    return record


def _file_names(motions: Sequence[Motion]) -> tuple[str, ...]:
    """Name the file of every motion, without suffix: ``<subject>/<trial>/<camera>``."""
    names = tuple(
        "/".join(file_part(part) for part in (motion.key.subject, motion.key.trial, motion.camera))
        for motion in motions
    )
    counts = Counter(name.casefold() for name in names)  # some disks do not tell case
    clashing = [name for name in names if counts[name.casefold()] > 1]
    if clashing:
        raise ValueError(
            f"motions would be written over each other: {', '.join(clashing)}; their names differ in case or "
            "in special characters alone: rename them in the store"
        )
    return names


def _recorded(made: Made, name: str, formats: Sequence[MotionFormat]) -> MotionRecord:
    motion, measured = made.motion, made.size.measured
    height_from: Literal["upright frames", "all frames"] | None = None
    if measured is not None:
        height_from = "upright frames" if measured.upright else "all frames"
    return MotionRecord(
        subject=motion.key.subject,
        trial=motion.key.trial,
        camera=motion.camera,
        cameras=made.cameras,
        frames=len(motion.frame),
        fps=motion.fps,
        axes=motion.axes,
        floor_m=made.floor_m,
        scale_factor=made.size.factor,
        lifted_height_m=None if measured is None else measured.metres,
        height_from=height_from,
        interpolated_frames=int(motion.interpolated.any(axis=1).sum()),
        left_out_frames=made.presence.before_and_after,
        frames_without_person=made.presence.between,
        median_error_mm=float(np.median(1000 * motion.error_m)),
        error_kind=motion.error_kind,
        files={one.name: name + one.suffix for one in formats},
    )


def _write(
    folder: Path,
    record: PredictionRecord,
    made: Sequence[Made],
    names: Sequence[str],
    formats: Sequence[MotionFormat],
) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        for number, (one, name) in enumerate(zip(made, names, strict=True)):
            report_progress(Step("write", number, len(made)))
            for chosen in formats:
                write_atomically(place / (name + chosen.suffix), chosen.encode(one.motion))
        report_progress(Step("write", len(made), len(made)))
        write_atomically(place / RECORD, record.model_dump_json(indent=2) + "\n")
        place.chmod(0o755)
        place.replace(folder)  # fails where another run has filled the folder meanwhile
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
