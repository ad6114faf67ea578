"""Random numbers of the dtype and device of a tensor, drawn with a generator that lives on that device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def draw_normal(shape: Sequence[int], like: Tensor, rng: torch.Generator) -> Tensor:
    """Draw numbers of a shape from the standard normal distribution."""
    return torch.randn(shape, generator=rng, device=like.device, dtype=like.dtype)


def draw_uniform(
    shape: Sequence[int], low: float | Tensor, high: float | Tensor, like: Tensor, rng: torch.Generator
) -> Tensor:
    """Draw numbers of a shape uniformly between two bounds, each a number or a tensor that broadcasts."""
    share = torch.rand(shape, generator=rng, device=like.device, dtype=like.dtype)
    return low + share * (high - low)


def draw_directions(count: int, like: Tensor, rng: torch.Generator) -> Tensor:
    """Draw unit vectors (count, 3) uniformly from the sphere."""
    return torch.nn.functional.normalize(draw_normal((count, 3), like, rng), dim=-1)


def draw_rows(available: int, wanted: int, rng: torch.Generator) -> Tensor:
    """Draw row numbers (wanted,) below ``available`` with replacement, on the generator's device."""
    return torch.randint(available, (wanted,), generator=rng, device=rng.device)
