"""A small tree in the release's layout: two training and three test sequences of body-sized random motion."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from poseshift.preprocessing.mpi_inf_3dhp import layout, write

FRAMES = 9
UNIVERSAL_SCALE = 1.08


@dataclass(frozen=True)
class Tree:
    root: Path
    world_mm: dict[str, np.ndarray]  # "S1/Seq1" -> (N, 28, 3), y up
    camera_mm: dict[str, np.ndarray]  # "TS1" -> (N, 17, 3)
    valid: np.ndarray
    activity: np.ndarray

    @property
    def test_set(self) -> Path:
        return self.root / "mpi_inf_3dhp_test_set" / "mpi_inf_3dhp_test_set"


def motion_mm(joints: int, centre_mm: tuple[float, float, float], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pose = rng.normal(size=(1, joints, 3)) * (250, 400, 250)
    drift = np.cumsum(rng.normal(size=(FRAMES, 1, 3)) * 20, axis=0)
    return pose + drift + rng.normal(size=(FRAMES, joints, 3)) * 30 + centre_mm


def write_tree(root: Path) -> Tree:
    world_mm = {"S1/Seq1": motion_mm(28, (0, 1000, 0), 1), "S8/Seq2": motion_mm(28, (300, 900, -200), 2)}
    camera_mm = {
        name: motion_mm(17, (100, 200, 4000), seed) for seed, name in enumerate(("TS1", "TS2", "TS5"))
    }
    valid = np.arange(FRAMES) % 3 > 0
    activity = np.arange(FRAMES) % 7 + 1
    for name, positions in world_mm.items():
        write.write_training_sequence(root, int(name[1]), int(name[-1]), positions, UNIVERSAL_SCALE)
    for name, positions in camera_mm.items():
        write.write_test_sequence(
            root, name, positions, layout.TEST_CAMERAS[name], valid, activity, UNIVERSAL_SCALE
        )
    write.write_test_calibration(root)
    return Tree(root, world_mm, camera_mm, valid, activity)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Shared by all tests of this folder, which only read it."""
    return write_tree(tmp_path_factory.mktemp("mpi_inf_3dhp"))


@pytest.fixture
def own_tree(tmp_path: Path) -> Tree:
    """A tree to damage."""
    return write_tree(tmp_path)
