"""Footsteps along a path: ankles that stand still in stance and swing in between.

One phase drives both feet, half a cycle apart; where the phase rests, the body stands on both feet. The late
stance rolls over the ball of the foot, which is what lets a body stride without dropping its pelvis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poseshift.preprocessing.motion.body import SIDES, Array, Body


@dataclass(frozen=True)
class Gait:
    """How somebody steps.

    Attributes
    ----------
    cadence_hz : float
        Cycles (two steps) per second.
    stride_m : float
        Path length of a cycle.
    duty : float
        Share of a cycle that a foot stands; under 0.5 there is flight.
    half_width_m : float
        From the path to a foot.
    lift_m : float
        How high an ankle swings.
    heel_off_rad : float
        How far the heel rises before the foot leaves.
    """

    cadence_hz: float
    stride_m: float
    duty: float
    half_width_m: float
    lift_m: float
    heel_off_rad: float


def ease(x: Array) -> Array:
    """Smooth step from 0 at x <= 0 to 1 at x >= 1, with zero slope at both ends."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def double_support(gait: Gait) -> float:
    """Phase at which both feet stand: the middle of a walk's double support."""
    return (gait.duty - 0.5) / 2 if gait.duty > 0.5 else gait.duty / 2


def step(body: Body, gait: Gait, phase: Array, root_xy: Array, heading: Array) -> Array:
    """Place the ankles of a body that moves along a path.

    Parameters
    ----------
    phase : array
        (frames,) cycles, never falling.
    root_xy, heading : array
        (frames, 2) and (frames,) the path and where the body looks.

    Returns
    -------
    ankles : (frames, 2, 3) metres, left then right.
    """
    feet = [
        _foot(body, gait, phase + shift, root_xy, heading, SIDES[i]) for i, shift in enumerate((0.0, 0.5))
    ]
    return np.stack(feet, axis=1)


def _foot(body: Body, gait: Gait, phase: Array, root_xy: Array, heading: Array, side: float) -> Array:
    cycle = np.floor(phase)
    within = phase - cycle
    here, yaw_here = _foothold(gait, cycle, phase, root_xy, heading, side)
    there, yaw_there = _foothold(gait, cycle + 1, phase, root_xy, heading, side)
    swing = ease((within - gait.duty) / (1 - gait.duty))
    rise = gait.heel_off_rad * ease((within / gait.duty - 0.6) / 0.4) * (1 - swing)
    ahead = body.ball - (body.ball * np.cos(rise) - body.ankle_height * np.sin(rise))
    yaw = yaw_here + (yaw_there - yaw_here) * swing
    forward = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
    xy = here + (there - here) * swing[:, None] + ahead[:, None] * forward
    z = body.ankle_height * np.cos(rise) + body.ball * np.sin(rise)
    z += gait.lift_m * np.sin(np.pi * swing) ** 2
    return np.concatenate([xy, z[:, None]], axis=-1)


def _foothold(
    gait: Gait, cycle: Array, phase: Array, root_xy: Array, heading: Array, side: float
) -> tuple[Array, Array]:
    """Foothold of a cycle: beside where the body is in the middle of that stance."""
    # The tiny ramp makes a resting phase strictly rising, as interpolation wants it.
    rising = phase + 1e-9 * np.arange(len(phase))
    middle = cycle + gait.duty / 2
    yaw = np.interp(middle, rising, heading)
    lateral = np.stack([-np.sin(yaw), np.cos(yaw)], axis=-1)
    xy = np.stack([np.interp(middle, rising, root_xy[:, axis]) for axis in (0, 1)], axis=-1)
    return xy + side * gait.half_width_m * lateral, yaw
