"""Stochastic depth: leaving out a residual branch for some clips of a batch in training."""

from __future__ import annotations

from torch import Tensor, nn


class DropPath(nn.Module):
    """Leave out a branch with some probability, clip by clip, and make the others larger by as much."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, ...) to the same shape; nothing changes in evaluation."""
        if not self.training or self.probability == 0.0:
            return x
        kept = 1.0 - self.probability
        return x * x.new_empty(x.shape[0], *[1] * (x.ndim - 1)).bernoulli_(kept) / kept
