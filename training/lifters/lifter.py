"""The contract of every 2D-to-3D lifter: encoded keypoints in, root-relative metres out.

A lifter sees no pixels and no cameras; :mod:`poseshift.training.encoding` prepares its input and turns its
output back into camera axes. Each lifter lives in one file of this package, beside its own configuration, and
is named once in :mod:`poseshift.training.lifters.registry`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from poseshift.geometry.constants import indices
from poseshift.geometry.skeleton import skeleton as skeleton_named

Output = Literal["all", "centre"]
"""Which frames of a clip a lifter answers for: every one, or the one in the middle."""


class Answered(NamedTuple):
    """What a lifter is measured by while it is trained.

    Attributes
    ----------
    positions : Tensor of shape (batch, n, joints, 3)
        Metres, relative to the root in the encoding's axes.
    frames : Tensor of shape (batch, n)
        Which frames of each clip these are, int64.
    log_scale : Tensor or None of shape (batch, n, joints, 1)
        How far the joints may be off, as in :class:`Scaled`; None where the lifter does not say.
    """

    positions: Tensor
    frames: Tensor
    log_scale: Tensor | None = None

    def at(self, frame: int) -> Tensor:
        """Pick one frame that is among them, (batch, 1, joints, 3)."""
        place = (self.frames == frame).int().argmax(dim=1)
        picked = place[:, None, None, None].expand(-1, 1, *self.positions.shape[2:])
        return self.positions.gather(1, picked)


class Lifter(nn.Module, ABC):
    """A network from a clip of encoded keypoints to root-relative 3D.

    Parameters
    ----------
    frames : int
        Clip length that the network expects; 1 for a single-frame lifter.
    output : Output
        ``"all"`` frames or the ``"centre"`` one.
    channels : int
        Input channels per joint, as the encoding provides them.
    skeleton : str
        Name of the joint set of input and output.
    """

    def __init__(self, *, frames: int, output: Output, channels: int, skeleton: str) -> None:
        super().__init__()
        joint_set = skeleton_named(skeleton)
        self.frames = frames
        self.output: Output = output
        self.channels = channels
        self.skeleton = skeleton
        self.joints = joint_set.joints
        not_root = torch.ones(joint_set.joints, 1)
        not_root[joint_set.root] = 0.0
        self.register_buffer("not_root", not_root, persistent=False)

    @abstractmethod
    def lift(self, keypoints: Tensor) -> Tensor:
        """Map (batch, frames, joints, channels) to (batch, frames or 1, joints, 3), the root anywhere."""

    def forward(self, keypoints: Tensor) -> Tensor:
        """Lift a batch of clips.

        Parameters
        ----------
        keypoints : Tensor of shape (batch, frames, joints, channels)
            Encoded.

        Returns
        -------
        (batch, frames or 1, joints, 3), metres, relative to the root in the encoding's axes. The root joint
        is exactly zero, in training as in test, so that no loss and no metric has to treat it apart.

        Raises
        ------
        ValueError
            When the clip's shape is not the one that this lifter was built for.
        """
        self._check(keypoints)
        return self.lift(keypoints) * self.get_buffer("not_root")

    def answered(self, keypoints: Tensor) -> tuple[Answered, ...]:
        """Lift a batch of clips for training; the losses of all that is returned are summed.

        Parameters
        ----------
        keypoints : Tensor of shape (batch, frames, joints, channels)
            Encoded.

        Returns
        -------
        The output of :meth:`forward` with the frames that it is for, first of all. A lifter that learns from
        more than it answers, or that chooses frames by itself, says so here.
        """
        return (Answered(self(keypoints), self._frames(keypoints)),)

    def both(self, keypoints: Tensor, mirrored: Tensor) -> tuple[Tensor, Tensor]:
        """Lift clips, and their mirror images; what depends on the clip is decided by the clips alone.

        Parameters
        ----------
        keypoints, mirrored : Tensor of shape (batch, frames, joints, channels)
            Encoded.

        Returns
        -------
        The output of :meth:`forward` for each.
        """
        return self(keypoints), self(mirrored)

    def _frames(self, keypoints: Tensor) -> Tensor:
        """Which frames of each clip are answered for, (batch, n) int64."""
        answered = (self.frames // 2,) if self.output == "centre" else tuple(range(self.frames))
        frames: Tensor = indices(answered, keypoints)
        return frames.expand(len(keypoints), -1)

    def _check(self, keypoints: Tensor) -> None:
        expected = (self.frames, self.joints, self.channels)
        if keypoints.ndim != 4 or tuple(keypoints.shape[1:]) != expected:
            wanted = f"(batch, {self.frames}, {self.joints}, {self.channels})"
            raise ValueError(
                f"{type(self).__name__} was built for keypoints of shape {wanted} but was given "
                f"{tuple(keypoints.shape)}; take the clip length from `lifter.frames` and the channels from "
                "the encoding that it was trained with"
            )


LOG_SCALE_RANGE = (-6.0, 4.0)
"""Least and largest log-scale, of metres: 2.5 mm and 55 m. Without them, the loss of a joint that is always
right has no bound either."""


class Scaled(NamedTuple):
    """An answer, and how far it may be off.

    Attributes
    ----------
    positions : Tensor
        (batch, frames or 1, joints, 3), metres, relative to the root, as :meth:`Lifter.forward` gives them.
    log_scale : Tensor
        (batch, frames or 1, joints, 1), natural logarithm of each joint's scale in metres: the distance from
        the truth that is to be expected. That of the root, which is certain by definition while its keypoint
        is not, is the least of the pose's other joints.
    """

    positions: Tensor
    log_scale: Tensor


class ScaledLifter(Lifter):
    """A lifter that says of every joint how far it may be off; called, it answers as any lifter does."""

    @abstractmethod
    def lift_scaled(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """Map (batch, frames, joints, channels) to positions as :meth:`lift`, and log-scales (..., 1)."""

    def scaled(self, keypoints: Tensor) -> Scaled:
        """Lift a batch of clips and tell the scale of each joint.

        Parameters
        ----------
        keypoints : Tensor of shape (batch, frames, joints, channels)
            Encoded.

        Raises
        ------
        ValueError
            When the clip's shape is not the one that this lifter was built for.
        """
        self._check(keypoints)
        positions, log_scale = self.lift_scaled(keypoints)
        not_root = self.get_buffer("not_root")
        log_scale = log_scale.clamp(*LOG_SCALE_RANGE)
        others = torch.where(not_root > 0, log_scale, torch.inf)
        least = others.amin(dim=-2, keepdim=True)
        return Scaled(positions * not_root, torch.where(not_root > 0, log_scale, least))

    def answered(self, keypoints: Tensor) -> tuple[Answered, ...]:
        """Lift a batch of clips for training, with the scale of each joint."""
        positions, log_scale = self.scaled(keypoints)
        return (Answered(positions, self._frames(keypoints), log_scale),)
