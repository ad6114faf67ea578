"""Options of adversarial augmentation: how generator and discriminators learn, and the lifter's feedback."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from poseshift.augmentation.collapse import CollapseConfig
from poseshift.augmentation.discriminator import DiscriminatorConfig
from poseshift.augmentation.generator import GeneratorConfig
from poseshift.storage.model import FrozenModel

Placement = Literal["global_position", "learned", "kept"]


class AdversaryConfig(FrozenModel):
    """How generator and discriminators learn; figures of PoseAug's released code."""

    learning_rate: float = Field(
        default=1e-4, gt=0, description="Adam's first rate, for both; it falls linearly to the run's end."
    )
    clip_norm: float = Field(default=1.0, gt=0, description="Largest norm of their gradients.")
    learn_every: int = Field(
        default=4,
        ge=1,
        description=(
            "The generator learns in every n-th step of the lifter, which is taught what it makes in all of "
            "them: a step of the adversary costs several of a small lifter. PoseAug: 1."
        ),
    )
    discriminator_every: int = Field(
        default=2, ge=1, description="The discriminators learn in every n-th step of the generator."
    )
    history: int = Field(
        default=4096,
        ge=0,
        description="Made samples kept to show the discriminators again, half of the time.",
    )
    weight_2d: float = Field(
        default=1.0, ge=0, description="Weight of the loss from the discriminator of 2D."
    )
    weight_3d: float = Field(
        default=6.0, ge=0, description="Weight of the loss from the discriminator of 3D."
    )
    weight_range: float = Field(default=3.0, ge=0, description="Weight of the range penalties.")


class FeedbackConfig(FrozenModel):
    """How the lifter's errors steer the generator: augmented poses shall be harder, but not by too much."""

    weight: float = Field(default=0.0, ge=0, description="Weight of the whole; 0 leaves the feedback out.")
    weight_angles: float = Field(default=0.1, ge=0, description="Share of the poses after bone angles.")
    weight_final: float = Field(default=0.01, ge=0, description="Share of the poses after everything.")
    first_ratio: float = Field(
        default=3.0, gt=0, description="Centre of the range of the error's ratio after bone angles, at first."
    )
    last_ratio: float = Field(default=5.0, gt=0, description="The same at the run's end; linear in between.")
    half_width: float = Field(default=2.0, ge=0, description="Half width of that range.")
    final_ratio: float = Field(default=17.0, gt=0, description="Centre of the range after everything.")
    final_half_width: float = Field(default=15.0, ge=0, description="Half width of that range.")


class LearnedAugmentationConfig(FrozenModel):
    """What generator and discriminators are, how they learn, and where the poses that they make stand."""

    placement: Placement = Field(
        default="global_position",
        description=(
            "Where augmented poses stand: 'global_position' where target people stand, in front of the "
            "target's cameras; 'learned' at PoseAug's learned position in front of the source's cameras; "
            "'kept' where they stood, for use after another alignment, such as that of viewpoints."
        ),
    )
    generator: GeneratorConfig = Field(default=GeneratorConfig(), description="The parameter generators.")
    discriminator: DiscriminatorConfig = Field(
        default=DiscriminatorConfig(), description="The anchor discriminator and the one of 2D."
    )
    adversary: AdversaryConfig = Field(default=AdversaryConfig(), description="How both learn.")
    feedback: FeedbackConfig = Field(
        default=FeedbackConfig(), description="How the lifter steers the generator."
    )
    collapse: CollapseConfig = Field(default=CollapseConfig(), description="When to go back.")
