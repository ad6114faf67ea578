"""What a body model is: a mesh that is posed, with what part of the body each face belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

PARTS = (
    *("head", "torso"),
    *("left_upper_arm", "left_lower_arm", "right_upper_arm", "right_lower_arm"),
    *("left_upper_leg", "left_lower_leg", "right_upper_leg", "right_lower_leg"),
)
"""Parts of a body, in the order of the classes of every body model."""


@dataclass(frozen=True)
class Posed:
    """Bodies in a pose.

    Attributes
    ----------
    vertices : Tensor of shape (batch, vertices, 3)
        Metres.
    joints : Tensor of shape (batch, joints, 3)
        Metres.
    """

    vertices: Tensor
    joints: Tensor


class BodyModel(Protocol):
    """A mesh that a pose and a shape move."""

    @property
    def faces(self) -> Tensor:
        """Rows of the vertices of each triangle, (faces, 3) int64."""

    @property
    def priors(self) -> Tensor:
        """How likely each face is of each of :data:`PARTS`, (faces, parts); rows sum to one."""

    def pose(self, rotations: Tensor, shape: Tensor, translation: Tensor) -> Posed:
        """Pose bodies.

        Parameters
        ----------
        rotations : Tensor
            (batch, rotated joints, 3) axis and angle of each joint in the axes of its parent, radians.
        shape : Tensor
            (batch, parameters of the model).
        translation : Tensor
            (batch, 3), metres.
        """
