"""What an adaptation may be: one union of typed configurations for recipes, commands and benchmarks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from poseshift.adaptation.global_position import GlobalPositionConfig
from poseshift.adaptation.poseda_config import PoseDAConfig
from poseshift.adaptation.self_training import SelfTrainingConfig
from poseshift.adaptation.tuning_config import TargetTuning
from poseshift.adaptation.viewpoint import (
    AlignedViewpoint,
    FoundViewpoint,
    KnownViewpoint,
    NoViewpoint,
    PseudoLabelledViewpoint,
    Viewpoint,
)
from poseshift.augmentation.bodies import BodyDiversity
from poseshift.augmentation.random_augmentation import RandomAugmentationConfig
from poseshift.storage.model import FrozenModel, is_left_out

Positions = Literal["target", "source", "both"]
"""Whose keypoints poses are placed by."""


class NoAdaptation(FrozenModel):
    """Train on the labelled poses as they are."""

    method: Literal["none"] = "none"
    """No adaptation."""


class GlobalPositionAdaptation(FrozenModel):
    """PoseDA's global position alignment (GPA): each source pose takes root and scale of a target pose."""

    method: Literal["gpa"] = "gpa"
    """Global position alignment."""
    options: GlobalPositionConfig = GlobalPositionConfig()
    """How roots are placed."""
    positions: Positions = "target"
    """Whose keypoints say where: the target's, the source's own (shuffled: no target is needed), or both."""
    bodies: BodyDiversity | None = None
    """A body of its own for every pose, before everything else; None keeps the source's people."""
    viewpoint: Viewpoint = NoViewpoint()
    """How poses are turned before: none, random (a control), or aligned with the target's cameras."""
    augmentation: RandomAugmentationConfig | None = None
    """Random changes of bones and headings after that; PoseDA learns them instead."""
    tuning: TargetTuning | None = Field(default=None, exclude_if=is_left_out)
    """Losses on the target's own keypoints in the last part of a training; None learns from labels alone."""

    @model_validator(mode="after")
    def _gravity_of_the_target(self) -> GlobalPositionAdaptation:
        if isinstance(self.viewpoint, PseudoLabelledViewpoint) and self.positions != "target":
            raise ValueError(
                "viewpoint 'pseudo-labels' needs `positions: target`: answers are for the target's keypoints"
            )
        if self.positions == "source" and isinstance(
            self.viewpoint, KnownViewpoint | AlignedViewpoint | FoundViewpoint
        ):
            raise ValueError(
                f"viewpoint {self.viewpoint.kind!r} needs `positions: target` or `both`: each pose is turned "
                "as people are seen by the camera that it is placed before"
            )
        return self


class PoseDAAdaptation(FrozenModel):
    """PoseDA: poses from an adversarial generator, given the target's positions, beside aligned ones."""

    method: Literal["poseda"] = "poseda"
    """Learned augmentation on top of global position alignment."""
    options: PoseDAConfig = PoseDAConfig()
    """Schedule, generator, discriminators, when to go back from a collapse."""
    viewpoint: Viewpoint = NoViewpoint()
    """How poses are turned and placed before; anything but none needs `options: {placement: kept}`."""

    bodies: BodyDiversity | None = None
    """A body of its own for every pose, before everything else; None keeps the source's people."""

    @model_validator(mode="after")
    def _placed_once(self) -> PoseDAAdaptation:
        if self.viewpoint.kind != "none" and self.options.placement != "kept":
            raise ValueError(
                f"viewpoint {self.viewpoint.kind!r} has placed the poses already; add "
                "`options: {placement: kept}`"
            )
        return self


class SelfTrainingAdaptation(FrozenModel):
    """Source poses placed and varied, and beside them the lifter's own answers to the target's keypoints."""

    method: Literal["self-training"] = "self-training"
    """Pseudo-poses by the lifter in training."""
    alignment: GlobalPositionAdaptation = GlobalPositionAdaptation()
    """How source poses are placed and varied otherwise, and how pseudo-poses are varied."""
    options: SelfTrainingConfig = SelfTrainingConfig()
    """When target keypoints are answered for, and what is made of the answers."""


Adaptation = Annotated[
    NoAdaptation | GlobalPositionAdaptation | PoseDAAdaptation | SelfTrainingAdaptation,
    Field(discriminator="method"),
]
"""The union, told apart by ``method``."""


def looks_at_target(adaptation: Adaptation) -> bool:
    """Whether an adaptation uses the target's keypoints."""
    if isinstance(adaptation, SelfTrainingAdaptation):
        return True
    aligned = alignment_of(adaptation)
    return aligned is not None and (aligned.positions != "source" or aligned.tuning is not None)


def alignment_of(adaptation: Adaptation) -> GlobalPositionAdaptation | None:
    """Take the alignment of positions and viewpoints out of an adaptation; None when it aligns nothing."""
    if isinstance(adaptation, GlobalPositionAdaptation):
        return adaptation
    if isinstance(adaptation, SelfTrainingAdaptation):
        return adaptation.alignment
    if isinstance(adaptation, PoseDAAdaptation):
        return GlobalPositionAdaptation(
            options=adaptation.options.global_position,
            viewpoint=adaptation.viewpoint,
            bodies=adaptation.bodies,
        )
    return None
