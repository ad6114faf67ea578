"""Everything that an adaptation brings to a training, asked for once: transforms, learner, gravity, losses.

An adaptation is handed the target without its 3D. Recipes and benchmarks train by what :func:`plan` returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from poseshift.adaptation.config import (
    Adaptation,
    GlobalPositionAdaptation,
    PoseDAAdaptation,
    SelfTrainingAdaptation,
    alignment_of,
)
from poseshift.adaptation.found_viewpoint import joined_with_calibrated, known_gravity_of
from poseshift.adaptation.global_position import GlobalPositionAlignment
from poseshift.adaptation.gravity import CameraGravity, learn_camera_gravity
from poseshift.adaptation.poseda import PoseDA
from poseshift.adaptation.pseudo_labels import PseudoLabelAlignment
from poseshift.adaptation.self_training import SelfTraining
from poseshift.adaptation.target_keypoints import TargetKeypoints
from poseshift.adaptation.tuning import TargetLoss
from poseshift.adaptation.viewpoint import (
    AlignedViewpoint,
    FoundViewpoint,
    NoViewpoint,
    PseudoLabelledViewpoint,
    viewpoint_transforms,
)
from poseshift.augmentation.bodies import DiverseBodies
from poseshift.augmentation.random_augmentation import RandomAugmentation
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.training.batches import BatchTransform, DevicePoses


@dataclass(frozen=True)
class AdaptationPlan:
    """What an adaptation brings to a training.

    Attributes
    ----------
    transforms : tuple of BatchTransform
        Applied to every batch of labelled poses, in this order.
    learner : PoseDA or None
        Learns beside the lifter; comes after the transforms.
    gravity : CameraGravity or None
        Of the target's cameras, when the viewpoints are aligned to it.
    beside : TargetLoss or None
        Losses on target keypoints beside that of the labelled batches.
    """

    transforms: tuple[BatchTransform, ...] = ()
    learner: PoseDA | None = None
    gravity: CameraGravity | None = None
    beside: TargetLoss | None = None

    def gravity_found(self, target: CameraPoses) -> CameraGravity | None:
        """Return the gravity known after training: learned before it, or from the lifter's own answers.

        Parameters
        ----------
        target : CameraPoses
            The target's poses, for the names of its cameras.
        """
        for transform in self.transforms:
            if isinstance(transform, PseudoLabelAlignment):
                return transform.gravity(tuple(camera.name for camera in target.cameras))
        return self.gravity


def plan(
    adaptation: Adaptation,
    source: CameraPoses,
    target: CameraPoses | None,
    *,
    seed: int,
    device: torch.device,
    gravity: CameraGravity | None = None,
    clip_hz: float | None = None,
) -> AdaptationPlan:
    """Build what an adaptation brings to a training.

    Parameters
    ----------
    adaptation : Adaptation
        What to do.
    source : CameraPoses
        Labelled poses.
    target : CameraPoses or None
        The target's poses without their 3D.
    seed : int
        Of what learns: the gravity's network, generator and discriminators.
    device : torch.device
        Where batches lie.
    gravity : CameraGravity or None
        Of the target's cameras, when an earlier call has learned it for the same data and seed.
    clip_hz : float or None
        Frames per second of the clips that are moved; None for those of the target's rows.

    Raises
    ------
    ValueError
        The adaptation needs a target and there is none, or none of its poses can be used.
    """
    aligned = alignment_of(adaptation)
    if aligned is None:
        return AdaptationPlan()
    collected = _Collected(source, target, clip_hz)
    keypoints = collected.for_positions_of(aligned)
    if isinstance(aligned.viewpoint, FoundViewpoint):
        if gravity is None:
            viewpoint = aligned.viewpoint
            gravity = known_gravity_of(_required(target), viewpoint.gravity, pool_rigs=viewpoint.rig)
    elif not isinstance(aligned.viewpoint, AlignedViewpoint):
        gravity = None  # pseudo-labels find it in the training that is being planned
    elif gravity is None:
        single = DevicePoses.from_columns(source, device, frames=1)
        gravity = learn_camera_gravity(single, collected.of_target, aligned.viewpoint.gravity, seed)
    beside = _tuning(aligned, source, target, device)
    if isinstance(adaptation, SelfTrainingAdaptation):
        seen = GlobalPositionAlignment(aligned.options, collected.of_target, device)
        usual = _placed(aligned, keypoints, device, gravity)
        learning = SelfTraining(adaptation.options, seen, usual, _varied(aligned, keypoints))
        return AdaptationPlan((learning,), None, gravity, beside)
    if not isinstance(adaptation, PoseDAAdaptation):
        return AdaptationPlan(_placed(aligned, keypoints, device, gravity), None, gravity, beside)
    learner = PoseDA(adaptation.options, source, keypoints, seed=seed, device=device)
    if isinstance(adaptation.viewpoint, NoViewpoint):  # PoseDA places its batches itself
        return AdaptationPlan(_bodies(aligned, keypoints), learner, None)
    return AdaptationPlan(_placed(aligned, keypoints, device, gravity), learner, gravity)


def alignment_transforms(
    adaptation: Adaptation,
    source: CameraPoses,
    target: CameraPoses,
    device: torch.device,
    gravity: CameraGravity | None = None,
) -> tuple[BatchTransform, ...]:
    """Build the alignment alone, as it is once everything is known: for reports and gaps between domains.

    Parameters
    ----------
    adaptation : Adaptation
        What PoseDA learns beside its alignment is left out.
    source : CameraPoses
        Labelled poses, whose places some alignments use.
    target : CameraPoses
        The target's poses without their 3D.
    device : torch.device
        Where batches lie.
    gravity : CameraGravity or None
        Of the target's cameras, where viewpoints are aligned: see :meth:`AdaptationPlan.gravity_found`.
    """
    aligned = alignment_of(adaptation)
    if aligned is None:
        return ()
    return _placed(aligned, _Collected(source, target).for_positions_of(aligned), device, gravity)


def needs_learned_gravity(adaptation: Adaptation) -> bool:
    """Whether :func:`plan` finds the gravity of the target's cameras."""
    aligned = alignment_of(adaptation)
    return aligned is not None and isinstance(aligned.viewpoint, AlignedViewpoint | FoundViewpoint)


def finds_gravity_in_training(adaptation: Adaptation) -> bool:
    """Whether viewpoints are known only once a lifter has been trained."""
    aligned = alignment_of(adaptation)
    return aligned is not None and isinstance(aligned.viewpoint, PseudoLabelledViewpoint)


def learns_beside_lifter(adaptation: Adaptation) -> bool:
    """Whether something learns from the batches of a training, which must then be one process."""
    aligned = alignment_of(adaptation)
    tuned = aligned is not None and aligned.tuning is not None
    learning = isinstance(adaptation, PoseDAAdaptation | SelfTrainingAdaptation)
    return learning or tuned or finds_gravity_in_training(adaptation)


@dataclass(frozen=True)
class _Collected:
    """Keypoints of source and target, whose lenses are removed when they are first asked for, and once.

    Attributes
    ----------
    source : CameraPoses
        Labelled poses.
    target : CameraPoses or None
        The target's poses without their 3D.
    clip_hz : float or None
        Frames per second of the clips that are moved; None for those of the rows.
    """

    source: CameraPoses
    target: CameraPoses | None
    clip_hz: float | None = None

    @cached_property
    def of_source(self) -> TargetKeypoints:
        return TargetKeypoints.from_poses(self.source, self.clip_hz)

    @cached_property
    def of_target(self) -> TargetKeypoints:
        return TargetKeypoints.from_poses(_required(self.target), self.clip_hz)

    def for_positions_of(self, aligned: GlobalPositionAdaptation) -> TargetKeypoints:
        """Choose the keypoints that an alignment places poses by."""
        if aligned.positions == "target":
            return self.of_target
        return self.of_source if aligned.positions == "source" else self.of_target.joined(self.of_source)


def _required(target: CameraPoses | None) -> CameraPoses:
    if target is None:
        raise ValueError("the adaptation needs a target; add `target:` to the recipe")
    return target


def _tuning(
    aligned: GlobalPositionAdaptation, source: CameraPoses, target: CameraPoses | None, device: torch.device
) -> TargetLoss | None:
    """Build the losses on the target's keypoints."""
    if aligned.tuning is None:
        return None
    return TargetLoss(aligned.tuning, source, _required(target), device)


def _bodies(aligned: GlobalPositionAdaptation, keypoints: TargetKeypoints) -> tuple[BatchTransform, ...]:
    if aligned.bodies is None:
        return ()
    return (DiverseBodies(aligned.bodies, skeleton(keypoints.skeleton)),)


def _varied(aligned: GlobalPositionAdaptation, keypoints: TargetKeypoints) -> tuple[BatchTransform, ...]:
    """Vary poses without turning or placing them."""
    bodies = _bodies(aligned, keypoints)
    if aligned.augmentation is None:
        return bodies
    changes = aligned.augmentation.model_copy(update={"rotation": "none"})
    return (*bodies, RandomAugmentation(changes, skeleton(keypoints.skeleton)))


def _placed(
    aligned: GlobalPositionAdaptation,
    keypoints: TargetKeypoints,
    device: torch.device,
    gravity: CameraGravity | None,
) -> tuple[BatchTransform, ...]:
    position = GlobalPositionAlignment(aligned.options, keypoints, device)
    if gravity is not None:  # poses may be placed before the source's cameras, too, which come last
        known = len(gravity.cameras)
        gravity = joined_with_calibrated(gravity, keypoints.cameras[known:], keypoints.known_ups[known:])
    placed = viewpoint_transforms(aligned.viewpoint, position, gravity)
    if aligned.augmentation is not None:
        placed = (RandomAugmentation(aligned.augmentation, skeleton(keypoints.skeleton)), *placed)
    return (*_bodies(aligned, keypoints), *placed)
