"""The methods that the benchmark compares, by name: what is learned from, and how it is moved.

A method is data, so a job's digest covers all of it. Controls stand beside what they control: random
viewpoints beside aligned ones, parts of global position alignment beside the whole, each operator of the
augmentation alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from poseshift.adaptation.global_position import Copied, GlobalPositionConfig
from poseshift.adaptation.poseda_config import PoseDAConfig, poseaug
from poseshift.adaptation.viewpoint import (
    AlignedViewpoint,
    NoViewpoint,
    PseudoLabelledViewpoint,
    RandomViewpoint,
    Viewpoint,
)
from poseshift.augmentation.collapse import CollapseConfig
from poseshift.augmentation.config import FeedbackConfig
from poseshift.augmentation.discriminator import Critic, DiscriminatorConfig
from poseshift.augmentation.generator import BoneChanges, GeneratorConfig, Rotations
from poseshift.augmentation.random_augmentation import RandomAugmentationConfig
from poseshift.storage.model import FrozenModel
from poseshift.training.encoding import EncodingName


class Method(FrozenModel):
    """How a lifter of the benchmark is taught."""

    description: str
    """A few words for the table."""
    labelled: Literal["source", "target", "source_there"] = "source"
    """Whose labels are learned: the source's; or, as references and not competitors, the target's, or those
    of the source's people before the target's cameras."""
    encoding: EncodingName = "screen"
    """How pixels become the network's input."""
    position: GlobalPositionConfig | None = None
    """Global position alignment of the batches; left out where PoseDA places them itself."""
    viewpoint: Viewpoint = NoViewpoint()
    """How poses are turned before they are placed."""
    augmentation: RandomAugmentationConfig | None = None
    """Random augmentation, before everything else."""
    poseda: PoseDAConfig | None = None
    """Adversarial augmentation, after everything else."""


_GPA = GlobalPositionConfig()


def _copied(part: Copied, description: str) -> Method:
    return Method(description=description, position=GlobalPositionConfig(copied=part))


def _everything(viewpoint: Viewpoint, description: str) -> Method:
    """All parts, of which augmentation comes last: batches are turned and placed before."""
    return Method(
        description=description,
        encoding="perspective",
        position=_GPA,
        viewpoint=viewpoint,
        poseda=PoseDAConfig(placement="kept"),
    )


def _operator(bones: BoneChanges, rotation: Rotations, description: str) -> Method:
    """PoseDA with a part of the augmentation; what is switched off does not count as collapsed."""
    alive = CollapseConfig()
    spreads = {
        "smallest_angle_spread": alive.smallest_angle_spread if bones == "angles" else 0.0,
        "smallest_gain_spread": alive.smallest_gain_spread if bones == "lengths" else 0.0,
    }
    config = PoseDAConfig(
        generator=GeneratorConfig(bones=bones, rotation=rotation), collapse=alive.model_copy(update=spreads)
    )
    return Method(description=description, poseda=config)


def _critic(critic: Critic, description: str) -> Method:
    return Method(
        description=description, poseda=PoseDAConfig(discriminator=DiscriminatorConfig(critic=critic))
    )


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "source_only": Method(description="the source as it is"),
        "perspective": Method(description="the source, perspective encoding", encoding="perspective"),
        "gpa": Method(description="GPA", position=_GPA),
        "poseda": Method(description="PoseDA: GPA + LPA", poseda=PoseDAConfig()),
        "viewpoint": Method(
            description="GPA + viewpoint alignment",
            position=_GPA,
            viewpoint=AlignedViewpoint(),
        ),
        "everything": _everything(
            AlignedViewpoint(), "GPA + LPA + viewpoint alignment, perspective encoding"
        ),
        "everything_pseudo_labels": _everything(
            PseudoLabelledViewpoint(), "as everything, viewpoints by the lifter's own answers"
        ),
        "everything_random_viewpoints": _everything(
            RandomViewpoint(roll_degrees=(-180.0, 180.0)),
            "control: as everything, random viewpoints with any roll",
        ),
        "random_augmentation": Method(
            description="control: GPA + random augmentation",
            position=_GPA,
            augmentation=RandomAugmentationConfig(),
        ),
        "random_pitch": Method(
            description="control: GPA + random viewpoints", position=_GPA, viewpoint=RandomViewpoint()
        ),
        "random_pitch_perspective": Method(
            description="control: GPA + random viewpoints, perspective encoding",
            encoding="perspective",
            position=_GPA,
            viewpoint=RandomViewpoint(),
        ),
        "target_supervised": Method(description="reference: the target's own labels", labelled="target"),
        "source_there": Method(
            description="reference: the source's people before the target's cameras, with labels",
            labelled="source_there",
        ),
        "gpa_root_only": _copied("root_only", "GPA: the root's direction alone"),
        "gpa_scale_only": _copied("scale_only", "GPA: the scale alone"),
        "gpa_random": _copied("random_uniform", "control: random positions of GPA's range"),
        "lpa_angles": _operator("angles", "none", "PoseDA: bone angles alone"),
        "lpa_lengths": _operator("lengths", "none", "PoseDA: bone lengths alone"),
        "lpa_turns": _operator("none", "upright", "PoseDA: turns about gravity alone"),
        "lpa_free_rotation": Method(
            description="PoseDA with rotations about any axis",
            poseda=PoseDAConfig(generator=GeneratorConfig(rotation="free")),
        ),
        "critic_pairs": _critic("pairs", "PoseDA: discriminator of pairs (D-b)"),
        "critic_none": _critic("none", "PoseDA: range penalties alone (D-c)"),
        "poseaug": Method(
            description="PoseAug: learned positions before the source's cameras", poseda=poseaug()
        ),
        "feedback": Method(
            description="PoseDA with the lifter's feedback",
            poseda=PoseDAConfig(feedback=FeedbackConfig(weight=1.0)),
        ),
    }
)
"""Every method by name; ``poseda`` judges by parts of the body (D-a) and has no feedback."""

COMPARED = (
    "source_only",
    "gpa",
    "poseda",
    "everything",
    "random_pitch",
    "random_pitch_perspective",
    "target_supervised",
    "source_there",
)
"""The methods of the suite ``adaptation``."""

ABLATED = (
    "source_only",
    "gpa",
    "gpa_root_only",
    "gpa_scale_only",
    "gpa_random",
    "poseda",
    "random_augmentation",
    "lpa_angles",
    "lpa_lengths",
    "lpa_turns",
    "lpa_free_rotation",
    "poseaug",
    "critic_pairs",
    "critic_none",
    "feedback",
    "target_supervised",
    "source_there",
)
"""The methods of the suite ``ablation``."""


def method(name: str) -> Method:
    """Look up a method.

    Raises
    ------
    ValueError
        There is none of that name; the message lists those that there are.
    """
    if name not in METHODS:
        raise ValueError(f"no method {name!r}; there are {', '.join(METHODS)}")
    return METHODS[name]
