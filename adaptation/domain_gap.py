"""What differs between a source and a target, before and after each step of an adaptation.

Two kinds of figures are kept apart by type. Keypoint figures (where people are seen, how large, in which
poses) need no labels of the target and may guide an adaptation. Labelled figures (depth, pitch, bone lengths)
look at the target's 3D and are for reports alone. All are frozen models with histograms ready to plot; the
distance between the domains is that of :mod:`poseshift.adaptation.two_sample`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from poseshift.adaptation.orientation import angles_from_up
from poseshift.adaptation.two_sample import TwoSample, two_sample
from poseshift.augmentation.clips import middle
from poseshift.geometry.bones import bone_lengths
from poseshift.geometry.perspective import perspective_rotation
from poseshift.geometry.projection import to_screen
from poseshift.geometry.rotation import rotate
from poseshift.geometry.skeleton import Skeleton, skeleton
from poseshift.storage.model import FrozenModel
from poseshift.training.batches import Batch, BatchTransform, DevicePoses

Values = NDArray[np.float64]


class Figures(FrozenModel):
    """Base of all figures: immutable, no unknown fields."""


class GapConfig(Figures):
    """How much is looked at."""

    poses: int = Field(default=4000, ge=10, description="Poses drawn from each domain, without repetition.")
    bins: int = Field(default=40, ge=1, description="Bins of a histogram.")
    seed: int = Field(default=0, description="Of the draws, the transforms and the classifiers.")


class Distribution(Figures):
    """One quantity in one domain."""

    mean: float = Field(description="Mean, in the quantity's unit.")
    deviation: float = Field(description="Standard deviation (population).")
    counts: tuple[int, ...] = Field(description="Poses per bin; those outside of the bins are left out.")


class Compared(Figures):
    """One quantity in both domains, on common bins."""

    quantity: str = Field(description="What is compared.")
    unit: str = Field(description="Its unit.")
    edges: tuple[float, ...] = Field(description="Edges of the bins, one more than bins.")
    source: Distribution
    target: Distribution


class KeypointGap(Figures):
    """What keypoints alone show, without any label of the target."""

    root_x: Compared = Field(description="Root in the image, x, in half image widths from the middle.")
    root_y: Compared = Field(description="Root in the image, y, in half image widths from the middle.")
    scale: Compared = Field(description="Mean of width and height of the person, in half image widths.")
    position_distance: TwoSample = Field(description="Between roots and scales.")
    shape_distance: TwoSample = Field(description="Between keypoints relative to the root, divided by scale.")


class LabelledGap(Figures):
    """What only labels of the target show; never an input of an adaptation."""

    depth: Compared = Field(description="Depth of the root, metres.")
    pitch: Compared = Field(description="How far the line of sight to the root looks down, degrees.")
    bones: tuple[Compared, ...] = Field(description="Length of each bone, millimetres.")
    pose_distance: TwoSample = Field(
        description="Between root-relative 3D poses, turned to the line of sight."
    )


class KeypointStage(Figures):
    """Keypoint figures after the steps up to this one."""

    step: str = Field(description="Name of the last step taken; 'source' before the first.")
    gap: KeypointGap


class LabelledStage(Figures):
    """Labelled figures after the steps up to this one."""

    step: str = Field(description="Name of the last step taken; 'source' before the first.")
    gap: LabelledGap


@dataclass(frozen=True)
class Step:
    """One named step of an adaptation."""

    name: str
    transform: BatchTransform


@dataclass(frozen=True)
class _Sample:
    """Poses drawn from a domain, and the sequence that each belongs to."""

    batch: Batch
    groups: NDArray[np.int64]


def keypoint_gap(
    source: DevicePoses, target: DevicePoses, steps: Sequence[Step], config: GapConfig
) -> tuple[KeypointStage, ...]:
    """Compare the domains by keypoints, before the first step and after each.

    Parameters
    ----------
    source : DevicePoses
        Labelled poses; the steps are taken one after the other.
    target : DevicePoses
        Only keypoints and intrinsics are read, so its 3D may be NaN.
    steps : sequence of Step
        Steps of the adaptation, in their order.
    config : GapConfig
        How much is looked at.
    """
    joint_set = skeleton(source.skeleton)
    seen = _draw(target, config)
    return tuple(
        KeypointStage(step=name, gap=_keypoint_gap(sample, seen, joint_set, config))
        for name, sample in _stages(source, steps, config)
    )


def labelled_gap(
    source: DevicePoses, labelled_target: DevicePoses, steps: Sequence[Step], config: GapConfig
) -> tuple[LabelledStage, ...]:
    """Compare the domains by their 3D, before the first step and after each: for reports alone.

    Parameters
    ----------
    source : DevicePoses
        Labelled poses; the steps are taken one after the other.
    labelled_target : DevicePoses
        Poses of calibrated cameras with their 3D.
    steps : sequence of Step
        Steps of the adaptation, in their order.
    config : GapConfig
        How much is looked at.

    Raises
    ------
    ValueError
        When the target has no 3D, or it is not known where up is in a domain.
    """
    joint_set = skeleton(source.skeleton)
    known = _draw(labelled_target, config)
    if not bool(known.batch.positions_camera.isfinite().all()):
        raise ValueError("the target's 3D is missing (NaN); labelled figures need labels, use keypoint_gap")
    return tuple(
        LabelledStage(step=name, gap=_labelled_gap(sample, known, joint_set, config))
        for name, sample in _stages(source, steps, config)
    )


def _stages(source: DevicePoses, steps: Sequence[Step], config: GapConfig) -> Iterator[tuple[str, _Sample]]:
    sample = _draw(source, config)
    yield "source", sample
    generator = torch.Generator(source.device).manual_seed(config.seed)
    for step in steps:
        sample = _Sample(step.transform(sample.batch, generator), sample.groups)
        yield step.name, sample


def _draw(poses: DevicePoses, config: GapConfig) -> _Sample:
    """Draw clips with all their keypoints; a run of consecutive frames is a group."""
    whole = poses.keypoints_px.isfinite().flatten(1).all(dim=1).cpu()
    rows = torch.nonzero(whole)[:, 0]
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(config.seed))
    rows = rows[order[: config.poses]].to(poses.device)
    _, groups = torch.unique(poses.run_first[rows], return_inverse=True)
    return _Sample(poses.batch(rows), groups.cpu().numpy())


def _keypoint_gap(source: _Sample, target: _Sample, joint_set: Skeleton, config: GapConfig) -> KeypointGap:
    (root_s, scale_s, shape_s), (root_t, scale_t, shape_t) = (
        screen_figures(sample.batch, joint_set.root) for sample in (source, target)
    )
    unit = "half image widths"
    return KeypointGap(
        root_x=_compare("root x", unit, root_s[:, 0], root_t[:, 0], config.bins),
        root_y=_compare("root y", unit, root_s[:, 1], root_t[:, 1], config.bins),
        scale=_compare("2D scale", unit, scale_s, scale_t, config.bins),
        position_distance=two_sample(
            np.column_stack([root_s, scale_s]),
            np.column_stack([root_t, scale_t]),
            source.groups,
            target.groups,
            config.seed,
        ),
        shape_distance=two_sample(shape_s, shape_t, source.groups, target.groups, config.seed),
    )


def _labelled_gap(source: _Sample, target: _Sample, joint_set: Skeleton, config: GapConfig) -> LabelledGap:
    root = joint_set.root
    depth_s, depth_t = (_array(middle(s.batch.positions_camera)[:, root, 2]) for s in (source, target))
    pitch_s, pitch_t = (np.degrees(line_of_sight_pitch(s.batch, root)) for s in (source, target))
    bones_s, bones_t = (
        1000 * _array(bone_lengths(middle(s.batch.positions_camera), joint_set)) for s in (source, target)
    )
    names = [f"{joint_set.joint_names[a]} to {joint_set.joint_names[b]}" for a, b in joint_set.bones]
    return LabelledGap(
        depth=_compare("depth", "m", depth_s, depth_t, config.bins),
        pitch=_compare("pitch", "degrees", pitch_s, pitch_t, config.bins),
        bones=tuple(
            _compare(name, "mm", bones_s[:, bone], bones_t[:, bone], config.bins)
            for bone, name in enumerate(names)
        ),
        pose_distance=two_sample(
            _turned_poses(source.batch, root),
            _turned_poses(target.batch, root),
            source.groups,
            target.groups,
            config.seed,
        ),
    )


def line_of_sight_pitch(batch: Batch, root: int) -> Values:
    """Pitch of the line from the camera to the root, radians, (batch,); down is positive.

    Raises
    ------
    ValueError
        When it is not known where up is in the batch.
    """
    if batch.up_camera is None:
        raise ValueError(
            "the batch does not say where up is (up_camera is None), since a camera of its poses has no "
            "extrinsics, so there is no pitch; take poses of cameras with extrinsics, prepared from the data "
            "set's release, or look at keypoint figures alone"
        )
    rotation = _sight_rotation(batch, root)
    pitch, _ = angles_from_up(rotate(batch.up_camera, rotation))
    return _array(pitch)


def screen_figures(batch: Batch, root: int) -> tuple[Values, Values, Values]:
    """Where people are seen and how large, in units of half the image's width, by the middle frame.

    Parameters
    ----------
    batch : Batch
        n clips.
    root : int
        Index of the root joint.

    Returns
    -------
    tuple of arrays
        Roots (n, 2), scales (n,) as the mean of width and height, and keypoints relative to the root over the
        scale (n, joints * 2).
    """
    keypoints = _array(middle(to_screen(batch.keypoints_px, batch.intrinsics.size_px)))
    scale = (keypoints.max(axis=1) - keypoints.min(axis=1)).mean(axis=-1)
    shape = (keypoints - keypoints[:, root : root + 1]) / scale[:, None, None]
    return keypoints[:, root], scale, shape.reshape(len(shape), -1)


def _turned_poses(batch: Batch, root: int) -> Values:
    """Root-relative poses in the axes of a camera that looks at the root, (n, joints * 3)."""
    pose = middle(batch.positions_camera)
    turned = rotate(pose - pose[:, root : root + 1], _sight_rotation(batch, root))
    return _array(turned.flatten(1))


def _sight_rotation(batch: Batch, root: int) -> Tensor:
    position = middle(batch.positions_camera)[:, root]
    rotation: Tensor = perspective_rotation(position[:, :2] / position[:, 2:3])
    return rotation


def _array(values: Tensor) -> Values:
    return values.detach().double().cpu().numpy()


def _compare(quantity: str, unit: str, source: Values, target: Values, bins: int) -> Compared:
    """Histogram both domains on bins that span all but the outermost half percent of either."""
    limits = np.concatenate([np.quantile(values, [0.005, 0.995]) for values in (source, target)])
    edges = np.histogram_bin_edges(limits, bins)
    return Compared(
        quantity=quantity,
        unit=unit,
        edges=tuple(map(float, edges)),
        source=_distribution(source, edges),
        target=_distribution(target, edges),
    )


def _distribution(values: Values, edges: Values) -> Distribution:
    counts, _ = np.histogram(values, edges)
    return Distribution(
        mean=float(values.mean()), deviation=float(values.std()), counts=tuple(map(int, counts))
    )
