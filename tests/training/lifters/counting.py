"""What a lifter costs by its shapes, without the time that running it would take."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from poseshift.training.lifters.config import LifterConfig


@dataclass(frozen=True)
class Cost:
    """Of one clip with two channels."""

    parameters: int
    layers: float
    """Thousand million multiply-adds of linear layers and convolutions alone, as the papers count them."""
    everything: float
    """The same with all matrix products."""


def cost(config: LifterConfig) -> Cost:
    """Build a lifter without memory for its weights, and count."""
    with torch.device("meta"):
        lifter = config.build(2)
    lifter.eval().requires_grad_(False).to("meta")
    layers = 0

    def count(layer: nn.Module, _given: object, out: torch.Tensor) -> None:
        nonlocal layers
        layers += out.numel() * layer.weight[0].numel()

    for layer in lifter.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            layer.register_forward_hook(count)
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:
        lifter(torch.zeros(1, lifter.frames, lifter.joints, 2, device="meta"))
    parameters = sum(one.numel() for one in lifter.parameters())
    return Cost(parameters, layers / 1e9, counter.get_total_flops() / 2e9)
