"""Trials in the form that readers hand over, with true projections and made-up motion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from poseshift.geometry.camera import Camera, Distortion
from poseshift.geometry.projection import project, world_to_camera
from poseshift.geometry.rotation import euler_xyz
from poseshift.storage.schema import SourceFile, Trial, TrialKey
from poseshift.storage.store import PoseStore

MakeTrial = Callable[..., Trial]


def _camera(name: str, yaw: float) -> Camera:
    rotation = np.asarray(euler_xyz(np.array([np.pi / 2, 0.0, yaw])))
    return Camera(
        name=name,
        size_px=(1000, 1002),
        focal_px=(1145.0494384765625, 1143.7811279296875),
        centre_px=(512.54150390625, 515.4514770507812),
        distortion=Distortion("human36m", (-0.2, 0.24, -0.002), (-0.0009, -0.0014)),
        rotation=tuple(tuple(float(x) for x in row) for row in rotation),
        translation=(0.1, 0.9, 5.0 + yaw / 10),
    )


@pytest.fixture(scope="session")
def make_trial() -> MakeTrial:
    """A function that makes a valid trial; same arguments, same trial."""

    def make(
        subject: str = "S1",
        name: str = "Directions 1",
        frames: int = 7,
        cameras: tuple[str, ...] = ("54138969", "60457274"),
        seed: int = 0,
    ) -> Trial:
        rng = np.random.default_rng([seed, frames, *map(ord, subject + name)])
        steps = rng.normal(scale=0.002, size=(frames, 1, 3)).cumsum(axis=0)
        pose = rng.normal(loc=(0.0, 0.0, 0.9), scale=0.4, size=(1, 17, 3))
        world = (pose + steps).astype(np.float32)
        calibrated = tuple(_camera(camera, 0.3 * number) for number, camera in enumerate(cameras))
        keypoints = [
            project(
                world_to_camera(pose + steps, camera.rotation, camera.translation),
                camera.intrinsics,
            )
            for camera in calibrated
        ]
        action, _, subaction = name.partition(" ")
        return Trial(
            key=TrialKey(subject, name),
            action=action,
            subaction=subaction,
            fps=50.0,
            cameras=calibrated,
            positions_world=world,
            keypoints_2d=np.stack(keypoints).astype(np.float32),
            quality={"frames": float(frames), "undefined": float("nan")},
            options={"s9_drift": "keep"},
            sources=(SourceFile("S1/MyPoseFeatures/D3_Positions/Directions 1.cdf", 12, "ab" * 32),),
        )

    return make


@pytest.fixture
def store(tmp_path: Path) -> PoseStore:
    """An empty store in a local folder."""
    return PoseStore.create(tmp_path / "store", "human36m")
