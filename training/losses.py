"""Losses on root-relative poses.

All take (batch, frames, joints, 3) metres and return a scalar in metres (squared metres for ``mse``). The
root, where both sides are zero, counts in the mean. A loss that is of the scale, too, has a third argument
and no unit, and is not shown the root, whose scale nothing bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

from poseshift.geometry.constants import constant
from poseshift.geometry.skeleton import Skeleton, skeleton

LossName = Literal["mpjpe", "mse", "weighted-mpjpe", "mixste-3", "laplace-nll"]
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class ScaledLoss:
    """A loss by which a lifter learns how far its joints may be off.

    Attributes
    ----------
    of : callable
        From prediction, log-scale (batch, frames, joints, 1) and target to a scalar.
    """

    of: Callable[[Tensor, Tensor, Tensor], Tensor]


ROLE_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        **{"knee": 2.5, "ankle": 2.5, "shoulder": 1.5, "elbow": 4.0, "wrist": 4.0},
        **{"head": 1.5, "head_top": 1.5, "hip": 1.0, "neck": 1.0, "nose": 1.0, "thorax": 1.0},
    }
)
"""MixSTE's weights by what a joint is, left or right: the farther from the trunk, the heavier."""

SMOOTHNESS_WEIGHT, VELOCITY_WEIGHT = 0.5, 2.0
"""Of the two terms about motion in MixSTE's loss."""

_MOVING = ("knee", "ankle", "elbow", "wrist")


def joint_weights(joint_set: Skeleton) -> tuple[float, ...]:
    """Give every joint of a skeleton its weight in MixSTE's loss.

    A joint with a role of its own (:data:`ROLE_WEIGHTS`) has that weight; one without has its parent's, so
    that a hand weighs as much as its wrist; joints about the root have 1.

    Raises
    ------
    ValueError
        When the skeleton names no knee, ankle, elbow or wrist, so that all weights would be alike.

    Examples
    --------
    >>> joint_weights(skeleton("human36m_17"))[:4]
    (1.0, 1.0, 2.5, 2.5)
    """
    roles = [name.removeprefix("left_").removeprefix("right_") for name in joint_set.joint_names]
    if not set(_MOVING) <= set(roles):
        raise ValueError(
            f"skeleton {joint_set.name} has no joints named {', '.join(_MOVING)}, by which MixSTE's loss "
            "weighs; use loss 'mpjpe'"
        )

    def weight(joint: int) -> float:
        if joint < 0:
            return 1.0
        own = ROLE_WEIGHTS.get(roles[joint])
        return weight(joint_set.parents[joint]) if own is None else own

    return tuple(weight(joint) for joint in range(joint_set.joints))


def mpjpe(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over joints, frames and clips of the Euclidean distance."""
    return _distance(prediction, target).mean()


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of the squared differences of the coordinates."""
    return torch.nn.functional.mse_loss(prediction, target)


def weighted_mpjpe(prediction: Tensor, target: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Mean of the Euclidean distances, each times its joint's weight.

    Raises
    ------
    ValueError
        When the poses do not have the joints that the weights are for.
    """
    distance = _distance(prediction, target)
    return (distance * _of_joints(weights, distance, joints=prediction.shape[-2])).mean()


def mixste_3(prediction: Tensor, target: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Weigh positions, smoothness and velocity: the loss of MixSTE (Zhang et al., CVPR 2022).

    ``mean w |p - g| + 0.5 mean w dp^2 + 2 mean |dp - dg|`` with ``d`` the difference of successive frames;
    the second mean is over coordinates, too. Of single frames, and so of lifters that answer for the centre
    frame alone, nothing but the first term is left.

    Raises
    ------
    ValueError
        When the poses do not have the joints that the weights are for.
    """
    positions = weighted_mpjpe(prediction, target, weights)
    if prediction.shape[1] < 2:
        return positions
    moved, should_move = prediction.diff(dim=1), target.diff(dim=1)
    smoothness = (moved.square().mean(dim=-1) * _of_joints(weights, moved, joints=moved.shape[-2])).mean()
    return positions + SMOOTHNESS_WEIGHT * smoothness + VELOCITY_WEIGHT * mpjpe(moved, should_move)


def _of_joints(weights: tuple[float, ...], like: Tensor, joints: int) -> Tensor:
    if joints != len(weights):
        raise ValueError(
            f"the joint weights are for {len(weights)} joints but the poses have {joints}; use the skeleton "
            "of the poses, or loss 'mpjpe'"
        )
    kept: Tensor = constant(weights, like)
    return kept


def laplace_nll(prediction: Tensor, log_scale: Tensor, target: Tensor) -> Tensor:
    """Mean of ``|prediction - target| exp(-s) + s``: the distance is taken as exponentially distributed.

    That is the Laplace distribution's likelihood with the distance in space for that along a line. It is
    least where ``exp(s)`` is the mean distance, in metres.
    """
    scale = log_scale.squeeze(-1)
    return (_distance(prediction, target) * (-scale).exp() + scale).mean()


def _distance(prediction: Tensor, target: Tensor) -> Tensor:
    distance: Tensor = torch.linalg.vector_norm(prediction - target, dim=-1)
    return distance


_LOSSES: Mapping[LossName, Loss | ScaledLoss] = MappingProxyType(
    {"mpjpe": mpjpe, "mse": mse, "laplace-nll": ScaledLoss(laplace_nll)}
)
_WEIGHTED: Mapping[LossName, Callable[[Tensor, Tensor, tuple[float, ...]], Tensor]] = MappingProxyType(
    {"weighted-mpjpe": weighted_mpjpe, "mixste-3": mixste_3}
)


def loss(name: LossName, skeleton_name: str = "human36m_17") -> Loss | ScaledLoss:
    """Return the loss of that name, on poses of a skeleton.

    Raises
    ------
    ValueError
        When it weighs joints and the skeleton does not name those that it weighs by.
    """
    if name in _LOSSES:
        return _LOSSES[name]
    weighted, weights = _WEIGHTED[name], joint_weights(skeleton(skeleton_name))
    return lambda prediction, target: weighted(prediction, target, weights)
