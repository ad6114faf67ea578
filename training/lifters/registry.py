"""All lifters by name: configurations, presets and what they cost.

A new lifter is one new file with a frozen configuration (a ``name`` literal, a ``build(channels)`` method)
and a ``PRESETS`` table, and its entry in :data:`LifterConfig` and :data:`_PRESETS` here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

import torch
from pydantic import Field
from torch.utils.flop_counter import FlopCounterMode

from poseshift.training.lifters import ampose, semgcn, simple_baseline, stgcn, videopose3d
from poseshift.training.lifters.lifter import Lifter

LifterConfig = Annotated[
    ampose.AMPoseConfig
    | simple_baseline.SimpleBaselineConfig
    | videopose3d.VideoPose3DConfig
    | semgcn.SemGCNConfig
    | stgcn.STGCNConfig,
    Field(discriminator="name"),
]
"""The union of all lifters' configurations, told apart by ``name``."""

_PRESETS: Mapping[str, LifterConfig] = MappingProxyType(
    {
        **ampose.PRESETS,
        **simple_baseline.PRESETS,
        **videopose3d.PRESETS,
        **semgcn.PRESETS,
        **stgcn.PRESETS,
    }
)


def presets() -> Mapping[str, LifterConfig]:
    """Return all named configurations; recipes refer to these names."""
    return _PRESETS


def preset(name: str) -> LifterConfig:
    """Return the configuration of that name.

    Raises
    ------
    ValueError
        When there is none; the message lists those that there are.
    """
    if name not in _PRESETS:
        raise ValueError(f"no lifter preset {name!r}; there are {', '.join(sorted(_PRESETS))}")
    return _PRESETS[name]


def build(config: LifterConfig, channels: int, *, seed: int = 0) -> Lifter:
    """Build a lifter with weights drawn from ``seed``, leaving torch's own generator as it was.

    Parameters
    ----------
    config : from :func:`preset` or written out.
    channels : input channels per joint, ``encoding.channels``.
    seed : of the initial weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # layers draw on the CPU; GPUs are left alone
        return config.build(channels)


@dataclass(frozen=True)
class LifterDescription:
    """One row of the table of lifters.

    Attributes
    ----------
    name : of the preset.
    parameters : learned numbers.
    multiply_adds : for one clip with two input channels, matrix products and attention, as torch counts them.
    frames : clip length.
    output : frames answered for.
    """

    name: str
    parameters: int
    multiply_adds: int
    frames: int
    output: str


def describe(names: Iterable[str] | None = None) -> tuple[LifterDescription, ...]:
    """Describe the presets of these names, by default all."""
    return tuple(_describe(name) for name in (_PRESETS if names is None else names))


def _describe(name: str) -> LifterDescription:
    lifter = build(preset(name), channels=2).eval()
    # Fused attention on a CPU is not in torch's table of costs; its plain form is.
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), counter:
        lifter(torch.zeros(1, lifter.frames, lifter.joints, lifter.channels))
    return LifterDescription(
        name=name,
        parameters=sum(parameter.numel() for parameter in lifter.parameters()),
        multiply_adds=counter.get_total_flops() // 2,
        frames=lifter.frames,
        output=lifter.output,
    )
