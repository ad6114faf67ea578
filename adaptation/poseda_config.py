"""Options of PoseDA: one frozen model with a sentence for every field, for recipes and for the transform."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from adaptation.collapse import CollapseConfig
from adaptation.global_position import GlobalPositionConfig
from augmentation.discriminator import DiscriminatorConfig
from augmentation.generator import GeneratorConfig

PairForm = Literal["aligned", "raw"]
Placement = Literal["global_position", "learned", "kept"]


class AdversaryConfig(BaseModel):
    """How generator and discriminators learn; figures of PoseAug's released code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float = Field(
        default=1e-4, gt=0, description="Adam's first rate, for both; it falls linearly to the run's end."
    )
    clip_norm: float = Field(default=1.0, gt=0, description="Largest norm of their gradients.")
    discriminator_every: int = Field(
        default=2, ge=1, description="The discriminators learn in every n-th step of the generator."
    )
    history: int = Field(
        default=4096,
        ge=0,
        description="Made samples kept to show the discriminators again, half of the time.",
    )
    weight_2d: float = Field(default=1.0, ge=0, description="Weight of the generator's loss before 2D.")
    weight_3d: float = Field(default=6.0, ge=0, description="Weight of the generator's loss before 3D.")
    weight_range: float = Field(default=3.0, ge=0, description="Weight of the range penalties.")


class FeedbackConfig(BaseModel):
    """How the lifter's errors steer the generator: augmented poses shall be harder, but not by too much."""

    model_config = ConfigDict(frozen=True, extra="forbid")

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


class PoseDAConfig(BaseModel):
    """PoseDA: augmented poses, given the target's positions, next to aligned source poses.

    The position of every augmented pose comes from global position alignment; with ``placement: learned``,
    ``alternate_with: raw`` and feedback the same parts are PoseAug's own recipe, see :func:`poseaug`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pretraining: float = Field(
        default=0.25, ge=0, lt=1, description="Share of the run's steps in which nothing is augmented."
    )
    pretrain_on: PairForm = Field(
        default="raw", description="What these steps teach: the source as it is, or aligned with the target."
    )
    warmup: float = Field(
        default=0.04,
        ge=0,
        lt=1,
        description=(
            "Share of the steps after that in which generator and discriminators learn, while the lifter is "
            "taught what augmented poses alternate with."
        ),
    )
    alternate_with: Literal["aligned", "raw", "none"] = Field(
        default="aligned",
        description=(
            "What the lifter is taught in turn with augmented poses: 'aligned' source poses (raw ones would "
            "pull the positions back to the source's), 'raw' ones as PoseAug does, or 'none'."
        ),
    )
    turn_steps: int = Field(
        default=1,
        ge=1,
        description="Steps of a turn: so many of augmented poses, then as many of the others.",
    )
    placement: Placement = Field(
        default="global_position",
        description=(
            "Where augmented poses stand: 'global_position' where target people stand, before the target's "
            "cameras; 'learned' at PoseAug's learned position before the source's cameras; 'kept' where they "
            "stood, for use after another alignment, such as that of viewpoints."
        ),
    )
    global_position: GlobalPositionConfig = Field(
        default=GlobalPositionConfig(), description="Options of the alignment."
    )
    bone_lengths: Literal["own", "exchanged"] = Field(
        default="exchanged",
        description="Whether poses are first given the mean bone lengths of random subjects of the source.",
    )
    generator: GeneratorConfig = Field(default=GeneratorConfig(), description="The parameter generators.")
    discriminator: DiscriminatorConfig = Field(
        default=DiscriminatorConfig(), description="The anchor discriminator and the one of 2D."
    )
    adversary: AdversaryConfig = Field(default=AdversaryConfig(), description="How both learn.")
    feedback: FeedbackConfig = Field(default=FeedbackConfig(), description="The lifter's say.")
    collapse: CollapseConfig = Field(default=CollapseConfig(), description="When to go back.")

    @model_validator(mode="after")
    def _leaves_time(self) -> PoseDAConfig:
        if self.pretraining + self.warmup >= 1:
            raise ValueError(
                f"pretraining ({self.pretraining}) and warmup ({self.warmup}) leave no step for augmented "
                "poses; their sum must be below 1"
            )
        return self


def poseaug() -> PoseDAConfig:
    """PoseAug's recipe: learned positions before the source's cameras, raw source in between, feedback."""
    return PoseDAConfig(
        placement="learned",
        alternate_with="raw",
        discriminator=DiscriminatorConfig(keypoints="raw"),
        feedback=FeedbackConfig(weight=1.0),
    )
