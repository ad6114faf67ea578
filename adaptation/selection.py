"""Choosing a checkpoint without labels: what a lifter's answers to target keypoints say about themselves.

An answer can be checked against the keypoints that it came from (closed-form root, re-projection), against
bodies (symmetry, lengths known from the source), and against the lifter's other answers (to the mirror image,
to the view of a turned camera). No criterion sees target 3D. How well they rank checkpoints is for an
evaluation with labels to say; :func:`rank_correlation` is what it needs. A lifter that is wrong consistently
passes all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from poseshift.geometry.alignment import root_from_keypoints
from poseshift.geometry.arrays import norm
from poseshift.geometry.bones import BoneStatistics, bone_lengths
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.projection import normalise, project, rays_of
from poseshift.geometry.rotation import axis_angle_to_matrix, rotate, rotate_back
from poseshift.geometry.skeleton import Skeleton
from poseshift.geometry.skeleton import skeleton as skeleton_named
from poseshift.storage.model import FrozenModel
from poseshift.storage.registry import Registry
from poseshift.training.batches import DevicePoses
from poseshift.training.encoding import Encoding
from poseshift.training.flip import lift, mirror_intrinsics, mirror_keypoints, mirror_positions
from poseshift.training.lifters.lifter import Lifter

_CHUNK = 1024
"""Clips lifted at a time."""


class SelectionConfig(FrozenModel):
    """How criteria are measured."""

    clips: int = Field(default=2000, ge=1, description="Target clips measured, the same ones at every epoch.")
    turn_degrees: float = Field(
        default=10.0, gt=0, description="Deviation of the camera's random turn about each of its axes."
    )
    seed: int = Field(default=0, description="Of the choice of clips and of the turns.")


class Criteria(FrozenModel):
    """Label-free criteria of one lifter on target keypoints; the smaller, the better."""

    reprojection: float = Field(
        description="Mean distance of re-projected from given rays, over the person's size in the view."
    )
    symmetry: float = Field(description="Mean relative difference of left and right bone lengths.")
    bone_lengths: float = Field(
        description="Mean relative difference of bone lengths from the source's mean."
    )
    flip_mm: float = Field(description="Mean distance of the answer from the mirrored answer, millimetres.")
    turn_mm: float = Field(
        description="Mean distance of the answer from that to the view of a turned camera, turned back, mm."
    )
    further: dict[str, float] = Field(default_factory=dict, description="Criteria that were added, by name.")

    @property
    def values(self) -> dict[str, float]:
        """Every criterion by name."""
        return {**self.model_dump(exclude={"further"}), **self.further}


@dataclass(frozen=True)
class Answers:
    """A lifter's answers to some target keypoints, as a criterion may look at them; n clips.

    Attributes
    ----------
    answer : Tensor of shape (n, frames, joints, 3)
        Root-relative metres, camera axes.
    mirrored, turned : Tensor of shape (n, frames, joints, 3)
        Answers to the mirrored view, and to that of a turned camera, turned back.
    rays : Tensor of shape (n, frames, joints, 2)
        What was seen, undistorted.
    source_bones : BoneStatistics
        Bone lengths of the source.
    skeleton : Skeleton
        The joint set.
    """

    answer: Tensor
    mirrored: Tensor
    turned: Tensor
    rays: Tensor
    source_bones: BoneStatistics
    skeleton: Skeleton


Criterion = Callable[[Answers], float]
"""One number for some answers, the smaller the better; means over parts of the target are taken of it."""

CRITERIA = Registry[Criterion]("criterion")
"""Every criterion by name; those beside the fields of :class:`Criteria` are in its ``further``."""


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's correlation of each criterion, and of all combined, with true errors over checkpoints.

    Attributes
    ----------
    criteria : tuple[tuple[str, float], ...]
        One per criterion, NaN for one that does not vary.
    combined : float
        Of :func:`combined_rank`.
    checkpoints : int
        Number of them.
    """

    criteria: tuple[tuple[str, float], ...]
    combined: float
    checkpoints: int


@torch.no_grad()
def measure(
    lifter: Lifter,
    encoding: Encoding,
    target: DevicePoses,
    source_bones: BoneStatistics,
    config: SelectionConfig,
) -> Criteria:
    """Measure a lifter on target keypoints; its mode is left as it was.

    Parameters
    ----------
    lifter, encoding : Lifter or Encoding
        Made for each other.
    target : DevicePoses
        Only keypoints and intrinsics are read; its 3D may be NaN.
    source_bones : BoneStatistics
        Bone lengths of the source, metres.
    config : SelectionConfig
        How many clips, how far turned.

    Raises
    ------
    ValueError
        When no chosen clip has all its keypoints.
    """
    was_training = lifter.training
    lifter.eval()
    try:
        parts = list(_measured_chunks(lifter, encoding, target, source_bones, config))
    finally:
        lifter.train(was_training)
    sizes = np.array([size for _, size in parts], dtype=np.float64)
    if sizes.sum() == 0:
        raise ValueError("no clip of the target has all its keypoints; select other frames or a detector")
    table = np.array([values for values, size in parts if size])
    means = (table * sizes[sizes > 0, None]).sum(axis=0) / sizes.sum()
    found = dict(zip(CRITERIA, map(float, means), strict=True))
    own = {name: found.pop(name) for name in Criteria.model_fields if name in found}
    return Criteria(**own, further=found)


def _measured_chunks(
    lifter: Lifter,
    encoding: Encoding,
    target: DevicePoses,
    source_bones: BoneStatistics,
    config: SelectionConfig,
) -> Iterator[tuple[tuple[float, ...], int]]:
    """Measure some clips at a time: values in the order of :data:`CRITERIA`, and the number of clips."""
    joint_set = skeleton_named(lifter.skeleton)
    draw = torch.Generator().manual_seed(config.seed)  # on the CPU: the same clips on every device
    rows = torch.randperm(len(target), generator=draw)[: config.clips]
    angles = math.radians(config.turn_degrees) * torch.randn(len(rows), 3, generator=draw)
    for chosen, turn in zip(torch.split(rows, _CHUNK), torch.split(angles, _CHUNK), strict=True):
        batch = target.batch(chosen.to(target.device))
        whole = batch.keypoints_px.isfinite().flatten(1).all(dim=1)
        keypoints, intrinsics = batch.keypoints_px[whole], batch.intrinsics[whole]
        if len(keypoints) == 0:
            yield (), 0
            continue
        answer = lift(lifter, encoding, keypoints, intrinsics)
        rays = _answered(normalise(keypoints, intrinsics), lifter)
        mirrored = lift(
            lifter,
            encoding,
            mirror_keypoints(keypoints, intrinsics, joint_set),
            mirror_intrinsics(intrinsics),
        )
        turned = lift_turned(
            lifter, encoding, keypoints, intrinsics, axis_angle_to_matrix(turn.to(keypoints)[whole])
        )
        found = Answers(
            answer=answer,
            mirrored=mirror_positions(mirrored, joint_set),
            turned=turned,
            rays=rays,
            source_bones=source_bones,
            skeleton=joint_set,
        )
        yield tuple(criterion(found) for criterion in CRITERIA.values()), len(keypoints)


def reprojection_error(relative: Tensor, rays: Tensor) -> Tensor:
    """Distance of re-projected from given rays, over the person's size.

    The root is the closed-form one. A pose that contradicts its rays so far that joints come to lie behind
    the camera counts as an error of one size, and so does anything worse.

    Parameters
    ----------
    relative : Tensor of shape (..., joints, 3)
        Metres, camera axes.
    rays : Tensor of shape (..., joints, 2)

    Returns
    -------
    (...), mean over joints, between 0 and 1; the size is the larger side of the rays' bounding box.
    """
    root = root_from_keypoints(relative, rays, torch.ones_like(rays[..., 0]))
    absolute = relative + root[..., None, :]
    size = (rays.amax(dim=-2) - rays.amin(dim=-2)).amax(dim=-1)
    error = norm(rays_of(absolute) - rays).mean(dim=-1) / size
    in_front = absolute[..., 2].amin(dim=-1) > 0
    capped: Tensor = torch.where(in_front, error, torch.ones_like(error)).clamp(max=1.0)
    return capped


def asymmetry(poses: Tensor, joint_set: Skeleton) -> Tensor:
    """Mean of ``|l - r| / ((l + r) / 2)`` over the paired bones of (..., joints, 3) poses, (...)."""
    lengths: Tensor = bone_lengths(poses, joint_set)
    bone_of = {child: bone for bone, (_, child) in enumerate(joint_set.bones)}
    left = lengths[..., [bone_of[joint] for joint in joint_set.left]]
    right = lengths[..., [bone_of[joint] for joint in joint_set.right]]
    mean = ((left + right) / 2).clamp(min=1e-6)  # an untrained lifter may answer with a point
    return ((left - right).abs() / mean).mean(dim=-1)


def length_error(poses: Tensor, source_bones: BoneStatistics) -> Tensor:
    """Mean over bones of ``|l - l_source| / l_source`` of (..., joints, 3) poses, (...)."""
    lengths: Tensor = bone_lengths(poses, source_bones.skeleton)
    expected = torch.as_tensor(source_bones.mean, dtype=lengths.dtype, device=lengths.device)
    return ((lengths - expected).abs() / expected).mean(dim=-1)


def lift_turned(
    lifter: Lifter, encoding: Encoding, keypoints_px: Tensor, intrinsics: Intrinsics, rotation: Tensor
) -> Tensor:
    """Lift what a camera turned about its own centre would see, and turn the answer back.

    Turning a camera changes what is seen in a way that needs no depth: the rays turn. A perfect lifter's
    answer, turned back, is the one that it gives without.

    Parameters
    ----------
    lifter, encoding, keypoints_px, intrinsics : Lifter or Encoding or Tensor or Intrinsics
        As for :func:`poseshift.training.flip.lift`.
    rotation : Tensor of shape (batch, 3, 3)
        From the camera's axes to the turned camera's.
    """
    rays = normalise(keypoints_px, intrinsics)
    points = rotate(torch.cat([rays, torch.ones_like(rays[..., :1])], dim=-1), rotation)
    turned: Tensor = rotate_back(lift(lifter, encoding, project(points, intrinsics), intrinsics), rotation)
    return turned


def combined_rank(criteria: Sequence[Criteria]) -> NDArray[np.float64]:
    """Mean over the criteria of each checkpoint's rank, from 1 for the best; ties share their mean rank.

    Ranks need no weights between millimetres and ratios.

    Returns
    -------
    array (checkpoints,).
    """
    from scipy.stats import rankdata  # scipy.stats takes a second to import

    ranks: NDArray[np.float64] = rankdata(_table(criteria), axis=0).mean(axis=1)
    return ranks


def choose(criteria: Sequence[Criteria]) -> int:
    """Index of the checkpoint with the best combined rank; the latest of equals.

    Raises
    ------
    ValueError
        When there is none to choose from.
    """
    if not criteria:
        raise ValueError("no checkpoint to choose from; record criteria while training")
    ranks = combined_rank(criteria)
    return int(np.flatnonzero(ranks == ranks.min())[-1])


def rank_correlation(criteria: Sequence[Criteria], true_error: Sequence[float]) -> RankCorrelation:
    """Correlate criteria with errors that only an evaluation with labels knows.

    Raises
    ------
    ValueError
        When the numbers of checkpoints differ or there are fewer than three.
    """
    if len(criteria) != len(true_error) or len(criteria) < 3:
        raise ValueError(
            f"{len(criteria)} checkpoints with criteria and {len(true_error)} with errors: a rank "
            "correlation needs the same three or more"
        )
    table = _table(criteria)
    return RankCorrelation(
        criteria=tuple(
            (name, _spearman(column, true_error))
            for name, column in zip(criteria[0].values, table.T, strict=True)
        ),
        combined=_spearman(combined_rank(criteria), true_error),
        checkpoints=len(criteria),
    )


def _spearman(values: NDArray[np.float64], true_error: Sequence[float]) -> float:
    if np.ptp(values) == 0 or np.ptp(np.asarray(true_error)) == 0:
        return math.nan
    from scipy.stats import spearmanr  # scipy.stats takes a second to import

    return float(spearmanr(values, true_error).statistic)


def _table(criteria: Sequence[Criteria]) -> NDArray[np.float64]:
    """(checkpoints, criteria)."""
    return np.array([list(one.values.values()) for one in criteria], dtype=np.float64)


def _answered(clips: Tensor, lifter: Lifter) -> Tensor:
    """Cut (batch, frames, ...) to the frames that the lifter answers for."""
    if lifter.output == "all":
        return clips
    middle = lifter.frames // 2
    return clips[:, middle : middle + 1]


CRITERIA.add("reprojection", lambda found: float(reprojection_error(found.answer, found.rays).mean()))
CRITERIA.add("symmetry", lambda found: float(asymmetry(found.answer, found.skeleton).mean()))
CRITERIA.add("bone_lengths", lambda found: float(length_error(found.answer, found.source_bones).mean()))
CRITERIA.add("flip_mm", lambda found: 1000 * float(norm(found.answer - found.mirrored).mean()))
CRITERIA.add("turn_mm", lambda found: 1000 * float(norm(found.answer - found.turned).mean()))
