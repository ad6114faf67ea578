"""What the report shows beside the figures: placements before and after alignment, predictions, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from poseshift.adaptation.domain_gap import screen_figures
from poseshift.adaptation.gravity import CameraGravity
from poseshift.adaptation.plan import alignment_transforms
from poseshift.flows.experiment.data import open_poses, open_store
from poseshift.flows.experiment.fitting import known_gravity
from poseshift.flows.experiment.folder import RunFolder, Trained
from poseshift.flows.experiment.predictions import read_predictions
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.experiment.train import CurvePoint
from poseshift.geometry.alignment import root_relative
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.schema import Float32, PositionsKind
from poseshift.training.batches import Batch, BatchTransform, DevicePoses
from poseshift.training.evaluation.metrics import mpjpe_mm
from poseshift.training.evaluation.protocols import protocol
from poseshift.training.lifters.registry import skeleton_of

FloatArray = NDArray[np.floating[Any]]

PLACEMENT_SAMPLES = 4000
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class RootsAndScales:
    """Where persons appear in the image and how large, in screen-normalised units (image width 2).

    Attributes
    ----------
    root_x, root_y : array of shape (n,)
        The projected root.
    scale : array of shape (n,)
        Mean of width and height of the 2D pose.
    """

    root_x: FloatArray
    root_y: FloatArray
    scale: FloatArray


@dataclass(frozen=True)
class Placement:
    """Placements of the source before and after adaptation, and of the target.

    Attributes
    ----------
    before, after, target : RootsAndScales
        Placements of samples.
    distance_before, distance_after : Mapping[str, float]
        1-Wasserstein distance to the target, by name of the quantity.
    gravity : CameraGravity or None
        Where up is before the target's cameras, as the alignment has found it; None where it asks not.
    """

    before: RootsAndScales
    after: RootsAndScales
    target: RootsAndScales
    distance_before: Mapping[str, float]
    distance_after: Mapping[str, float]
    gravity: CameraGravity | None = None


@dataclass(frozen=True)
class SamplePose:
    """One test frame with what each method's lifter makes of it.

    Attributes
    ----------
    label : str
        Sequence and frame.
    truth : array of shape (joints, 3)
        Root-relative metres, camera axes.
    predicted : Mapping[str, FloatArray]
        The same by name of the method.
    errors_mm : Mapping[str, float]
        MPJPE of this frame by name of the method.
    """

    label: str
    truth: FloatArray
    predicted: Mapping[str, FloatArray]
    errors_mm: Mapping[str, float]


@dataclass(frozen=True)
class Evidence:
    """Everything that the report draws.

    Attributes
    ----------
    skeleton : str
        Joint set of the sample poses.
    placement : Placement or None
        None without adaptation.
    poses : tuple[SamplePose, ...]
        Sample test frames.
    curves : Mapping[str, tuple[tuple[CurvePoint, ...], ...]]
        Learning curves by name of the method, one per seed.
    trained_on : Mapping[str, int]
        Number of labelled poses by name of the method.
    learned : Mapping[str, tuple[PositionsKind, ...]]
        Kinds of 3D among them by name of the method; none where the record does not say.
    """

    skeleton: str
    placement: Placement | None
    poses: tuple[SamplePose, ...]
    curves: Mapping[str, tuple[tuple[CurvePoint, ...], ...]]
    trained_on: Mapping[str, int]
    learned: Mapping[str, tuple[PositionsKind, ...]]


def gather(recipe: Recipe, trained: Sequence[Trained]) -> Evidence:
    """Collect what the report draws beside the figures, from what training and evaluation left behind.

    Parameters
    ----------
    recipe : Recipe
        The experiment.
    trained : sequence of Trained
        What became of its lifters.
    """
    folder, headline = RunFolder(recipe.run_dir), recipe.required_test.protocols[0]
    store = open_store(recipe.required_test.data)
    joints = skeleton_of(recipe.network)
    test = protocol(headline).read(store, recipe.required_test.data.keypoints).on_skeleton(joints)
    return Evidence(
        skeleton=joints,
        placement=placement_of(recipe, folder),
        poses=sample_poses(
            {
                method: read_predictions(
                    folder.evaluation(method, recipe.seeds[0]), headline
                ).positions_camera
                for method in recipe.methods
            },
            test,
        ),
        curves={
            method: tuple(one.training.curve for one in trained if one.method == method)
            for method in recipe.methods
        },
        trained_on={one.method: one.training.poses for one in trained},
        learned={one.method: one.training.positions for one in trained},
    )


def placement_of(recipe: Recipe, folder: RunFolder) -> Placement | None:
    """Compare placements before and after the alignment of the recipe's own method; None if it aligns not."""
    method = recipe.entry(recipe.method.name)
    if recipe.target is None or method.role != "adapted":
        return None
    joints = skeleton_of(recipe.network)
    target = open_poses(recipe.target).unlabelled().on_skeleton(joints)
    source = open_poses(recipe.source).labelled().on_skeleton(joints)
    gravity = known_gravity(folder.gravity(method.name, recipe.seeds[0]))
    alignment = alignment_transforms(method.adaptation, source, target, torch.device("cpu"), gravity)
    return replace(placement(source, target, alignment, seed=recipe.seeds[0]), gravity=gravity)


def placement(
    source: CameraPoses, target: CameraPoses, alignment: Sequence[BatchTransform], *, seed: int
) -> Placement:
    """Where persons appear in the source's images, before and after alignment, and in the target's.

    Parameters
    ----------
    source : CameraPoses
        Labelled poses.
    target : CameraPoses
        The target; only its 2D keypoints are looked at.
    alignment : sequence of BatchTransform
        The transforms of the adaptation, for batches on the CPU.
    seed : int
        Of the sample of poses and of the alignment's draws.
    """
    device = torch.device("cpu")
    generator = torch.Generator(device).manual_seed(seed)
    batch = _sample(source, device, generator)
    aligned = batch
    for transform in alignment:
        aligned = transform(aligned, generator)
    before, after, wanted = (
        _roots_and_scales(one, skeleton(source.skeleton).root)
        for one in (batch, aligned, _sample(target, device, generator))
    )
    return Placement(
        before=before,
        after=after,
        target=wanted,
        distance_before=_distances(before, wanted),
        distance_after=_distances(after, wanted),
    )


def sample_poses(predicted: Mapping[str, Float32], test: CameraPoses) -> tuple[SamplePose, ...]:
    """Test frames at the quartiles of the first lifter's error, so that none is chosen by hand.

    Parameters
    ----------
    predicted : mapping
        By name of the method, one lifter's predictions (n, joints, 3); the first one ranks the frames.
    test : CameraPoses
        The n test frames.
    """
    truth = root_relative(test.positions_camera, skeleton(test.skeleton).root)
    errors = {method: mpjpe_mm(poses, truth) for method, poses in predicted.items()}
    order = np.argsort(next(iter(errors.values())))
    rows = [int(order[round(share * (len(order) - 1))]) for share in QUARTILES]
    return tuple(
        SamplePose(
            label=f"{test.trials[test.trial[row]].key.trial}, frame {test.frame[row]}",
            truth=np.asarray(truth[row]),
            predicted={method: poses[row] for method, poses in predicted.items()},
            errors_mm={method: float(error[row]) for method, error in errors.items()},
        )
        for row in rows
    )


def _sample(poses: CameraPoses, device: torch.device, generator: torch.Generator) -> Batch:
    columns = DevicePoses.from_columns(poses.without_gaps(), device, frames=1)
    rows = torch.randint(len(columns), (min(PLACEMENT_SAMPLES, len(columns)),), generator=generator)
    return columns.batch(rows)


def _roots_and_scales(batch: Batch, root: int) -> RootsAndScales:
    roots, scale, _ = screen_figures(batch, root)
    return RootsAndScales(root_x=roots[:, 0], root_y=roots[:, 1], scale=scale)


def _distances(found: RootsAndScales, wanted: RootsAndScales) -> dict[str, float]:
    from scipy.stats import wasserstein_distance  # scipy.stats takes a second to import

    return {
        name: float(wasserstein_distance(getattr(found, name), getattr(wanted, name)))
        for name in ("root_x", "root_y", "scale")
    }
