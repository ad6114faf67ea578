"""Puts motion in front of the true cameras of both data sets and writes raw trees in their true layouts.

Human3.6M becomes the source; MPI-INF-3DHP's training and test part become the target; no person is in two
of them. The trees differ from the originals only in their numbers (and in having no videos), so readers, demo
and benchmarks run the real path. Each carries RESTAGED.json, by which stores and reports label it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import Field

from poseshift.geometry.camera import Camera
from poseshift.preprocessing.human36m import layout as human36m
from poseshift.preprocessing.human36m.write import write_metadata, write_trial
from poseshift.preprocessing.motion.motion import Motion
from poseshift.preprocessing.mpi_inf_3dhp import layout as mpi_inf_3dhp
from poseshift.preprocessing.mpi_inf_3dhp.captury import TEST_CALIBRATIONS
from poseshift.preprocessing.mpi_inf_3dhp.world import MM_PER_M, world_to_3dhp
from poseshift.preprocessing.mpi_inf_3dhp.write import (
    write_test_calibration,
    write_test_sequence,
    write_training_sequence,
)
from poseshift.preprocessing.raw import RESTAGED_MARKER
from poseshift.preprocessing.restaging.casting import ROLES, Group, cast, classify
from poseshift.preprocessing.restaging.complete import to_human36m_32, to_mpi_inf_3dhp_17, to_mpi_inf_3dhp_28
from poseshift.preprocessing.restaging.placement import (
    Placement,
    Stage,
    draw_placement,
    frontal_stage,
    inside_image,
    ring_stage,
    to_camera,
)
from poseshift.preprocessing.restaging.publication import published
from poseshift.preprocessing.restaging.report import LeftOut, RestageReport, StagedClip, StagedSubject
from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import TrialKey

logger = logging.getLogger(__name__)

HUMAN36M_FOLDER, MPI_INF_3DHP_FOLDER = "human36m", "mpi_inf_3dhp"

TEST_FPS = 25.0
"""What the 3DHP reader takes for the test sequences' rate, since the data set states none."""

REFERENCE_HEIGHT_M = 1.62
"""Ankle to head top along the joints of a body of middle size; universal skeletons are scaled to it."""

HUMAN36M_SPREAD_M, TRAINING_SPREAD_M, TEST_SPREAD_M = 1.0, 0.7, 1.0
TEST_DISTANCE_M = 4.5
"""How far from a test sequence's camera clips are played."""

BORDER_ROWS = 5
"""Rows on each side of a join of two clips that a test sequence marks as invalid."""

_TRAINING_CAMERA_OF_TEST = 8
_HEIGHT_CHAINS = ((3, 2, 1, 0, 7, 8, 9, 10), (6, 5, 4, 0, 7, 8, 9, 10))


class RestageOptions(FrozenModel):
    """What restaging leaves to choice."""

    max_frames_per_clip: int | None = Field(
        default=None, gt=0, description="Cut every clip after so many frames; None keeps all."
    )
    human36m_kinds: frozenset[human36m.PoseKind] = Field(
        default=frozenset({"D3_Positions", "D2_Positions"}),
        min_length=1,
        description="Pose files that are written for Human3.6M.",
    )
    division: int = Field(
        default=0, ge=0, description="Which division of the people over source, target and test."
    )


def restage(
    motions: Sequence[Motion],
    out: Path,
    seed: int,
    *,
    motion: str | None = None,
    options: RestageOptions | None = None,
) -> RestageReport:
    """Write ``out/human36m`` and ``out/mpi_inf_3dhp`` from motions.

    3DHP sequences are written at the frame rate that the data set gives for them (25 or 50 Hz).

    Parameters
    ----------
    motions : Sequence[Motion]
        At least three subjects; see :func:`poseshift.preprocessing.restaging.casting.cast` for their
        division.
    out : Path
        Made, or replaced when an earlier call made it.
    seed : int
        Of headings and places; the same motions, seed and options give the same numbers.
    motion : str or None
        What the data are labelled with; by default the number of clips and subjects.
    options : RestageOptions or None
        What to write.

    Returns
    -------
    report : also written as RESTAGED.json into both trees.

    Raises
    ------
    RawDataError : ``out`` holds something else.
    ValueError : fewer than three subjects.
    """
    options = options or RestageOptions()
    casting = cast(motions, options.division)
    clips = [_shortened(clip, options.max_frames_per_clip) for clip in motions]
    rngs = {clip.name: np.random.default_rng([seed, index]) for index, clip in enumerate(clips)}
    left_out = [
        LeftOut(name=clip.name, reason=f"all roles are taken; {clip.subject} has fewer frames than others")
        for clip in clips
        if clip.subject in casting.left_out
    ]
    staged: list[StagedClip] = []
    subjects: list[StagedSubject] = []
    rows: dict[tuple[str, str], int] = {}
    with published(out) as folder:
        source_root, target_root = folder / HUMAN36M_FOLDER, folder / MPI_INF_3DHP_FOLDER
        for group, people in casting.groups.items():
            for person, role in zip(people, ROLES[group], strict=False):
                own = [clip for clip in clips if clip.subject == person]
                scale = REFERENCE_HEIGHT_M / body_height(own[0].positions)
                if group == "source":
                    result = _play_source(source_root, role, own, rngs, options)
                    rows |= {(role, clip.trial): clip.rows for clip in result.clips}
                elif group == "target_train":
                    result = _play_training(target_root, role, own, rngs, scale)
                else:
                    result = _play_test(target_root, role, own, rngs, scale)
                staged += result.clips
                left_out += result.left_out
                subjects.append(
                    StagedSubject(
                        person=person,
                        group=group,
                        subject=role,
                        rows=sum(clip.rows for clip in result.clips),
                        universal_scale=scale,
                    )
                )
        source_root.mkdir(exist_ok=True)
        write_metadata(source_root, rows)
        write_test_calibration(target_root)
        label = motion or f"{len(motions)} clips of {len({clip.subject for clip in motions})} subjects"
        report = RestageReport(
            motion=label,
            seed=seed,
            subjects=tuple(subjects),
            clips=tuple(staged),
            left_out=tuple(left_out),
        )
        for root in (source_root, target_root):
            (root / RESTAGED_MARKER).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    logger.info("restaged %d clips, left out %d", len(staged), len(left_out))
    return report


def body_height(positions: npt.NDArray[np.floating]) -> float:
    """Length of the chain ankle, knee, hip, pelvis, spine, head top; mean of both sides, median of frames."""
    joints = np.asarray(positions, dtype=np.float64)
    lengths = [np.linalg.norm(np.diff(joints[:, list(chain)], axis=1), axis=-1) for chain in _HEIGHT_CHAINS]
    # The step from the hip to the pelvis goes sideways and is no part of a height.
    upright = [np.delete(length, 2, axis=1).sum(axis=1) for length in lengths]
    return float(np.median(np.mean(upright, axis=0)))


def at_rate(motion: Motion, fps: float) -> Motion:
    """Give a motion at another frame rate: whole steps are taken as they are, others interpolated in time."""
    step = motion.fps / fps
    if step == round(step):
        return replace(motion, fps=fps, positions=motion.positions[:: round(step)])
    last = (motion.frames - 1) / motion.fps
    at = np.arange(int(last * fps) + 1) * step
    before = np.minimum(at.astype(np.int64), motion.frames - 1)
    after = np.minimum(before + 1, motion.frames - 1)
    share = (at - before)[:, None, None]
    between = motion.positions[before] * (1 - share) + motion.positions[after] * share
    return replace(motion, fps=fps, positions=between.astype(np.float32))


def camera_of_test_sequence(name: str) -> Camera:
    """Camera of a test sequence in the project's world: annotated intrinsics, calibrated place.

    TS1 to TS4 were filmed by training camera 8, TS5 and TS6 by a camera of their own.
    """
    annotated = mpi_inf_3dhp.TEST_CAMERAS[name]
    if mpi_inf_3dhp.TEST_SCENES[name] == "outdoor":
        placed = TEST_CALIBRATIONS["ts5-6cameras"].pinhole(name, annotated.size_px)
    else:
        placed = mpi_inf_3dhp.TRAINING_CAMERAS[_TRAINING_CAMERA_OF_TEST]
    return replace(annotated, rotation=placed.rotation, translation=placed.translation)


@dataclass(frozen=True)
class _Played:
    """The clips of one person that were written, and those that were not."""

    clips: tuple[StagedClip, ...]
    left_out: tuple[LeftOut, ...]


@dataclass
class _Record:
    """Collects what happens to the clips of one person."""

    group: Group
    subject: str
    rngs: Mapping[str, np.random.Generator]

    def __post_init__(self) -> None:
        self.clips: list[StagedClip] = []
        self.left_out: list[LeftOut] = []

    def place(self, clip: Motion, stage: Stage) -> Placement | None:
        placement = draw_placement(clip.positions, stage, self.rngs[clip.name])
        if placement is None:
            self.leave_out(clip, "it covers more floor than the cameras see")
        return placement

    def leave_out(self, clip: Motion, reason: str) -> None:
        self.left_out.append(LeftOut(name=clip.name, reason=reason))

    def add(self, clip: Motion, trial: str, first_row: int, placement: Placement) -> None:
        self.clips.append(
            StagedClip(
                name=clip.name,
                kind=classify(clip.description).kind,
                group=self.group,
                subject=self.subject,
                trial=trial,
                first_row=first_row,
                rows=clip.frames,
                fps=clip.fps,
                heading_rad=placement.heading_rad,
                shift_m=placement.shift_m,
            )
        )

    def played(self) -> _Played:
        return _Played(tuple(self.clips), tuple(self.left_out))


def _play_source(
    root: Path,
    subject: str,
    clips: Sequence[Motion],
    rngs: Mapping[str, np.random.Generator],
    options: RestageOptions,
) -> _Played:
    record = _Record("source", subject, rngs)
    cameras = [human36m.camera(subject, camera) for camera in human36m.CAMERA_IDS]
    stage = ring_stage(cameras, HUMAN36M_SPREAD_M)
    free = [stem for owner, stem in human36m.EXPECTED_ROWS if owner == subject]
    for clip in clips:
        if not free:
            record.leave_out(clip, f"Human3.6M has no more trials of {subject}")
            continue
        at_50 = at_rate(clip, human36m.FPS)
        placement = record.place(at_50, stage)
        if placement is None:
            continue
        stem = _nearest_stem(classify(clip.description).human36m_actions, free)
        free.remove(stem)
        world = to_human36m_32(placement.apply(at_50.positions))
        write_trial(root, subject, stem, world * MM_PER_M, options.human36m_kinds)
        record.add(at_50, stem, 0, placement)
    return record.played()


def _nearest_stem(actions: Sequence[str], free: Sequence[str]) -> str:
    """Choose the first free stem of the wished actions, or else the first free one."""
    for action in actions:
        for stem in free:
            if human36m.canonical_stem(stem).split(" ")[0] == action:
                return stem
    return free[0]


def _play_training(
    root: Path,
    subject: str,
    clips: Sequence[Motion],
    rngs: Mapping[str, np.random.Generator],
    universal_scale: float,
) -> _Played:
    record = _Record("target_train", subject, rngs)
    stage = ring_stage(mpi_inf_3dhp.TRAINING_CAMERAS, TRAINING_SPREAD_M)
    for number, part in enumerate(_halves(clips), start=1):
        info = mpi_inf_3dhp.TRAINING_SEQUENCES[TrialKey(subject, f"Seq{number}")]
        pieces: list[npt.NDArray[np.float64]] = []
        filled = 0
        for clip in part:
            room = info.frames - filled
            if room <= 0:
                record.leave_out(clip, f"{subject}/Seq{number} has its official {info.frames} frames already")
                continue
            fitting = _shortened(at_rate(clip, info.fps), room)
            placement = record.place(fitting, stage)
            if placement is not None:
                pieces.append(to_mpi_inf_3dhp_28(placement.apply(fitting.positions)))
                record.add(fitting, f"Seq{number}", filled, placement)
                filled += fitting.frames
        if pieces:
            world_mm = world_to_3dhp(np.concatenate(pieces))
            write_training_sequence(root, int(subject[1:]), number, world_mm, universal_scale)
    return record.played()


def _play_test(
    root: Path,
    name: str,
    clips: Sequence[Motion],
    rngs: Mapping[str, np.random.Generator],
    universal_scale: float,
) -> _Played:
    record = _Record("target_test", name, rngs)
    camera = camera_of_test_sequence(name)
    stage = frontal_stage(camera, TEST_DISTANCE_M, TEST_SPREAD_M)
    pieces: list[npt.NDArray[np.float64]] = []
    activities: list[npt.NDArray[np.int64]] = []
    filled = 0
    for clip in clips:
        slower = at_rate(clip, TEST_FPS)
        placement = record.place(slower, stage)
        if placement is not None:
            pieces.append(to_camera(placement.apply(slower.positions), camera))
            activities.append(np.full(slower.frames, classify(clip.description).activity))
            record.add(slower, name, filled, placement)
            filled += slower.frames
    if pieces:
        seen = np.concatenate(pieces)
        valid = np.asarray(inside_image(seen, camera).all(axis=-1))
        for clip_start in (staged.first_row for staged in record.clips if staged.first_row):
            valid[max(0, clip_start - BORDER_ROWS) : clip_start + BORDER_ROWS] = False
        joints_mm = to_mpi_inf_3dhp_17(seen) * MM_PER_M
        write_test_sequence(root, name, joints_mm, camera, valid, np.concatenate(activities), universal_scale)
    return record.played()


def _halves(clips: Sequence[Motion]) -> tuple[list[Motion], list[Motion]]:
    """Divide clips, in their order, into two sequences of about the same duration."""
    total = sum(clip.frames / clip.fps for clip in clips)
    first: list[Motion] = []
    second: list[Motion] = []
    elapsed = 0.0
    for clip in clips:
        duration = clip.frames / clip.fps
        (first if elapsed + duration / 2 <= total / 2 else second).append(clip)
        elapsed += duration
    return first, second


def _shortened(clip: Motion, frames: int | None) -> Motion:
    return clip if frames is None else replace(clip, positions=clip.positions[:frames])
