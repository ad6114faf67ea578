"""Trees of Human3.6M's own layout from any motion on its 32 joints: pose files, metadata.xml, archives.

The files differ from the release only in their numbers, so that :mod:`poseshift.preprocessing.human36m.read`
and other readers of the data set meet what they meet there. The cameras are the true ones of each subject.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project, world_to_camera
from poseshift.preprocessing.human36m.calibration import builtin_calibration
from poseshift.preprocessing.human36m.cdf import write_pose
from poseshift.preprocessing.human36m.layout import (
    COINCIDING_JOINTS,
    EXPECTED_ROWS,
    JOINTS,
    POSE_KINDS,
    PoseKind,
    official_folder,
    pose_filename,
)
from poseshift.preprocessing.human36m.metadata_writer import write_metadata

__all__ = ["ALL_KINDS", "pack_subject", "write_metadata", "write_trial"]

ALL_KINDS: frozenset[PoseKind] = frozenset(POSE_KINDS)

_S1_LEG_MM = 442.9 + 454.2
"""Thigh and shank of subject 1, whose skeleton universal files have: from S1's ``Directions 1``, row 0."""
_HIP, _KNEE, _ANKLE, _PELVIS = 1, 2, 3, 0


def write_trial(
    root: Path,
    subject: str,
    stem: str,
    positions_world_mm: NDArray[np.floating[Any]],
    kinds: frozenset[PoseKind] = ALL_KINDS,
) -> None:
    """Write one trial's pose files for the four cameras of its subject.

    Universal files hold the pose scaled about the pelvis to the leg length of subject 1; the release puts
    the same joint angles on subject 1's skeleton, which needs angles that a motion on points does not have.

    Parameters
    ----------
    root : Path
        Root of the tree; files go to ``root/<subject>/MyPoseFeatures/<kind>/``.
    subject, stem : str
        A trial of the release, as it spells them (``"S1"``, ``"TakingPhoto 1"``).
    positions_world_mm : array of floating of shape (frames, 32, 3)
        World z up, millimetres; all points before all cameras.
    kinds : frozenset[PoseKind]
        Which files to write.

    Raises
    ------
    ValueError : no such trial in the release, or positions of another shape, not finite, behind a camera, or
        with coinciding joints apart.
    """
    if (subject, stem) not in EXPECTED_ROWS:
        raise ValueError(
            f"Human3.6M has no trial {stem!r} of {subject}; see preprocessing.human36m.layout.EXPECTED_ROWS"
        )
    # What readers compute from D3_Positions starts at float32, and so do these projections.
    world = np.asarray(positions_world_mm, dtype=np.float32).astype(np.float64)
    _check_positions(world)
    if "D3_Positions" in kinds:
        write_pose(official_folder(root, subject, "D3_Positions") / pose_filename(stem, None), world)
    universal = _scaled_to_subject_1(world)
    for camera in builtin_calibration().cameras[subject]:
        own = _to_camera_mm(world, camera)
        if own[..., 2].min() <= 0:
            raise ValueError(
                f"{subject} {stem}: a joint lies behind camera {camera.name}; move the motion to the origin"
            )
        poses: dict[PoseKind, NDArray[np.float64]] = {
            "D3_Positions_mono": own,
            "D3_Positions_mono_universal": _to_camera_mm(universal, camera),
            "D2_Positions": np.asarray(project(own, camera.intrinsics)),
        }
        for kind, pose in poses.items():
            if kind in kinds:
                write_pose(official_folder(root, subject, kind) / pose_filename(stem, camera.name), pose)


def pack_subject(
    root: Path, subject: str, into: Path, kinds: frozenset[PoseKind] = ALL_KINDS
) -> tuple[Path, ...]:
    """Pack a subject's pose files into archives named and laid out as the release's downloads.

    Parameters
    ----------
    root : Path
        A tree with ``root/<subject>/MyPoseFeatures``.
    subject : str
        ``"S1"``.
    into : Path
        Folder of the archives ``Poses_<kind>_<subject>.tgz``; made when missing.
    kinds : frozenset[PoseKind]
        Which kinds to pack; those without files are left out.

    Returns
    -------
    the archives written.
    """
    into.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in sorted(kinds):
        members = sorted(official_folder(root, subject, kind).glob("*.cdf"))
        if not members:
            continue
        archive = into / f"Poses_{kind}_{subject}.tgz"
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
            for member in members:
                tar.add(member, arcname=member.relative_to(root).as_posix(), recursive=False)
        written.append(archive)
    return tuple(written)


def _check_positions(world: NDArray[np.float64]) -> None:
    if world.ndim != 3 or world.shape[1:] != (JOINTS, 3) or not len(world):
        raise ValueError(
            f"positions have shape {world.shape}; expected (frames, {JOINTS}, 3) with at least one frame"
        )
    if not np.isfinite(world).all():
        raise ValueError("positions hold NaN or infinity")
    for first, second in COINCIDING_JOINTS:
        if not np.array_equal(world[:, first], world[:, second]):
            raise ValueError(f"joints {first} and {second} are one point in this data set, but differ here")


def _scaled_to_subject_1(world: NDArray[np.float64]) -> NDArray[np.float64]:
    thigh = np.linalg.norm(world[:, _HIP] - world[:, _KNEE], axis=-1)
    shank = np.linalg.norm(world[:, _KNEE] - world[:, _ANKLE], axis=-1)
    pelvis = world[:, _PELVIS : _PELVIS + 1]
    scaled: NDArray[np.float64] = pelvis + (world - pelvis) * (_S1_LEG_MM / float(np.mean(thigh + shank)))
    return scaled


def _to_camera_mm(world_mm: NDArray[np.float64], camera: Camera) -> NDArray[np.float64]:
    translation_mm = 1000.0 * np.asarray(camera.translation)
    return np.asarray(world_to_camera(world_mm, np.asarray(camera.rotation), translation_mm))
