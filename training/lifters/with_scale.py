"""Any lifter, and beside it a network of its own that says how far each joint may be off.

The scale is told from what the lifter was shown and what it answered, frame by frame, so that nothing of the
lifter's inside has to be known. The answer reaches the network without a gradient: the lifter learns from the
weighted error alone, and not from being easy to judge.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import Field, WithJsonSchema
from torch import Tensor, nn

from poseshift.training.lifters.config import LifterConfig, LifterConfigBase
from poseshift.training.lifters.lifter import Lifter, ScaledLifter

SUFFIX = "+scale"
"""What a preset's name ends with that means another preset with a scale."""

FIRST_SCALE_M = 0.1
"""Scale of every joint before anything is learned."""


class WithScaleConfig(LifterConfigBase):
    """A lifter of any kind, with a scale."""

    name: Literal["with-scale"] = "with-scale"
    of: Annotated[LifterConfig, WithJsonSchema({"type": "object"})] = Field(
        description="The lifter, a full configuration; `PRESET+scale` stands for a preset with a scale."
    )
    hidden: int = Field(default=256, ge=1, description="Features of the two hidden layers of the scale.")

    def build(self, channels: int) -> Lifter:
        """Build the network for an encoding with this many channels per joint.

        Raises
        ------
        ValueError
            The lifter has a scale of its own.
        """
        lifter = self.of.build(channels)
        if isinstance(lifter, ScaledLifter):
            raise ValueError(f"lifter {self.of.name} has a scale of its own; name it without {SUFFIX}")
        return WithScale(lifter, self.hidden)


class WithScale(ScaledLifter):
    """A lifter with a scale; see the module's text.

    Parameters
    ----------
    lifter : Lifter
        What answers.
    hidden : int
        Features of the hidden layers of the scale.
    """

    def __init__(self, lifter: Lifter, hidden: int) -> None:
        super().__init__(
            frames=lifter.frames,
            output=lifter.output,
            channels=lifter.channels,
            skeleton=lifter.skeleton,
        )
        self.lifter = lifter
        last = nn.Linear(hidden, self.joints)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, math.log(FIRST_SCALE_M))
        self.scale = nn.Sequential(
            nn.Linear(self.joints * (self.channels + 3), hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            last,
        )

    def lift(self, keypoints: Tensor) -> Tensor:
        """Lift as the lifter alone does."""
        return self.lifter.lift(keypoints)

    def lift_scaled(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """Map (batch, frames, joints, channels) to positions and log-scales of the frames answered for."""
        positions = self.lift(keypoints)
        shown = keypoints
        if self.output == "centre":
            shown = keypoints[:, self.frames // 2 : self.frames // 2 + 1]
        answered = positions.detach() * self.get_buffer("not_root")
        log_scale: Tensor = self.scale(torch.cat([shown, answered], dim=-1).flatten(2))
        return positions, log_scale.unsqueeze(-1)
