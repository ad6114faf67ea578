"""Bodies for the augmentation tests: double precision, every joint set, every bone with a length."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from geometry.skeleton import Skeleton

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
