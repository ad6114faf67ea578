"""Methods by name: what a lifter learns from, how the poses are moved, and how its input is encoded.

Recipes, commands, reports and the benchmark name the same entries. A method is data, so a digest covers all
of it. A new one is one call of ``METHODS.add``, here or in a user's own module. Controls stand beside what
they control: random viewpoints beside aligned ones, parts of global position alignment beside the whole, each
operator of the augmentation alone.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from poseshift.adaptation.config import (
    Adaptation,
    GlobalPositionAdaptation,
    PoseDAAdaptation,
    Positions,
    SelfTrainingAdaptation,
)
from poseshift.adaptation.global_position import Copied, GlobalPositionConfig
from poseshift.adaptation.method import Method
from poseshift.adaptation.poseda_config import PoseDAConfig, poseaug
from poseshift.adaptation.tuning_config import TargetTuning
from poseshift.adaptation.viewpoint import (
    AlignedViewpoint,
    FoundViewpoint,
    KnownViewpoint,
    NoViewpoint,
    PseudoLabelledViewpoint,
    RandomViewpoint,
    Viewpoint,
)
from poseshift.augmentation.bodies import BodyDiversity
from poseshift.augmentation.collapse import CollapseConfig
from poseshift.augmentation.conditional_generator import ConditionalGeneratorConfig
from poseshift.augmentation.config import AdversaryConfig, FeedbackConfig, UsefulnessConfig
from poseshift.augmentation.detector_noise import (
    NO_NOISE,
    DetectorNoise,
    NoiseFitted,
    NoiseFixed,
)
from poseshift.augmentation.discriminator import Critic, DiscriminatorConfig
from poseshift.augmentation.generator import BoneChanges, GeneratorConfig, RandomRotations, Rotations
from poseshift.augmentation.random_augmentation import RandomAugmentationConfig
from poseshift.storage.registry import Registry
from poseshift.training.answer import FARTHEST_BELIEVED, RaysBlend, RaysSnap
from poseshift.training.encoding import EncodingName

METHODS = Registry[Method]("method")
"""Every method by name; ``poseda`` judges by parts of the body (D-a) and has no feedback."""


def _named(value: object) -> object:
    return METHODS[value] if isinstance(value, str) else value


MethodChoice = Annotated[Method, BeforeValidator(_named, json_schema_input_type=Method | str)]
"""What a recipe may say: the name of an entry, or an entry written out."""


def _add(name: str, label: str, description: str, **content: Any) -> None:
    METHODS.add(name, Method(name=name, label=label, description=description, **content))


def _gpa(viewpoint: Viewpoint | None = None, copied: Copied = "root_and_scale") -> GlobalPositionAdaptation:
    return GlobalPositionAdaptation(
        options=GlobalPositionConfig(copied=copied), viewpoint=viewpoint or NoViewpoint()
    )


def _poseda(**options: Any) -> PoseDAAdaptation:
    return PoseDAAdaptation(options=PoseDAConfig(**options))


def _everything(viewpoint: Viewpoint) -> PoseDAAdaptation:
    """All parts, of which augmentation comes last: batches are turned and placed before."""
    return PoseDAAdaptation(options=PoseDAConfig(placement="kept"), viewpoint=viewpoint)


def _operator(bones: BoneChanges, rotation: Rotations) -> PoseDAAdaptation:
    """PoseDA with a part of the augmentation; what is switched off does not count as collapsed."""
    alive = CollapseConfig()
    spreads = {
        "smallest_angle_spread": alive.smallest_angle_spread if bones == "angles" else 0.0,
        "smallest_gain_spread": alive.smallest_gain_spread if bones == "lengths" else 0.0,
    }
    return _poseda(
        generator=GeneratorConfig(bones=bones, rotation=rotation), collapse=alive.model_copy(update=spreads)
    )


def _critic(critic: Critic) -> PoseDAAdaptation:
    return _poseda(discriminator=DiscriminatorConfig(critic=critic))


_add("source_only", "Source only", "The labelled source as it is; nothing of the target is seen.")
_add(
    "perspective", "Source only, perspective", "As source_only, perspective encoding.", encoding="perspective"
)
_add(
    "gpa", "GPA", "Source poses placed where target people are seen (PoseDA's first part).", adaptation=_gpa()
)
_add(
    "gpa_perspective",
    "GPA, perspective",
    "As gpa, perspective encoding.",
    adaptation=_gpa(),
    encoding="perspective",
)
_add(
    "gpa_viewpoint",
    "GPA + viewpoint",
    "As gpa, poses turned before to the gravity that a network learns for the target's cameras.",
    adaptation=_gpa(AlignedViewpoint()),
)
_add(
    "poseda",
    "PoseDA (GPA + LPA)",
    "As gpa, with augmented poses from an adversarial generator beside the aligned ones.",
    adaptation=_poseda(),
)
_add(
    "everything",
    "Everything",
    "GPA, learned augmentation, viewpoint alignment, perspective encoding.",
    adaptation=_everything(AlignedViewpoint()),
    encoding="perspective",
)
_add(
    "everything_pseudo_labels",
    "Everything, pseudo-labels",
    "As everything, viewpoints from the lifter's own answers to target keypoints.",
    adaptation=_everything(PseudoLabelledViewpoint()),
    encoding="perspective",
)
_add(
    "everything_random_viewpoints",
    "Everything, random viewpoints",
    "Control: as everything, random viewpoints with any roll in place of aligned ones.",
    adaptation=_everything(RandomViewpoint(roll_degrees=(-180.0, 180.0))),
    encoding="perspective",
)
_add(
    "random_augmentation",
    "GPA + random augmentation",
    "Control of poseda: bones and headings are changed at random, nothing is learned.",
    adaptation=GlobalPositionAdaptation(augmentation=RandomAugmentationConfig()),
)
_add(
    "random_pitch",
    "GPA + random viewpoints",
    "Control of gpa_viewpoint: random viewpoints in place of aligned ones.",
    adaptation=_gpa(RandomViewpoint()),
)
_add(
    "random_pitch_perspective",
    "GPA + random viewpoints, perspective",
    "As random_pitch, perspective encoding.",
    adaptation=_gpa(RandomViewpoint()),
    encoding="perspective",
)
_add("target_supervised", "Target-supervised", "Reference: the target's own 3D labels.", labels="target")
_add(
    "source_there",
    "Source in target cameras",
    "Reference: the source's people in front of the target's cameras, with labels.",
    labels="source_in_target",
)
_add(
    "gpa_root_only",
    "GPA, root alone",
    "GPA: the root's direction alone.",
    adaptation=_gpa(copied="root_only"),
)
_add("gpa_scale_only", "GPA, scale alone", "GPA: the scale alone.", adaptation=_gpa(copied="scale_only"))
_add(
    "gpa_random",
    "Random positions",
    "Control of gpa: random positions of GPA's range.",
    adaptation=_gpa(copied="random_uniform"),
)
_add("lpa_angles", "LPA, angles", "PoseDA: bone angles alone.", adaptation=_operator("angles", "none"))
_add("lpa_lengths", "LPA, lengths", "PoseDA: bone lengths alone.", adaptation=_operator("lengths", "none"))
_add("lpa_turns", "LPA, turns", "PoseDA: turns about gravity alone.", adaptation=_operator("none", "upright"))
_add(
    "lpa_free_rotation",
    "LPA, free rotation",
    "PoseDA with rotations about any axis.",
    adaptation=_poseda(generator=GeneratorConfig(rotation="free")),
)
_add("critic_pairs", "LPA, D-b", "PoseDA: discriminator of pairs (D-b).", adaptation=_critic("pairs"))
_add("critic_none", "LPA, D-c", "PoseDA: range penalties alone (D-c).", adaptation=_critic("none"))
_add(
    "poseaug",
    "PoseAug",
    "PoseAug: learned positions in front of the source's cameras.",
    adaptation=PoseDAAdaptation(options=poseaug()),
)
_add(
    "feedback",
    "PoseDA + feedback",
    "PoseDA with the lifter's feedback.",
    adaptation=_poseda(feedback=FeedbackConfig(weight=1.0)),
)
_add(
    "gpa_own_motion",
    "GPA, source's motion",
    "Control of gpa for clips: roots move as the source's did, in place of along the target's.",
    adaptation=GlobalPositionAdaptation(options=GlobalPositionConfig(trajectory="source")),
)

_add(
    "positions_shuffled",
    "Source positions shuffled",
    "Control of gpa without a target: each source pose takes root and scale of another source pose.",
    adaptation=GlobalPositionAdaptation(positions="source"),
)
_add(
    "bodies",
    "Shuffled positions, diverse bodies",
    "As positions_shuffled, a body and joint definitions of its own for every pose.",
    adaptation=GlobalPositionAdaptation(positions="source", bodies=BodyDiversity()),
)


def _diverse(
    positions: Positions,
    viewpoint: Viewpoint | None = None,
    tuning: TargetTuning | None = None,
    rotation: RandomRotations = "free",
) -> GlobalPositionAdaptation:
    """Everything that varies without being learned; half of every batch is turned."""
    return GlobalPositionAdaptation(
        options=GlobalPositionConfig(depth_from="bones"),
        positions=positions,
        viewpoint=viewpoint or NoViewpoint(),
        bodies=BodyDiversity(),
        augmentation=RandomAugmentationConfig(rotation=rotation, angle_spread=0.2),
        tuning=tuning,
    )


def _add_diverse(
    name: str,
    label: str,
    description: str,
    adaptation: Adaptation,
    detector_noise: DetectorNoise = NO_NOISE,
    encoding: EncodingName = "perspective",
) -> None:
    """Add a method of all diversity.

    Answers are put on the rays of exact keypoints. A lifter that has learned what a detector does wrong may
    be nearer to the truth than a keypoint is, so its answers are put between (docs/poseda.md).
    """
    _add(
        name,
        label,
        description,
        adaptation=adaptation,
        encoding=encoding,
        rays=RaysSnap() if detector_noise == NO_NOISE else RaysBlend(farthest=FARTHEST_BELIEVED),
        detector_noise=detector_noise,
    )


_add_diverse(
    "no_target",
    "No target, all diversity",
    "Baseline that sees no target: shuffled positions, diverse bodies, random angles and turns, perspective "
    "encoding, rays.",
    adaptation=_diverse("source"),
)
_add_diverse(
    "diverse",
    "GPA, all diversity",
    "As no_target, with the target's positions.",
    adaptation=_diverse("target"),
)
_add_diverse(
    "diverse_viewpoint",
    "GPA, viewpoint, all diversity",
    "As diverse, poses turned to the gravity that a network learns for the target's cameras.",
    adaptation=_diverse("target", AlignedViewpoint()),
)
_CALIBRATED_VIEWS = TargetTuning(reprojection=1.0, bones=0.3, symmetry=0.3, multi_view=0.3)

_FOUND = FoundViewpoint(jitter_degrees=KnownViewpoint().jitter_degrees)
"""Tilted beside the interval as far as viewpoints of known gravity are."""

_add_diverse(
    "diverse_found_viewpoint",
    "GPA, found viewpoint, all diversity",
    "As diverse, poses turned to where up is given or found, within its interval; at random where it is not.",
    adaptation=_diverse("target", _FOUND),
)
_add_diverse(
    "diverse_known_viewpoint",
    "GPA, known gravity, all diversity",
    "Reference for diverse_viewpoint: the same by the calibration of the target's cameras.",
    adaptation=_diverse("target", KnownViewpoint()),
)
_add_diverse(
    "diverse_random_viewpoint",
    "GPA, random viewpoints, all diversity",
    "Control of diverse_viewpoint: random viewpoints within what cameras of people have.",
    adaptation=_diverse("target", RandomViewpoint()),
)
_add_diverse(
    "diverse_tuned",
    "GPA, all diversity, tuned on target clips",
    "As diverse; in the last half of the steps answers to target clips shall fit their keypoints and have "
    "constant, symmetric bones.",
    adaptation=_diverse("target", tuning=TargetTuning()),
)
_add_diverse(
    "diverse_multi_view",
    "GPA, all diversity, tuned on calibrated views",
    "As diverse_tuned, and answers to two target cameras' views of one frame shall agree. Another protocol: "
    "uses the extrinsics of the target's cameras.",
    adaptation=_diverse("target", tuning=_CALIBRATED_VIEWS),
)
_add_diverse(
    "diverse_both",
    "Both positions, all diversity",
    "As no_target, half of the poses with the target's positions.",
    adaptation=_diverse("both"),
)


def _diverse_learned(pretraining: float) -> PoseDAAdaptation:
    """As diverse for a share of the run, and from then on with angles and lengths that are learned.

    Of three settings the best on the development split (docs/poseda.md).
    """
    return PoseDAAdaptation(
        options=PoseDAConfig(
            pretraining=pretraining,
            pretrain_on="augmented",
            warmup=0.0,
            global_position=GlobalPositionConfig(depth_from="bones"),
            generator=ConditionalGeneratorConfig(largest_angle_shift=0.1, largest_length_shift=0.03),
            discriminator=DiscriminatorConfig(keypoints="none"),
            adversary=AdversaryConfig(
                decay="constant",
                learn_every=1,
                discriminator_every=1,
                weight_3d=1.0,
                weight_range=30.0,
                change_centre=0.04,
                change_half_width=0.04,
                critic_tolerance=0.25,
            ),
            feedback=UsefulnessConfig(aim=1.5),
        ),
        bodies=BodyDiversity(),
    )


_add_diverse(
    "diverse_learned",
    "GPA, all diversity, learned",
    "As diverse, random angles and lengths give way to those of a generator that seeks hard poses.",
    adaptation=_diverse_learned(0.75),
)
_add_diverse(
    "diverse_learned_frozen",
    "GPA, all diversity, frozen generator",
    "Control of diverse_learned: its generator stays as it begins, which is random augmentation.",
    adaptation=_diverse_learned(1.0),
)
_add_diverse(
    "no_target_mixed",
    "No target, all diversity, mixed turns",
    "As no_target, half of the turns about the viewing axis.",
    adaptation=_diverse("source", rotation="mixed"),
)
_add_diverse(
    "diverse_both_mixed",
    "Both positions, all diversity, mixed turns",
    "As diverse_both, half of the turns about the viewing axis.",
    adaptation=_diverse("both", rotation="mixed"),
)
_add_diverse(
    "no_target_mixed_noisy",
    "No target, all diversity, stated noise",
    "As no_target_mixed, source keypoints with stated errors of a detector.",
    adaptation=_diverse("source", rotation="mixed"),
    detector_noise=NoiseFixed(),
)
_add_diverse(
    "no_target_mixed_detected",
    "Source positions, all diversity, fitted noise",
    "As no_target_mixed, source keypoints with the errors that the target's detector shows.",
    adaptation=_diverse("source", rotation="mixed"),
    detector_noise=NoiseFitted(),
)
_add_diverse(
    "diverse_both_mixed_detected",
    "Both positions, all diversity, fitted noise",
    "As diverse_both_mixed, source keypoints with the errors that the target's detector shows.",
    adaptation=_diverse("both", rotation="mixed"),
    detector_noise=NoiseFitted(),
)
_add_diverse(
    "diverse_both_mixed_detected_found",
    "Both positions, all diversity, fitted noise, found viewpoint",
    "As diverse_both_mixed_detected, poses turned to where up is given or found before the target's cameras, "
    "and to the calibrated up of the source's.",
    adaptation=_diverse("both", _FOUND, rotation="mixed"),
    detector_noise=NoiseFitted(),
)
_add_diverse(
    "diverse_both_mixed_detected_found_views",
    "Both positions, all diversity, fitted noise, found viewpoint, tuned on calibrated views",
    "As diverse_both_mixed_detected_found, and tuned on target clips as diverse_multi_view is. Another "
    "protocol: uses the extrinsics of the target's cameras.",
    adaptation=_diverse("both", _FOUND, _CALIBRATED_VIEWS, rotation="mixed"),
    detector_noise=NoiseFitted(),
)
_add_diverse(
    "diverse_both_mixed_detected_random",
    "Both positions, all diversity, fitted noise, random viewpoints",
    "Control of diverse_both_mixed_detected_found: random viewpoints within what cameras of people have.",
    adaptation=_diverse("both", RandomViewpoint(), rotation="mixed"),
    detector_noise=NoiseFitted(),
)
_add_diverse(
    "diverse_both_mixed_detected_seen",
    "Both positions, all diversity, fitted noise, seen",
    "As diverse_both_mixed_detected, the lifter is told which joints were seen.",
    adaptation=_diverse("both", rotation="mixed"),
    detector_noise=NoiseFitted(),
    encoding="perspective_and_seen",
)
_add_diverse(
    "self_training",
    "Self-training, all diversity",
    "As diverse_both, and part of every batch learns from the lifter's own answers to target keypoints.",
    adaptation=SelfTrainingAdaptation(alignment=_diverse("both")),
)
_add(
    "lpa_motion",
    "PoseDA, motion judged",
    "PoseDA with discriminators of motion beside those of poses; for lifters of clips.",
    adaptation=_poseda(discriminator=DiscriminatorConfig(motion=True)),
)
_add(
    "lpa_frozen",
    "PoseDA, frozen generator",
    "Control of poseda: its generator stays as it was drawn, nothing is learned.",
    adaptation=_poseda(adversary=AdversaryConfig(learning_rate=1e-12)),
)
_add(
    "gpa_bodies",
    "GPA, diverse bodies",
    "As gpa, a body and joint definitions of its own for every pose.",
    adaptation=GlobalPositionAdaptation(bodies=BodyDiversity()),
)
_add(
    "random_viewing_axis",
    "GPA + random turns about the viewing axis",
    "As random_augmentation, turns about the optical axis in place of gravity.",
    adaptation=GlobalPositionAdaptation(augmentation=RandomAugmentationConfig(rotation="viewing_axis")),
)

for _name, _label, _aligned in (
    ("random", "viewpoints at random, any roll", RandomViewpoint(roll_degrees=(-180.0, 180.0))),
    ("learned", "viewpoints by learned gravity", AlignedViewpoint()),
    ("known", "viewpoints by known gravity", KnownViewpoint()),
):
    _add(
        f"poseda_{_name}_viewpoints",
        f"PoseDA, {_label}",
        f"PoseDA, {_label}.",
        adaptation=_everything(_aligned),
    )
_add(
    "poseda_known_viewpoints_perspective",
    "Everything, known gravity",
    "Control: as everything, viewpoints by the calibration of the target's cameras.",
    adaptation=_everything(KnownViewpoint()),
    encoding="perspective",
)
_add(
    "poseda_viewing_axis",
    "PoseDA, turns about the viewing axis",
    "PoseDA with turns about the optical axis.",
    adaptation=_poseda(generator=GeneratorConfig(rotation="viewing_axis")),
)
_PERSPECTIVE: tuple[tuple[str, Rotations], ...] = (
    ("poseda_perspective", "upright"),
    ("lpa_free_rotation_perspective", "free"),
    ("poseda_viewing_axis_perspective", "viewing_axis"),
)
for _name, _rotation in _PERSPECTIVE:
    _turns = _rotation.replace("_", " ")
    _add(
        _name,
        f"PoseDA, {_turns} turns, perspective",
        f"PoseDA, {_turns} turns, perspective encoding.",
        adaptation=_poseda(generator=GeneratorConfig(rotation=_rotation)),
        encoding="perspective",
    )
