"""Parts that actions are built from: values that wander, pulses, a relaxed stance, steps along a path.

Everything is smooth by construction: values are eased from one knot to the next, so that speeds stay bounded
by ranges and durations. Angles are given in degrees where they are drawn and are radians in controls.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from poseshift.preprocessing.motion.body import LEFT, RIGHT, SIDES, Array, Body, Controls
from poseshift.preprocessing.motion.gait import Gait, double_support, ease, step
from poseshift.preprocessing.motion.motion import FRAME_RATE_HZ

Ranges = tuple[tuple[float, float], ...]
"""Lowest and highest value of each channel, in degrees."""


def wander(rng: np.random.Generator, frames: int, ranges: Ranges, seconds: float) -> Array:
    """(frames, len(ranges)) radians: eased from one random value in degrees to the next."""
    low, high = np.radians(np.asarray(ranges, dtype=np.float64)).T
    knots = int(np.ceil(frames / FRAME_RATE_HZ / seconds)) + 3
    values = rng.uniform(low, high, (knots, len(low)))
    time = np.arange(frames)[:, None] / FRAME_RATE_HZ / seconds + rng.uniform(0, 1, len(low))
    knot = time.astype(np.int64)
    before, after = (np.take_along_axis(values, index, axis=0) for index in (knot, knot + 1))
    return before + (after - before) * ease(time - knot)


def pulses(frames: int, seconds: float, start: float = 0.0) -> Array:
    """(frames,) 0 to 1 and back, once in so many seconds."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(frames) / FRAME_RATE_HZ / seconds + start))


def strokes(frames: int, seconds: float, start: float, share: float = 0.35) -> Array:
    """(frames,) short eased strikes from 0 to 1 and back, one in so many seconds, at rest otherwise."""
    cycle = (np.arange(frames) / FRAME_RATE_HZ / seconds + start) % 1.0
    return ease(cycle / (share / 2)) * ease((share - cycle) / (share / 2))


def visit(rng: np.random.Generator, frames: int, rise_seconds: float) -> Array:
    """(frames,) 0, then 1 for the middle of the clip, then 0: sitting down and standing up."""
    time = np.arange(frames) / FRAME_RATE_HZ
    begin = rng.uniform(0.3, 0.9)
    end = time[-1] - rng.uniform(0.3, 0.9)
    return ease((time - begin) / rise_seconds) * ease((end - time) / rise_seconds)


def both_arms(arm: Array) -> Array:
    """(frames, 2, 4): both arms do what one (frames, 4) does."""
    return np.stack([arm, arm], axis=1)


def free_arms(rng: np.random.Generator, frames: int, ranges: Ranges, seconds: float) -> Array:
    """(frames, 2, 4): each arm wanders on its own within ranges of plane, elevation, twist and elbow."""
    return np.stack([wander(rng, frames, ranges, seconds) for _ in SIDES], axis=1)


def blend(from_arms: Array, to_arms: Array, weight: Array) -> Array:
    """Go from one posture of some joints (frames, ...) to another with a weight (frames,) from 0 to 1."""
    return from_arms + (to_arms - from_arms) * weight.reshape(-1, *([1] * (to_arms.ndim - 1)))


def stand(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Relaxed stance with a little sway: what the other actions start from."""
    heading = np.full(frames, rng.uniform(-np.pi, np.pi))
    sway = 0.25 * wander(rng, frames, ((-8, 8), (-8, 8)), 1.4)
    forward = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    lateral = np.stack([-forward[:, 1], forward[:, 0]], axis=-1)
    stagger = rng.uniform(-0.08, 0.12)
    half_width = rng.uniform(0.09, 0.17)
    ankles = np.stack(
        [
            np.concatenate(
                [
                    side * (half_width * lateral + stagger * forward),
                    np.full((frames, 1), body.ankle_height),
                ],
                axis=-1,
            )
            for side in SIDES
        ],
        axis=1,
    )
    return Controls(
        root_xy=sway,
        height=np.full(frames, body.standing_height),
        heading=heading + 0.3 * wander(rng, frames, ((-15, 15),), 1.7)[:, 0],
        pelvis=wander(rng, frames, ((-2, 6), (-4, 4)), 1.5),
        torso=wander(rng, frames, ((-3, 12), (-7, 7), (-12, 12)), 1.5),
        neck=wander(rng, frames, ((-15, 30), (-50, 50)), 1.1),
        arms=free_arms(rng, frames, ((20, 90), (4, 18), (-10, 30), (10, 35)), 1.5),
        ankles=ankles,
        knees_out=wander(rng, frames, ((4, 18), (4, 18)), 3.0),
    )


def displacement(controls: Controls, ahead: Array, lateral: Array) -> Array:
    """(frames, 2) floor displacement from metres ahead and to the left of the body."""
    cosine, sine = np.cos(controls.heading), np.sin(controls.heading)
    return np.stack([ahead * cosine - lateral * sine, ahead * sine + lateral * cosine], axis=-1)


def travel(
    rng: np.random.Generator, body: Body, gait: Gait, frames: int, turn_deg_s: float, aside_deg: float = 0.0
) -> tuple[Controls, Array]:
    """Step round a circle that a room can hold; gives the controls and the phase that drives the arms."""
    rest = stand(rng, body, frames)
    phase = double_support(gait) + np.arange(frames) / FRAME_RATE_HZ * gait.cadence_hz
    speed = gait.stride_m * gait.cadence_hz
    circling = float(rng.choice([-1.0, 1.0])) * speed / rng.uniform(0.9, 1.7)
    turning = circling + wander(rng, frames, ((-turn_deg_s, turn_deg_s),), 1.6)[:, 0]
    heading = rest.heading[0] + np.cumsum(turning) / FRAME_RATE_HZ
    course = heading + np.radians(aside_deg)
    path = np.cumsum(speed / FRAME_RATE_HZ * np.stack([np.cos(course), np.sin(course)], axis=-1), axis=0)
    ankles = step(body, gait, phase, path, heading)
    sway = 0.03 * np.sin(2 * np.pi * (phase - gait.duty / 2 + 0.25))
    bob = 0.02 * np.cos(4 * np.pi * (phase - gait.duty / 2))
    bob = bob if gait.duty > 0.5 else -1.6 * bob
    moved = replace(rest, heading=heading)
    controls = replace(
        moved,
        root_xy=path + displacement(moved, np.zeros(frames), sway),
        height=rest.height * 0.99 + bob,
        ankles=ankles,
        torso=rest.torso * 0.6,
    )
    return controls, phase


def swing_arms(controls: Controls, phase: Array, amplitude_deg: float, elbow_deg: float) -> Controls:
    """Swing each arm with the opposite leg and turn the trunk against the pelvis."""
    arms = np.zeros_like(controls.arms)
    for side, sign in ((LEFT, -1.0), (RIGHT, 1.0)):
        swing = sign * np.cos(2 * np.pi * phase)
        arms[:, side, 0] = np.radians(80)
        arms[:, side, 1] = np.radians(6 + amplitude_deg * swing)
        arms[:, side, 2] = np.radians(10)
        arms[:, side, 3] = np.radians(elbow_deg + 0.5 * amplitude_deg * swing)
    twist = np.radians(0.25 * amplitude_deg) * np.cos(2 * np.pi * phase)
    torso = controls.torso + np.stack([np.zeros_like(twist), np.zeros_like(twist), twist], axis=-1)
    return replace(controls, arms=arms + 0.3 * (controls.arms - controls.arms.mean(axis=0)), torso=torso)
