"""The people of a restaged store in front of other cameras: their motion is played again on another stage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera, stack_intrinsics
from poseshift.geometry.projection import camera_to_world, project, world_to_camera
from poseshift.preprocessing.restaging.placement import Stage, draw_placement
from poseshift.preprocessing.restaging.report import RestageReport
from poseshift.preprocessing.restaging.restage import BORDER_ROWS, camera_of_test_sequence
from poseshift.storage.schema import Trial, TrialKey

_TEST_PEOPLE = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")


def clips_of(trial: Trial, report: RestageReport) -> tuple[slice, ...]:
    """Find the frames of the clips that a trial was joined from; a trial of Human3.6M is one clip."""
    staged = [clip for clip in report.clips if TrialKey(clip.subject, clip.trial) == trial.key]
    joined = [clip for clip in staged if clip.group != "source"]
    return tuple(slice(clip.first_row, clip.first_row + clip.rows) for clip in joined) or (slice(None),)


def play(trial: Trial, clips: Sequence[slice], stage: Stage, seed: tuple[int, ...]) -> Trial | None:
    """Put a trial's clips in front of other cameras, each clip anywhere on a stage.

    Parameters
    ----------
    trial : Trial
        Of a restaged data set.
    clips : Sequence[slice]
        The frames of each clip, see :func:`clips_of`; joined clips shared no place.
    stage : Stage
        Where, and in front of which cameras.
    seed : tuple[int, ...]
        Of the places.

    Returns
    -------
    Trial or None
        Named as before and after the stage's camera where it has only one. Frames at a join of two clips are
        marked as not valid. None when no clip fits on the stage.
    """
    rng = np.random.default_rng(seed)
    world = positions_in_world(trial)
    pieces: list[NDArray[np.float64]] = []
    for clip in clips:
        placement = draw_placement(world[clip], stage, rng) if len(world[clip]) else None
        if placement is not None:
            pieces.append(placement.apply(world[clip]))
    if not pieces:
        return None
    positions = np.concatenate(pieces).astype(np.float32)
    valid = np.ones(len(positions), dtype=np.bool_)
    for join in np.cumsum([len(piece) for piece in pieces])[:-1]:
        valid[max(0, join - BORDER_ROWS) : join + BORDER_ROWS] = False
    suffix = f".{stage.cameras[0].name}" if len(stage.cameras) == 1 else ""
    return Trial(
        key=TrialKey(trial.key.subject, trial.key.trial + suffix),
        action=trial.action,
        subaction=trial.subaction,
        fps=trial.fps,
        cameras=stage.cameras,
        positions_world=positions,
        keypoints_2d=_seen(positions, stage.cameras),
        positions_kind=trial.positions_kind,
        valid=valid,
        options={"placed_from": trial.key.path},
    )


def positions_in_world(trial: Trial) -> NDArray[np.float64]:
    """Positions (frames, joints, 3) with z up; a test sequence, whose world is its camera, is turned back."""
    positions = trial.labelled[0].astype(np.float64)
    if trial.key.subject not in _TEST_PEOPLE:
        return positions
    camera = camera_of_test_sequence(trial.key.subject)
    return np.asarray(camera_to_world(positions, np.asarray(camera.rotation), np.asarray(camera.translation)))


def _seen(positions: NDArray[np.float32], cameras: Sequence[Camera]) -> NDArray[np.float32]:
    """Exact projections, (cameras, frames, joints, 2)."""
    rotation = np.array([camera.rotation for camera in cameras])
    translation = np.array([camera.translation for camera in cameras])
    everywhere = np.broadcast_to(positions.astype(np.float64), (len(cameras), *positions.shape))
    before = world_to_camera(everywhere, rotation, translation)
    return np.asarray(project(before, stack_intrinsics(cameras)), dtype=np.float32)
