"""ConvFormer: attention whose queries, keys and values are sums of convolutions of several widths.

Follows Diaz-Arias and Shin, "ConvFormer: Parameter Reduction in Transformer Models for 3D Human Pose
Estimation by Leveraging Dynamic Multi-Headed Convolutional Attention" (arXiv:2304.02147), from its text; no
program of the authors was released. Over joints, a filter slides along the 17 joints of a frame; over time,
the frames are the channels and a filter slides along the features of all joints. What the text leaves open is
an option of :class:`ConvFormerConfig`, or was settled by the paper's table of sizes: MLPs of ratio two,
biases in all convolutions, a convolution of width one after the heads, and a norm after each stack give every
row of that table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import AfterValidator, Field, model_validator
from torch import Tensor, nn

from poseshift.training.lifters.attention import DropPath, attend, require_heads_fit, rising
from poseshift.training.lifters.config import LifterConfigBase
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.videopose3d import odd

KernelWeights = Literal["softmax", "divided"]
"""How learned numbers become weights that sum to one: by a softmax, or divided by their sum."""


class ConvFormerConfig(LifterConfigBase):
    """Size and open choices of ConvFormer. The defaults are the paper's: 243 frames, 10.2 M parameters."""

    name: Literal["convformer"] = "convformer"
    skeleton: str = Field(
        default="human36m_17", description="Joint set of input and output, from geometry.skeleton."
    )
    frames: int = Field(
        default=243,
        ge=1,
        description="Clip length, whose middle frame is answered for; the weights depend on it.",
    )
    width: int = Field(default=32, ge=1, description="Features per joint.")
    depth: int = Field(default=2, ge=1, description="Blocks over joints, and as many over frames.")
    kernels: tuple[Annotated[int, AfterValidator(odd)], ...] = Field(
        default=(7, 7, 7),
        min_length=1,
        description="Widths of the convolutions whose weighted sum is a query, key or value.",
    )
    heads: int = Field(default=8, ge=1, description="Attention heads; must divide the width.")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="Of queries, keys and values.")
    drop_path: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="Stochastic depth. The paper gives one number and no rule: it is that of the last block "
        "of each stack and grows evenly from 0 in the first, as in the transformers it is compared with.",
    )
    kernel_weights: KernelWeights = Field(
        default="softmax",
        description="The paper asks that the kernels' weights sum to one and not how. A softmax keeps them "
        "positive; `divided` lets a kernel be subtracted, and fails where the sum comes near zero.",
    )
    scale: Literal["head", "width"] = Field(
        default="head",
        description="Scores are divided by the root of a head's features, as everywhere, or of all features: "
        "the paper's symbol can be read as both.",
    )
    activation: Literal["gelu", "relu"] = Field(
        default="gelu", description="Inside the MLPs; not named in the paper, GELU in its rivals."
    )

    @model_validator(mode="after")
    def _heads_divide_width(self) -> ConvFormerConfig:
        require_heads_fit(self.width, self.heads)
        return self

    def build(self, channels: int) -> Lifter:
        """Build the network for an encoding with this many channels per joint."""
        return ConvFormer(self, channels)


PRESETS: Mapping[str, ConvFormerConfig] = MappingProxyType(
    {
        "convformer": ConvFormerConfig(),
        "convformer-27f": ConvFormerConfig(frames=27),
        "convformer-small": ConvFormerConfig(frames=9, width=16, depth=1, dropout=0.0, drop_path=0.0),
    }
)


class DynamicConvolution(nn.Module):
    """Weighted sum of convolutions of several widths; the weights are learned and sum to one.

    Parameters
    ----------
    size : int
        Channels, in and out.
    kernels : tuple of int
        Odd widths.
    kernel_weights : KernelWeights
        How the learned numbers become weights.
    dropout : float
        Of the sum.
    """

    def __init__(
        self, size: int, kernels: tuple[int, ...], kernel_weights: KernelWeights, dropout: float
    ) -> None:
        super().__init__()
        self.kernel_weights = kernel_weights
        self.convolutions = nn.ModuleList(
            nn.Conv1d(size, size, width, padding=width // 2) for width in kernels
        )
        self.logits = nn.Parameter(torch.zeros(len(kernels)))
        if kernel_weights == "divided":
            nn.init.ones_(self.logits)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, size, length) to the same shape."""
        if self.kernel_weights == "softmax":
            weights = self.logits.softmax(dim=0)
        else:
            weights = self.logits / self.logits.sum()
        total = sum(weight * one(x) for weight, one in zip(weights.unbind(), self.convolutions, strict=True))
        out: Tensor = self.dropout(total)
        return out


class ConvolutionalAttention(nn.Module):
    """Attention with a :class:`DynamicConvolution` each for queries, keys and values.

    Parameters
    ----------
    size : int
        Channels of the convolutions.
    tokens_last : bool
        Whether the filters slide along the tokens, and channels are the features (over joints); otherwise the
        tokens are the channels and filters slide along the features (over frames).
    config : ConvFormerConfig
        Kernels, heads, dropout.
    """

    def __init__(self, size: int, *, tokens_last: bool, config: ConvFormerConfig) -> None:
        super().__init__()
        self.tokens_last = tokens_last
        self.heads = config.heads
        self.scale = config.scale
        self.query, self.key, self.value = (
            DynamicConvolution(size, config.kernels, config.kernel_weights, config.dropout) for _ in range(3)
        )
        self.out = nn.Conv1d(size, size, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, tokens, features) to the same shape."""
        x = self._turned(x)
        q, k, v = (self._turned(one(x)) for one in (self.query, self.key, self.value))
        if self.scale == "width":
            q = q / math.sqrt(self.heads)  # what attention divides by is the root of a head's features
        return self._turned(self.out(self._turned(attend(q, k, v, self.heads))))

    def _turned(self, x: Tensor) -> Tensor:
        """Exchange tokens and features where filters slide along tokens; twice is the input."""
        return x.transpose(1, 2) if self.tokens_last else x


class ConvolutionalBlock(nn.Module):
    """``x = x + attention(norm(x)); x = x + mlp(norm(x))``, with an MLP of ratio two.

    Parameters
    ----------
    features : int
        Per token.
    attention : ConvolutionalAttention
        Over the tokens.
    drop_path : float
        Stochastic depth.
    config : ConvFormerConfig
        Activation.
    """

    def __init__(
        self, features: int, attention: ConvolutionalAttention, drop_path: float, config: ConvFormerConfig
    ) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(features)
        self.attention = attention
        self.norm_mlp = nn.LayerNorm(features)
        self.expand = nn.Linear(features, 2 * features)
        self.contract = nn.Linear(2 * features, features)
        self.drop_path = DropPath(drop_path)
        self.activation = F.gelu if config.activation == "gelu" else F.relu

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, tokens, features) to the same shape."""
        x = x + self.drop_path(self.attention(self.norm_attention(x)))
        hidden = self.activation(self.expand(self.norm_mlp(x)))
        out: Tensor = x + self.drop_path(self.contract(hidden))
        return out


class ConvFormer(Lifter):
    """ConvFormer for clips; see the module's text."""

    def __init__(self, config: ConvFormerConfig, channels: int) -> None:
        super().__init__(frames=config.frames, output="centre", channels=channels, skeleton=config.skeleton)
        pose = self.joints * config.width

        def stack(features: int, size: int, *, tokens_last: bool) -> nn.Sequential:
            return nn.Sequential(
                *(
                    ConvolutionalBlock(
                        features,
                        ConvolutionalAttention(size, tokens_last=tokens_last, config=config),
                        drop_path,
                        config,
                    )
                    for drop_path in rising(config.drop_path, config.depth)
                )
            )

        self.embed = nn.Linear(channels, config.width)
        self.position_joint = nn.Parameter(torch.empty(self.joints, config.width))
        self.over_joints = stack(config.width, config.width, tokens_last=True)
        self.norm_joints = nn.LayerNorm(config.width)
        self.position_frame = nn.Parameter(torch.empty(config.frames, pose))
        for position in (self.position_joint, self.position_frame):
            nn.init.trunc_normal_(position, std=0.02)
        self.over_frames = stack(pose, config.frames, tokens_last=False)
        self.norm_frames = nn.LayerNorm(pose)
        self.head = nn.Linear(pose, self.joints * 3)
        self.join_frames = nn.Conv1d(config.frames, 1, 1)

    def lift(self, keypoints: Tensor) -> Tensor:
        """Map (batch, frames, joints, channels) to (batch, 1, joints, 3)."""
        x = self.embed(keypoints.flatten(0, 1)) + self.position_joint
        x = self.norm_joints(self.over_joints(x))
        x = x.flatten(1).unflatten(0, keypoints.shape[:2]) + self.position_frame
        x = self.norm_frames(self.over_frames(x))
        out: Tensor = self.join_frames(self.head(x))
        return out.view(-1, 1, self.joints, 3)
