"""What a lifter learns from: labelled poses, and the transforms that move them towards a target.

The kinds of lifter that a recipe compares differ in nothing else: ``source_only`` takes the source as it is,
``gpa`` takes the source through the alignment, ``poseda`` adds augmented poses, ``target_supervised`` takes
the target's own labels.
The adaptation is handed the target without its 3D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from poseshift.adaptation.global_position import GlobalPositionAlignment, TargetKeypoints
from poseshift.adaptation.gravity import CameraGravity, learn_camera_gravity
from poseshift.adaptation.poseda import PoseDA
from poseshift.adaptation.pseudo_labels import PseudoLabelAlignment
from poseshift.adaptation.viewpoint import AlignedViewpoint, NoViewpoint, viewpoint_transforms
from poseshift.augmentation.random_augmentation import RandomAugmentation
from poseshift.flows.experiment.data import OpenData
from poseshift.flows.experiment.recipe import (
    Adaptation,
    GlobalPositionAdaptation,
    Method,
    NoAdaptation,
    PoseDAAdaptation,
    PoseData,
    Recipe,
)
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.files import write_atomically
from poseshift.training.batches import BatchTransform, DevicePoses

GRAVITY = "camera_gravity.json"
"""What was found of the target cameras' gravity, inside the folder of a training stage."""


@dataclass(frozen=True)
class Lesson:
    """What one lifter learns from, as a recipe names it.

    Attributes
    ----------
    labelled : poses whose 3D is learned.
    target : the domain that the adaptation looks at; None without adaptation.
    adaptation : how the labelled poses are moved.
    """

    labelled: PoseData
    target: PoseData | None
    adaptation: Adaptation


def lesson(recipe: Recipe, method: Method) -> Lesson:
    """Say what a lifter of this kind learns from."""
    if method == "source_only":
        return Lesson(recipe.source, None, NoAdaptation())
    if recipe.target is None:
        raise ValueError(f"{method} needs a target; add `target:` to the recipe")
    if method == "target_supervised":
        return Lesson(recipe.target, None, NoAdaptation())
    adaptation = alignment_of(recipe.adaptation) if method == "gpa" else recipe.adaptation
    return Lesson(recipe.source, recipe.target, adaptation)


def alignment_of(adaptation: Adaptation) -> Adaptation:
    """Take the alignment out of an adaptation that does more."""
    if not isinstance(adaptation, PoseDAAdaptation):
        return adaptation
    options = adaptation.options.global_position
    return GlobalPositionAdaptation(options=options, viewpoint=adaptation.viewpoint)


def transforms(
    adaptation: Adaptation,
    target: CameraPoses | None,
    device: torch.device,
    gravity: CameraGravity | None = None,
) -> Sequence[BatchTransform]:
    """Build the batch transforms of an adaptation's alignment; :func:`learner` has what learns beside it.

    Parameters
    ----------
    adaptation : Adaptation
        As the recipe says.
    target : CameraPoses or None
        The target's poses without their 3D; see :meth:`poseshift.flows.experiment.data.OpenData.unlabelled`.
    device : torch.device
        Where batches lie.
    gravity : CameraGravity or None
        From :func:`target_gravity`, for viewpoints that are aligned; or what a finished training found.
    """
    adaptation = alignment_of(adaptation)
    if not isinstance(adaptation, GlobalPositionAdaptation):
        return ()
    if target is None:
        raise ValueError("global position alignment needs a target; add `target:` to the recipe")
    position = GlobalPositionAlignment(adaptation.options, TargetKeypoints.from_poses(target), device)
    placed = viewpoint_transforms(adaptation.viewpoint, position, gravity)
    if adaptation.augmentation is None:
        return placed
    return (RandomAugmentation(adaptation.augmentation, skeleton(target.skeleton)), *placed)


@dataclass(frozen=True)
class Learner:
    """An adaptation that learns, too.

    Attributes
    ----------
    transform : the last of the transforms.
    before : those that come before it.
    """

    transform: PoseDA
    before: Sequence[BatchTransform]


def learner(
    adaptation: Adaptation,
    source: CameraPoses,
    target: CameraPoses | None,
    *,
    seed: int,
    device: torch.device,
    gravity: CameraGravity | None = None,
) -> Learner | None:
    """Build the part of an adaptation that learns beside the lifter; None when there is none.

    Parameters
    ----------
    adaptation, target, device, gravity
        As :func:`transforms`.
    source : CameraPoses
        Labelled poses.
    seed : int
        Of its weights.
    """
    if not isinstance(adaptation, PoseDAAdaptation):
        return None
    if target is None:
        raise ValueError("PoseDA needs a target; add `target:` to the recipe")
    placed = not isinstance(adaptation.viewpoint, NoViewpoint)
    return Learner(
        transform=PoseDA(
            adaptation.options, source, TargetKeypoints.from_poses(target), seed=seed, device=device
        ),
        before=transforms(adaptation, target, device, gravity) if placed else (),
    )


def target_gravity(
    adaptation: Adaptation, source: DevicePoses, target: CameraPoses | None, seed: int, folder: Path
) -> CameraGravity | None:
    """Learn the gravity of the target's cameras where the adaptation needs it, or read it where it is known.

    Parameters
    ----------
    adaptation : Adaptation
        As the recipe says.
    source : DevicePoses
        Labelled poses.
    target : CameraPoses or None
        The target's poses without their 3D.
    seed : int
        Of the estimator.
    folder : Path
        Of the training stage, where what was found is kept.
    """
    adaptation = alignment_of(adaptation)
    viewpoint = adaptation.viewpoint if isinstance(adaptation, GlobalPositionAdaptation) else None
    if not isinstance(viewpoint, AlignedViewpoint) or target is None:
        return None
    record = folder / GRAVITY
    if not record.exists():
        found = learn_camera_gravity(source, TargetKeypoints.from_poses(target), viewpoint.gravity, seed)
        write_atomically(record, found.model_dump_json(indent=2) + "\n")
    return known_gravity(folder)


def keep_found_gravity(moved: Sequence[BatchTransform], target: CameraPoses | None, folder: Path) -> None:
    """Write down where the lifter's own answers have found up, once training is over.

    Parameters
    ----------
    moved : the transforms of the training.
    target : the target's poses, for the names of its cameras.
    folder : of the training stage.
    """
    for transform in moved:
        if isinstance(transform, PseudoLabelAlignment) and target is not None:
            found = transform.gravity(tuple(camera.name for camera in target.cameras))
            write_atomically(folder / GRAVITY, found.model_dump_json(indent=2) + "\n")


def known_gravity(folder: Path) -> CameraGravity | None:
    """Read the gravity that a training stage has found; None when it looked for none."""
    record = folder / GRAVITY
    if not record.exists():
        return None
    return CameraGravity.model_validate_json(record.read_text(encoding="utf-8"))


def unlabelled(target: OpenData | None) -> CameraPoses | None:
    """Read the target as an adaptation may see it."""
    return None if target is None else target.unlabelled()
