"""KTPFormer: MixSTE's blocks after a first pair that knows the bones and the way of each joint.

Follows Peng et al., "KTPFormer: Kinematics and Trajectory Prior Knowledge-Enhanced Transformer for 3D Human
Pose Estimation" (CVPR 2024). The first pair embeds joints along the bones (KPA) and goes along each joint's
frames (TPA) before its attention; ``depth`` pairs of MixSTE follow. The published program adds a position in
place to what a ReLU has kept for its gradient, which PyTorch refuses to train; here the sum is a new tensor,
the same numbers. Its training takes the gradient of half the squared loss, by accident; this is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import Field
from torch import nn

from poseshift.geometry.skeleton import skeleton as skeleton_named
from poseshift.training.lifters.priors import KinematicPrior, TrajectoryPrior
from poseshift.training.lifters.spatio_temporal import SpatioTemporal, SpatioTemporalConfig


class KTPFormerConfig(SpatioTemporalConfig):
    """Size of KTPFormer. The defaults are the authors': 243 frames, 35.2 M parameters."""

    name: Literal["ktpformer"] = "ktpformer"
    depth: int = Field(
        default=7, ge=1, description="Pairs of blocks after the first one, which has the priors."
    )
    prior_attention_eps: float = Field(
        default=1e-5,
        gt=0,
        description="Of the norms before attention in the first pair. The authors' program has 1e-5 there "
        "and 1e-6 in all others, by oversight; 1e-6 makes them equal.",
    )

    @property
    def blocks(self) -> int:
        """Number of pairs, the first among them."""
        return self.depth + 1

    def build(self, channels: int) -> KTPFormer:
        """Build the network for an encoding with this many channels per joint."""
        return KTPFormer(self, channels)


PRESETS: Mapping[str, KTPFormerConfig] = MappingProxyType(
    {
        "ktpformer": KTPFormerConfig(),
        "ktpformer-81f": KTPFormerConfig(frames=81),
        "ktpformer-27f": KTPFormerConfig(frames=27),
        "ktpformer-small": KTPFormerConfig(frames=27, width=64, depth=2, drop_path=0.0),
    }
)


class KTPFormer(SpatioTemporal):
    """KTPFormer for clips; see the module's text. A single frame has no trajectory, and no prior of it."""

    def __init__(self, config: KTPFormerConfig, channels: int) -> None:
        frames, width = config.frames, config.width
        super().__init__(
            config,
            channels,
            embed=KinematicPrior(skeleton_named(config.skeleton), channels, width),
            before_frames=TrajectoryPrior(frames, width) if frames > 1 else nn.Identity(),
            first_attention_eps=config.prior_attention_eps,
        )
