"""The height of a person from joints: bones from the head's top to the ankles, and the foot below them.

A lifter answers people in the mean size of those whom it learned from, so its metres are right for the mean
body of its source only. A known height corrects that by one factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.arrays import norm
from poseshift.geometry.skeleton import Skeleton

Float64 = NDArray[np.float64]

SizeFrom = Literal["source", "cameras"]
"""Where the size of people comes from whose height is not given."""

_ANKLE_SHARE = 0.039
"""Height of the ankle over the floor, as a share of a person's height (Winter, Biomechanics and Motor Control
of Human Movement, 2009, figure 4.1, after Drillis and Contini)."""

_UPRIGHT = 0.93
"""Straight distance from the head's top to the ankles over the way along the bones, from which on a pose is
upright; bent knees and bent trunks lie below."""


@dataclass(frozen=True)
class BodyHeight:
    """A height and what it was measured on.

    Attributes
    ----------
    metres : float
        The median over frames.
    frames : int
        Frames that count.
    upright : bool
        Whether these are the upright ones; False where none was and all count.
    """

    metres: float
    frames: int
    upright: bool


def body_height(poses: Float64, skeleton: Skeleton) -> BodyHeight:
    """Measure a person's height over many poses.

    Parameters
    ----------
    poses : array of shape (n, joints, 3)
        Metres, in any axes.
    skeleton : Skeleton
        Names the joints.

    Raises
    ------
    ValueError
        The skeleton has no head, trunk or legs by the names that are looked for.
    """
    joint = partial(_joint, poses, skeleton)
    head, neck = joint("head_top", "head"), joint("thorax", "neck")
    spine, pelvis = joint("spine"), joint("pelvis")
    trunk = norm(head - neck) + norm(neck - spine) + norm(spine - pelvis)
    legs = [
        norm(joint(f"{side}_hip") - joint(f"{side}_knee"))
        + norm(joint(f"{side}_knee") - joint(f"{side}_ankle"))
        for side in ("left", "right")
    ]
    along = trunk + (legs[0] + legs[1]) / 2
    straight = norm(head - (joint("left_ankle") + joint("right_ankle")) / 2)
    upright = np.asarray(straight >= _UPRIGHT * along)
    chosen = along[upright] if upright.any() else along
    return BodyHeight(
        metres=float(np.median(chosen)) / (1 - _ANKLE_SHARE), frames=len(chosen), upright=bool(upright.any())
    )


def _joint(poses: Float64, skeleton: Skeleton, *names: str) -> Float64:
    """Take the first joint of these names that the skeleton has, (n, 3)."""
    for name in names:
        if name in skeleton.joint_names:
            return poses[:, skeleton.joint_names.index(name)]
    raise ValueError(
        f"{skeleton.name} has no joint {' or '.join(names)}, so a height cannot be measured on it; leave out "
        "--height"
    )
