"""Viewpoints by where up was given or found, as sure as that is; at random, within what is possible, else.

A direction with an interval is a distribution of viewpoints: poses are turned to where up may be, as often as
it may be there. Where the interval is too wide to call the vertical known (people who lie before a camera
that may be on its side), viewpoints are those that cameras of people have, but for those that are ruled out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from poseshift.adaptation.global_position import GlobalPositionAlignment
from poseshift.adaptation.gravity import CameraGravity, FoundGravity
from poseshift.adaptation.orientation import jitter_directions, turn_upright, up_from_angles
from poseshift.adaptation.target_keypoints import Direction
from poseshift.adaptation.vertical.finder import shipped_finder
from poseshift.adaptation.vertical.posterior import angles_degrees
from poseshift.augmentation.draws import draw_rows, draw_uniform
from poseshift.geometry.camera import Camera, Rotation, stand_apart
from poseshift.storage.columns import CameraPoses
from poseshift.training.batches import Batch

GivenOrLearned = Literal["given", "learned"]

CALIBRATION_DEGREES = 2.0
"""Interval of an up that a calibration's world gives: how well its floor was level."""

_DIRECTIONS = 512
"""Directions kept for every camera, of which one is drawn for every clip."""

_DRAWS = 20_000
_WITHIN_TWO_DEVIATIONS = math.sqrt(-2 * math.log(0.1))
"""Radius, in deviations, that holds nine of ten draws of a normal tilt on two axes."""


def known_gravity_of(
    target: CameraPoses, kinds: tuple[GivenOrLearned, ...], *, pool_rigs: bool
) -> CameraGravity:
    """Know where up is before every camera of a target, by the first kind that says it.

    Parameters
    ----------
    target : CameraPoses
        Keypoints before cameras; no 3D is looked at.
    kinds : tuple
        Which kinds count, the preferred one first.
    pool_rigs : bool
        Whether cameras of one rig are answered for together.
    """
    given = {
        row: _given(camera.name, up, int((target.camera == row).sum()), _interval(target, row), moves)
        for row, (camera, up, moves) in enumerate(zip(target.cameras, target.ups, target.moves, strict=True))
        if up is not None
    }
    answers = {"given": given, "learned": {}}
    if "learned" in kinds and (kinds[0] == "learned" or len(given) < len(target.cameras)):
        rig = rig_rotations(target) if pool_rigs else {}
        answers["learned"] = dict(enumerate(shipped_finder().find(target, rig)))
    found = []
    for row, camera in enumerate(target.cameras):
        told = [answers[kind][row] for kind in kinds if row in answers[kind]]
        found.append(told[0] if told else FoundGravity.without_poses(camera.name))
    return CameraGravity(cameras=tuple(found))


def rig_rotations(target: CameraPoses) -> dict[int, Rotation]:
    """Rotations of the cameras that stand in one world, whether it is known where up is in it or not."""
    unknown = {row: one for row, one in enumerate(target.rig) if one is not None}
    placed = [camera for camera in target.cameras if camera.placed]
    if unknown or not stand_apart(placed):
        return unknown
    return {row: camera.rotation for row, camera in enumerate(target.cameras) if camera.placed}


def joined_with_calibrated(
    gravity: CameraGravity, cameras: Sequence[Camera], ups: Sequence[Direction | None]
) -> CameraGravity:
    """Put the gravity of calibrated cameras, those of labelled poses, after what is known of others."""
    given = (
        _given(camera.name, up, 0, CALIBRATION_DEGREES, False)
        for camera, up in zip(cameras, ups, strict=True)
    )
    return CameraGravity(cameras=(*gravity.cameras, *given))


def _given(
    camera: str, up: Direction | None, poses: int, interval_degrees: float, moves: bool
) -> FoundGravity:
    return FoundGravity(
        camera=camera,
        up=up,
        poses=poses,
        spread_degrees=None,
        interval_degrees=interval_degrees,
        kind="given",
        moves=moves,
    )


def _interval(target: CameraPoses, row: int) -> float:
    stated = target.verticals[row] if target.verticals else None
    return CALIBRATION_DEGREES if stated is None else stated.interval_degrees


class FoundAlignment:
    """Give every clip a random target pose's position and a vertical of its camera: a ``BatchTransform``.

    Parameters
    ----------
    gravity : CameraGravity
        Of the cameras that clips are placed before.
    possible : callable
        Directions against gravity that one of them may have: :func:`possible_directions`, its options bound.
    position : GlobalPositionAlignment
        Places clips; its target poses are drawn.
    """

    places_anew: ClassVar[Literal[True]] = True

    def __init__(
        self,
        gravity: CameraGravity,
        possible: Callable[[FoundGravity, torch.Generator], Tensor],
        position: GlobalPositionAlignment,
    ) -> None:
        self._position = position
        generator = torch.Generator().manual_seed(0)
        self._directions = torch.stack([possible(one, generator) for one in gravity.cameras]).to(
            position.camera.device
        )

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Draw one target pose and one vertical per clip, turn the clip about its root, and move it there."""
        rows = self._position.draw(len(batch), generator)
        which = draw_rows(self._directions.shape[1], len(batch), generator)
        up = self._position.to_camera(self._directions[self._position.camera[rows], which], rows)
        up = up.to(batch.positions_camera.dtype)
        turned = turn_upright(batch, up, self._position.root, generator)
        return self._position.move(turned, rows, generator)


def possible_directions(
    found: FoundGravity,
    generator: torch.Generator,
    *,
    widest_degrees: float,
    pitch_degrees: tuple[float, float],
    roll_degrees: tuple[float, float],
    jitter_degrees: float = 0.0,
) -> Tensor:
    """Draw directions against gravity that a camera may have, (directions, 3), by what was found of it.

    About a known one, so that nine of ten lie in its interval; of a camera whose interval is too wide, those
    of the ranges of pitch and roll that lie in the interval; of one of which nothing is known, all of them.

    Parameters
    ----------
    found : FoundGravity
        What was found.
    generator : torch.Generator
        Of the draws.
    widest_degrees : float
        Wider intervals say that the content cannot tell.
    pitch_degrees, roll_degrees : tuple of float
        Ranges of the viewpoints that are drawn then.
    jitter_degrees : float
        Deviation, on each of two axes, of a tilt that is added to a direction that is known.
    """
    known = found.up is not None and found.interval_degrees is not None
    if known and (found.interval_degrees or 0.0) <= widest_degrees:
        up = torch.tensor(found.up).expand(_DIRECTIONS, 3)
        unsure = (found.interval_degrees or 0.0) / _WITHIN_TWO_DEVIATIONS
        return jitter_directions(up, math.radians(math.hypot(unsure, jitter_degrees)), generator)
    like = torch.empty(0)
    pitch, roll = (
        torch.deg2rad(draw_uniform((_DRAWS,), *ranges, like, generator))
        for ranges in (pitch_degrees, roll_degrees)
    )
    drawn = up_from_angles(pitch, roll)
    if known:
        away = angles_degrees(drawn, torch.tensor(found.up))
        possible = drawn[away <= (found.interval_degrees or 0.0)]
        if len(possible) < _DIRECTIONS // 8:  # the ranges miss the interval: the interval was measured
            return possible_directions(
                found,
                generator,
                widest_degrees=180.0,
                pitch_degrees=pitch_degrees,
                roll_degrees=roll_degrees,
                jitter_degrees=jitter_degrees,
            )
        drawn = possible
    chosen: Tensor = drawn[draw_rows(len(drawn), _DIRECTIONS, generator)]
    return chosen
