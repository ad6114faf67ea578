"""Options of PoseDA: one frozen model with a sentence for every field, for recipes and for the transform."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from poseshift.adaptation.global_position import GlobalPositionConfig
from poseshift.augmentation.config import AdversaryConfig, FeedbackConfig, LearnedAugmentationConfig
from poseshift.augmentation.discriminator import DiscriminatorConfig
from poseshift.augmentation.generator import GeneratorConfig

PairForm = Literal["aligned", "raw"]
Pretraining = Literal["aligned", "raw", "augmented"]


class PoseDAConfig(LearnedAugmentationConfig):
    """PoseDA: augmented poses, given the target's positions, next to aligned source poses.

    The position of every augmented pose comes from global position alignment; with ``placement: learned``,
    ``beside: raw`` and feedback the same parts are PoseAug's own recipe, see :func:`poseaug`. Where PoseAug's
    figures are not the defaults here, the defaults were better on restaged motion (docs/poseda.md).
    """

    pretraining: float = Field(
        default=0.1, ge=0, le=1, description="Share of the run's steps before generator and critics learn."
    )
    pretrain_on: Pretraining = Field(
        default="aligned",
        description=(
            "What these steps teach: the source aligned with the target; 'raw', as it is; or 'augmented', "
            "with the generator's first weights, beside what stands beside augmented poses later. When they "
            "are all of the run, it is the control of what the generator learns."
        ),
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
    global_position: GlobalPositionConfig = Field(
        default=GlobalPositionConfig(), description="Options of the alignment."
    )
    bone_lengths: Literal["own", "exchanged"] = Field(
        default="own",
        description="Whether poses are first given the mean bone lengths of random subjects of the source.",
    )

    @model_validator(mode="after")
    def _leaves_time(self) -> PoseDAConfig:
        frozen = self.pretrain_on == "augmented" and self.pretraining == 1 and self.warmup == 0
        if self.pretraining + self.warmup >= 1 and not frozen:
            raise ValueError(
                f"pretraining ({self.pretraining}) and warmup ({self.warmup}) leave no step for augmented "
                "poses; their sum must be below 1"
            )
        return self


def poseaug() -> PoseDAConfig:
    """PoseAug's recipe: learned positions in front of the source's cameras, raw source beside, feedback."""
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
