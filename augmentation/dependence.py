"""Whether a generator has learned anything from the poses: what its outputs depend on.

An output is a part that is the same for all poses, a part that follows the pose, and noise. The mean square
of the outputs is the sum of the three parts' mean squares. A generator whose outputs do not follow the pose
is random augmentation, whatever its losses say.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from poseshift.augmentation.anatomy import anatomy
from poseshift.augmentation.conditional_generator import ConditionalGenerator
from poseshift.augmentation.generator import PoseGenerator
from poseshift.geometry.constants import indices
from poseshift.geometry.rotation import rotate_back

DRAWS = 8
"""Draws of noise for each pose."""


@dataclass(frozen=True)
class Shares:
    """Shares of the outputs' mean square; the rest is noise.

    Attributes
    ----------
    pose : float
        That follows the pose.
    common : float
        That is the same for all poses and draws.
    """

    pose: float
    common: float


@dataclass(frozen=True)
class Dependence:
    """Shares of what moves bones: trunk directions and the kept length are left out, as they are not used."""

    angles: Shares
    gains: Shares


def shares(draws: Tensor) -> Shares:
    """Split the mean square of outputs into what is common, what follows the pose, and noise.

    The estimates are those of a one-way analysis of variance, so that noise does not count as dependence
    when there are few draws; a negative estimate is 0. Outputs that are all zero have no shares: both are 0.

    Parameters
    ----------
    draws : Tensor
        (draws, poses, numbers), with at least two draws and two poses.
    """
    count, poses, _ = draws.shape
    means = draws.mean(dim=0)
    within = draws.var(dim=0).mean(dim=0)
    between = (means.var(dim=0) - within / count).clamp(min=0)
    common = (means.mean(dim=0).square() - (between + within / count) / poses).clamp(min=0)
    parts = torch.stack([between.sum(), common.sum(), within.sum()]).double()
    whole = parts.sum().clamp(min=torch.finfo(torch.float64).tiny)
    pose, same, _ = (parts / whole).tolist()
    return Shares(pose=pose, common=same)


def dependence(
    generator: PoseGenerator | ConditionalGenerator, poses: Tensor, up: Tensor | None, seed: int
) -> Dependence:
    """Measure what the outputs of a generator depend on; its state, and all other draws, stay as they are.

    Parameters
    ----------
    generator : PoseGenerator or ConditionalGenerator
        As it is after training: batch norm takes its running statistics.
    poses : Tensor
        (n, joints, 3), metres, camera axes.
    up : Tensor or None
        (n, 3), unit vectors against gravity, for generators that turn poses about it.
    seed : int
        Of the noise.
    """
    body = anatomy(generator.skeleton)
    bones = range(len(generator.skeleton.bones))
    free = indices(tuple(bone for bone in bones if bone not in body.trunk), poses)
    scaled = indices(tuple(group for group in range(body.groups) if group != body.kept_length), poses)
    rng = torch.Generator(poses.device).manual_seed(seed)
    axes = generator.axes_of(poses)
    was_training = generator.training
    generator.eval()
    try:
        with torch.no_grad():
            drawn = [generator(poses, rng, up) for _ in range(DRAWS)]
    finally:
        generator.train(was_training)
    angles = torch.stack([rotate_back(one.angles, axes)[:, free].flatten(1) for one in drawn])
    gains = torch.stack([one.gains[:, scaled] for one in drawn])
    return Dependence(angles=shares(angles), gains=shares(gains))
