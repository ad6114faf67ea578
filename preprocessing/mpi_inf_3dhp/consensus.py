"""One world pose from fourteen camera poses.

``annot.mat`` holds the same skeleton once per camera, in camera axes and rounded to six digits. Turned into
the world they must agree; what most of them say is the world pose, and a camera that says otherwise is found
out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import camera_to_world
from poseshift.preprocessing.mpi_inf_3dhp.world import MM_PER_M, Float64


@dataclass(frozen=True)
class Consensus:
    """World positions and how well the cameras agree on them.

    Attributes
    ----------
    positions_world : array of float64 of shape (N, joints, 3)
        Metres.
    median_mm : array of float64 of shape (cameras,)
        Each camera's median distance from the consensus.
    mean_mm, max_mm : float
        Distance from the consensus over all cameras, frames and joints.
    """

    positions_world: Float64
    median_mm: Float64
    mean_mm: float
    max_mm: float


def world_consensus(positions_camera_mm: Float64, cameras: Sequence[Camera]) -> Consensus:
    """Coordinate-wise median over the cameras of their world positions.

    The median and not the mean, because a slip in one camera must not move the pose; and of all cameras of
    the file, whichever are kept later, so that the same frame has the same world pose in every store.

    Parameters
    ----------
    positions_camera_mm : array of float64 of shape (cameras, N, joints, 3)
        Camera axes, millimetres.
    cameras : Sequence[Camera]
        In the same order.
    """
    each = np.stack(
        [
            camera_to_world(seen_mm / MM_PER_M, np.asarray(camera.rotation), np.asarray(camera.translation))
            for seen_mm, camera in zip(positions_camera_mm, cameras, strict=True)
        ]
    )
    positions_world: Float64 = np.median(each, axis=0)
    distance_mm = np.linalg.norm(each - positions_world, axis=-1) * MM_PER_M
    return Consensus(
        positions_world=positions_world,
        median_mm=np.median(distance_mm.reshape(len(cameras), -1), axis=1),
        mean_mm=float(distance_mm.mean()),
        max_mm=float(distance_mm.max()),
    )
