"""PoseDA's published settings in one frozen model, and for each of them where it is from.

The paper (Chai et al., ICCV 2023, arXiv 2303.16456) prints few of them, and its repository holds no training
code but the alignment's. Its baselines are those of PoseAug's released code (Gong et al., CVPR 2021) with the
same four lifters, data and measure, so what neither paper nor repository says is taken from there, and is
marked as inferred where it is PoseDA's own part that it is taken for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from poseshift.adaptation.config import Adaptation, GlobalPositionAdaptation, NoAdaptation, PoseDAAdaptation
from poseshift.adaptation.global_position import GlobalPositionConfig, RootForm
from poseshift.adaptation.poseda_config import PairForm, PoseDAConfig
from poseshift.augmentation.collapse import CollapseConfig
from poseshift.augmentation.config import AdversaryConfig, FeedbackConfig
from poseshift.augmentation.discriminator import Critic, DiscriminatorConfig, KeypointForm
from poseshift.augmentation.generator import GeneratorConfig, Rotations
from poseshift.storage.model import FrozenModel
from poseshift.training.encoding import EncodingName
from poseshift.training.lifters.config import LifterConfig
from poseshift.training.lifters.videopose3d import VideoPose3DConfig
from poseshift.training.losses import LossName
from poseshift.training.schedule import Schedule

Stage = Literal["source_only", "gpa", "gpa_lpa"]
STAGES: tuple[Stage, ...] = ("source_only", "gpa", "gpa_lpa")
"""In the order of their training; the second and the third start from the first one's lifter."""

Origin = Literal["paper", "code", "inferred"]
"""Where a value is from: the paper, public code that the figure rests on, or our own reasoning."""


@dataclass(frozen=True)
class From:
    """Where a value is from.

    Attributes
    ----------
    origin : Origin
        Kind of the source.
    where : str
        Which paper, file or reasoning.
    """

    origin: Origin
    where: str


_BASELINE = From("code", "PoseAug, function_baseline/config.py")
_ADAPTING = From("inferred", "PoseAug's of its own second part, function_poseaug/config.py")
_LPA = From("inferred", "PoseAug's generator and losses, of which PoseDA's local part publishes none")


class Setting(FrozenModel):
    """One value, as reports list it."""

    name: str
    """Name of the field."""
    value: JsonValue
    """What it is."""
    origin: Origin
    """Kind of its source."""
    where: str
    """Its source."""


class PoseDASettings(FrozenModel):
    """What PoseDA's figures on MPI-INF-3DHP with Human3.6M as the source rest on."""

    lifter: Annotated[
        LifterConfig,
        From("code", "PoseDA's README: VideoPose3D; sizes in PoseAug, model_pos_preparation.py, 16 joints"),
    ] = VideoPose3DConfig(filter_widths=(1, 1, 1, 1, 1), width=1024, dropout=0.25, skeleton="poseaug_16")
    """The single-frame VideoPose3D of the rows 82.55 and 66.07; the paper's 61.3 names no lifter."""
    subjects: Annotated[tuple[str, ...], From("code", "PoseAug, function_baseline/data_preparation.py")] = (
        "S1",
        "S5",
        "S6",
        "S7",
        "S8",
    )
    """Subjects of Human3.6M that are learned from, by all four cameras."""
    frame_step: Annotated[int, _BASELINE] = 1
    """Every frame of theirs."""
    keypoints: Annotated[str, From("code", "PoseDA's README: its table is of true 2D")] = "ground_truth"
    """2D of source, target and test."""
    encoding: Annotated[EncodingName, From("code", "PoseAug, common/camera.py")] = "screen"
    """Pixels divided by the image's width."""
    batch_size: Annotated[int, _BASELINE] = 1024
    """Poses in a step."""
    optimizer: Annotated[Literal["adam"], From("code", "PoseAug, run_baseline.py and run_poseaug.py")] = (
        "adam"
    )
    """Optimiser of the lifter."""
    weight_decay: Annotated[float, From("code", "PoseAug, run_baseline.py: Adam's default")] = 0.0
    """None."""
    loss: Annotated[LossName, From("code", "PoseAug, run_baseline.py and run_poseaug.py")] = "mse"
    """Mean squared error of root-relative coordinates, the root included."""
    clip_norm: Annotated[float, From("code", "PoseAug, model_pos_train.py, both parts")] = 1.0
    """Largest norm of the gradient."""
    flip_probability: Annotated[float, From("code", "PoseAug, both model_pos_train.py: no mirroring")] = 0.0
    """Share of mirrored poses in training; the test averages both."""
    precision: Annotated[Literal["32-true"], From("code", "PoseAug, no mixed precision")] = "32-true"
    """Single precision, on a GPU too."""

    pretraining_epochs: Annotated[int, _BASELINE] = 50
    """Passes over the source in the first stage."""
    pretraining_rate: Annotated[float, From("code", "PoseAug, README.md: --lr 1e-3")] = 1e-3
    """Learning rate of the first stage."""
    pretraining_decay: Annotated[
        Literal["constant"],
        From("code", "PoseAug, model_pos_train.py: a fall by 0.96 every 100,000 steps; 50 epochs have fewer"),
    ] = "constant"
    """The rate stays."""

    adapting_epochs: Annotated[int, _ADAPTING] = 50
    """Epochs of the second and of the third stage, each from the first stage's lifter."""
    adapting_rate: Annotated[float, From("inferred", "PoseAug, README.md: --lr_p 1e-4")] = 1e-4
    """First learning rate of these stages."""
    adapting_decay: Annotated[Literal["linear"], From("inferred", "PoseAug, utils/utils.py")] = "linear"
    """The rate falls linearly."""
    adapting_final_rate: Annotated[float, From("inferred", "PoseAug, utils/utils.py: 1 - e / 51")] = 1 / 51
    """Last rate over the first."""
    root_form: Annotated[RootForm, From("code", "PoseDA's README, the function of GPA")] = "ray"
    """Roots on the target's rays. The histograms of the paper's supplement suggest 'wide'."""

    passes: Annotated[int, From("inferred", "PoseAug, run_poseaug.py: generated pairs, then real ones")] = 2
    """Passes of the lifter in an epoch with augmented poses."""
    share: Annotated[float, From("inferred", "as many generated as other pairs, as in PoseAug")] = 0.5
    """Share of augmented poses."""
    beside: Annotated[
        PairForm, From("inferred", "PoseAug's are raw, which would pull positions back to the source's")
    ] = "aligned"
    """What stands beside them."""
    warmup_epochs: Annotated[int, _ADAPTING] = 2
    """Epochs in which generator and discriminators learn and nothing is augmented."""
    bone_lengths: Annotated[
        Literal["own", "exchanged"], From("inferred", "PoseAug, dataloader_update.py")
    ] = "exchanged"
    """Poses are given bone lengths of random subjects first."""
    rotation: Annotated[Rotations, From("inferred", "PoseAug, models_poseaug/gan_generator.py")] = "free"
    """Turns about any axis."""
    noise: Annotated[int, _LPA] = 48
    """Random numbers that each generator is given."""
    generator_width: Annotated[int, _LPA] = 256
    """Hidden width of the generators."""
    first_angles: Annotated[float, _LPA] = 1.0
    """Factor on the first weights of the bone angles."""
    critic: Annotated[Critic, From("inferred", "the anchor discriminator's input is not public")] = "parts"
    """PoseAug's discriminator of five parts of the body."""
    judged_keypoints: Annotated[
        KeypointForm, From("inferred", "PoseAug's form; real are the target's, as in AdaptPose")
    ] = "raw"
    """What the discriminator of 2D sees."""
    adversary_rate: Annotated[float, _ADAPTING] = 1e-4
    """First learning rate of generator and discriminators; it falls linearly."""
    learn_every: Annotated[
        int, From("inferred", "one step of PoseAug's generator for the lifter's two; see passes")
    ] = 2
    """The generator learns in every n-th step of the lifter."""
    discriminator_every: Annotated[int, _ADAPTING] = 2
    """The discriminators learn in every n-th step of the generator."""
    history: Annotated[int, From("inferred", "PoseAug, utils/gan_utils.py")] = 4096
    """Made samples that are kept to be shown again."""
    weight_2d: Annotated[float, _ADAPTING] = 1.0
    """Weight of the loss from the discriminator of 2D."""
    weight_3d: Annotated[float, _ADAPTING] = 6.0
    """Weight of the loss from the discriminator of 3D."""
    weight_range: Annotated[float, _ADAPTING] = 3.0
    """Weight of the range penalties."""
    feedback: Annotated[float, From("inferred", "PoseAug has the lifter's feedback")] = 1.0
    """Weight of the feedback, whose shares and ratios are PoseAug's."""

    protocol: Annotated[
        str, From("inferred", "PoseDA's baselines are PoseAug's, up to the seed, under PoseAug's test")
    ] = "3dhp-poseaug16"
    """How the test is measured."""
    tested_frames: Annotated[int, From("code", "PoseAug, data_extra/prepare_data_3dhp.py")] = 2929
    """Valid frames of the test set."""
    band_mm: Annotated[
        float, From("inferred", "PoseAug's and PoseDA's own baseline of this lifter differ by 2.9 mm")
    ] = Field(default=3.0, gt=0)
    """By how much MPJPE may depart from the published figure and still be called the same."""

    @property
    def told(self) -> tuple[Setting, ...]:
        """Every value with where it is from."""
        values = self.model_dump(mode="json")
        return tuple(
            Setting(name=name, value=values[name], origin=source.origin, where=source.where)
            for name, field in type(self).model_fields.items()
            for source in field.metadata
            if isinstance(source, From)
        )

    def schedule(self, stage: Stage) -> Schedule:
        """Make the schedule of a stage; with augmented poses, an epoch is more than one pass."""
        if stage == "source_only":
            return self._schedule(self.pretraining_epochs).model_copy(
                update={"learning_rate": self.pretraining_rate, "decay": self.pretraining_decay}
            )
        return self._schedule(self.adapting_epochs * (self.passes if stage == "gpa_lpa" else 1)).model_copy(
            update={
                "learning_rate": self.adapting_rate,
                "decay": self.adapting_decay,
                "final_rate": self.adapting_final_rate,
            }
        )

    def adaptation(self, stage: Stage) -> Adaptation:
        """Say how a stage moves the source's poses: not, by alignment, or by augmentation on top of it."""
        if stage == "source_only":
            return NoAdaptation()
        if stage == "gpa":
            return GlobalPositionAdaptation(options=GlobalPositionConfig(root_form=self.root_form))
        return PoseDAAdaptation(
            options=PoseDAConfig(
                pretraining=0.0,
                warmup=self.warmup_epochs / self.adapting_epochs,
                share=self.share,
                beside=self.beside,
                bone_lengths=self.bone_lengths,
                global_position=GlobalPositionConfig(root_form=self.root_form),
                generator=GeneratorConfig(
                    width=self.generator_width,
                    noise=self.noise,
                    first_angles=self.first_angles,
                    rotation=self.rotation,
                ),
                discriminator=DiscriminatorConfig(critic=self.critic, keypoints=self.judged_keypoints),
                adversary=AdversaryConfig(
                    learning_rate=self.adversary_rate,
                    learn_every=self.learn_every,
                    discriminator_every=self.discriminator_every,
                    history=self.history,
                    weight_2d=self.weight_2d,
                    weight_3d=self.weight_3d,
                    weight_range=self.weight_range,
                ),
                feedback=FeedbackConfig(weight=self.feedback),
                collapse=_NEVER,
            )
        )

    def _schedule(self, epochs: int) -> Schedule:
        return Schedule(
            epochs=epochs,
            batch_size=self.batch_size,
            loss=self.loss,
            optimizer=self.optimizer,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            flip_probability=self.flip_probability,
            precision=self.precision,
        )


_NEVER = CollapseConfig(
    largest_accuracy=1.0,
    smallest_angle_spread=0.0,
    smallest_gain_spread=0.0,
    smallest_turn_spread=0.0,
    smallest_diversity=0.0,
    largest_distance=1e9,
    rollbacks=0,
)
"""Published code does not go back; PoseAug's README advises another seed when augmentation collapses."""


DEPARTURES = (
    "Augmented and aligned poses share each batch; PoseAug's code teaches a pass of either in turn.",
    "While generator and discriminators warm up, the lifter is taught aligned poses; in PoseAug it waits.",
    "The adversary sees the augmented half of a batch, 512 poses; PoseAug's sees 1024.",
    "The feedback compares squared errors; PoseAug's code distances.",
    "Pairs that fall outside of the image are taught; PoseAug's code leaves them out.",
    "The rate falls with every step; PoseAug's with every epoch.",
    "Adaptation starts from the first stage's last epoch; PoseAug's from the one that is best on S9 and S11.",
    "Rows that do not fill a batch wait for another pass; PoseAug's code teaches a smaller batch.",
    "Answers larger than the largest person of the source by a quarter are brought back to that size.",
)
"""What is done otherwise than in the code that the settings are from."""
