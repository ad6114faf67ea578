"""A body of 17 joints and its kinematics: from posture controls to joint positions, with feet that stand.

Body axes are x forward, y left, z up. Spine, neck and arms follow forward kinematics, the legs inverse
kinematics to given ankles, so that a foot which stands does not slide. Segment proportions follow Drillis
and Contini's table as printed in Winter, "Biomechanics and Motor Control of Human Movement". No forces, no
contact between limbs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from scipy.spatial.transform import Rotation

Array = npt.NDArray[np.float64]

LEFT, RIGHT = 0, 1
SIDES = np.array([1.0, -1.0])
"""Sign of the body's y axis for left and right."""

ARM_LIMITS_DEG = np.array([[-45.0, 135.0], [-50.0, 170.0], [-90.0, 80.0], [8.0, 145.0]])
"""Lowest and highest plane of elevation, elevation, twist and elbow flexion."""

HINGE_FLEXION_LIMITS_DEG = (8.0, 150.0)
"""Least and most flexion of knees and elbows; a little is kept so that their plane stays defined."""

WRIST_CLEARANCE_M = 0.05


@dataclass(frozen=True)
class Body:
    """Segment lengths in metres; left and right have their own where bodies differ.

    Attributes
    ----------
    hip_half_width, shoulder_half_width : float
        From the middle to one side.
    shoulder_drop : float
        How far the shoulders lie under the thorax joint.
    lumbar, thoracic, neck, head : float
        Hip to spine, spine to thorax, thorax to nose, nose to head top.
    thigh, shank, upper_arm, forearm : tuple[float, float] of shape (left, right)
    ankle_height : float
        Ankle above the floor when the foot is flat.
    ball : float
        Ankle to ball of the foot, horizontally.
    """

    hip_half_width: float
    shoulder_half_width: float
    shoulder_drop: float
    lumbar: float
    thoracic: float
    neck: float
    head: float
    thigh: tuple[float, float]
    shank: tuple[float, float]
    upper_arm: tuple[float, float]
    forearm: tuple[float, float]
    ankle_height: float
    ball: float

    @property
    def leg(self) -> float:
        """Length of the shorter leg, hip to ankle."""
        return min(thigh + shank for thigh, shank in zip(self.thigh, self.shank, strict=True))

    @property
    def standing_height(self) -> float:
        """Pelvis height of a relaxed stance."""
        return self.ankle_height + 0.97 * self.leg


def sample_body(rng: np.random.Generator) -> Body:
    """Draw a body: stature 1.52 to 1.95 m, each proportion within some 5 % of the table."""
    stature = rng.uniform(1.52, 1.95)

    def share(of_stature: float, spread: float = 0.04) -> float:
        return float(stature * of_stature * np.clip(rng.normal(1.0, spread), 1 - 2 * spread, 1 + 2 * spread))

    def pair(of_stature: float) -> tuple[float, float]:
        length = share(of_stature)
        return length, length * float(rng.uniform(0.99, 1.01))

    return Body(
        hip_half_width=share(0.072, 0.06),
        shoulder_half_width=share(0.092, 0.06),
        shoulder_drop=share(0.012, 0.2),
        lumbar=share(0.135),
        thoracic=share(0.148),
        neck=share(0.066, 0.06),
        head=share(0.066, 0.06),
        thigh=pair(0.245),
        shank=pair(0.246),
        upper_arm=pair(0.168),
        forearm=pair(0.146),
        ankle_height=share(0.039),
        ball=share(0.075),
    )


@dataclass(frozen=True)
class Controls:
    """Posture over time. Angles in radians, lengths in metres, every array starts with frames.

    Attributes
    ----------
    root_xy : array
        (frames, 2) pelvis on the floor plan.
    height : array
        (frames,) wished pelvis height; lowered where a leg would not reach its ankle.
    heading : array
        (frames,) yaw, counter-clockwise.
    pelvis : array
        (frames, 2) pitch forward, roll to the right.
    torso : array
        (frames, 3) flexion forward, bend to the right, twist to the left.
    neck : array
        (frames, 2) flexion forward, turn to the left.
    arms : array
        (frames, 2, 4) left and right: plane of elevation (0 sideways, pi/2 forward), elevation (0 hanging),
        twist inwards, elbow flexion.
    ankles : array
        (frames, 2, 3) wished ankles in the world.
    knees_out : array
        (frames, 2) how far the knees point outwards.
    """

    root_xy: Array
    height: Array
    heading: Array
    pelvis: Array
    torso: Array
    neck: Array
    arms: Array
    ankles: Array
    knees_out: Array


def pose(body: Body, controls: Controls) -> npt.NDArray[np.float64]:
    """Turn controls into joint positions.

    Returns
    -------
    positions : (frames, 17, 3) metres, Human3.6M-17 order, z up.
    """
    pitch, roll = controls.pelvis.T
    pelvis_turn = Rotation.from_euler("ZYX", np.stack([controls.heading, pitch, roll], axis=-1))
    hip_offsets = np.stack(
        [pelvis_turn.apply([0.0, side * body.hip_half_width, 0.0]) for side in SIDES], axis=1
    )
    height = _reachable_height(body, controls, hip_offsets)
    pelvis = np.concatenate([controls.root_xy, height[:, None]], axis=-1)
    hips = pelvis[:, None] + hip_offsets

    lumbar_turn = pelvis_turn * _bend(controls.torso / 3)
    thorax_turn = pelvis_turn * _bend(controls.torso)
    neck_flexion, neck_turn = controls.neck.T
    head_turn = thorax_turn * _bend(np.stack([neck_flexion, np.zeros_like(neck_turn), neck_turn], axis=-1))
    spine = pelvis + lumbar_turn.apply([0.0, 0.0, body.lumbar])
    thorax = spine + thorax_turn.apply([0.0, 0.0, body.thoracic])
    # The nose lies in front of the neck's axis, the head top above and behind it.
    nose = thorax + head_turn.apply(body.neck * np.array([0.42, 0.0, 0.907]))
    head = nose + head_turn.apply(body.head * np.array([-0.2, 0.0, 0.98]))

    legs = [_leg(body, controls, hips[:, side], side) for side in (LEFT, RIGHT)]
    arms = [_arm(body, controls, thorax, thorax_turn, side) for side in (LEFT, RIGHT)]
    joints = [pelvis, hips[:, RIGHT], *legs[RIGHT], hips[:, LEFT], *legs[LEFT]]
    return np.stack([*joints, spine, thorax, nose, head, *arms[LEFT], *arms[RIGHT]], axis=1)


def two_bone(root: Array, end: Array, pole: Array, upper: float, lower: float) -> tuple[Array, Array]:
    """Solve a limb of two bones with a hinge between them.

    Parameters
    ----------
    root, end : array
        (frames, 3) where the limb begins and where it should end.
    pole : array
        (frames, 3) direction in which the middle joint should lie.
    upper, lower : float
        Lengths in metres.

    Returns
    -------
    middle, end : (frames, 3); the end is moved along the line from the root where it is out of reach.
    """
    reach = end - root
    wished = np.linalg.norm(reach, axis=-1, keepdims=True)
    direction = reach / np.maximum(wished, 1e-9)
    nearest, farthest = (_span(upper, lower, flexion) for flexion in reversed(HINGE_FLEXION_LIMITS_DEG))
    distance = np.clip(wished, nearest, farthest)
    along = (distance**2 + upper**2 - lower**2) / (2 * distance)
    across = np.sqrt(np.maximum(upper**2 - along**2, 0.0))
    pole = pole - (pole * direction).sum(-1, keepdims=True) * direction
    pole = pole / np.maximum(np.linalg.norm(pole, axis=-1, keepdims=True), 1e-9)
    return root + along * direction + across * pole, root + distance * direction


def _span(upper: float, lower: float, flexion_deg: float) -> float:
    cosine = np.cos(np.radians(flexion_deg))
    return float(np.sqrt(upper**2 + lower**2 + 2 * upper * lower * cosine))


def _bend(angles: Array) -> Rotation:
    """Rotation of (frames, 3) flexion, bend and twist; twist first seen from below."""
    return Rotation.from_euler("ZYX", angles[:, [2, 0, 1]])


def _reachable_height(body: Body, controls: Controls, hip_offsets: Array) -> Array:
    """Lower the wished pelvis height to where both legs reach, smoothly, and keep the knees from folding."""
    to_ankle = controls.ankles - hip_offsets
    to_ankle[..., :2] -= controls.root_xy[:, None]
    straight = np.array(
        [
            _span(thigh, shank, HINGE_FLEXION_LIMITS_DEG[0])
            for thigh, shank in zip(body.thigh, body.shank, strict=True)
        ]
    )
    above = np.sqrt(np.maximum((0.998 * straight) ** 2 - (to_ankle[..., :2] ** 2).sum(-1), 0.0))
    bound = np.minimum(controls.height, (to_ankle[..., 2] + above).min(axis=1))
    # A mean of minima over the same window never exceeds the bound.
    window = 9
    smooth = uniform_filter1d(minimum_filter1d(bound, window, mode="nearest"), window, mode="nearest")
    folded = 0.42 * body.leg
    height: Array = np.maximum(smooth, to_ankle[..., 2].max(axis=1).clip(max=body.ankle_height) + folded)
    return height


def _leg(body: Body, controls: Controls, hip: Array, side: int) -> tuple[Array, Array]:
    ankle = controls.ankles[:, side]
    reach = ankle - hip
    # The knee's hinge is the body's lateral axis: a hanging leg bends forward, a leg held forward bends up.
    yaw = controls.heading + SIDES[side] * controls.knees_out[:, side]
    lateral = np.stack([-np.sin(yaw), np.cos(yaw), np.zeros_like(yaw)], axis=-1)
    return two_bone(hip, ankle, np.cross(reach, lateral), body.thigh[side], body.shank[side])


def _arm(
    body: Body, controls: Controls, thorax: Array, thorax_turn: Rotation, side: int
) -> tuple[Array, Array, Array]:
    limits = np.radians(ARM_LIMITS_DEG)
    plane, elevation, twist, elbow = np.clip(controls.arms[:, side], limits[:, 0], limits[:, 1]).T
    sign = SIDES[side]
    shoulder = thorax + thorax_turn.apply([0.0, sign * body.shoulder_half_width, -body.shoulder_drop])
    zeros = np.zeros_like(plane)
    # Shortest rotation from hanging (-z) towards the plane of elevation.
    axis = np.stack([sign * np.cos(plane), -np.sin(plane), zeros], axis=-1)
    turn = thorax_turn * Rotation.from_rotvec(elevation[:, None] * axis)
    turn = turn * Rotation.from_rotvec(np.stack([zeros, zeros, -sign * twist], axis=-1))
    middle = shoulder + turn.apply([0.0, 0.0, -body.upper_arm[side]])
    wrist = middle + turn.apply(
        body.forearm[side] * np.stack([np.sin(elbow), zeros, -np.cos(elbow)], axis=-1)
    )
    wrist[:, 2] = np.maximum(wrist[:, 2], WRIST_CLEARANCE_M)
    solved = two_bone(shoulder, wrist, middle - shoulder, body.upper_arm[side], body.forearm[side])
    return shoulder, *solved
