"""Poses of the evaluation tests: drawn, small, with the tables of a real store."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.schema import TrialKey

MakePoses = Callable[..., CameraPoses]


def draw_people(rng: np.random.Generator, frames: int) -> NDArray[np.float32]:
    """Root in front of the camera, other joints within a metre of it: (frames, 17, 3)."""
    root = np.array([0.0, 0.0, 5.0]) + rng.normal(scale=0.3, size=(frames, 1, 3))
    offsets = rng.uniform(-0.9, 0.9, size=(frames, 17, 3))
    offsets[:, 0] = 0
    return (root + offsets).astype(np.float32)


@pytest.fixture
def make_poses() -> MakePoses:
    """Columns of trials x cameras, ``frames`` rows each."""

    def make(
        trials: tuple[tuple[str, str, str], ...] = (
            ("S9", "Walking 1", "Walking"),
            ("S11", "Eating", "Eating"),
        ),
        cameras: int = 2,
        frames: int = 7,
        activity: int = 0,
        seed: int = 0,
    ) -> CameraPoses:
        rng = np.random.default_rng(seed)
        table = tuple(
            Camera(
                name=str(number),
                size_px=(1000, 1002),
                focal_px=(1145.0 + number, 1144.0),
                centre_px=(512.0, 515.0),
            )
            for number in range(cameras)
        )
        runs = [(trial, camera) for trial in range(len(trials)) for camera in range(cameras)]
        positions = [draw_people(rng, frames) for _ in runs]
        keypoints = [
            project(run, table[camera].intrinsics).astype(np.float32)
            for run, (_, camera) in zip(positions, runs, strict=True)
        ]
        return CameraPoses(
            positions_camera=np.concatenate(positions),
            keypoints_px=np.concatenate(keypoints),
            camera=np.repeat([camera for _, camera in runs], frames).astype(np.int32),
            trial=np.repeat([trial for trial, _ in runs], frames).astype(np.int32),
            frame=np.tile(np.arange(frames), len(runs)).astype(np.int32),
            activity=np.full(frames * len(runs), activity, dtype=np.int8),
            cameras=table,
            trials=tuple(TrialInfo(TrialKey(s, t), action, "1", 50.0) for s, t, action in trials),
            skeleton="human36m_17",
            snapshot="snapshot",
        )

    return make
