"""What an adaptation may be: one union of typed configurations for recipes, commands and benchmarks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from poseshift.adaptation.global_position import GlobalPositionConfig
from poseshift.adaptation.poseda_config import PoseDAConfig
from poseshift.adaptation.viewpoint import NoViewpoint, Viewpoint
from poseshift.augmentation.random_augmentation import RandomAugmentationConfig
from poseshift.storage.model import FrozenModel


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
    viewpoint: Viewpoint = NoViewpoint()
    """How poses are turned before: none, random (a control), or aligned with the target's cameras."""
    augmentation: RandomAugmentationConfig | None = None
    """Random changes of bones and headings before everything; PoseDA learns them instead."""


class PoseDAAdaptation(FrozenModel):
    """PoseDA: poses from an adversarial generator, given the target's positions, beside aligned ones."""

    method: Literal["poseda"] = "poseda"
    """Learned augmentation on top of global position alignment."""
    options: PoseDAConfig = PoseDAConfig()
    """Schedule, generator, discriminators, when to go back from a collapse."""
    viewpoint: Viewpoint = NoViewpoint()
    """How poses are turned and placed before; anything but none needs `options: {placement: kept}`."""

    @model_validator(mode="after")
    def _placed_once(self) -> PoseDAAdaptation:
        if self.viewpoint.kind != "none" and self.options.placement != "kept":
            raise ValueError(
                f"viewpoint {self.viewpoint.kind!r} has placed the poses already; add "
                "`options: {placement: kept}`"
            )
        return self


Adaptation = Annotated[
    NoAdaptation | GlobalPositionAdaptation | PoseDAAdaptation, Field(discriminator="method")
]
"""The union, told apart by ``method``."""


def alignment_of(adaptation: Adaptation) -> GlobalPositionAdaptation | None:
    """Take the alignment of positions and viewpoints out of an adaptation; None when it aligns nothing."""
    if isinstance(adaptation, GlobalPositionAdaptation):
        return adaptation
    if isinstance(adaptation, PoseDAAdaptation):
        return GlobalPositionAdaptation(
            options=adaptation.options.global_position, viewpoint=adaptation.viewpoint
        )
    return None
