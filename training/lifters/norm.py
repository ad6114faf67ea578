"""Normalisation of the channels of joints, shared by the lifters that keep a feature vector per joint."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn


class ChannelNorm(nn.Module):
    """Batch or layer normalisation of the last axis of (batch, joints, width)."""

    def __init__(self, width: int, kind: Literal["batch", "layer"]) -> None:
        super().__init__()
        self.norm: nn.Module = nn.BatchNorm1d(width) if kind == "batch" else nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise over batch and joints (batch) or over the channels of each joint (layer)."""
        out: Tensor = self.norm(x.flatten(0, 1)).view_as(x)
        return out
