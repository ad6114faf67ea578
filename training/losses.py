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

from poseshift.training.constants import constant

LossName = Literal["mpjpe", "mse", "weighted-mpjpe", "laplace-nll"]
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


JOINT_WEIGHTS = (1.0, 1.0, 2.5, 2.5, 1.0, 2.5, 2.5, 1.0, 1.0, 1.0, 1.5, 1.5, 4.0, 4.0, 1.5, 4.0, 4.0)
"""MixSTE's weights of Human3.6M's 17 joints: the farther from the trunk, the heavier."""


def mpjpe(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over joints, frames and clips of the Euclidean distance."""
    return _distance(prediction, target).mean()


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of the squared differences of the coordinates."""
    return torch.nn.functional.mse_loss(prediction, target)


def weighted_mpjpe(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean of the Euclidean distances, each times its joint's entry of :data:`JOINT_WEIGHTS`.

    Raises
    ------
    ValueError
        When the poses do not have the 17 joints that the weights are for.
    """
    joints = prediction.shape[-2]
    if joints != len(JOINT_WEIGHTS):
        raise ValueError(
            f"the joint weights are for {len(JOINT_WEIGHTS)} joints but the poses have {joints}; "
            "use loss 'mpjpe'"
        )
    distance = _distance(prediction, target)
    return (distance * constant(JOINT_WEIGHTS, distance)).mean()


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
    {
        "mpjpe": mpjpe,
        "mse": mse,
        "weighted-mpjpe": weighted_mpjpe,
        "laplace-nll": ScaledLoss(laplace_nll),
    }
)


def loss(name: LossName) -> Loss | ScaledLoss:
    """Return the loss of that name."""
    return _LOSSES[name]
