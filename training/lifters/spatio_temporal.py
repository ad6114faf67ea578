"""Transformer blocks over the joints of a frame and over the frames of a joint in turn.

The body that MixSTE (Zhang et al., CVPR 2022) introduced and KTPFormer extends. One block of
:class:`SpatioTemporal` is a pair: attention over joints, a norm, attention over frames, a norm. The two norms
are one module each, shared by all pairs, as published.
"""

from __future__ import annotations

from typing import Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from poseshift.training.lifters.attention import Block, require_heads_fit, rising
from poseshift.training.lifters.blocks import BlockLifter, BlockLifterConfig


class SpatioTemporalConfig(BlockLifterConfig):
    """Size of a lifter of this form."""

    skeleton: str = Field(
        default="human36m_17", description="Joint set of input and output, from geometry.skeleton."
    )
    depth: int = Field(
        default=8,
        ge=1,
        description="Pairs of a block over joints and a block over frames, one after another.",
    )
    heads: int = Field(default=8, ge=1, description="Attention heads; must divide the width.")
    mlp_ratio: float = Field(default=2.0, gt=0, description="Hidden width of a block's MLP over the width.")
    drop_path: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Stochastic depth of the last pair; it grows evenly from 0 in the first.",
    )

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        require_heads_fit(self.width, self.heads)
        return self


class SpatioTemporal(BlockLifter):
    """Pairs of blocks over joints and over frames, with shared norms.

    Parameters
    ----------
    config : SpatioTemporalConfig
        Size.
    channels : int
        Input channels per joint.
    embed : nn.Module
        From (rows, joints, channels) to (rows, joints, width), a row per frame.
    before_frames : nn.Module
        From (rows, frames, width) to the same shape, a row per joint: what the first pair does to its tokens
        before it tells frames apart.
    first_attention_eps : float
        Of the norms before attention in the first pair.
    """

    def __init__(
        self,
        config: SpatioTemporalConfig,
        channels: int,
        *,
        embed: nn.Module,
        before_frames: nn.Module,
        first_attention_eps: float = 1e-6,
    ) -> None:
        super().__init__(
            width=config.width,
            depth=config.blocks,
            frames=config.frames,
            channels=channels,
            skeleton=config.skeleton,
        )
        hidden = round(config.width * config.mlp_ratio)

        def stack() -> nn.ModuleList:
            return nn.ModuleList(
                Block(
                    config.width,
                    config.heads,
                    hidden,
                    drop_path=drop_path,
                    attention_eps=1e-6 if number else first_attention_eps,
                )
                for number, drop_path in enumerate(rising(config.drop_path, config.blocks))
            )

        self.embed = embed
        self.position_joint = nn.Parameter(torch.empty(1, self.joints, config.width))
        self.before_frames = before_frames
        self.position_frame = nn.Parameter(torch.empty(1, config.frames, config.width))
        for position in (self.position_joint, self.position_frame):
            nn.init.trunc_normal_(position, std=0.02)
        self.over_joints = stack()
        self.norm_joints = nn.LayerNorm(config.width, eps=1e-6)
        self.over_frames = stack()
        self.norm_frames = nn.LayerNorm(config.width, eps=1e-6)
        self.head = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, 3))

    def tokens(self, keypoints: Tensor) -> Tensor:
        """Map (batch, frames, joints, channels) to tokens (batch, frames, joints, width)."""
        embedded = self.embed(keypoints.flatten(0, 1)) + self.position_joint
        tokens: Tensor = embedded.unflatten(0, keypoints.shape[:2])
        return tokens

    def block(self, index: int, tokens: Tensor) -> Tensor:
        """Map tokens (batch, n, joints, width) to the same shape; the first pair needs the whole clip."""
        batch, frames, joints, _ = tokens.shape
        x = self.norm_joints(self.over_joints[index](tokens.flatten(0, 1)))
        x = x.unflatten(0, (batch, frames)).transpose(1, 2).flatten(0, 1)  # (batch * joints, frames, width)
        if index == 0:
            x = self.before_frames(x) + self.position_frame
        x = self.norm_frames(self.over_frames[index](x))
        paired: Tensor = x.unflatten(0, (batch, joints)).transpose(1, 2)
        return paired

    def positions(self, tokens: Tensor) -> Tensor:
        """Map tokens (batch, n, joints, width) to metres (batch, n, joints, 3)."""
        out: Tensor = self.head(tokens)
        return out
