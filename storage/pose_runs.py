"""Frames of one trial before one camera, and how such runs are joined to columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import (
    Camera,
    Rotation,
)
from poseshift.geometry.camera_path import CameraPath
from poseshift.storage.columns import CameraMotion, CameraPoses, TrialInfo, are_hidden, hidden_positions
from poseshift.storage.schema import (
    Float32,
    Vertical,
)

Told = TypeVar("Told")


@dataclass(frozen=True)
class PoseRun:
    """Frames of one trial before one camera: consecutive rows of the columns.

    Attributes
    ----------
    info, camera : TrialInfo or Camera
        The trial and the camera.
    positions_camera : array of float32 of shape (frames, joints, 3)
        Metres, camera axes.
    keypoints_px : array of float32 of shape (frames, joints, 2)
        Pixels; NaN for a joint that a detector did not see.
    frames : array of intp of shape (frames,)
        Frame numbers in the trial, rising.
    activity : array of int8 of shape (frames,)
        0 where the data set has none.
    vertical : Vertical or None
        How sure a stated vertical of the camera is.
    rig : Rotation or None
        From the world of a rig of which it is not known where up is, to the camera.
    confidence : array of float32 of shape (frames, joints) or None
        How sure the detector is, from 0 to 1; None where keypoints have no confidences.
    motion : CameraMotion or None
        Poses of a camera that moves.
    world : str
        Tells apart the worlds of cameras that move, in which up is not known; empty of others.
    """

    info: TrialInfo
    camera: Camera
    positions_camera: Float32
    keypoints_px: Float32
    frames: NDArray[np.intp]
    activity: NDArray[np.int8]
    vertical: Vertical | None = None
    rig: Rotation | None = None
    confidence: Float32 | None = None
    motion: CameraMotion | None = None
    world: str = ""

    @property
    def seen_by(self) -> tuple[Camera, bool, str]:
        """What runs have in common that share a row of the camera table."""
        return self.camera, self.motion is not None, self.world


def columns_of(runs: Sequence[PoseRun], skeleton: str, snapshot: str) -> CameraPoses:
    """Join runs to columns in the given order; equal cameras and equal trials share a row of their table."""
    cameras = {seen_by: row for row, seen_by in enumerate(dict.fromkeys(run.seen_by for run in runs))}
    trials = {info: row for row, info in enumerate(dict.fromkeys(run.info for run in runs))}
    lengths = [len(run.frames) for run in runs]
    keypoints_px = np.concatenate([run.keypoints_px for run in runs])
    return CameraPoses(
        positions_camera=hidden_positions(*keypoints_px.shape[:2])
        if all(are_hidden(run.positions_camera) for run in runs)
        else np.concatenate([run.positions_camera for run in runs]),
        keypoints_px=keypoints_px,
        camera=np.repeat(np.array([cameras[run.seen_by] for run in runs], dtype=np.int32), lengths),
        trial=np.repeat(np.array([trials[run.info] for run in runs], dtype=np.int32), lengths),
        frame=np.concatenate([run.frames for run in runs]).astype(np.int32),
        activity=np.concatenate([run.activity for run in runs]),
        cameras=tuple(camera for camera, *_ in cameras),
        trials=tuple(trials),
        skeleton=skeleton,
        snapshot=snapshot,
        verticals=_of_cameras(cameras, [(run.seen_by, run.vertical) for run in runs]),
        rig=_of_cameras(cameras, [(run.seen_by, run.rig) for run in runs]),
        confidence=_confidence(runs),
        motion=_motion(runs),
    )


def _motion(runs: Sequence[PoseRun]) -> CameraMotion | None:
    """Join the motion of cameras; None where all of them stand still."""
    if all(run.motion is None for run in runs):
        return None
    parts = [run.motion or _standing(len(run.frames)) for run in runs]
    rotation = np.concatenate([one.path.rotation for one in parts])
    translation = np.concatenate([one.path.translation for one in parts])
    return CameraMotion(CameraPath(rotation, translation), np.concatenate([one.upright for one in parts]))


def _standing(rows: int) -> CameraMotion:
    nowhere = CameraPath.of(np.full((rows, 3, 4), np.nan))
    return CameraMotion(nowhere, np.zeros(rows, dtype=np.bool_))


def _confidence(runs: Sequence[PoseRun]) -> Float32 | None:
    """Join confidences; keypoints without them are as sure as can be beside others that have them."""
    if all(run.confidence is None for run in runs):
        return None
    sure = [
        np.ones(run.keypoints_px.shape[:2], dtype=np.float32) if run.confidence is None else run.confidence
        for run in runs
    ]
    return np.concatenate(sure)


def _of_cameras(
    cameras: Iterable[tuple[Camera, bool, str]],
    told: Sequence[tuple[tuple[Camera, bool, str], Told | None]],
) -> tuple[Told | None, ...]:
    """Put what runs tell of cameras in the order of their table; nothing of one that they contradict."""
    known: dict[tuple[Camera, bool, str], set[Told | None]] = {}
    for camera, one in told:
        known.setdefault(camera, set()).add(one)
    found = tuple(next(iter(known[camera])) if len(known[camera]) == 1 else None for camera in cameras)
    return () if all(one is None for one in found) else found
