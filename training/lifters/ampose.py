"""AMPose: global attention over all joints alternating with graph convolutions over the bones.

Follows "AMPose: Alternately Mixed Global-Local Attention Model for 3D Human Pose Estimation"
(arXiv:2210.04216) as far as its text is public: single frames, transformer encoders and graph-convolution
blocks in turn, the graph holding physical connections only. What the paper leaves open is an option of
:class:`AMPoseConfig`, with the reason for its default. No weights of the authors are loaded and no figure
of theirs is claimed.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from poseshift.geometry.skeleton import skeleton as skeleton_named
from poseshift.training.lifters.attention import attend, require_heads_fit
from poseshift.training.lifters.config import LifterConfigBase
from poseshift.training.lifters.graph import GraphConvolution, Neighbours, Normalisation
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.norm import ChannelNorm

Order = Literal["global-first", "local-first", "parallel"]


class AMPoseConfig(LifterConfigBase):
    """Size and open choices of AMPose. The defaults are the ``ampose`` preset: 11.1 M parameters."""

    name: Literal["ampose"] = "ampose"
    skeleton: str = Field(
        default="human36m_17", description="Joint set of input and output, from geometry.skeleton."
    )
    width: int = Field(
        default=512,
        ge=4,
        description="Channels per joint. The single-frame lifters that AMPose is compared with use 512.",
    )
    pairs: int = Field(
        default=3,
        ge=1,
        description="Encoder and graph block, this many times. Three pairs of width 512 are 11.0 M weights, "
        "the size of its single-frame rivals (9.5 M for three layers of GraphMLP).",
    )
    heads: int = Field(
        default=8, ge=1, description="Attention heads; must divide the width. Eight is the field's habit."
    )
    mlp_ratio: float = Field(
        default=2.0, gt=0, description="Hidden width of an encoder's MLP over the width."
    )
    dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Dropout after attention, in the MLP and between the two graph convolutions.",
    )
    positional_embedding: Literal["learned", "none"] = Field(
        default="learned",
        description="A learned vector per joint, added once. The paper does not say; the graph blocks tell "
        "joints apart already, so `none` is worth a try.",
    )
    order: Order = Field(
        default="global-first",
        description="Within a pair: attention then bones, bones then attention, or both on the same input, "
        "summed. The first is how the paper's readers describe it.",
    )
    neighbours: Neighbours = Field(
        default="by-distance",
        description="How weights are shared among neighbours. The paper keeps physical connections and "
        "rejects one matrix for all of them; `by-distance` (self, nearer to, farther from the body's centre: "
        "Cai et al., ICCV 2019) is the remedy it cites that is defined by connection types.",
    )
    normalisation: Normalisation = Field(
        default="random-walk",
        description="Of the adjacency: each joint takes a mean over its neighbours (Cai et al.), or "
        "D^-1/2 A D^-1/2.",
    )
    local_norm: Literal["batch", "layer"] = Field(
        default="batch",
        description="Normalisation after each graph convolution; the graph lifters it cites use batch.",
    )
    local_output: Literal["relu", "linear"] = Field(
        default="relu",
        description="After the graph block's sum: ReLU as in Cai et al., or nothing as in pre-norm networks.",
    )

    @model_validator(mode="after")
    def _heads_divide_width(self) -> AMPoseConfig:
        require_heads_fit(self.width, self.heads)
        return self

    def build(self, channels: int) -> Lifter:
        """Build the network for an encoding with this many channels per joint."""
        return AMPose(self, channels)


PRESETS: Mapping[str, AMPoseConfig] = MappingProxyType(
    {
        "ampose": AMPoseConfig(),
        "ampose-small": AMPoseConfig(width=64, pairs=2, heads=4, dropout=0.0),
    }
)
"""``ampose`` has the size of its published rivals; ``ampose-small`` learns in about a minute on two cores."""


class Encoder(nn.Module):
    """Pre-norm transformer encoder over the joints of one frame: every joint attends to every other."""

    def __init__(self, config: AMPoseConfig) -> None:
        super().__init__()
        hidden = round(config.width * config.mlp_ratio)
        self.heads = config.heads
        self.norm_attention = nn.LayerNorm(config.width, eps=1e-6)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.norm_mlp = nn.LayerNorm(config.width, eps=1e-6)
        self.expand = nn.Linear(config.width, hidden)
        self.contract = nn.Linear(hidden, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, joints, width) to the same shape."""
        x = x + self.dropout(self.out(self._attend(self.norm_attention(x))))
        hidden = self.dropout(F.gelu(self.expand(self.norm_mlp(x))))
        out: Tensor = x + self.dropout(self.contract(hidden))
        return out

    def _attend(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return attend(q, k, v, self.heads)


class GraphBlock(nn.Module):
    """Two graph convolutions with normalisation, ReLU between them, and a residual: bones only."""

    def __init__(self, config: AMPoseConfig) -> None:
        super().__init__()
        joint_set = skeleton_named(config.skeleton)
        self.first = GraphConvolution(joint_set, config.width, config.neighbours, config.normalisation)
        self.second = GraphConvolution(joint_set, config.width, config.neighbours, config.normalisation)
        self.norm_first = ChannelNorm(config.width, config.local_norm)
        self.norm_second = ChannelNorm(config.width, config.local_norm)
        self.dropout = nn.Dropout(config.dropout)
        self.activation = nn.ReLU() if config.local_output == "relu" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, joints, width) to the same shape."""
        hidden = self.dropout(F.relu(self.norm_first(self.first(x))))
        hidden = self.norm_second(self.second(hidden))
        out: Tensor = self.activation(x + hidden)
        return out


class Pair(nn.Module):
    """One encoder and one graph block, in the configured order."""

    def __init__(self, config: AMPoseConfig) -> None:
        super().__init__()
        self.order = config.order
        self.attention = Encoder(config)
        self.graph = GraphBlock(config)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, joints, width) to the same shape."""
        if self.order == "parallel":
            out: Tensor = self.attention(x) + self.graph(x) - x
        elif self.order == "global-first":
            out = self.graph(self.attention(x))
        else:
            out = self.attention(self.graph(x))
        return out


class AMPose(Lifter):
    """AMPose for single frames; see the module's text."""

    def __init__(self, config: AMPoseConfig, channels: int) -> None:
        super().__init__(frames=1, output="all", channels=channels, skeleton=config.skeleton)
        self.embed = nn.Linear(channels, config.width)
        self.position: nn.Parameter | None = None
        if config.positional_embedding == "learned":
            self.position = nn.Parameter(torch.empty(self.joints, config.width))
            nn.init.trunc_normal_(self.position, std=0.02)
        self.pairs = nn.Sequential(*(Pair(config) for _ in range(config.pairs)))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)
        self.head = nn.Linear(config.width, 3)

    def lift(self, keypoints: Tensor) -> Tensor:
        """Map (batch, 1, joints, channels) to (batch, 1, joints, 3)."""
        x: Tensor = self.embed(keypoints.squeeze(1))  # (batch, joints, width)
        if self.position is not None:
            x = x + self.position
        out: Tensor = self.head(self.norm(self.pairs(x)))
        return out.unsqueeze(1)
