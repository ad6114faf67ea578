"""PoseAug's ``test_3dhp.npz``: the 16-joint test set of MPI-INF-3DHP that augmentation papers report on.

Root-relative height-normalised 3D in metres and 2D normalised by the image width, joints in PoseAug's order
(Gong et al., CVPR 2021). Only frames with all 17 joints inside the image are there, since the file was made
from SPIN's (Kolotouros et al., ICCV 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import to_screen
from poseshift.geometry.skeleton import POSEAUG_16, mapping
from poseshift.storage.columns import CameraPoses
from poseshift.storage.exchange.npz import read_npz, require_member, require_numbers


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


def _inside_image(poses: CameraPoses) -> NDArray[np.bool_]:
    sizes_px = poses.intrinsics[poses.camera].size_px[:, None, :]
    within = (poses.keypoints_px >= 0) & (poses.keypoints_px < sizes_px)
    return np.asarray(within.all(axis=(1, 2)))
