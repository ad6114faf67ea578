"""Motions to write: made-up walking people, once with bones of one length and once with bones that change."""

from dataclasses import replace

import numpy as np
import pytest

from poseshift.geometry.bones import bone_directions, bone_lengths, from_bones
from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.preprocessing.motion.procedural import generate
from poseshift.storage.motion_files.motion import Motion
from poseshift.storage.schema import TrialKey


def with_median_bones(positions: np.ndarray) -> np.ndarray:
    """The same directions from the same root, every bone as long as its median over frames."""
    directions = bone_directions(positions, HUMAN36M_17)
    lengths = np.median(bone_lengths(positions, HUMAN36M_17), axis=0)
    return np.asarray(from_bones(positions[:, 0], directions, lengths, HUMAN36M_17))


@pytest.fixture(scope="session")
def changing() -> Motion:
    """World axes; bones change their lengths by some percent, as a lifter's answers do."""
    clip = generate(seed=3, clips_per_subject=1, frames_per_clip=25)[0]
    random = np.random.default_rng(3)
    positions = clip.positions + random.normal(scale=0.01, size=clip.positions.shape)
    frames = len(positions)
    return Motion(
        key=TrialKey("S1", "Walking 1"),
        camera="cam 0",
        fps=50.0,
        skeleton=HUMAN36M_17,
        axes="world",
        frame=np.arange(frames, dtype=np.int32),
        positions=positions.astype(np.float32),
        error_m=random.uniform(0, 0.1, size=(frames, 17)).astype(np.float32),
        error_kind="made up",
        interpolated=random.random((frames, 17)) < 0.2,
        to_camera=(np.eye(3), np.array([0.1, 0.2, 4.0])),
    )


@pytest.fixture(scope="session")
def rigid(changing: Motion) -> Motion:
    """World axes; bones of one length."""
    positions = with_median_bones(changing.positions.astype(np.float64))
    return replace(changing, positions=positions.astype(np.float32))


@pytest.fixture(scope="session")
def in_camera(changing: Motion) -> Motion:
    """Camera axes."""
    x, y, z = np.moveaxis(changing.positions, -1, 0)
    return replace(changing, axes="camera", positions=np.stack([x, 1 - z, 4 + y], axis=-1))
