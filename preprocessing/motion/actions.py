"""What the procedural bodies do: each action turns a random generator into posture controls.

An action is a function of (rng, body, frames); :data:`ACTIONS` names them all. Adding one is writing one
function from the parts in :mod:`poseshift.preprocessing.motion.movement` and one line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from poseshift.preprocessing.motion.body import LEFT, RIGHT, SIDES, Body, Controls
from poseshift.preprocessing.motion.gait import Gait, ease
from poseshift.preprocessing.motion.motion import FRAME_RATE_HZ
from poseshift.preprocessing.motion.movement import (
    blend,
    both_arms,
    displacement,
    free_arms,
    pulses,
    stand,
    strokes,
    swing_arms,
    travel,
    visit,
    wander,
)

Action = Callable[[np.random.Generator, Body, int], Controls]

# Plane, elevation, twist and elbow flexion (degrees) between which free arms move.
GESTURE = ((-10, 110), (10, 75), (-40, 60), (30, 120))
WIDE = ((-20, 115), (15, 160), (-80, 60), (10, 110))
OVERHEAD = ((20, 110), (100, 168), (-60, 30), (10, 70))
FORWARD = ((60, 110), (50, 115), (-20, 40), (10, 60))
GUARD = ((75, 100), (35, 60), (-10, 20), (105, 135))


def walk(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Walk along curves."""
    stride = body.leg * rng.uniform(1.2, 1.65)
    gait = Gait(rng.uniform(0.75, 1.0), stride, rng.uniform(0.58, 0.66), rng.uniform(0.06, 0.1), 0.07, 0.6)
    controls, phase = travel(rng, body, gait, frames, turn_deg_s=25)
    return swing_arms(controls, phase, rng.uniform(15, 32), rng.uniform(12, 30))


def walk_aside(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Walk backwards or sideways."""
    gait = Gait(rng.uniform(0.7, 0.9), 0.7 * body.leg, 0.62, 0.13, 0.06, 0.3)
    controls, phase = travel(rng, body, gait, frames, 20, aside_deg=float(rng.choice([180, 90, -90, 150])))
    return swing_arms(controls, phase, 10, 25)


def walk_carry(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Walk slowly with something in front of the body."""
    gait = Gait(rng.uniform(0.6, 0.75), body.leg * rng.uniform(0.8, 1.1), 0.64, 0.09, 0.06, 0.4)
    controls, _ = travel(rng, body, gait, frames, 25)
    return replace(controls, arms=free_arms(rng, frames, ((70, 100), (15, 50), (-5, 25), (50, 100)), 1.6))


def run(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Jog along curves with a phase of flight."""
    gait = Gait(rng.uniform(1.2, 1.45), body.leg * rng.uniform(1.7, 2.2), 0.4, 0.06, 0.2, 0.7)
    controls, phase = travel(rng, body, gait, frames, turn_deg_s=20)
    lean = np.radians([rng.uniform(4, 10), 0.0])
    swung = swing_arms(controls, phase, rng.uniform(30, 42), rng.uniform(75, 100))
    return replace(swung, pelvis=swung.pelvis + lean)


def turn(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Step round on the spot and look about."""
    gait = Gait(rng.uniform(0.7, 0.9), 0.12, 0.64, 0.12, 0.05, 0.15)
    controls, _ = travel(rng, body, gait, frames, turn_deg_s=150)
    return replace(controls, arms=free_arms(rng, frames, GESTURE, 1.3))


def talk(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Stand and speak with the hands."""
    return replace(stand(rng, body, frames), arms=free_arms(rng, frames, GESTURE, 0.8))


def wave(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Wave with one raised arm while the other hangs."""
    rest = stand(rng, body, frames)
    side = int(rng.integers(2))
    arms = rest.arms.copy()
    raised = wander(rng, frames, ((0, 50), (75, 130), (-85, -50), (50, 90)), 1.2)
    raised[:, 3] += np.radians(25) * np.sin(2 * np.pi * rng.uniform(1, 2) * np.arange(frames) / FRAME_RATE_HZ)
    arms[:, side] = blend(arms[:, side], raised, visit(rng, frames, 0.5))
    return replace(rest, arms=arms)


def reach(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Reach for things above, ahead and below."""
    rest = stand(rng, body, frames)
    low = wander(rng, frames, ((0, 57.3),), 1.3)[:, 0] ** 2
    return replace(
        rest,
        height=rest.height * (1 - 0.25 * low),
        pelvis=rest.pelvis + low[:, None] * np.radians([25, 0]),
        torso=rest.torso * 1.5 + low[:, None] * np.radians([35, 0, 0]),
        arms=blend(free_arms(rng, frames, OVERHEAD, 1.2), free_arms(rng, frames, FORWARD, 1.2), low),
    )


def sit(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Sit down on something, gesture and stand up."""
    rest = stand(rng, body, frames)
    down = visit(rng, frames, 0.9)
    seat = rng.uniform(0.4, 0.52)
    back = rng.uniform(0.75, 0.95) * body.thigh[0]
    lean = 4 * down * (1 - down)
    arms = blend(rest.arms, free_arms(rng, frames, ((30, 100), (5, 60), (-20, 50), (40, 120)), 1.0), down)
    seated_torso = wander(rng, frames, ((-5, 35), (-15, 15), (-35, 35)), 1.5)
    return replace(
        rest,
        root_xy=rest.root_xy * (1 - down)[:, None] + displacement(rest, -back * down, np.zeros(frames)),
        height=rest.height + (seat - rest.height) * down,
        pelvis=rest.pelvis + np.outer(lean, np.radians([35, 0])) - np.outer(down, np.radians([8, 0])),
        torso=blend(rest.torso, seated_torso, down) + np.outer(lean, np.radians([20, 0, 0])),
        arms=arms,
        knees_out=rest.knees_out * (1 + down)[:, None],
    )


def squat(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Bend the knees again and again, arms forward for balance."""
    rest = stand(rng, body, frames)
    down = rng.uniform(0.75, 1.0) * pulses(frames, rng.uniform(1.8, 2.8))
    forward = both_arms(wander(rng, frames, ((80, 95), (75, 100), (0, 10), (10, 25)), 2.0))
    return replace(
        rest,
        root_xy=rest.root_xy + displacement(rest, -0.16 * down, np.zeros(frames)),
        height=rest.height * (1 - 0.5 * down),
        pelvis=rest.pelvis + np.outer(down, np.radians([28, 0])),
        torso=rest.torso + np.outer(down, np.radians([14, 0, 0])),
        arms=blend(rest.arms, forward, ease(down * 1.4)),
        knees_out=rest.knees_out + np.radians(12),
    )


def crouch(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Crouch and work with the hands near the floor."""
    rest = stand(rng, body, frames)
    down = visit(rng, frames, 0.8)
    depth = rng.uniform(0.38, 0.58)
    return replace(
        rest,
        root_xy=rest.root_xy + displacement(rest, -0.14 * down, np.zeros(frames)),
        height=rest.height * (1 - depth * down),
        pelvis=rest.pelvis + np.outer(down, np.radians([rng.uniform(20, 40), 0])),
        torso=rest.torso * 1.5 + np.outer(down, np.radians([rng.uniform(15, 45), 0, 0])),
        neck=rest.neck + np.outer(down, np.radians([10, 0])),
        arms=blend(rest.arms, free_arms(rng, frames, ((50, 110), (20, 85), (-10, 40), (10, 60)), 0.9), down),
    )


def bend(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Stretch: bend the trunk forward, backward and sideways and twist it."""
    rest = stand(rng, body, frames)
    torso = wander(rng, frames, ((-25, 75), (-32, 32), (-42, 42)), 1.3)
    pitch = 0.45 * np.maximum(torso[:, 0], 0)
    return replace(
        rest,
        root_xy=rest.root_xy + displacement(rest, -0.15 * np.sin(pitch), np.zeros(frames)),
        pelvis=rest.pelvis + np.stack([pitch, np.zeros(frames)], axis=-1),
        torso=torso,
        arms=free_arms(rng, frames, WIDE, 1.2),
    )


def jumping_jack(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Jump feet apart and together while the arms go up and down."""
    rest = stand(rng, body, frames)
    seconds = rng.uniform(1.0, 1.3)
    apart = pulses(frames, seconds)
    flight = 0.1 * np.sin(np.pi * 2 * np.arange(frames) / FRAME_RATE_HZ / seconds) ** 2
    lateral = displacement(rest, np.zeros(frames), 0.25 * apart)
    ankles = rest.ankles.copy()
    ankles[..., :2] += SIDES[:, None] * lateral[:, None]
    ankles[..., 2] += flight[:, None]
    up = both_arms(
        np.radians(np.stack([0 * apart + 5, 8 + 145 * apart, -50 * apart, 15 + 0 * apart], axis=-1))
    )
    return replace(rest, height=rest.height + flight - 0.02, ankles=ankles, arms=up)


def kick(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Kick forward or across with one leg."""
    rest = stand(rng, body, frames)
    side = int(rng.integers(2))
    strike = strokes(frames, rng.uniform(1.7, 2.4), rng.uniform(0, 1), share=0.5)
    onto = displacement(rest, 0.03 * strike, -SIDES[side] * 0.1 * strike)
    height = rng.uniform(0.25, 1.0) * body.leg
    ankles = rest.ankles.copy()
    ahead, across = (
        rng.uniform(0.45, 0.75) * body.leg * strike,
        -SIDES[side] * rng.uniform(-0.1, 0.2) * strike,
    )
    ankles[:, side, :2] += displacement(rest, ahead, across)
    ankles[:, side, 2] += height * strike**1.5
    guard = free_arms(rng, frames, ((10, 100), (20, 70), (-10, 30), (40, 120)), 1.1)
    return replace(
        rest,
        root_xy=rest.root_xy * 0.3 + onto,
        pelvis=rest.pelvis - np.outer(strike, np.radians([14, 0])),
        torso=rest.torso + np.outer(strike, np.radians([10, 0, SIDES[side] * 25])),
        arms=guard,
        ankles=ankles,
    )


def box(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Punch left and right from a guard, on moving feet."""
    gait = Gait(rng.uniform(0.7, 0.95), 0.2, 0.66, 0.16, 0.04, 0.2)
    controls, _ = travel(rng, body, gait, frames, turn_deg_s=60)
    arms = free_arms(rng, frames, GUARD, 0.9)
    torso = controls.torso + np.radians([14, 0, 0])
    seconds = rng.uniform(1.1, 1.6)
    for side in (LEFT, RIGHT):
        strike = strokes(frames, seconds, 0.5 * side, share=0.38)
        punch = wander(rng, frames, ((80, 105), (75, 105), (-5, 20), (10, 25)), 1.1)
        arms[:, side] = blend(arms[:, side], punch, strike)
        torso[:, 2] -= SIDES[side] * np.radians(22) * strike
    return replace(controls, arms=arms, torso=torso, height=controls.height * 0.95)


def swing(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Swing a club or bat with both hands, trunk and pelvis turning."""
    rest = stand(rng, body, frames)
    sign = float(rng.choice([-1.0, 1.0]))
    cycle = (np.arange(frames) / FRAME_RATE_HZ / rng.uniform(2.0, 2.8) + rng.uniform(0, 1)) % 1.0
    # Slow back swing, fast stroke, slow return.
    turned = sign * (ease(cycle / 0.4) - 2 * ease((cycle - 0.4) / 0.22) + ease((cycle - 0.72) / 0.28))
    arms = np.zeros_like(rest.arms)
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
        rest,
        height=rest.height * 0.95,
        heading=rest.heading + np.radians(25) * turned,
        pelvis=rest.pelvis + np.radians([12, 0]),
        torso=rest.torso + np.stack([0 * turned + 0.35, 0 * turned, np.radians(45) * turned], axis=-1),
        arms=arms + 0.15 * rest.arms,
    )


def throw(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Wind up and throw with one arm, again and again."""
    rest = stand(rng, body, frames)
    side = int(rng.integers(2))
    cycle = (np.arange(frames) / FRAME_RATE_HZ / rng.uniform(1.6, 2.2) + rng.uniform(0, 1)) % 1.0
    wind = ease(cycle / 0.35) * (1 - ease((cycle - 0.4) / 0.14))
    release = ease((cycle - 0.4) / 0.18) * (1 - ease((cycle - 0.65) / 0.3))
    ready = np.radians([60, 12, 10, 30])
    cocked = np.radians([-10, 95, -85, 95])
    thrown = np.radians([110, rng.uniform(60, 100), 10, 15])
    arms = rest.arms.copy()
    arms[:, side] = ready + np.outer(wind, cocked - ready) + np.outer(release, thrown - ready)
    turned = SIDES[side] * (wind - release)
    return replace(
        rest,
        height=rest.height * 0.97,
        torso=rest.torso + np.stack([0.35 * release, 0 * turned, 0.6 * turned], axis=-1),
        arms=arms,
    )


def lunge(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Lunge with one leg, low and far, and come back."""
    rest = stand(rng, body, frames)
    side = int(rng.integers(2))
    far = pulses(frames, rng.uniform(2.0, 3.0))
    length = rng.uniform(0.6, 0.95) * body.leg
    aside = SIDES[side] * rng.uniform(0.0, 0.4)
    ankles = rest.ankles.copy()
    ankles[:, side, :2] += displacement(rest, length * far, aside * far)
    ankles[:, side, 2] += 0.06 * np.sin(np.pi * far) ** 2
    return replace(
        rest,
        root_xy=rest.root_xy + displacement(rest, 0.55 * length * far, 0.5 * aside * far),
        height=rest.height * (1 - 0.32 * far),
        torso=rest.torso * 1.5 + np.outer(far, np.radians([12, 0, 0])),
        arms=free_arms(rng, frames, WIDE, 1.1),
        ankles=ankles,
    )


def dance(rng: np.random.Generator, body: Body, frames: int) -> Controls:
    """Step about with the whole body moving freely."""
    gait = Gait(rng.uniform(0.7, 0.95), body.leg * rng.uniform(0.25, 0.6), 0.62, 0.12, 0.1, 0.4)
    controls, _ = travel(rng, body, gait, frames, 140, aside_deg=float(rng.uniform(-180, 180)))
    dip = pulses(frames, rng.uniform(0.9, 1.6))
    return replace(
        controls,
        height=controls.height * (1 - 0.13 * dip),
        pelvis=wander(rng, frames, ((-8, 15), (-9, 9)), 0.8),
        torso=wander(rng, frames, ((-15, 30), (-22, 22), (-30, 30)), 0.9),
        arms=free_arms(rng, frames, WIDE, 0.9),
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
