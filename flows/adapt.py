"""What a lifter learns from: labelled poses, and the transforms that move them towards a target.

The three kinds of lifter that a recipe compares differ in nothing else: ``source_only`` takes the source as
it is, ``gpa`` takes the source through the alignment, ``target_supervised`` takes the target's own labels.
The adaptation is handed the target without its 3D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from adaptation.global_position import GlobalPositionAlignment, TargetKeypoints
from flows.data import OpenData
from flows.recipe import Adaptation, GlobalPositionAdaptation, Method, NoAdaptation, PoseData, Recipe
from storage.columns import CameraPoses
from training.batches import BatchTransform


@dataclass(frozen=True)
class Lesson:
    """What one lifter learns from, as a recipe names it.

    Attributes
    ----------
    labelled : poses whose 3D is learned.
    target : the domain that the adaptation looks at; None without adaptation.
    adaptation : how the labelled poses are moved.
    """

    labelled: PoseData
    target: PoseData | None
    adaptation: Adaptation


def lesson(recipe: Recipe, method: Method) -> Lesson:
    """Say what a lifter of this kind learns from."""
    if method == "source_only":
        return Lesson(recipe.source, None, NoAdaptation())
    if recipe.target is None:
        raise ValueError(f"{method} needs a target; add `target:` to the recipe")
    if method == "target_supervised":
        return Lesson(recipe.target, None, NoAdaptation())
    return Lesson(recipe.source, recipe.target, recipe.adaptation)


def transforms(
    adaptation: Adaptation, target: CameraPoses | None, device: torch.device
) -> Sequence[BatchTransform]:
    """Build the batch transforms of an adaptation.

    Parameters
    ----------
    adaptation : Adaptation
        As the recipe says.
    target : CameraPoses or None
        The target's poses without their 3D; see :meth:`flows.data.OpenData.unlabelled`.
    device : torch.device
        Where batches lie.
    """
    if not isinstance(adaptation, GlobalPositionAdaptation):
        return ()
    if target is None:
        raise ValueError("global position alignment needs a target; add `target:` to the recipe")
    return (GlobalPositionAlignment(adaptation.options, TargetKeypoints.from_poses(target), device),)


def unlabelled(target: OpenData | None) -> CameraPoses | None:
    """Read the target as an adaptation may see it."""
    return None if target is None else target.unlabelled()
