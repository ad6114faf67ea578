"""Errors on a rig of real cameras: of lifted keypoints, and of the detector's own 3D on the same frames.

``landmarks.npz`` has MediaPipe Pose's ``<camera>_mediapipe_world``, (frames, 33, 3) in camera axes. The truth
has ``positions_world`` (frames, 17, 3), Human3.6M's joints in metres, and the cameras' rotations ``R`` in the
order of their names. Hips, knees, ankles, shoulders, elbows and wrists are scored, relative to the middle of
the hips: the other joints are not what a detector marks. Frames without all keypoints are left out for both.
The cameras together are scored too, of the lifter and of the detector, fused in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseshift.flows.experiment.predict import RECORD, PredictionRecord
from poseshift.geometry.detectors import MEDIAPIPE_33
from poseshift.geometry.skeleton import skeleton
from poseshift.preprocessing.domain.mending import MENDED
from poseshift.storage.schema import TrialKey
from poseshift.storage.store import PoseStore
from poseshift.training.evaluation.metrics import mpjpe_mm, pa_mpjpe_mm
from poseshift.training.prediction.fusion import FUSED

Float64 = NDArray[np.float64]

_LIMBS = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
SCORED = tuple(f"{side}_{limb}" for limb in _LIMBS for side in ("left", "right"))
"""The twelve joints, hips first."""


@dataclass(frozen=True)
class Row:
    """Means over the frames of one camera, or of all: millimetres."""

    camera: str
    frames: int
    lifter: tuple[float, float]
    detector: tuple[float, float]


def scored(positions: Float64, joint_names: Sequence[str]) -> Float64:
    """Pick the scored joints of (n, joints, 3), relative to the middle of the hips: (n, 12, 3)."""
    names = list(joint_names)
    picked = positions[:, [names.index(name) for name in SCORED]].astype(np.float64)
    return picked - picked[:, :2].mean(axis=1, keepdims=True)


def frames_of(runs: str) -> set[int]:
    """Read frames from ``legs:36-38 arms:40-40``, as a mended trial names them.

    Examples
    --------
    >>> sorted(frames_of("legs:3-5 arms:5-6"))
    [3, 4, 5, 6]
    """
    found: set[int] = set()
    for run in runs.split():
        first, last = run.partition(":")[2].split("-")
        found |= set(range(int(first), int(last) + 1))
    return found


def compare(prediction: Path, landmarks: Path, truth: Path, left_out: dict[str, set[int]]) -> list[Row]:
    """Score every camera, and all frames together, in camera axes; frames to leave out by camera.

    Where there is a fused motion, it is scored as well, in the world's axes and over all frames: those that
    are left out of a camera are left out of the fusion of the detector's own 3D.
    """
    record = PredictionRecord.model_validate_json((prediction / RECORD).read_bytes())
    with np.load(truth) as held:
        world, rotations = held["positions_world"], held["R"]
    pooled: list[tuple[Float64, Float64, Float64]] = []
    rows = []
    views = sorted((one for one in record.motions if one.camera != FUSED), key=lambda one: one.camera)
    joints = skeleton(record.skeleton).joint_names
    for view, rotation in zip(views, rotations, strict=True):
        with np.load(prediction / view.files["npz"]) as held:
            frame, lifted, whole = held["frame"], held["positions"], ~held["interpolated"].any(axis=1)
            lifted = lifted @ held["rotation"].T
        with np.load(landmarks) as held:
            own = held[f"{view.camera}_mediapipe_world"][frame]
        kept = whole & ~np.isin(frame, list(left_out.get(view.camera, ())))
        poses = (
            scored(lifted[kept], joints),
            scored(own[kept], MEDIAPIPE_33.joint_names),
            scored((world @ rotation.T)[frame][kept], joints),
        )
        pooled.append(poses)
        rows.append(_row(view.camera, *poses))
    together = (np.concatenate(parts) for parts in zip(*pooled, strict=True))
    rows.append(_row("all", *together))
    fused = [one for one in record.motions if one.camera == FUSED]
    if fused:
        with np.load(prediction / fused[0].files["npz"]) as held:
            frame, lifted = held["frame"], scored(held["positions"], joints)
        own = _together(landmarks, [view.camera for view in views], rotations, left_out)[frame]
        kept = np.isfinite(own).all(axis=(1, 2))
        rows.append(_row(FUSED, lifted[kept], own[kept], scored(world, joints)[frame][kept]))
    return rows


def _together(
    landmarks: Path, cameras: Sequence[str], rotations: Float64, left_out: dict[str, set[int]]
) -> Float64:
    """Fuse the detector's own 3D as predicted motions are: the median over cameras, in the world's axes."""
    turned = []
    with np.load(landmarks) as held:
        for camera, rotation in zip(cameras, rotations, strict=True):
            own = scored(held[f"{camera}_mediapipe_world"], MEDIAPIPE_33.joint_names) @ rotation
            own[sorted(left_out.get(camera, ()))] = np.nan
            turned.append(own)
    nowhere = np.isnan(turned).all(axis=0)
    fused = np.nanmedian(np.where(nowhere, 0.0, turned), axis=0)
    return np.where(nowhere, np.nan, fused)


def _row(camera: str, lifted: Float64, own: Float64, truth: Float64) -> Row:
    def errors(poses: Float64) -> tuple[float, float]:
        return float(mpjpe_mm(poses, truth).mean()), float(pa_mpjpe_mm(poses, truth).mean())

    return Row(camera, len(truth), errors(lifted), errors(own))


def mended_frames(store: str, prediction: Path) -> dict[str, set[int]]:
    """Look up in which frames of each camera sides were exchanged back."""
    record = PredictionRecord.model_validate_json((prediction / RECORD).read_bytes())
    one = record.motions[0]
    options = PoseStore.open(store).trial_attributes(TrialKey(one.subject, one.trial)).options
    return {
        name.removeprefix(MENDED): frames_of(runs)
        for name, runs in options.items()
        if name.startswith(MENDED)
    }


def show(title: str, rows: Sequence[Row]) -> None:
    """Print rows as a table of Markdown."""
    print(f"{title}\n\n| camera | frames | lifter MPJPE / PA | detector's own 3D MPJPE / PA |")
    print("|---|---:|---:|---:|")
    for row in rows:
        figures = (f"{a:.1f} / {b:.1f}" for a, b in (row.lifter, row.detector))
        print(f"| {row.camera} | {row.frames} | {' | '.join(figures)} |")
    print()
