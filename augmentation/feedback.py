"""How the lifter steers the generator: by its errors on what the generator has made.

PoseAug (Gong et al., CVPR 2021) keeps the ratio of the errors on augmented and original poses in a range.
Usefulness has the ratio as the objective, and leaves it to discriminators and range penalties to restrain it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from poseshift.augmentation import losses
from poseshift.augmentation.config import FeedbackChoice, FeedbackConfig, UsefulnessConfig
from poseshift.augmentation.transforms import Augmented, PoseParameters, turn
from poseshift.geometry.skeleton import Skeleton
from poseshift.training.batches import Batch

Place = Callable[[Tensor], Batch]
"""Puts clips (n, frames, joints, 3) in front of cameras; for one batch, all calls give the same positions."""

Difficulty = Callable[[Batch], Tensor]
"""The current lifter's errors on clips, (groups,); see :func:`poseshift.augmentation.losses.group_errors`."""


@dataclass(frozen=True)
class Made:
    """What the generator made of a batch.

    Attributes
    ----------
    parameters : PoseParameters
        One set per clip.
    augmented : Augmented
        The poses, still where the source's stand.
    placed : Batch
        The final poses in front of their cameras; gradients reach the generator.
    """

    parameters: PoseParameters
    augmented: Augmented
    placed: Batch


@dataclass(frozen=True)
class Asked:
    """What the lifter is asked about.

    Attributes
    ----------
    clips : Batch
        The batch that was augmented.
    made : Made
        What was made of it.
    place : Place
        Puts clips where the made ones stand.
    difficulty : Difficulty
        The lifter's errors.
    skeleton : Skeleton
        Joint set of the poses.
    """

    clips: Batch
    made: Made
    place: Place
    difficulty: Difficulty
    skeleton: Skeleton


def steering(config: FeedbackChoice, lifter: Asked, progress: float) -> Tensor:
    """Measure what the generator learns from the lifter, a scalar, without its weight.

    Parameters
    ----------
    config : FeedbackChoice
        Which kind, and its ranges.
    lifter : Asked
        The lifter and what it is asked about.
    progress : float
        Share of the run that is over; the range of PoseAug's feedback rises with it.
    """
    if isinstance(config, UsefulnessConfig):
        return _usefulness(config, lifter)
    return _in_range(config, lifter, progress)


def _usefulness(config: UsefulnessConfig, lifter: Asked) -> Tensor:
    """Compare with the plain pose, turned alike: turns are drawn, so they earn nothing."""
    made = lifter.made
    with torch.no_grad():
        turned = turn(lifter.clips.positions_camera, made.parameters.axis_angle, lifter.skeleton)
        plain = lifter.difficulty(lifter.place(turned))
    return losses.usefulness_loss(lifter.difficulty(made.placed), plain, config.aim)


def _in_range(config: FeedbackConfig, lifter: Asked, progress: float) -> Tensor:
    made = lifter.made
    with torch.no_grad():
        original = lifter.difficulty(lifter.place(lifter.clips.positions_camera))
    centre = config.first_ratio + progress * (config.last_ratio - config.first_ratio)
    after_angles = losses.Range(centre, config.half_width)
    after_all = losses.Range(config.final_ratio, config.final_half_width)
    angled = lifter.difficulty(lifter.place(made.augmented.angled))
    final = lifter.difficulty(made.placed)
    return config.weight_angles * losses.hardness_penalty(
        angled, original, after_angles
    ) + config.weight_final * losses.hardness_penalty(final, original, after_all)
