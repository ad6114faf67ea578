"""The schedule of a training run: one frozen, validated object, and the learning rate it gives each step."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from poseshift.storage.model import FrozenModel, is_still
from poseshift.training.losses import LossName
from poseshift.training.repeatability import Repeatability


class Schedule(FrozenModel):
    """How long and how fast a lifter learns."""

    epochs: int = Field(default=20, ge=1, description="Epochs; each ends with a log line.")
    steps_per_epoch: int | None = Field(
        default=None, ge=1, description="Steps of an epoch; by default one pass over the data."
    )
    batch_size: int = Field(default=256, ge=1, description="Clips in a step, over all devices together.")
    loss: LossName = Field(default="mpjpe", description="What is minimised.")
    optimizer: Literal["adamw", "adam"] = Field(
        default="adamw",
        description="AdamW, or Adam as published runs have it, whose weight decay is part of the gradient.",
        exclude_if=is_still("adamw"),
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="The optimiser's peak learning rate.")
    weight_decay: float = Field(
        default=1e-4, ge=0, description="Decay of matrices; biases and norms have none."
    )
    warmup_steps: int = Field(
        default=0, ge=0, description="Steps over which the rate rises linearly to its peak."
    )
    decay: Literal["cosine", "exponential", "linear", "step", "constant"] = Field(
        default="cosine",
        description="Course of the rate after the warm-up, down to `final_rate` times the peak; `step` falls "
        "by `step_factor` after every `step_epochs` epochs of the run instead.",
    )
    final_rate: float = Field(default=0.01, gt=0, le=1, description="Last learning rate over the peak.")
    step_epochs: int = Field(
        default=1, ge=1, description="Epochs between two falls of the decay `step`.", exclude_if=is_still(1)
    )
    step_factor: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="Rate after a fall of the decay `step` over the rate before it.",
        exclude_if=is_still(0.95),
    )
    ema_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Decay of the weights' moving average; when given, the average is the result.",
    )
    clip_norm: float | None = Field(
        default=1.0, gt=0, description="Largest norm of the gradient; none to leave it alone."
    )
    flip_probability: float = Field(
        default=0.5, ge=0, le=1, description="Share of the clips that are mirrored."
    )
    precision: Literal["auto", "32-true", "bf16-mixed"] = Field(
        default="auto",
        description="Arithmetic: `auto` is bf16-mixed on a GPU and single precision elsewhere.",
    )
    repeatability: Repeatability = Field(
        default="usual",
        description="`exact` allows only algorithms that give the same bits each time; slower on a GPU.",
    )
    compiled: bool = Field(
        default=False,
        description="Have PyTorch compile the network for the steps: the same results but for rounding. "
        "Compiling takes half a minute, and a C++ compiler on a CPU.",
        exclude_if=is_still(False),
    )
    checkpoint_every: int = Field(
        default=1, ge=1, description="Epochs between checkpoints; the last epoch always has one."
    )

    def epoch_length(self, rows: int) -> int:
        """Count the steps of one epoch over a data set with this many rows."""
        return self.steps_per_epoch or max(1, rows // self.batch_size)

    def rate_factor(self, step: int, total_steps: int) -> float:
        """Learning rate at a step (counted from 0) over its peak."""
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        progress = (step - self.warmup_steps) / max(1, total_steps - 1 - self.warmup_steps)
        progress = min(1.0, progress)
        if self.decay == "cosine":
            return self.final_rate + (1 - self.final_rate) * 0.5 * (1 + math.cos(math.pi * progress))
        if self.decay == "exponential":
            return float(self.final_rate**progress)
        if self.decay == "linear":
            return 1 - (1 - self.final_rate) * progress
        if self.decay == "step":
            epoch = step * self.epochs // max(1, total_steps)
            return float(self.step_factor ** (epoch // self.step_epochs))
        return 1.0
