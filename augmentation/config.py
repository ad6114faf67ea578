"""Options of adversarial augmentation: how generator and discriminators learn, and the lifter's feedback."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag, model_validator

from poseshift.augmentation.collapse import CollapseConfig
from poseshift.augmentation.conditional_generator import ConditionalGenerator, ConditionalGeneratorConfig
from poseshift.augmentation.discriminator import DiscriminatorConfig
from poseshift.augmentation.generator import GeneratorConfig, PoseGenerator
from poseshift.augmentation.losses import CHANGE_RANGE
from poseshift.storage.model import FrozenModel, is_still, told_by_kind

Placement = Literal["global_position", "learned", "kept"]

GeneratorChoice = Annotated[
    Annotated[GeneratorConfig, Tag("network")] | Annotated[ConditionalGeneratorConfig, Tag("conditional")],
    told_by_kind("network"),
]
"""What a generator may be; without ``kind``, PoseAug's networks."""

LearnedGenerator = PoseGenerator | ConditionalGenerator
"""What these build."""


class AdversaryConfig(FrozenModel):
    """How generator and discriminators learn; figures of PoseAug's released code."""

    learning_rate: float = Field(
        default=1e-4, gt=0, description="Adam's first rate, for both; `decay` says how it goes on."
    )
    decay: Literal["linear", "constant"] = Field(
        default="linear",
        exclude_if=is_still("linear"),
        description="Course of the rate: linearly to 0 at the run's end, or constant.",
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
    change_centre: float = Field(
        default=CHANGE_RANGE.centre,
        ge=0,
        le=2,
        exclude_if=is_still(CHANGE_RANGE.centre),
        description=(
            "Centre of the range where a pose's mean change of bone directions, 1 - cos, has no penalty. "
            "Random offsets of deviation 0.2 change directions by 0.035, which PoseAug's range forbids."
        ),
    )
    change_half_width: float = Field(
        default=CHANGE_RANGE.half_width,
        ge=0,
        exclude_if=is_still(CHANGE_RANGE.half_width),
        description="Half width of that range.",
    )
    critic_tolerance: float = Field(
        default=0.0,
        ge=0,
        exclude_if=is_still(0.0),
        description=(
            "Discriminators' loss that the generator may have for nothing, so that they restrain it and do "
            "not lead it: 0.125 where they cannot tell made from real, 0.5 where they always can."
        ),
    )


class FeedbackConfig(FrozenModel):
    """How the lifter's errors steer the generator: augmented poses shall be harder, but not by too much."""

    kind: Literal["ratio"] = Field(
        default="ratio",
        exclude_if=is_still("ratio"),
        description="PoseAug's: the error's ratio in a range, after bone angles and after everything.",
    )
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


class UsefulnessConfig(FrozenModel):
    """The lifter's error as the objective: on the augmented pose, over that on the plain pose there."""

    kind: Literal["usefulness"] = Field(
        default="usefulness", description="The logarithm of the error's ratio, up to an aim."
    )
    weight: float = Field(default=1.0, ge=0, description="Weight of the whole; 0 leaves it out.")
    aim: float = Field(
        default=3.0, gt=1, description="Ratio of the squared errors from which on more is not better."
    )


FeedbackChoice = Annotated[
    Annotated[FeedbackConfig, Tag("ratio")] | Annotated[UsefulnessConfig, Tag("usefulness")],
    told_by_kind("ratio"),
]
"""How the lifter may steer the generator; without ``kind``, PoseAug's feedback."""


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
    generator: GeneratorChoice = Field(default=GeneratorConfig(), description="The parameter generators.")
    discriminator: DiscriminatorConfig = Field(
        default=DiscriminatorConfig(), description="The anchor discriminator and the one of 2D."
    )
    adversary: AdversaryConfig = Field(default=AdversaryConfig(), description="How both learn.")
    feedback: FeedbackChoice = Field(
        default=FeedbackConfig(), description="How the lifter steers the generator."
    )
    collapse: CollapseConfig = Field(default=CollapseConfig(), description="When to go back.")

    @model_validator(mode="after")
    def _positions_come_from_networks(self) -> LearnedAugmentationConfig:
        if self.placement == "learned" and not isinstance(self.generator, GeneratorConfig):
            raise ValueError(
                f"generator {self.generator.kind!r} learns no positions; choose placement "
                "'global_position' or 'kept', or generator 'network'"
            )
        return self
