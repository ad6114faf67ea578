"""Bodies for the augmentation tests: double precision, every joint set, every bone with a length."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project, world_to_camera
from poseshift.geometry.skeleton import HUMAN36M_17, Skeleton
from poseshift.storage.schema import Trial, TrialKey
from poseshift.storage.store import PoseStore

DrawBodies = Callable[..., Tensor]


@pytest.fixture(scope="session")
def draw_bodies() -> DrawBodies:
    """Random bodies (n, frames, joints, 3), roots away from the origin, bones of 0.1 to 0.6 m."""

    def draw(skeleton: Skeleton, n: int, frames: int = 1, seed: int = 0) -> Tensor:
        rng = np.random.default_rng(seed)
        positions = np.zeros((n, frames, skeleton.joints, 3))
        positions[..., skeleton.root, :] = rng.uniform([-1, -1, 3], [1, 1, 6], size=(n, frames, 3))
        placed = {skeleton.root}
        while len(placed) < skeleton.joints:
            for joint, parent in enumerate(skeleton.parents):
                if joint not in placed and parent in placed:
                    direction = rng.normal(size=(n, frames, 3))
                    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
                    length = rng.uniform(0.1, 0.6, size=(n, 1, 1))
                    positions[..., joint, :] = positions[..., parent, :] + length * direction
                    placed.add(joint)
        return torch.from_numpy(positions)

    return draw


@pytest.fixture(scope="session")
def source(draw_bodies, tmp_path_factory: pytest.TempPathFactory) -> PoseStore:
    """Two subjects with two trials of 40 frames, in front of two cameras that look along x and along y."""
    sides = {
        "first": (((0.0, -1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0)), (0.0, 1.0, 2.0)),
        "second": (((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)), (0.2, 1.0, 8.0)),
    }
    cameras = tuple(
        Camera(
            name=name,
            size_px=(1000, 1002),
            focal_px=(1145.0, 1143.0),
            centre_px=(512.0, 515.0),
            rotation=rotation,
            translation=translation,
        )
        for name, (rotation, translation) in sides.items()
    )
    store = PoseStore.create(
        tmp_path_factory.mktemp("augmentation") / "source", "human36m", restaged_from="drawn bodies"
    )
    with store.transaction("Write the source") as transaction:
        for number, (subject, name) in enumerate((s, t) for s in ("S1", "S5") for t in ("a", "b")):
            body = draw_bodies(HUMAN36M_17, 1, 40, seed=number)[0].numpy()
            body = body - body[:, :1] + np.array([3.0, 0.3, 1.0])
            before = [
                world_to_camera(body, np.asarray(one.rotation), np.asarray(one.translation))
                for one in cameras
            ]
            seen = [project(points, one.intrinsics) for points, one in zip(before, cameras, strict=True)]
            transaction.write(
                Trial(
                    key=TrialKey(subject, name),
                    action="Walking",
                    subaction="1",
                    fps=50.0,
                    cameras=cameras,
                    positions_world=body.astype(np.float32),
                    keypoints_2d=np.stack(seen).astype(np.float32),
                )
            )
    return store
