"""People of free motion before cameras: some to learn from, others to test on before two sets of cameras."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseshift.flows.benchmark.domains import HIGH_CAMERAS
from poseshift.geometry.projection import project
from poseshift.preprocessing.human36m.layout import CAMERA_IDS
from poseshift.preprocessing.human36m.layout import camera as human36m_camera
from poseshift.preprocessing.motion.motion import Motion
from poseshift.preprocessing.mpi_inf_3dhp.layout import CAMERA_SETS, TRAINING_CAMERAS
from poseshift.preprocessing.restaging.placement import Stage, draw_placement, ring_stage, to_camera
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.pose_runs import PoseRun, columns_of
from poseshift.storage.schema import TrialKey

JOINTS = "human36m_17"

TEST_SHARE = 0.25
"""Of the people, who are tested on and never learned from."""

LEARNED_STEP, TESTED_FRAMES = 5, 4
"""Every so many frames are learned from; so many of each clip are tested on, from all over it."""

_SPREAD_M = 1.0


@dataclass(frozen=True)
class Scenes:
    """Poses to learn from, and the same people and clips tested on before two sets of cameras."""

    source: CameraPoses
    tests: dict[str, CameraPoses]
    people: tuple[str, ...]


def make_scenes(motions: Sequence[Motion], seed: int) -> Scenes:
    """Divide people and put each clip before cameras; a seed divides and places."""
    people = sorted({one.subject for one in motions})
    rng = np.random.default_rng(seed)
    count = max(1, round(TEST_SHARE * len(people)))
    tested = set(rng.choice(people, size=count, replace=False).tolist())
    level = ring_stage([human36m_camera("S1", name) for name in CAMERA_IDS], _SPREAD_M)
    numbers = (*HIGH_CAMERAS, *CAMERA_SETS["ceiling"])
    above = ring_stage(TRAINING_CAMERAS, _SPREAD_M)
    above = replace(above, cameras=tuple(TRAINING_CAMERAS[number] for number in numbers))
    learned = [one for one in motions if one.subject not in tested]
    others = [one for one in motions if one.subject in tested]
    return Scenes(
        source=before(learned, level, seed, _learned),
        tests={
            "source cameras": before(others, level, seed, _tested),
            "from above": before(others, above, seed, _tested),
        },
        people=tuple(sorted(tested)),
    )


def before(
    motions: Sequence[Motion], stage: Stage, seed: int, chosen: Callable[[Motion], NDArray[np.intp]]
) -> CameraPoses:
    """Put clips before all cameras of a stage, each at its own place; those that fit nowhere are left out.

    Parameters
    ----------
    motions : sequence of Motion
        The clips.
    stage : Stage
        Where.
    seed : int
        Of the places.
    chosen : callable
        Which frames of a clip are kept, placed as the whole clip is.
    """
    runs = []
    for one in motions:
        rng = np.random.default_rng([seed, zlib.crc32(one.name.encode())])
        placement = draw_placement(one.positions, stage, rng)
        if placement is None:
            continue
        frames = chosen(one)
        world = placement.apply(one.positions[frames])
        for camera in stage.cameras:
            seen = to_camera(world, camera)
            runs.append(
                PoseRun(
                    info=TrialInfo(TrialKey(one.subject, one.name.replace("/", ".")), "", "1", one.fps),
                    camera=camera,
                    positions_camera=seen.astype(np.float32),
                    keypoints_px=np.asarray(project(seen, camera.intrinsics), dtype=np.float32),
                    frames=frames,
                    activity=np.zeros(len(frames), dtype=np.int8),
                )
            )
    return columns_of(runs, JOINTS, "in memory")


def noisy(poses: CameraPoses, noise_px: float, seed: int) -> CameraPoses:
    """Add white noise to the keypoints, in pixels of an image 1000 px wide."""
    width = np.asarray(poses.intrinsics.size_px)[poses.camera, 0]
    draw = np.random.default_rng(seed).normal(size=poses.keypoints_px.shape)
    moved = poses.keypoints_px + noise_px * (width / 1000)[:, None, None] * draw
    return replace(poses, keypoints_px=moved.astype(np.float32))


def _learned(one: Motion) -> NDArray[np.intp]:
    return np.arange(0, one.frames, LEARNED_STEP)


def _tested(one: Motion) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, one.frames - 1, TESTED_FRAMES + 2).astype(np.intp)[1:-1])
