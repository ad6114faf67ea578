"""Answers of a lifter that says how far each joint may be off, and how often the truth lies within.

The scale of a joint is the mean of its distance from the truth, as a lifter learns it by the loss
``laplace-nll``, which takes that distance as exponentially distributed. A ball around the answer then holds
the truth with probability p when its radius is ``scale * log(1 / (1 - p))``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from poseshift.geometry.skeleton import mapping, skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import Float32
from poseshift.training.batches import Batch
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.evaluation.answering import (
    Clips,
    Mapper,
    asked_for,
    clips_of,
    lift_rows,
    predict,
    refined,
)
from poseshift.training.evaluation.metrics import joint_errors_mm
from poseshift.training.evaluation.protocols import Protocol, TestTime
from poseshift.training.flip import lift_scaled, lift_scaled_flip_averaged
from poseshift.training.lifters.lifter import Scaled

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Predicted:
    """What a lifter says of some rows.

    Attributes
    ----------
    positions : array of float32 of shape (n, joints, 3)
        Metres, relative to the root, camera axes.
    scale_m : array of float32 of shape (n, joints) or None
        Distance from the truth that the lifter expects, zero for the root; None where it says nothing of it.
    """

    positions: Float32
    scale_m: Float32 | None = None

    @property
    def scales(self) -> Float32:
        """The scales; ValueError where the lifter tells none."""
        if self.scale_m is None:
            raise ValueError("these answers come without scales; take a lifter that has learned to tell them")
        return self.scale_m

    def take(self, rows: NDArray[np.intp]) -> Predicted:
        """Take the given rows."""
        return Predicted(self.positions[rows], None if self.scale_m is None else self.scale_m[rows])


def predict_scaled(
    trained: TrainedLifter, poses: CameraPoses, *, test_time: TestTime = "plain", over: Mapper = map
) -> Predicted:
    """Lift as :func:`~poseshift.training.evaluation.answering.predict`, with the scales if there are any."""
    if trained.scale is None:
        return Predicted(predict(trained, poses, test_time=test_time, over=over))
    return unpacked(lift_rows(trained, poses, partial(_lift, trained, test_time), over=over))


def packed(trained: TrainedLifter, scaled: Scaled, clips: Clips, batch: Batch) -> Float32:
    """Put answers and their scales in metres side by side, (n, 1 or frames, joints, 4)."""
    lifter = trained.lifter
    scale = asked_for(trained, scaled.log_scale, clips).exp() * lifter.get_buffer("not_root")
    together = torch.cat([refined(trained, scaled.positions, clips, batch), scale], dim=-1)
    return np.asarray(together.cpu().numpy(), dtype=np.float32)


def unpacked(values: Float32) -> Predicted:
    """Part what :func:`packed` put together."""
    return Predicted(values[..., :3], values[..., 3])


def _lift(trained: TrainedLifter, test_time: TestTime, clips: Clips) -> Float32:
    lifter = trained.scaled
    with torch.inference_mode():
        batch = clips_of(clips)
        seen = (lifter, trained.encoding, batch.keypoints_px, batch.intrinsics)
        flip = test_time == "flip"
        scaled = lift_scaled_flip_averaged(*seen, skeleton(lifter.skeleton)) if flip else lift_scaled(*seen)
        return packed(trained, scaled, clips, batch)


class Shares(FrozenModel):
    """How often the truth lies within the balls of two levels, in percent of the joints."""

    within_50: float
    """Within the ball that should hold half of them."""
    within_90: float
    """Within the ball that should hold nine tenths."""


class Coverage(FrozenModel):
    """How far a lifter's scale is to be believed; the root is left out."""

    protocol: str
    """What was measured."""
    mean_scale_mm: float
    """Mean of the scales."""
    mean_error_mm: float
    """Mean distance from the truth, of the same joints."""
    rank_correlation: float
    """Spearman's, between scales and distances: whether larger scales belong to larger errors."""
    as_told: Shares
    """With the scales as the lifter tells them."""
    factor: float | None = None
    """By which the target's keypoints alone say that scales are too small; None where nothing says so."""
    recalibrated: Shares | None = None
    """With the scales times that factor."""

    def __str__(self) -> str:
        told = f"50 %: {self.as_told.within_50:.0f}, 90 %: {self.as_told.within_90:.0f}"
        if self.recalibrated is None:
            return told
        after = f"50 %: {self.recalibrated.within_50:.0f}, 90 %: {self.recalibrated.within_90:.0f}"
        return f"{told}; recalibrated by re-projection (x {self.factor:.2f}) {after}"


def coverage(
    predicted: Predicted, poses: CameraPoses, protocol: Protocol, factor: float | None = None
) -> Coverage:
    """Count how often the truth lies within the balls that the scales give.

    Parameters
    ----------
    predicted : Predicted
        With scales, on the skeleton of the poses.
    poses : CameraPoses
        The n rows that the protocol selects.
    protocol : Protocol
        Whose joints are counted, but for the root.
    factor : float or None
        From :func:`~poseshift.training.evaluation.recalibration.scale_factor`.

    Raises
    ------
    ValueError
        There are no scales.
    """
    from scipy.stats import spearmanr  # scipy.stats takes a second to import

    scales = predicted.scales.astype(np.float64)
    joints = mapping(poses.skeleton, protocol.skeleton)
    root = skeleton(protocol.skeleton).root
    counted = [joint for joint in protocol.joint_indices if joint != root]

    def of_protocol(positions: Float32) -> Float64:
        mapped = joints.apply(positions.astype(np.float64))
        return np.asarray((mapped - mapped[:, root : root + 1])[:, counted])

    error = joint_errors_mm(of_protocol(predicted.positions), of_protocol(poses.positions_camera)).ravel()
    told = joints.apply(scales[..., None])[:, counted, 0]
    scale = 1000 * np.asarray(told).ravel()
    return Coverage(
        protocol=protocol.name,
        mean_scale_mm=float(scale.mean()),
        mean_error_mm=float(error.mean()),
        rank_correlation=float(spearmanr(scale, error).statistic),
        as_told=_shares(error, scale),
        factor=factor,
        recalibrated=None if factor is None else _shares(error, factor * scale),
    )


def radius_over_scale(level: float) -> float:
    """Tell the radius of the ball that holds the truth with a probability, over the scale.

    Examples
    --------
    >>> round(radius_over_scale(0.5), 3), round(radius_over_scale(0.9), 3)
    (0.693, 2.303)
    """
    return -math.log1p(-level)


def _shares(error: Float64, scale: Float64) -> Shares:
    within_50, within_90 = (
        100 * float((error <= radius_over_scale(level) * scale).mean()) for level in (0.5, 0.9)
    )
    return Shares(within_50=within_50, within_90=within_90)
