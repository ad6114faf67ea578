"""A small data set that projects exactly, in memory, for the tests of training."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from poseshift.geometry.camera import Camera, Distortion
from poseshift.geometry.projection import project
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.schema import TrialKey

# Small tensors gain nothing from threads, and threads of test processes that share cores wait for each other.
torch.set_num_threads(1)

CAMERAS = (
    Camera(
        name="distorted",
        size_px=(1000, 1002),
        focal_px=(1145.0, 1143.8),
        centre_px=(512.5, 515.5),
        distortion=Distortion("human36m", (-0.2, 0.24, -0.002), (-0.0009, -0.0014)),
    ),
    Camera(name="pinhole", size_px=(2048, 2048), focal_px=(1500.2, 1500.9), centre_px=(1017.4, 1043.0)),
)

MEAN_POSE = np.array(
    [
        [0.0, 0.0, 0.0],
        [-0.13, 0.0, 0.0],
        [-0.13, 0.44, 0.02],
        [-0.13, 0.88, 0.06],
        [0.13, 0.0, 0.0],
        [0.13, 0.44, 0.02],
        [0.13, 0.88, 0.06],
        [0.0, -0.23, 0.0],
        [0.0, -0.48, 0.0],
        [0.0, -0.56, -0.06],
        [0.0, -0.68, 0.0],
        [0.15, -0.45, 0.0],
        [0.18, -0.17, 0.0],
        [0.2, 0.07, -0.05],
        [-0.15, -0.45, 0.0],
        [-0.18, -0.17, 0.0],
        [-0.2, 0.07, -0.05],
    ]
)


def make_poses(frames: int, seed: int) -> CameraPoses:
    """Two trials of the given length, each seen by both cameras; every row projects exactly."""
    rng = np.random.default_rng(seed)
    positions, keypoints, camera, trial, frame = [], [], [], [], []
    for number in range(2):
        body = MEAN_POSE + rng.normal(scale=0.05, size=(frames, 17, 3))
        for index, seen_by in enumerate(CAMERAS):
            root = rng.uniform([-0.8, -0.4, 3.5], [0.8, 0.4, 6.0], size=(frames, 1, 3))
            points = (body - body[:, :1] + root).astype(np.float32)
            positions.append(points)
            keypoints.append(project(points.astype(np.float64), seen_by.intrinsics).astype(np.float32))
            camera.append(np.full(frames, index))
            trial.append(np.full(frames, number))
            frame.append(np.arange(frames))
    return CameraPoses(
        positions_camera=np.concatenate(positions),
        keypoints_px=np.concatenate(keypoints),
        camera=np.concatenate(camera).astype(np.int32),
        trial=np.concatenate(trial).astype(np.int32),
        frame=np.concatenate(frame).astype(np.int32),
        activity=np.zeros(4 * frames, dtype=np.int8),
        cameras=CAMERAS,
        trials=tuple(TrialInfo(TrialKey("S1", f"t{i}"), "Walking", "1", 50.0) for i in range(2)),
        skeleton="human36m_17",
        snapshot="in-memory",
    )


@pytest.fixture(scope="session")
def poses_of() -> Callable[[int, int], CameraPoses]:
    return make_poses


@pytest.fixture(scope="session")
def poses() -> CameraPoses:
    return make_poses(32, 0)
