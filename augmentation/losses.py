"""Losses of adversarial pose augmentation: least-squares GAN, ranges, and the feedback of the lifter.

Formulas and constants are those of PoseAug's released code (Gong et al., CVPR 2021); for PoseDA (Chai et al.,
ICCV 2023) none are public. Scores are (n, parts) or (n, 1), 1 for real and 0 for made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from poseshift.geometry.constants import constant, indices
from poseshift.geometry.skeleton import Skeleton


@dataclass(frozen=True)
class Range:
    """Where a quantity may be without penalty: ``centre`` plus or minus ``half_width``."""

    centre: float
    half_width: float


CHANGE_RANGE = Range(0.205, 0.165)
"""Mean change of bone directions, ``1 - cos``: between 0.04 and 0.37."""

GAIN_BOUND = 0.1
"""Relative changes of length beyond this are penalised."""


def discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    """``((D(x) - 1)^2 + D(x~)^2) / 2``, averaged over clips and parts."""
    return 0.5 * (mse_loss(real, torch.ones_like(real)) + mse_loss(made, torch.zeros_like(made)))


def generator_loss(made: Tensor) -> Tensor:
    """``(D(x~) - 1)^2 / 2``: the half of PoseAug's loss that depends on the generator."""
    return 0.5 * mse_loss(made, torch.ones_like(made))


def range_penalty(values: Tensor, allowed: Range) -> Tensor:
    """``H(a; m, s)``: ``(a - m)^2`` where ``|a - m| > s``, else 0; elementwise."""
    distance = values - allowed.centre
    return torch.where(distance.abs() > allowed.half_width, distance.square(), torch.zeros_like(distance))


def change_penalty(change: Tensor, allowed: Range = CHANGE_RANGE) -> Tensor:
    """Range penalty of each pose's mean change; (..., bones), the trunk counted with its zeros."""
    return range_penalty(change.mean(dim=-1), allowed).mean()


def beyond(loss: Tensor, tolerance: float) -> Tensor:
    """Part of a loss that exceeds a tolerance; the loss itself for a tolerance of 0."""
    return loss if tolerance == 0 else (loss - tolerance).relu()


def gain_penalty(gains: Tensor, bound: float = GAIN_BOUND) -> Tensor:
    """Mean of ``g^2`` over the gains beyond the bound; 0 when there are none."""
    beyond = (gains.abs() > bound).to(gains.dtype)
    return (gains.square() * beyond).sum() / beyond.sum().clamp(min=1)


def gradient_penalty(scores: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    """Mean squared norm of the gradient of the scores at real inputs (R1 of Mescheder et al., ICML 2018).

    Parameters
    ----------
    scores : Tensor
        (n, parts), computed from the inputs.
    inputs : sequence of Tensor
        Tensors with leading dimension n that require gradients.
    """
    slopes = torch.autograd.grad(scores.sum(), inputs, create_graph=True)
    squared = torch.stack([slope.flatten(1).square().sum(dim=1) for slope in slopes])
    return squared.sum(dim=0).mean()


@dataclass(frozen=True)
class JointRoles:
    """How the joints' errors enter the feedback.

    Attributes
    ----------
    weights : tuple of float
        One per joint: 5 for hips and shoulders, 2 for knees and elbows, 1 for the rest.
    groups : tuple of tuple of int
        Joints whose errors are averaged: the first joints of the limbs; the second ones and the head; the
        third ones.
    """

    weights: tuple[float, ...]
    groups: tuple[tuple[int, ...], ...]


@cache
def joint_roles(skeleton: Skeleton) -> JointRoles:
    """Roles by the joints' names; on PoseAug's 16 joints these are its own tables.

    Raises
    ------
    ValueError
        When the skeleton lacks one of the names.
    """
    named = {name: index for index, name in enumerate(skeleton.joint_names)}
    wanted = (("hip", "shoulder"), ("knee", "elbow"), ("ankle", "wrist"))
    missing = sorted({f"{side}_{one}" for side in _SIDES for pair in wanted for one in pair} - set(named))
    if missing:
        raise ValueError(
            f"skeleton {skeleton.name} has no {', '.join(missing)}, which the feedback weighs; switch it off"
        )
    limbs = [tuple(sorted(named[f"{side}_{one}"] for side in _SIDES for one in pair)) for pair in wanted]
    heads = tuple(named[name] for name in ("head",) if name in named)
    weights = [1.0] * skeleton.joints
    for group, weight in zip(limbs, (5.0, 2.0), strict=False):
        for joint in group:
            weights[joint] = weight
    return JointRoles(tuple(weights), (limbs[0], tuple(sorted((*limbs[1], *heads))), limbs[2]))


_SIDES = ("left", "right")


def group_errors(prediction: Tensor, target: Tensor, roles: JointRoles) -> Tensor:
    """Weighted squared error of each group of joints, averaged over clips and frames.

    Parameters
    ----------
    prediction, target : Tensor
        (n, frames, joints, 3), metres.
    roles : JointRoles
        Roles of the joints.

    Returns
    -------
    Tensor
        (groups,), square metres.
    """
    squared = (prediction - target).square().mean(dim=-1) * constant(roles.weights, prediction)
    per_joint = squared.mean(dim=(0, 1))
    return torch.stack([per_joint[indices(group, per_joint)].mean() for group in roles.groups])


def hardness_penalty(augmented: Tensor, original: Tensor, allowed: Range) -> Tensor:
    """Range penalty of the ratio of a lifter's errors on augmented and original poses.

    Parameters
    ----------
    augmented, original : Tensor
        (groups,), from :func:`group_errors`.
    allowed : Range
        Allowed ratio: augmented poses shall be harder, but not by too much.
    """
    floor = torch.finfo(original.dtype).eps
    return range_penalty(augmented / original.clamp(min=floor), allowed).mean()


def usefulness_loss(augmented: Tensor, plain: Tensor, aim: float) -> Tensor:
    """Logarithm of an aim over the ratio of a lifter's errors, averaged over groups; 0 beyond the aim.

    Parameters
    ----------
    augmented, plain : Tensor
        (groups,), from :func:`group_errors`.
    aim : float
        Ratio that is enough.
    """
    floor = torch.finfo(plain.dtype).eps
    ratio = augmented.clamp(min=floor).log() - plain.clamp(min=floor).log()
    return (math.log(aim) - ratio).relu().mean()
