"""Losses on a lifter's answers to target keypoints that need no labels: rays, bones, motion, other views.

Every loss is a ratio without a unit (of the person's size in the image, or of its mean bone length), so that
none of them grows or falls with the size of the answers alone. Errors are measured by Huber's function, which
is linear beyond a threshold: a joint that a detector lost must not outweigh a person. Means are over joints
that were seen; a joint that was not may have any keypoint, NaN too, and gets no gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor

from poseshift.geometry.arrays import norm
from poseshift.geometry.bones import bone_lengths
from poseshift.geometry.constants import indices
from poseshift.geometry.projection import rays_of
from poseshift.geometry.rays import FEWEST_JOINTS, absolute_on_rays
from poseshift.geometry.skeleton import Skeleton

_SMALLEST_M = 1e-3
"""Mean bone lengths count as no smaller: an untrained lifter may answer with a point."""


def huber(error: Tensor, threshold: float) -> Tensor:
    """Huber's function over the threshold: ``e^2 / 2 t`` up to t, ``e - t / 2`` beyond; e is not negative."""
    inside = error.clamp(max=threshold)
    return inside.square() / (2 * threshold) + (error - inside)


def reprojection(relative: Tensor, rays: Tensor, seen: Tensor, threshold: float) -> Tensor:
    """Distance of re-projected from given rays, over the person's size in the image.

    The root is the closed-form one; a pose that contradicts its rays so far that it would stand behind the
    camera stands before it, as near as it may.

    Parameters
    ----------
    relative : Tensor
        (..., joints, 3), metres, relative to the root, camera axes.
    rays : Tensor
        (..., joints, 2), undistorted ray coordinates.
    seen : Tensor
        (..., joints) bool.
    threshold : float
        Where an error begins to count linearly.

    Returns
    -------
    Tensor
        Scalar; the size is the larger side of the bounding box of the rays that were seen.
    """
    placeable = (seen.sum(dim=-1) >= FEWEST_JOINTS)[..., None]
    counted = seen & placeable
    known = torch.where(seen[..., None], rays, torch.zeros_like(rays))
    # Poses that cannot be placed are placed by any rays, and then not counted: no NaN, no gradient.
    weights = torch.where(placeable, seen, torch.ones_like(seen)).to(relative.dtype)
    apart = torch.arange(rays.shape[-2], device=rays.device, dtype=rays.dtype)[:, None].expand(-1, 2)
    known = torch.where(placeable[..., None], known, apart)
    absolute: Tensor = absolute_on_rays(relative, known, weights)
    low = torch.where(counted[..., None], known, torch.full_like(known, torch.inf)).amin(dim=-2)
    high = torch.where(counted[..., None], known, torch.full_like(known, -torch.inf)).amax(dim=-2)
    size = torch.where(placeable, high - low, torch.ones_like(low)).amax(dim=-1, keepdim=True)
    error: Tensor = norm(rays_of(absolute) - known) / size
    return _mean(huber(error, threshold), counted)


def bone_constancy(relative: Tensor, seen: Tensor, joint_set: Skeleton, threshold: float) -> Tensor:
    """Deviation of bone lengths from their means over the frames of one person, over the mean bone length.

    Parameters
    ----------
    relative : Tensor
        (tracks, frames, joints, 3), metres; each track shows one person.
    seen : Tensor
        (tracks, frames, joints) bool; a bone counts where both of its ends were seen.
    joint_set : Skeleton
        Names the bones.
    threshold : float
        Where a deviation begins to count linearly.
    """
    lengths, known = _bones(relative, seen, joint_set)
    mean = _means(lengths, known, dim=1)
    deviation = (lengths - mean[:, None]).abs() / _unit(mean, known.any(dim=1))[:, None]
    return _mean(huber(deviation, threshold), known)


def bone_symmetry(relative: Tensor, seen: Tensor, joint_set: Skeleton, threshold: float) -> Tensor:
    """Difference of left and right bone lengths, each a mean over a track's frames, over the mean length.

    Parameters are those of :func:`bone_constancy`.
    """
    lengths, known = _bones(relative, seen, joint_set)
    mean, ever = _means(lengths, known, dim=1), known.any(dim=1)
    bone_of = {child: bone for bone, (_, child) in enumerate(joint_set.bones)}
    left = indices(tuple(bone_of[joint] for joint in joint_set.left), mean)
    right = indices(tuple(bone_of[joint] for joint in joint_set.right), mean)
    difference = (mean[:, left] - mean[:, right]).abs() / _unit(mean, ever)
    return _mean(huber(difference, threshold), ever[:, left] & ever[:, right])


def view_agreement(
    first: Tensor, second: Tensor, seen: Tensor, joint_set: Skeleton, threshold: float
) -> Tensor:
    """Distance of two cameras' answers for one moment, over the mean bone length.

    Parameters
    ----------
    first, second : Tensor
        (pairs, joints, 3), metres, relative to the root, both in the axes of the world.
    seen : Tensor
        (pairs, joints) bool, whether both cameras saw a joint.
    joint_set : Skeleton
        Names the bones.
    threshold : float
        Where a distance begins to count linearly.
    """
    lengths, known = _bones(torch.stack([first, second]), torch.stack([seen, seen]), joint_set)
    distance: Tensor = norm(first - second) / _unit(lengths.mean(dim=0), known[0])
    return _mean(huber(distance, threshold), seen)


def smoothness(clips: Tensor, joint_set: Skeleton, threshold: float) -> Tensor:
    """Second differences of joints over successive frames, over the mean bone length; per frame squared.

    Parameters
    ----------
    clips : Tensor
        (n, frames, joints, 3), metres, relative to the root; at least three successive frames.
    joint_set : Skeleton
        Names the bones.
    threshold : float
        Where a difference begins to count linearly.
    """
    change: Tensor = norm(clips[:, 2:] - 2 * clips[:, 1:-1] + clips[:, :-2])
    lengths: Tensor = bone_lengths(clips, joint_set)
    unit = lengths.mean(dim=(1, 2)).clamp(min=_SMALLEST_M)[:, None, None]
    return huber(change / unit, threshold).mean()


def depth_spread(relative: Tensor, joint_set: Skeleton) -> Tensor:
    """Deviation of the joints' depths over the mean bone length, (..., joints, 3) -> (...).

    Zero for a pose that is flat in the image, whatever its size.
    """
    lengths: Tensor = bone_lengths(relative, joint_set)
    return relative[..., 2].std(dim=-1, correction=0) / lengths.mean(dim=-1).clamp(min=_SMALLEST_M)


def _bones(relative: Tensor, seen: Tensor, joint_set: Skeleton) -> tuple[Tensor, Tensor]:
    """Lengths of bones, and whether both of their ends were seen."""
    parents = indices(tuple(parent for parent, _ in joint_set.bones), relative)
    children = indices(tuple(child for _, child in joint_set.bones), relative)
    lengths: Tensor = bone_lengths(relative, joint_set)
    return lengths, seen[..., parents] & seen[..., children]


def _means(values: Tensor, counted: Tensor, dim: int) -> Tensor:
    """Mean along an axis of the values that count; zero where none does."""
    kept = torch.where(counted, values, torch.zeros_like(values))
    return kept.sum(dim=dim) / counted.sum(dim=dim).clamp(min=1)


def _unit(lengths: Tensor, known: Tensor) -> Tensor:
    """Mean length of the bones that are known, (..., bones) -> (..., 1)."""
    return _means(lengths, known, dim=-1)[..., None].clamp(min=_SMALLEST_M)


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Mean over everything that counts; zero when nothing does."""
    return _means(values.flatten(), counted.flatten(), dim=0)
