"""The loss of a step: of labelled clips alone, or lifted together with unlabelled ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor

from poseshift.geometry.constants import indices
from poseshift.geometry.skeleton import skeleton as skeleton_named
from poseshift.training.answer import AS_IT_IS, Rays, on_rays
from poseshift.training.batches import Batch
from poseshift.training.encoding import Encoded, Encoding
from poseshift.training.lifters.lifter import Answered, Lifter
from poseshift.training.losses import Loss, ScaledLoss

Answering = Callable[[Tensor], tuple[Answered, ...]]
"""A lifter's `answered`, or the same computed in another precision or with other processes."""


def batch_loss(
    lifter: Lifter,
    encoding: Encoding,
    batch: Batch,
    loss_of: Loss | ScaledLoss,
    generator: torch.Generator | None = None,
    rays: Rays = AS_IT_IS,
    *,
    answering: Answering | None = None,
) -> Tensor:
    """Encode a batch, lift it, and measure the loss, in the encoding's axes or on the rays.

    Parameters
    ----------
    lifter, encoding : Lifter or Encoding
        Made for each other.
    batch : Batch
        Clips as long as the lifter expects.
    loss_of : Loss or ScaledLoss
        From :func:`poseshift.training.losses.loss`; one of the scale needs a lifter that has one.
    generator : torch.Generator or None
        For the random part of the encoding; none to leave it out.
    rays : Rays
        With ``in_loss``, the loss is the mean of the output's and of the pose's on its rays.
    answering : callable or None
        Called in place of the lifter's ``answered``. Everything else is computed in the batch's precision.
    """
    encoded = encoding.encode(batch.keypoints_px, batch.intrinsics, generator, batch.rays)
    answers = (answering or lifter.answered)(encoded.inputs)
    return _sum_of_losses(answers, lifter, encoding, encoded, batch, loss_of, rays)


def mixed_loss(
    lifter: Lifter,
    encoding: Encoding,
    batch: Batch,
    unlabelled: Batch,
    loss_of: Loss | ScaledLoss,
    generator: torch.Generator | None = None,
    rays: Rays = AS_IT_IS,
    *,
    answering: Answering | None = None,
) -> tuple[Tensor, Tensor]:
    """Lift labelled and unlabelled clips as one batch; normalisation then has statistics of both.

    Parameters
    ----------
    lifter, encoding, batch, loss_of, generator, rays, answering
        As in :func:`batch_loss`.
    unlabelled : Batch
        Clips of the same length, whose 3D is not looked at; encoded without the random part.

    Returns
    -------
    The loss of the labelled clips, and the answers to the others: (n, frames or 1, joints, 3), metres,
    relative to the root, camera axes.
    """
    encoded = encoding.encode(batch.keypoints_px, batch.intrinsics, generator, batch.rays)
    others = encoding.encode(unlabelled.keypoints_px, unlabelled.intrinsics, rays=unlabelled.rays)
    answers = (answering or lifter.answered)(torch.cat([encoded.inputs, others.inputs]))
    known = [_first(one, len(batch)) for one in answers]
    labelled = _sum_of_losses(known, lifter, encoding, encoded, batch, loss_of, rays)
    unknown = Answered(answers[0].positions[len(batch) :], answers[0].frames[len(batch) :])
    told = unknown.positions if lifter.output == "all" else unknown.at(lifter.frames // 2)
    return labelled, encoding.from_target_frame(told, others)


def _first(answer: Answered, count: int) -> Answered:
    scale = None if answer.log_scale is None else answer.log_scale[:count]
    return Answered(answer.positions[:count], answer.frames[:count], scale)


def _sum_of_losses(
    answers: Iterable[Answered],
    lifter: Lifter,
    encoding: Encoding,
    encoded: Encoded,
    batch: Batch,
    loss_of: Loss | ScaledLoss,
    rays: Rays,
) -> Tensor:
    losses = [_loss(one, lifter, encoding, encoded, batch, loss_of, rays) for one in answers]
    return torch.stack(losses).sum() if len(losses) > 1 else losses[0]


def _loss(
    answer: Answered,
    lifter: Lifter,
    encoding: Encoding,
    encoded: Encoded,
    batch: Batch,
    loss_of: Loss | ScaledLoss,
    rays: Rays,
) -> Tensor:
    """Measure the loss of a lifter's output for a labelled batch.

    In the camera's axes where the encoding's move with the frames, so that velocities are those of the body.
    """
    joint_set = skeleton_named(lifter.skeleton)
    prediction, frames, log_scale = answer
    measured = _measured(loss_of, log_scale, joint_set.root)
    target = batch.root_relative(joint_set)
    keypoints = batch.keypoints_px
    if lifter.frames > 1:
        clip = torch.arange(len(batch), device=frames.device)[:, None]
        target, encoded = target[clip, frames], encoded.at(clip, frames)
        keypoints = keypoints[clip, frames] if rays.in_loss else keypoints
    if not encoded.moves_with_frames and not rays.in_loss:
        return measured(prediction, encoding.to_target_frame(target, encoded))
    relative = encoding.from_target_frame(prediction, encoded)
    if not rays.in_loss:
        return measured(relative, target)
    placed = on_rays(rays, relative, keypoints, batch.intrinsics, joint_set.root)
    # On the rays alone the output across the image, and with it its size, would be anybody's guess.
    return (measured(relative, target) + measured(placed, target)) / 2


def _measured(loss_of: Loss | ScaledLoss, log_scale: Tensor | None, root: int) -> Loss:
    """Make a loss of prediction and target; one of the scale is not shown the root."""
    if not isinstance(loss_of, ScaledLoss):
        return loss_of
    if log_scale is None:
        raise ValueError("a loss of the scale needs a scale")
    return partial(_without_root, loss_of, log_scale, root)


def _without_root(
    loss_of: ScaledLoss, log_scale: Tensor, root: int, prediction: Tensor, target: Tensor
) -> Tensor:
    others = indices(tuple(joint for joint in range(target.shape[-2]) if joint != root), target)
    shown = (one[..., others, :] for one in (prediction, log_scale, target))
    return loss_of.of(*shown)
