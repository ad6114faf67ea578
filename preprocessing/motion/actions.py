"""What the procedural bodies do: each action turns a random generator into posture controls.

An action is a function of (rng, body, frames); :data:`ACTIONS` names them all. They are built from three
smooth ingredients: wandering between random values, eased pulses and footsteps. Adding one is writing one
function and one line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from preprocessing.motion.body import LEFT, RIGHT, SIDES, Array, Body, Controls
from preprocessing.motion.gait import Gait, double_support, ease, step
from preprocessing.motion.motion import FRAME_RATE_HZ

Action = Callable[[np.random.Generator, Body, int], Controls]

# Plane, elevation, twist and elbow flexion (degrees) between which free arms move.
GESTURE = ((-10, 110), (10, 75), (-40, 60), (30, 120))
WIDE = ((-20, 115), (15, 160), (-80, 60), (10, 110))
OVERHEAD = ((20, 110), (100, 168), (-60, 30), (10, 70))
FORWARD = ((60, 110), (50, 115), (-20, 40), (10, 60))
GUARD = ((75, 100), (35, 60), (-10, 20), (105, 135))

Ranges = tuple[tuple[float, float], ...]


def _wander(rng: np.random.Generator, frames: int, ranges: Ranges, seconds: float) -> Array:
    """(frames, len(ranges)) radians: eased from one random value in degrees to the next."""
    low, high = np.radians(np.asarray(ranges, dtype=np.float64)).T
    knots = int(np.ceil(frames / FRAME_RATE_HZ / seconds)) + 3
    values = rng.uniform(low, high, (knots, len(low)))
    time = np.arange(frames)[:, None] / FRAME_RATE_HZ / seconds + rng.uniform(0, 1, len(low))
    knot = time.astype(np.int64)
    before, after = (np.take_along_axis(values, index, axis=0) for index in (knot, knot + 1))
    return before + (after - before) * ease(time - knot)


def _pulses(frames: int, seconds: float, start: float = 0.0) -> Array:
    """(frames,) 0 to 1 and back, once in so many seconds."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(frames) / FRAME_RATE_HZ / seconds + start))


def _strokes(frames: int, seconds: float, start: float, share: float = 0.35) -> Array:
    """(frames,) short eased strikes from 0 to 1 and back, one in so many seconds, at rest otherwise."""
    cycle = (np.arange(frames) / FRAME_RATE_HZ / seconds + start) % 1.0
    return ease(cycle / (share / 2)) * ease((share - cycle) / (share / 2))


def _visit(rng: np.random.Generator, frames: int, rise_seconds: float) -> Array:
    """(frames,) 0, then 1 for the middle of the clip, then 0: sitting down and standing up."""
    time = np.arange(frames) / FRAME_RATE_HZ
    begin = rng.uniform(0.3, 0.9)
    end = time[-1] - rng.uniform(0.3, 0.9)
    return ease((time - begin) / rise_seconds) * ease((end - time) / rise_seconds)


def _both(arm: Array) -> Array:
    return np.stack([arm, arm], axis=1)


def _arms(rng: np.random.Generator, frames: int, ranges: Ranges, seconds: float) -> Array:
    return np.stack([_wander(rng, frames, ranges, seconds) for _ in SIDES], axis=1)


def _blend(from_arms: Array, to_arms: Array, weight: Array) -> Array:
    return from_arms + (to_arms - from_arms) * weight.reshape(-1, *([1] * (to_arms.ndim - 1)))


def _stand(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Relaxed stance with a little sway: what the other actions start from."""
    heading = np.full(frames, rng.uniform(-np.pi, np.pi))
    sway = 0.25 * _wander(rng, frames, ((-8, 8), (-8, 8)), 1.4)
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
        heading=heading + 0.3 * _wander(rng, frames, ((-15, 15),), 1.7)[:, 0],
        pelvis=_wander(rng, frames, ((-2, 6), (-4, 4)), 1.5),
        torso=_wander(rng, frames, ((-3, 12), (-7, 7), (-12, 12)), 1.5),
        neck=_wander(rng, frames, ((-15, 30), (-50, 50)), 1.1),
        arms=_arms(rng, frames, ((20, 90), (4, 18), (-10, 30), (10, 35)), 1.5),
        ankles=ankles,
        knees_out=_wander(rng, frames, ((4, 18), (4, 18)), 3.0),
    )


def _move(controls: Controls, ahead: Array, lateral: Array) -> Array:
    """(frames, 2) floor displacement from metres ahead and to the left of the body."""
    cosine, sine = np.cos(controls.heading), np.sin(controls.heading)
    return np.stack([ahead * cosine - lateral * sine, ahead * sine + lateral * cosine], axis=-1)


def _travel(
    rng: np.random.Generator, body: Body, gait: Gait, frames: int, turn_deg_s: float, aside_deg: float = 0.0
) -> tuple[Controls, Array]:
    """Step round a circle that a room can hold; gives the controls and the phase that drives the arms."""
    stand = _stand(rng, body, frames)
    phase = double_support(gait) + np.arange(frames) / FRAME_RATE_HZ * gait.cadence_hz
    speed = gait.stride_m * gait.cadence_hz
    circling = float(rng.choice([-1.0, 1.0])) * speed / rng.uniform(0.9, 1.7)
    turning = circling + _wander(rng, frames, ((-turn_deg_s, turn_deg_s),), 1.6)[:, 0]
    heading = stand.heading[0] + np.cumsum(turning) / FRAME_RATE_HZ
    course = heading + np.radians(aside_deg)
    path = np.cumsum(speed / FRAME_RATE_HZ * np.stack([np.cos(course), np.sin(course)], axis=-1), axis=0)
    ankles = step(body, gait, phase, path, heading)
    sway = 0.03 * np.sin(2 * np.pi * (phase - gait.duty / 2 + 0.25))
    bob = 0.02 * np.cos(4 * np.pi * (phase - gait.duty / 2))
    bob = bob if gait.duty > 0.5 else -1.6 * bob
    moved = replace(stand, heading=heading)
    controls = replace(
        moved,
        root_xy=path + _move(moved, np.zeros(frames), sway),
        height=stand.height * 0.99 + bob,
        ankles=ankles,
        torso=stand.torso * 0.6,
    )
    return controls, phase


def _swing_arms(controls: Controls, phase: Array, amplitude_deg: float, elbow_deg: float) -> Controls:
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


def walk(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Walk along curves."""
    stride = body.leg * rng.uniform(1.2, 1.65)
    gait = Gait(rng.uniform(0.75, 1.0), stride, rng.uniform(0.58, 0.66), rng.uniform(0.06, 0.1), 0.07, 0.6)
    controls, phase = _travel(rng, body, gait, frames, turn_deg_s=25)
    return _swing_arms(controls, phase, rng.uniform(15, 32), rng.uniform(12, 30))


def walk_aside(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Walk backwards or sideways."""
    gait = Gait(rng.uniform(0.7, 0.9), 0.7 * body.leg, 0.62, 0.13, 0.06, 0.3)
    controls, phase = _travel(rng, body, gait, frames, 20, aside_deg=float(rng.choice([180, 90, -90, 150])))
    return _swing_arms(controls, phase, 10, 25)


def walk_carry(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Walk slowly with something in front of the body."""
    gait = Gait(rng.uniform(0.6, 0.75), body.leg * rng.uniform(0.8, 1.1), 0.64, 0.09, 0.06, 0.4)
    controls, _ = _travel(rng, body, gait, frames, 25)
    return replace(controls, arms=_arms(rng, frames, ((70, 100), (15, 50), (-5, 25), (50, 100)), 1.6))


def run(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Jog along curves with a phase of flight."""
    gait = Gait(rng.uniform(1.2, 1.45), body.leg * rng.uniform(1.7, 2.2), 0.4, 0.06, 0.2, 0.7)
    controls, phase = _travel(rng, body, gait, frames, turn_deg_s=20)
    lean = np.radians([rng.uniform(4, 10), 0.0])
    swung = _swing_arms(controls, phase, rng.uniform(30, 42), rng.uniform(75, 100))
    return replace(swung, pelvis=swung.pelvis + lean)


def turn(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Step round on the spot and look about."""
    gait = Gait(rng.uniform(0.7, 0.9), 0.12, 0.64, 0.12, 0.05, 0.15)
    controls, _ = _travel(rng, body, gait, frames, turn_deg_s=150)
    return replace(controls, arms=_arms(rng, frames, GESTURE, 1.3))


def talk(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Stand and speak with the hands."""
    return replace(_stand(rng, body, frames), arms=_arms(rng, frames, GESTURE, 0.8))


def wave(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Wave with one raised arm while the other hangs."""
    stand = _stand(rng, body, frames)
    side = int(rng.integers(2))
    arms = stand.arms.copy()
    raised = _wander(rng, frames, ((0, 50), (75, 130), (-85, -50), (50, 90)), 1.2)
    raised[:, 3] += np.radians(25) * np.sin(2 * np.pi * rng.uniform(1, 2) * np.arange(frames) / FRAME_RATE_HZ)
    arms[:, side] = _blend(arms[:, side], raised, _visit(rng, frames, 0.5))
    return replace(stand, arms=arms)


def reach(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Reach for things above, ahead and below."""
    stand = _stand(rng, body, frames)
    low = _wander(rng, frames, ((0, 57.3),), 1.3)[:, 0] ** 2
    return replace(
        stand,
        height=stand.height * (1 - 0.25 * low),
        pelvis=stand.pelvis + low[:, None] * np.radians([25, 0]),
        torso=stand.torso * 1.5 + low[:, None] * np.radians([35, 0, 0]),
        arms=_blend(_arms(rng, frames, OVERHEAD, 1.2), _arms(rng, frames, FORWARD, 1.2), low),
    )


def sit(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Sit down on something, gesture and stand up."""
    stand = _stand(rng, body, frames)
    down = _visit(rng, frames, 0.9)
    seat = rng.uniform(0.4, 0.52)
    back = rng.uniform(0.75, 0.95) * body.thigh[0]
    lean = 4 * down * (1 - down)
    arms = _blend(stand.arms, _arms(rng, frames, ((30, 100), (5, 60), (-20, 50), (40, 120)), 1.0), down)
    seated_torso = _wander(rng, frames, ((-5, 35), (-15, 15), (-35, 35)), 1.5)
    return replace(
        stand,
        root_xy=stand.root_xy * (1 - down)[:, None] + _move(stand, -back * down, np.zeros(frames)),
        height=stand.height + (seat - stand.height) * down,
        pelvis=stand.pelvis + np.outer(lean, np.radians([35, 0])) - np.outer(down, np.radians([8, 0])),
        torso=_blend(stand.torso, seated_torso, down) + np.outer(lean, np.radians([20, 0, 0])),
        arms=arms,
        knees_out=stand.knees_out * (1 + down)[:, None],
    )


def squat(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Bend the knees again and again, arms forward for balance."""
    stand = _stand(rng, body, frames)
    down = rng.uniform(0.75, 1.0) * _pulses(frames, rng.uniform(1.8, 2.8))
    forward = _both(_wander(rng, frames, ((80, 95), (75, 100), (0, 10), (10, 25)), 2.0))
    return replace(
        stand,
        root_xy=stand.root_xy + _move(stand, -0.16 * down, np.zeros(frames)),
        height=stand.height * (1 - 0.5 * down),
        pelvis=stand.pelvis + np.outer(down, np.radians([28, 0])),
        torso=stand.torso + np.outer(down, np.radians([14, 0, 0])),
        arms=_blend(stand.arms, forward, ease(down * 1.4)),
        knees_out=stand.knees_out + np.radians(12),
    )


def crouch(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Crouch and work with the hands near the floor."""
    stand = _stand(rng, body, frames)
    down = _visit(rng, frames, 0.8)
    depth = rng.uniform(0.38, 0.58)
    return replace(
        stand,
        root_xy=stand.root_xy + _move(stand, -0.14 * down, np.zeros(frames)),
        height=stand.height * (1 - depth * down),
        pelvis=stand.pelvis + np.outer(down, np.radians([rng.uniform(20, 40), 0])),
        torso=stand.torso * 1.5 + np.outer(down, np.radians([rng.uniform(15, 45), 0, 0])),
        neck=stand.neck + np.outer(down, np.radians([10, 0])),
        arms=_blend(stand.arms, _arms(rng, frames, ((50, 110), (20, 85), (-10, 40), (10, 60)), 0.9), down),
    )


def bend(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Stretch: bend the trunk forward, backward and sideways and twist it."""
    stand = _stand(rng, body, frames)
    torso = _wander(rng, frames, ((-25, 75), (-32, 32), (-42, 42)), 1.3)
    pitch = 0.45 * np.maximum(torso[:, 0], 0)
    return replace(
        stand,
        root_xy=stand.root_xy + _move(stand, -0.15 * np.sin(pitch), np.zeros(frames)),
        pelvis=stand.pelvis + np.stack([pitch, np.zeros(frames)], axis=-1),
        torso=torso,
        arms=_arms(rng, frames, WIDE, 1.2),
    )


def jumping_jack(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Jump feet apart and together while the arms go up and down."""
    stand = _stand(rng, body, frames)
    seconds = rng.uniform(1.0, 1.3)
    apart = _pulses(frames, seconds)
    flight = 0.1 * np.sin(np.pi * 2 * np.arange(frames) / FRAME_RATE_HZ / seconds) ** 2
    lateral = _move(stand, np.zeros(frames), 0.25 * apart)
    ankles = stand.ankles.copy()
    ankles[..., :2] += SIDES[:, None] * lateral[:, None]
    ankles[..., 2] += flight[:, None]
    up = _both(np.radians(np.stack([0 * apart + 5, 8 + 145 * apart, -50 * apart, 15 + 0 * apart], axis=-1)))
    return replace(stand, height=stand.height + flight - 0.02, ankles=ankles, arms=up)


def kick(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Kick forward or across with one leg."""
    stand = _stand(rng, body, frames)
    side = int(rng.integers(2))
    strike = _strokes(frames, rng.uniform(1.7, 2.4), rng.uniform(0, 1), share=0.5)
    onto = _move(stand, 0.03 * strike, -SIDES[side] * 0.1 * strike)
    height = rng.uniform(0.25, 1.0) * body.leg
    ankles = stand.ankles.copy()
    ahead, across = (
        rng.uniform(0.45, 0.75) * body.leg * strike,
        -SIDES[side] * rng.uniform(-0.1, 0.2) * strike,
    )
    ankles[:, side, :2] += _move(stand, ahead, across)
    ankles[:, side, 2] += height * strike**1.5
    guard = _arms(rng, frames, ((10, 100), (20, 70), (-10, 30), (40, 120)), 1.1)
    return replace(
        stand,
        root_xy=stand.root_xy * 0.3 + onto,
        pelvis=stand.pelvis - np.outer(strike, np.radians([14, 0])),
        torso=stand.torso + np.outer(strike, np.radians([10, 0, SIDES[side] * 25])),
        arms=guard,
        ankles=ankles,
    )


def box(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Punch left and right from a guard, on moving feet."""
    gait = Gait(rng.uniform(0.7, 0.95), 0.2, 0.66, 0.16, 0.04, 0.2)
    controls, _ = _travel(rng, body, gait, frames, turn_deg_s=60)
    arms = _arms(rng, frames, GUARD, 0.9)
    torso = controls.torso + np.radians([14, 0, 0])
    seconds = rng.uniform(1.1, 1.6)
    for side in (LEFT, RIGHT):
        strike = _strokes(frames, seconds, 0.5 * side, share=0.38)
        punch = _wander(rng, frames, ((80, 105), (75, 105), (-5, 20), (10, 25)), 1.1)
        arms[:, side] = _blend(arms[:, side], punch, strike)
        torso[:, 2] -= SIDES[side] * np.radians(22) * strike
    return replace(controls, arms=arms, torso=torso, height=controls.height * 0.95)


def swing(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Swing a club or bat with both hands, trunk and pelvis turning."""
    stand = _stand(rng, body, frames)
    sign = float(rng.choice([-1.0, 1.0]))
    cycle = (np.arange(frames) / FRAME_RATE_HZ / rng.uniform(2.0, 2.8) + rng.uniform(0, 1)) % 1.0
    # Slow back swing, fast stroke, slow return.
    turned = sign * (ease(cycle / 0.4) - 2 * ease((cycle - 0.4) / 0.22) + ease((cycle - 0.72) / 0.28))
    arms = np.zeros_like(stand.arms)
    lift = rng.uniform(30, 95)
    for side in (LEFT, RIGHT):
        across = SIDES[side] * turned
        arms[:, side] = np.radians(
            np.stack(
                [85 - 35 * across, 35 + lift * turned**2, 10 + 0 * across, 25 + 20 * (1 - across)],
                axis=-1,
            )
        )
    return replace(
        stand,
        height=stand.height * 0.95,
        heading=stand.heading + np.radians(25) * turned,
        pelvis=stand.pelvis + np.radians([12, 0]),
        torso=stand.torso + np.stack([0 * turned + 0.35, 0 * turned, np.radians(45) * turned], axis=-1),
        arms=arms + 0.15 * stand.arms,
    )


def throw(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Wind up and throw with one arm, again and again."""
    stand = _stand(rng, body, frames)
    side = int(rng.integers(2))
    cycle = (np.arange(frames) / FRAME_RATE_HZ / rng.uniform(1.6, 2.2) + rng.uniform(0, 1)) % 1.0
    wind = ease(cycle / 0.35) * (1 - ease((cycle - 0.4) / 0.14))
    release = ease((cycle - 0.4) / 0.18) * (1 - ease((cycle - 0.65) / 0.3))
    rest = np.radians([60, 12, 10, 30])
    cocked = np.radians([-10, 95, -85, 95])
    thrown = np.radians([110, rng.uniform(60, 100), 10, 15])
    arms = stand.arms.copy()
    arms[:, side] = rest + np.outer(wind, cocked - rest) + np.outer(release, thrown - rest)
    turned = SIDES[side] * (wind - release)
    return replace(
        stand,
        height=stand.height * 0.97,
        torso=stand.torso + np.stack([0.35 * release, 0 * turned, 0.6 * turned], axis=-1),
        arms=arms,
    )


def lunge(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Lunge with one leg, low and far, and come back."""
    stand = _stand(rng, body, frames)
    side = int(rng.integers(2))
    far = _pulses(frames, rng.uniform(2.0, 3.0))
    length = rng.uniform(0.6, 0.95) * body.leg
    aside = SIDES[side] * rng.uniform(0.0, 0.4)
    ankles = stand.ankles.copy()
    ankles[:, side, :2] += _move(stand, length * far, aside * far)
    ankles[:, side, 2] += 0.06 * np.sin(np.pi * far) ** 2
    return replace(
        stand,
        root_xy=stand.root_xy + _move(stand, 0.55 * length * far, 0.5 * aside * far),
        height=stand.height * (1 - 0.32 * far),
        torso=stand.torso * 1.5 + np.outer(far, np.radians([12, 0, 0])),
        arms=_arms(rng, frames, WIDE, 1.1),
        ankles=ankles,
    )


def dance(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Step about with the whole body moving freely."""
    gait = Gait(rng.uniform(0.7, 0.95), body.leg * rng.uniform(0.25, 0.6), 0.62, 0.12, 0.1, 0.4)
    controls, _ = _travel(rng, body, gait, frames, 140, aside_deg=float(rng.uniform(-180, 180)))
    dip = _pulses(frames, rng.uniform(0.9, 1.6))
    return replace(
        controls,
        height=controls.height * (1 - 0.13 * dip),
        pelvis=_wander(rng, frames, ((-8, 15), (-9, 9)), 0.8),
        torso=_wander(rng, frames, ((-15, 30), (-22, 22), (-30, 30)), 0.9),
        arms=_arms(rng, frames, WIDE, 0.9),
    )


ACTIONS: dict[str, Action] = {
    "walk": walk,
    "walk_backward_sideways": walk_aside,
    "walk_carry": walk_carry,
    "run_jog": run,
    "turn_look_around": turn,
    "talk_gesture": talk,
    "wave_greet": wave,
    "reach_high_low": reach,
    "sit_down_gesture": sit,
    "squats": squat,
    "crouch_pick_up": crouch,
    "bend_stretch": bend,
    "jumping_jacks": jumping_jack,
    "kick": kick,
    "boxing": box,
    "swing_bat": swing,
    "throw_ball": throw,
    "lunge": lunge,
    "dance": dance,
}
"""Every action by the description that its clips carry."""
