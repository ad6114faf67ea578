"""Raw trees, cameras and people that all tests may use: small, in the true layouts, made once per process."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

# Two threads each of two test processes on two cores make torch fifty times slower, not faster.
# Set before anything imports it, and inherited by the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera, Distortion, project, stack_intrinsics
from poseshift.preprocessing.motion.procedural import generate
from poseshift.preprocessing.restaging.restage import restage
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.schema import TrialKey

DrawPeople = Callable[..., NDArray[np.float32]]
LEVEL = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
"""Rotation of a camera that looks along the world's y, with the horizon level: up is -y in its axes."""

MakeColumns = Callable[[NDArray[np.float32], Sequence[Camera], NDArray[np.int32]], CameraPoses]


@pytest.fixture(scope="session")
def restaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``human36m`` and ``mpi_inf_3dhp`` trees of 21 subjects; do not write into it."""
    out = tmp_path_factory.mktemp("raw") / "trees"
    motions = generate(seed=7, clips_per_subject=2, frames_per_clip=40)
    restage(motions, out, seed=7, motion="procedural motion of the tests")
    return out


@pytest.fixture
def square_camera() -> Camera:
    """The first test camera of MPI-INF-3DHP, placed level."""
    return Camera(
        name="TS1",
        size_px=(2048, 2048),
        focal_px=(1500.172, 1500.832),
        centre_px=(1017.387, 1043.032),
        rotation=LEVEL,
    )


@pytest.fixture
def wide_camera() -> Camera:
    """The outdoor test camera of MPI-INF-3DHP, placed level."""
    return Camera(
        name="TS5",
        size_px=(1920, 1080),
        focal_px=(1683.983, 1672.594),
        centre_px=(939.858, 560.141),
        rotation=LEVEL,
    )


@pytest.fixture
def distorted_camera() -> Camera:
    """The first camera of Human3.6M, lens distortion included, placed level."""
    return Camera(
        name="54138969",
        size_px=(1000, 1002),
        focal_px=(1145.0494, 1143.7811),
        centre_px=(512.5415, 515.4515),
        distortion=Distortion(
            "human36m", (-0.207098910, 0.247775183, -0.003075150), (-0.001424471, -0.000975698)
        ),
        rotation=LEVEL,
    )


@pytest.fixture
def draw_people() -> DrawPeople:
    """Upright people of about 1.7 m before a camera: (n, 17, 3)."""

    def draw(
        rng: np.random.Generator, n: int, depth: float = 4.5, spread: float = 0.3
    ) -> NDArray[np.float32]:
        heights = np.array(
            [0, 0, 0.45, 0.9, 0, 0.45, 0.9, -0.25, -0.5, -0.6, -0.75, -0.5, -0.3, 0, -0.5, -0.3, 0]
        )
        joints = np.zeros((n, 17, 3))
        joints[:, :, 1] = heights
        joints[:, 1:] += rng.normal(scale=0.12, size=(n, 16, 3))
        root = np.array([0.1, -0.1, depth]) + rng.normal(scale=spread, size=(n, 1, 3))
        return (joints + root).astype(np.float32)

    return draw


@pytest.fixture
def make_columns() -> MakeColumns:
    """Columns of one trial per camera; ``camera`` says who sees which pose."""

    def make(
        positions: NDArray[np.float32], cameras: Sequence[Camera], camera: NDArray[np.int32]
    ) -> CameraPoses:
        keypoints = project(positions, stack_intrinsics(cameras)[camera])
        return CameraPoses(
            positions_camera=positions,
            keypoints_px=keypoints.astype(np.float32),
            camera=camera,
            trial=camera,
            frame=np.arange(len(positions), dtype=np.int32),
            activity=np.zeros(len(positions), dtype=np.int8),
            cameras=tuple(cameras),
            trials=tuple(TrialInfo(TrialKey("T", one.name), "Walking", "1", 50.0) for one in cameras),
            skeleton="human36m_17",
            snapshot="target",
        )

    return make
