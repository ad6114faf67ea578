"""All lifters by name: configurations, presets and what they cost.

A new lifter is one new file with a frozen configuration (a ``name`` literal, a ``build(channels)`` method)
and a ``PRESETS`` table, and one call of :func:`register`, here or in a user's own module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from poseshift.storage.registry import Registry
from poseshift.training.lifters import (
    ampose,
    convformer,
    gla_gcn,
    gumlp,
    ktpformer,
    mixste,
    pruned,
    semgcn,
    simple_baseline,
    stgcn,
    videopose3d,
    with_scale,
)
from poseshift.training.lifters.config import CONFIGS, LifterConfig, LifterConfigBase
from poseshift.training.lifters.lifter import Lifter, ScaledLifter

PRESETS = Registry[LifterConfigBase]("lifter preset")
"""Named configurations; recipes refer to these names."""


def register(kind: type[LifterConfigBase], presets: Mapping[str, LifterConfigBase]) -> None:
    """Add a kind of lifter and its presets.

    Parameters
    ----------
    kind : type
        Its configuration; the default of its ``name`` is the name of the kind.
    presets : mapping
        Named configurations of that kind.

    Raises
    ------
    ValueError
        Another lifter or preset has the name.
    """
    CONFIGS.add(str(kind.model_fields["name"].default), kind)
    for name, config in presets.items():
        PRESETS.add(name, config)


register(ampose.AMPoseConfig, ampose.PRESETS)
register(simple_baseline.SimpleBaselineConfig, simple_baseline.PRESETS)
register(videopose3d.VideoPose3DConfig, videopose3d.PRESETS)
register(semgcn.SemGCNConfig, semgcn.PRESETS)
register(stgcn.STGCNConfig, stgcn.PRESETS)
register(mixste.MixSTEConfig, mixste.PRESETS)
register(ktpformer.KTPFormerConfig, ktpformer.PRESETS)
register(convformer.ConvFormerConfig, convformer.PRESETS)
register(gumlp.GUMLPConfig, gumlp.PRESETS)
register(with_scale.WithScaleConfig, {})
register(gla_gcn.GLAGCNConfig, gla_gcn.PRESETS)
register(pruned.PrunedConfig, pruned.PRESETS)


def presets() -> Mapping[str, LifterConfig]:
    """Return all named configurations; recipes refer to these names."""
    return PRESETS


def preset(name: str) -> LifterConfig:
    """Return the configuration of that name; ``PRESET+scale`` is any preset with a scale for every joint.

    Raises
    ------
    ValueError
        When there is none; the message lists those that there are.
    """
    plain = name.removesuffix(with_scale.SUFFIX)
    return PRESETS[name] if plain == name else with_scale.WithScaleConfig(of=PRESETS[plain])


def build(config: LifterConfig, channels: int, *, seed: int = 0) -> Lifter:
    """Build a lifter with weights drawn from ``seed``, leaving torch's own generator as it was.

    Parameters
    ----------
    config : LifterConfig
        From :func:`preset` or written out.
    channels : int
        Input channels per joint, ``encoding.channels``.
    seed : int
        Of the initial weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # layers draw on the CPU; GPUs are left alone
        return config.build(channels)


def skeleton_of(config: LifterConfig) -> str:
    """Name the joint set of a lifter's input and output, which not every kind of lifter has as an option."""
    named = config.model_dump().get("skeleton")
    return named if isinstance(named, str) else build(config, channels=2).skeleton


@dataclass(frozen=True)
class LifterDescription:
    """One row of the table of lifters.

    Attributes
    ----------
    name : str
        Of the preset.
    parameters : int
        Learned numbers.
    multiply_adds : int
        For one clip with two input channels, matrix products and attention, as torch counts them; with the
        scale, where the lifter has one.
    frames : int
        Clip length.
    output : str
        Frames answered for.
    """

    name: str
    parameters: int
    multiply_adds: int
    frames: int
    output: str


def describe(names: Iterable[str] | None = None) -> tuple[LifterDescription, ...]:
    """Describe the presets of these names, by default all."""
    return tuple(describe_config(name, preset(name)) for name in (PRESETS if names is None else names))


def describe_config(name: str, config: LifterConfig) -> LifterDescription:
    """Describe a configuration that was written out, under a name of one's own."""
    # Costs follow from shapes alone: a long clip through a large network takes no time on the meta device.
    with torch.device("meta"):
        lifter = build(config, channels=2)
    lifter.eval().requires_grad_(False).to("meta")  # and what was made of arrays, too
    # Fused attention on a CPU is not in torch's table of costs; its plain form is.
    counter = FlopCounterMode(display=False)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), counter:
        answer = lifter.scaled if isinstance(lifter, ScaledLifter) else lifter
        answer(torch.zeros(1, lifter.frames, lifter.joints, lifter.channels, device="meta"))
    return LifterDescription(
        name=name,
        parameters=sum(parameter.numel() for parameter in lifter.parameters()),
        multiply_adds=counter.get_total_flops() // 2,
        frames=lifter.frames,
        output=lifter.output,
    )
