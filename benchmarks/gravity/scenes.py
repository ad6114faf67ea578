"""Scenes of known verticals: people who all do the same, restaged before real cameras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from poseshift.flows.benchmark.content import CONTENTS, CROUCHING_HEIGHT, Content, content_of
from poseshift.flows.benchmark.forms import LEANING_DEGREES, LYING_DEGREES, as_detected, in_other_skeleton
from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project
from poseshift.geometry.rotation import axis_angle_to_matrix
from poseshift.geometry.skeleton import skeleton
from poseshift.preprocessing.motion.body import two_bone
from poseshift.preprocessing.motion.motion import Motion
from poseshift.preprocessing.restaging.placement import Stage, draw_placement, to_camera
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.pose_runs import PoseRun, columns_of
from poseshift.storage.schema import TrialKey

Float64 = NDArray[np.float64]

JOINTS = "human36m_17"

_HELD_SHARE = 0.6
"""Share of its frames that a stretch must be of a content to be a case of it."""


def stretches_of(
    recordings: Sequence[Motion], frames: int, camera: Camera
) -> Iterator[tuple[Content, list[tuple[Motion, int, int]]]]:
    """List stretches of motion by what people do in most of their frames."""
    found: dict[Content, list[tuple[Motion, int, int]]] = {content: [] for content in CONTENTS}
    for one in recordings:
        step = max(1, one.frames // 10)
        for first in range(0, max(1, one.frames - frames // 2), step):
            last = min(first + frames, one.frames)
            run = _run(one, to_camera(one.positions[first:last], camera), camera, np.arange(last - first))
            shown = content_of(columns_of([run], JOINTS, ""))
            for content in CONTENTS:
                if (shown == content).mean() >= _HELD_SHARE:
                    found[content].append((one, first, last))
    yield from found.items()


def scene(
    stretches: Mapping[Content, Sequence[tuple[Motion, int, int]]],
    content: Content,
    people: int,
    cameras: tuple[Camera, ...],
    room: Stage,
    rng: np.random.Generator,
) -> CameraPoses | None:
    """Put people who do the same before cameras; None where nobody does it, or somebody comes too near."""
    turned = content in _TURNED and rng.random() < _TURNED_SHARE
    pool = stretches["upright" if turned or content == "crouching" else content]
    if not pool:
        return None
    runs = []
    for number in range(people):
        one, first, last = pool[int(rng.integers(len(pool)))]
        positions = one.positions[first:last].astype(np.float64)
        if turned:
            positions = _fallen(positions, _TURNED[content], rng)
        elif content == "crouching":
            positions = _crouched(positions, rng)
        placement = draw_placement(positions, room, rng)
        if placement is None:
            return None
        placed = placement.apply(positions)
        runs += [
            _run(one, to_camera(placed, camera), camera, np.arange(len(placed)), number) for camera in cameras
        ]
    exact = columns_of(runs, JOINTS, "")
    return as_detected(in_other_skeleton(exact), int(rng.integers(2**31)))


_TURNED: Mapping[Content, tuple[float, float]] = {"leaning": LEANING_DEGREES, "lying": LYING_DEGREES}
_TURNED_SHARE = 0.7
_CROUCHING_HEIGHTS = (0.22, CROUCHING_HEIGHT)


def _fallen(positions: Float64, degrees: tuple[float, float], rng: np.random.Generator) -> Float64:
    """Turn a stretch about a level axis through the pelvis of each frame: the same lean all the while."""
    about = 2 * np.pi * rng.random()
    axis = np.array([np.cos(about), np.sin(about), 0.0])
    turn = np.asarray(axis_angle_to_matrix(np.radians(rng.uniform(*degrees)) * axis))
    return np.asarray((positions - positions[:, :1]) @ turn.T + positions[:, :1])


def _crouched(positions: Float64, rng: np.random.Generator) -> Float64:
    """Lower upright people over their ankles, knees forward: hardly a frame of free motion shows it."""
    names = skeleton(JOINTS).joint_names
    hips, knees, ankles = (
        [names.index(f"{side}_{joint}") for side in ("left", "right")] for joint in ("hip", "knee", "ankle")
    )
    upper, lower = (
        float(np.median(np.linalg.norm(positions[:, one] - positions[:, other], axis=-1)))
        for one, other in ((hips, knees), (knees, ankles))
    )
    height = (positions[:, hips, 2] - positions[:, ankles, 2]).mean(axis=1)
    lowered = positions.copy()
    above = [joint for joint in range(len(names)) if joint not in (*knees, *ankles)]
    wanted = rng.uniform(*_CROUCHING_HEIGHTS) * (upper + lower)
    lowered[:, above, 2] -= np.maximum(height - wanted, 0)[:, None]
    across = positions[:, hips[0]] - positions[:, hips[1]]
    forward = np.cross(across, [0.0, 0.0, 1.0])
    for hip, knee, ankle in zip(hips, knees, ankles, strict=True):
        lowered[:, knee], lowered[:, ankle] = two_bone(
            lowered[:, hip], lowered[:, ankle], forward, upper, lower
        )
    return lowered


def _run(
    one: Motion, positions: Float64, camera: Camera, frames: NDArray[np.intp], number: int = 0
) -> PoseRun:
    return PoseRun(
        info=TrialInfo(TrialKey(f"{one.subject}-{number}", one.name.rpartition("/")[2]), "", "1", one.fps),
        camera=camera,
        positions_camera=positions.astype(np.float32),
        keypoints_px=np.asarray(project(positions, camera.intrinsics), dtype=np.float32),
        frames=frames,
        activity=np.zeros(len(frames), dtype=np.int8),
    )
