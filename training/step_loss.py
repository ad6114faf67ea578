"""The loss of a step: of labelled clips alone, or lifted together with unlabelled ones."""

from __future__ import annotations

import torch
from torch import Tensor

from poseshift.geometry.skeleton import skeleton as skeleton_named
from poseshift.training.answer import AS_IT_IS, Rays, on_rays
from poseshift.training.batches import Batch
from poseshift.training.encoding import Encoded, Encoding
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.losses import Loss


def batch_loss(
    lifter: Lifter,
    encoding: Encoding,
    batch: Batch,
    loss_of: Loss,
    generator: torch.Generator | None = None,
    rays: Rays = AS_IT_IS,
) -> Tensor:
    """Encode a batch, lift it, and measure the loss, in the encoding's axes or on the rays.

    Parameters
    ----------
    lifter, encoding : Lifter or Encoding
        Made for each other.
    batch : Batch
        Clips as long as the lifter expects.
    loss_of : Loss
        From :func:`poseshift.training.losses.loss`.
    generator : torch.Generator or None
        For the random part of the encoding; none to leave it out.
    rays : Rays
        With ``in_loss``, the loss is the mean of the output's and of the pose's on its rays.
    """
    encoded = encoding.encode(batch.keypoints_px, batch.intrinsics, generator)
    return _loss(lifter(encoded.inputs), lifter, encoding, encoded, batch, loss_of, rays)


def mixed_loss(
    lifter: Lifter,
    encoding: Encoding,
    batch: Batch,
    unlabelled: Batch,
    loss_of: Loss,
    generator: torch.Generator | None = None,
    rays: Rays = AS_IT_IS,
) -> tuple[Tensor, Tensor]:
    """Lift labelled and unlabelled clips as one batch; normalisation then has statistics of both.

    Parameters
    ----------
    lifter, encoding, batch, loss_of, generator, rays
        As in :func:`batch_loss`.
    unlabelled : Batch
        Clips of the same length, whose 3D is not looked at; encoded without the random part.

    Returns
    -------
    The loss of the labelled clips, and the answers to the others: (n, frames or 1, joints, 3), metres,
    relative to the root, camera axes.
    """
    encoded = encoding.encode(batch.keypoints_px, batch.intrinsics, generator)
    others = encoding.encode(unlabelled.keypoints_px, unlabelled.intrinsics)
    predictions = lifter(torch.cat([encoded.inputs, others.inputs]))
    labelled = _loss(predictions[: len(batch)], lifter, encoding, encoded, batch, loss_of, rays)
    return labelled, encoding.from_target_frame(predictions[len(batch) :], others)


def _loss(
    prediction: Tensor,
    lifter: Lifter,
    encoding: Encoding,
    encoded: Encoded,
    batch: Batch,
    loss_of: Loss,
    rays: Rays,
) -> Tensor:
    """Measure the loss of a lifter's output for a labelled batch."""
    joint_set = skeleton_named(lifter.skeleton)
    answered = slice(None)
    if lifter.output == "centre":
        answered = slice(lifter.frames // 2, lifter.frames // 2 + 1)
    target = batch.root_relative(joint_set)[:, answered]
    if not rays.in_loss:
        return loss_of(prediction, encoding.to_target_frame(target, encoded))
    relative = encoding.from_target_frame(prediction, encoded)
    keypoints = batch.keypoints_px[:, answered]
    placed = on_rays(rays, relative, keypoints, batch.intrinsics, joint_set.root)
    # On the rays alone the output across the image, and with it its size, would be anybody's guess.
    return (loss_of(relative, target) + loss_of(placed, target)) / 2
