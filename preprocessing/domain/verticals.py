"""Where up is before a camera as the user states it: an attitude, a direction, a horizon in the image.

A statement is ``KIND:NUMBERS`` or ``KIND:NUMBERS~DEGREES``, the latter with the angle within which the truth
lies in nine of ten cases. Axes are those of the camera: x right, y down, z forward. Nothing is guessed: an
accelerometer at rest shows up, a telephone's ``gravity`` shows down, and the user says which of them it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.lens import rays_of_px
from poseshift.preprocessing.domain.rig import moved
from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import Vertical, VerticalKind

Float64 = NDArray[np.float64]

ATTITUDE_DEGREES, DIRECTION_DEGREES = 4.0, 2.0
"""Intervals of statements without one: read from a tripod or a plan by eye; an IMU and how it sits in its
camera."""

HORIZON_PX = 4.0
"""How far each point of a horizon is off in nine of ten cases, on either side."""

_NUMBERS = {"attitude": 2, "up": 3, "down": 3, "horizon": 4}
_LARGEST_DEGREES = 90.0


class StatedVertical(FrozenModel):
    """One statement."""

    kind: VerticalKind
    """What the numbers are."""
    numbers: tuple[float, ...]
    """Pitch and roll in degrees, a direction, or x1, y1, x2, y2 of two points of the horizon in pixels."""
    interval_degrees: float | None = None
    """Angle within which the truth lies in nine of ten cases; None takes that of the kind."""

    @classmethod
    def parse(cls, text: str) -> StatedVertical:
        """Read a statement such as ``attitude:12,0~3``; ValueError says what there is."""
        statement, _, interval = text.partition("~")
        kind, _, numbers = statement.partition(":")
        try:
            given = tuple(float(one) for one in numbers.split(","))
            degrees = float(interval) if interval else None
        except ValueError:
            given, degrees = (), None
        finite = all(map(math.isfinite, given)) and (degrees is None or 0 < degrees <= _LARGEST_DEGREES)
        if kind not in _NUMBERS or len(given) != _NUMBERS[kind] or not finite or (interval and not degrees):
            raise ValueError(
                f"--up {text!r}: give attitude:PITCH,ROLL (degrees; looks down, leans right), up:X,Y,Z or "
                "down:X,Y,Z (camera axes, y down, z forward) or horizon:X1,Y1,X2,Y2 (pixels), and ~DEGREES "
                "behind it for the angle within which it holds in nine of ten cases"
            )
        return cls.model_validate({"kind": kind, "numbers": given, "interval_degrees": degrees})

    def direction(self, camera: Camera) -> Float64:
        """Find the unit vector against gravity in the camera's axes, (3,).

        Raises
        ------
        ValueError
            The numbers are no direction.
        """
        return _direction(self.kind, np.array(self.numbers), camera)

    def interval(self, camera: Camera) -> float:
        """Angle within which the truth lies in nine of ten cases, degrees."""
        if self.interval_degrees is not None:
            return self.interval_degrees
        if self.kind == "attitude":
            return ATTITUDE_DEGREES
        if self.kind != "horizon":
            return DIRECTION_DEGREES
        stated = self.direction(camera)
        shifts = [
            HORIZON_PX * np.array([0.0, first, 0.0, second]) for first, second in product((-1, 1), repeat=2)
        ]
        across = np.array(self.numbers).reshape(2, 2)
        if abs(across[1, 0] - across[0, 0]) < abs(across[1, 1] - across[0, 1]):
            shifts = [np.roll(shift, -1) for shift in shifts]
        away = [
            angle_degrees(stated, _direction("horizon", np.array(self.numbers) + shift, camera))
            for shift in shifts
        ]
        return max(away)


def stand(
    cameras: Mapping[str, Camera], stated: Mapping[str, StatedVertical], *, rig: bool
) -> tuple[dict[str, Camera], dict[str, Vertical]]:
    """Stand cameras upright as stated.

    Parameters
    ----------
    cameras : mapping
        By name.
    stated : mapping
        By name of the camera.
    rig : bool
        Whether the cameras' extrinsics are of one world: then all of them are turned, by the mean of what is
        stated, and a camera of which nothing is stated has it from the others.

    Raises
    ------
    ValueError
        Statements on cameras of a rig contradict each other.
    """
    ups = {name: one.direction(cameras[name]) for name, one in stated.items()}
    intervals = {name: one.interval(cameras[name]) for name, one in stated.items()}
    known = {name: Vertical(stated[name].kind, intervals[name]) for name in stated}
    if not rig:
        return {name: upright(one, ups[name]) if name in ups else one for name, one in cameras.items()}, known
    in_world = {name: np.asarray(cameras[name].rotation).T @ up for name, up in ups.items()}
    mean = sum((up / intervals[name] ** 2 for name, up in in_world.items()), np.zeros(3))
    mean = mean / np.linalg.norm(mean)
    for name, up in in_world.items():
        away = angle_degrees(up, mean)
        if away > 2 * intervals[name]:
            raise ValueError(
                f"camera {name}: what is stated of up is {away:.1f} degrees from what is stated of all "
                f"cameras together, by their calibration, and was to hold within {intervals[name]:g} "
                "degrees; look at the statements and at the calibration"
            )
    # Errors of statements may be alike (one level, one habit), so several are not taken to be surer than one.
    least = min(intervals.values())
    turn = np.asarray(upright(next(iter(cameras.values())), mean).rotation)
    turned = {
        name: moved(one, np.asarray(one.rotation) @ turn, np.asarray(one.translation))
        for name, one in cameras.items()
    }
    return turned, {name: Vertical(known[name].kind if name in known else "rig", least) for name in cameras}


def upright(camera: Camera, up: Float64) -> Camera:
    """Stand a camera in the origin of a world of its own with z up, given up (3,) in its axes.

    The world's y is where the camera looks, as far as that is level.
    """
    forward = (
        np.array([0.0, 0.0, 1.0]) if abs(up[2]) < _STEEP else np.array([0.0, -math.copysign(1.0, up[2]), 0.0])
    )
    y = forward - (forward @ up) * up
    y = y / np.linalg.norm(y)
    return moved(camera, np.stack([np.cross(y, up), y, up], axis=1), np.zeros(3))


def angle_degrees(one: Float64, other: Float64) -> float:
    """Angle between two unit vectors (3,)."""
    return math.degrees(math.acos(float(np.clip(one @ other, -1, 1))))


_STEEP = 0.99


def _direction(kind: VerticalKind, numbers: Float64, camera: Camera) -> Float64:
    if kind == "attitude":
        pitch, roll = np.radians(numbers)
        level = math.cos(pitch)
        found = np.array([math.sin(roll) * level, -math.cos(roll) * level, -math.sin(pitch)])
    elif kind == "horizon":
        first, second = np.concatenate([rays_of_px(numbers.reshape(2, 2), camera), np.ones((2, 1))], axis=1)
        found = np.cross(first, second)
        # Of the two sides of the horizon, up is the one that is higher in the image.
        found = found if found[1] < 0 else -found
    else:
        found = -numbers if kind == "down" else numbers
    length = float(np.linalg.norm(found))
    if not length > 1e-9 or not math.isfinite(length):
        raise ValueError(f"camera {camera.name}: {kind} {numbers.tolist()} is no direction")
    return np.asarray(found / length)
