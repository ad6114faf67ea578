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
    ``beside: raw`` and feedback the same parts are PoseAug's own recipe, see :func:`poseaug`. Where PoseAug's
    figures are not the defaults here, the defaults were better on restaged motion (docs/poseda.md).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pretraining: float = Field(
        default=0.1, ge=0, lt=1, description="Share of the run's steps in which nothing is augmented."
    )
    pretrain_on: PairForm = Field(
        default="aligned",
        description="What these steps teach: the source aligned with the target, or 'raw', as it is.",
    )
    warmup: float = Field(
        default=0.04,
        ge=0,
        lt=1,
        description=(
            "Share of the steps after that in which generator and discriminators learn, while the lifter is "
            "taught what stands beside augmented poses."
        ),
    )
    share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description=(
            "Share of every batch that is augmented. PoseAug teaches augmented and other batches in turn; "
            "batch norm then learns from either and is used on a mean of both, so here they are mixed."
        ),
    )
    beside: PairForm = Field(
        default="aligned",
        description=(
            "What the rest of the batch is: 'aligned' source poses ('raw' ones, as PoseAug has them, would "
            "pull the positions back to the source's)."
        ),
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
        default="own",
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
        pretrain_on="raw",
        placement="learned",
        beside="raw",
        bone_lengths="exchanged",
        generator=GeneratorConfig(rotation="free", first_angles=1.0),
        adversary=AdversaryConfig(learn_every=1),
        discriminator=DiscriminatorConfig(keypoints="raw"),
        feedback=FeedbackConfig(weight=1.0),
    )
