"""PoseAug's ``test_3dhp.npz``: the 16-joint test set of MPI-INF-3DHP that augmentation papers report on.

Root-relative height-normalised 3D in metres and 2D normalised by the image width, joints in PoseAug's order
(Gong et al., CVPR 2021). Only frames with all 17 joints inside the image are there, since the file was made
from SPIN's (Kolotouros et al., ICCV 2019).

The file names neither camera nor place. True keypoints of a known camera tell both: the root is where the
pose projects onto its keypoints, and before a camera that did not take the picture it does not. Poses are of
one height for all people, so a place is that of a person of this height, nearer or farther than the true one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import from_screen, normalise, project, to_screen
from poseshift.geometry.rays import absolute_on_rays
from poseshift.geometry.skeleton import POSEAUG_16, mapping
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.exchange.npz import ExchangeError, read_npz, require_member, require_numbers
from poseshift.storage.pose_runs import PoseRun, columns_of
from poseshift.storage.provenance import digest_file
from poseshift.storage.schema import TrialKey

ROWS = "rows"
"""Trial of the rows of one camera; its subject is the sequences that this camera took, joined by dashes."""

LARGEST_ERROR_PX = 5.0
"""Median distance of re-projected joints from their keypoints above which a file is refused."""


@dataclass(frozen=True)
class PoseAugTestSet:
    """The rows of the file, which do not say their sequence, frame or camera.

    Attributes
    ----------
    positions : NDArray[Any] of shape (n, 16, 3)
        Metres, camera axes, relative to the pelvis, ``poseaug_16``.
    keypoints_screen : NDArray[Any] of shape (n, 16, 2)
        Normalised by the image width.
    """

    positions: NDArray[Any]
    keypoints_screen: NDArray[Any]


def export_test(poses: CameraPoses, path: Path) -> int:
    """Write the file from the valid frames of the test sequences, read with universal positions.

    Returns
    -------
    int
        Number of rows written: those with all joints inside the image.
    """
    inside = poses.take(_inside_image(poses))
    to_16 = mapping(poses.skeleton, "poseaug_16")
    positions = to_16.apply(inside.positions_camera)
    sizes_px = inside.intrinsics[inside.camera].size_px
    np.savez_compressed(
        path,
        pose3d=positions - positions[:, POSEAUG_16.root, None],
        pose2d=to_screen(to_16.apply(inside.keypoints_px), sizes_px).astype(np.float32),
    )
    return len(inside)


def import_test(path: Path) -> PoseAugTestSet:
    """Read the file.

    Raises
    ------
    ExchangeError
        When it is not in this layout.
    """
    content = read_npz(path)
    joints = POSEAUG_16.joints
    positions = require_numbers(path, "pose3d", require_member(path, content, "pose3d"), (None, joints, 3))
    keypoints = require_member(path, content, "pose2d")
    return PoseAugTestSet(positions, require_numbers(path, "pose2d", keypoints, (len(positions), joints, 2)))


def import_poses(path: Path, cameras: Mapping[str, Camera], fps: float) -> CameraPoses:
    """Read the file as absolute poses, each before the camera that it re-projects best with.

    Parameters
    ----------
    path : Path
        The file.
    cameras : Mapping[str, Camera]
        The test set's, by sequence; sequences of equal cameras cannot be told apart.
    fps : float
        Frames per second of the recordings. Rows count as successive frames, though the file lacks some.

    Raises
    ------
    ExchangeError
        The file is not in this layout, or its keypoints are not true ones of these cameras.
    """
    rows = import_test(path)
    took: dict[Camera, list[str]] = {}
    for name, camera in cameras.items():
        took.setdefault(replace(camera, name=""), []).append(name)
    kinds = [replace(camera, name="-".join(names)) for camera, names in took.items()]
    pixels = [from_screen(rows.keypoints_screen.astype(np.float64), camera.size_px) for camera in kinds]
    placed = [_placed(rows.positions, seen, camera) for camera, seen in zip(kinds, pixels, strict=True)]
    errors = np.stack(
        [
            np.linalg.norm(project(poses, camera.intrinsics) - seen, axis=-1).mean(axis=-1)
            for camera, seen, poses in zip(kinds, pixels, placed, strict=True)
        ]
    )
    typical = float(np.median(errors.min(axis=0))) if len(rows.positions) else 0.0
    if not typical <= LARGEST_ERROR_PX:
        raise ExchangeError(
            path,
            f"poses re-project {typical:.1f} px (median) off their keypoints before the best of the cameras "
            f"of {', '.join(cameras)}",
            f"Expected are true keypoints and universal 3D, within {LARGEST_ERROR_PX:g} px",
        )
    runs = []
    for number, (camera, seen, poses) in enumerate(zip(kinds, pixels, placed, strict=True)):
        (own,) = np.nonzero(errors.argmin(axis=0) == number)
        if len(own):
            info = TrialInfo(TrialKey(camera.name, ROWS), "", "", fps, "universal")
            runs.append(
                PoseRun(
                    info=info,
                    camera=camera,
                    positions_camera=poses[own].astype(np.float32),
                    keypoints_px=seen[own].astype(np.float32),
                    frames=own,
                    activity=np.zeros(len(own), dtype=np.int8),
                )
            )
    if not runs:
        raise ExchangeError(path, "no rows")
    return columns_of(runs, POSEAUG_16.name, f"sha256:{digest_file(path, path.parent).sha256}")


def _placed(relative: NDArray[Any], keypoints_px: NDArray[Any], camera: Camera) -> NDArray[Any]:
    """Place root-relative poses where they project onto their keypoints, (n, 16, 3)."""
    rays = normalise(keypoints_px, camera.intrinsics)
    return np.asarray(absolute_on_rays(relative.astype(np.float64), rays, np.ones(relative.shape[:-1])))


def _inside_image(poses: CameraPoses) -> NDArray[np.bool_]:
    sizes_px = poses.intrinsics[poses.camera].size_px[:, None, :]
    within = (poses.keypoints_px >= 0) & (poses.keypoints_px < sizes_px)
    return np.asarray(within.all(axis=(1, 2)))
