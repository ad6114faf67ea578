"""One trial of Human3.6M from its pose files: read, checked, in metres on 17 joints.

What the release promises of a file is checked (rows of the sequence table, finite numbers, joints that are
one point, millimetres in a z-up world); a file that breaks it raises a RawDataError. Figures that hold for
any data set are those of :mod:`poseshift.preprocessing.quality`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import camera_to_world, project, world_to_camera
from poseshift.geometry.skeleton import mapping
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.human36m.cdf import read_pose
from poseshift.preprocessing.human36m.layout import COINCIDING_JOINTS, FPS, JOINTS
from poseshift.storage.schema import PositionsKind, Trial, TrialKey

Float64 = NDArray[np.float64]

_APART_MM = 0.01
_HEIGHTS_MM = (-1000.0, 3000.0)
_THIGH_MM = (150.0, 800.0)
_HIPS, _SPINE, _THIGH = 0, 11, (1, 2)
_REMEDY = "Extract the file again from its archive, and see that it lies in the folder of its kind."


@dataclass(frozen=True)
class PositionsFile:
    """Where a trial's 3D is: in world coordinates, or in those of a camera.

    Attributes
    ----------
    path : Path
        The pose file.
    camera : Camera or None
        The camera whose axes it uses, or None for the world's.
    holds : PositionsKind
        Which 3D: on the person's own skeleton or on that of subject 1.
    """

    path: Path
    camera: Camera | None
    holds: PositionsKind


@dataclass(frozen=True)
class TrialFiles:
    """A trial's files and what is known of them beforehand.

    Attributes
    ----------
    key, action, subaction : TrialKey or str
        Names in the store.
    cameras : tuple[Camera, ...]
        The cameras to store, in order.
    positions : PositionsFile
        The 3D.
    keypoints : tuple[Path, ...]
        The 2D file of each camera; empty to project the 3D instead.
    rows : int
        Rows that each file must have.
    rows_from : str
        Where that number comes from.
    video_frames : int
        Frames of the shortest video.
    shift_world_mm : tuple[float, float, float]
        Added to world positions, a named correction.
    options : Mapping[str, str]
        Names of what was chosen, for the store.
    """

    key: TrialKey
    action: str
    subaction: str
    cameras: tuple[Camera, ...]
    positions: PositionsFile
    keypoints: tuple[Path, ...]
    rows: int
    rows_from: str
    video_frames: int
    shift_world_mm: tuple[float, float, float]
    options: Mapping[str, str]


def read_trial(files: TrialFiles) -> Trial:
    """Read one trial.

    Returns
    -------
    the trial, without sources. Its quality figures: ``hip_to_spine_mm`` (0.1 in the release),
    ``coinciding_joints_apart_mm`` (0 in the release) and ``video_frames_without_pose``.

    Raises
    ------
    RawDataError : a file that is damaged or is not what its name says.
    """
    raw = read_pose(files.positions.path, JOINTS, 3)
    _require_rows(files, files.positions.path, len(raw))
    positions_mm = raw.astype(np.float64)
    apart_mm = _require_coinciding(files.positions.path, positions_mm)
    world_mm = _to_world_mm(positions_mm, files.positions.camera) + np.asarray(files.shift_world_mm)
    _require_world_mm(files.positions.path, world_mm)
    joints = mapping("human36m_32", "human36m_17")
    world = np.asarray(joints.apply(world_mm)) / 1000.0
    if files.keypoints:
        keypoints = [np.asarray(joints.apply(_read_keypoints(files, path))) for path in files.keypoints]
    else:
        keypoints = [_project(files.positions.path, world, camera) for camera in files.cameras]
    return Trial(
        key=files.key,
        action=files.action,
        subaction=files.subaction,
        fps=FPS,
        cameras=files.cameras,
        positions_world=_frame_by_frame(world),
        keypoints_2d=np.stack([_frame_by_frame(seen) for seen in keypoints]),
        positions_kind=files.positions.holds,
        quality={
            "hip_to_spine_mm": float(
                np.linalg.norm(world_mm[:, _HIPS] - world_mm[:, _SPINE], axis=-1).mean()
            ),
            "coinciding_joints_apart_mm": apart_mm,
            "video_frames_without_pose": float(files.video_frames - files.rows),
        },
        options=dict(files.options),
    )


def _read_keypoints(files: TrialFiles, path: Path) -> NDArray[np.floating[Any]]:
    keypoints = read_pose(path, JOINTS, 2)
    _require_rows(files, path, len(keypoints))
    return keypoints


def _frame_by_frame(points: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Lay points out as a store has them; assigned, since NumPy's own copy takes four times as long here."""
    laid_out = np.empty(points.shape, dtype=np.float32)
    laid_out[...] = points
    return laid_out


def _to_world_mm(positions_mm: Float64, camera: Camera | None) -> Float64:
    if camera is None:
        return positions_mm
    return np.asarray(
        camera_to_world(positions_mm, np.asarray(camera.rotation), 1000.0 * np.asarray(camera.translation))
    )


def _project(path: Path, world: Float64, camera: Camera) -> Float64:
    in_camera = np.asarray(
        world_to_camera(world, np.asarray(camera.rotation), np.asarray(camera.translation))
    )
    if in_camera[..., 2].min() <= 0:
        raise RawDataError(
            path,
            found=f"joints behind camera {camera.name}",
            expected="the whole person before every camera of the subject",
            remedy=_REMEDY,
        )
    return np.asarray(project(in_camera, camera.intrinsics))


def _require_rows(files: TrialFiles, path: Path, rows: int) -> None:
    if rows != files.rows:
        raise RawDataError(
            path,
            found=f"{rows} rows",
            expected=f"{files.rows} rows, by the sequence table ({files.rows_from})",
            remedy="Extract the file again; if its length is right, give the tree its own metadata.xml.",
        )


def _require_coinciding(path: Path, positions_mm: Float64) -> float:
    """Largest distance between joints that are one point; a shuffled or foreign joint order shows here."""
    first, second = (list(joints) for joints in zip(*COINCIDING_JOINTS, strict=True))
    apart_mm = np.linalg.norm(positions_mm[:, first] - positions_mm[:, second], axis=-1).max(axis=0)
    worst = int(apart_mm.argmax())
    if apart_mm[worst] > _APART_MM:
        raise RawDataError(
            path,
            found=f"joints {first[worst]} and {second[worst]} up to {apart_mm[worst]:.2f} mm apart",
            expected="one point, as in the joint order of the release",
            remedy="Write the 32 joints in the order of the toolkit's metadata.xml, all of them.",
        )
    return float(apart_mm[worst])


def _require_world_mm(path: Path, world_mm: Float64) -> None:
    thigh_mm = float(np.median(np.linalg.norm(world_mm[:, _THIGH[0]] - world_mm[:, _THIGH[1]], axis=-1)))
    if not _THIGH_MM[0] <= thigh_mm <= _THIGH_MM[1]:
        raise RawDataError(
            path,
            found=f"a right thigh of {thigh_mm:.4g}",
            expected=f"{_THIGH_MM[0]:g} to {_THIGH_MM[1]:g} mm: positions in millimetres",
            remedy=_REMEDY,
        )
    low, high = float(world_mm[..., 2].min()), float(world_mm[..., 2].max())
    if low < _HEIGHTS_MM[0] or high > _HEIGHTS_MM[1]:
        raise RawDataError(
            path,
            found=f"heights from {low:.0f} to {high:.0f} mm",
            expected=f"{_HEIGHTS_MM[0]:g} to {_HEIGHTS_MM[1]:g} mm: a world with z up and the floor at 0",
            remedy=_REMEDY,
        )
