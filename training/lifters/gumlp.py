"""GUMLP: graph convolutions and U-shaped perceptrons over channels and joints, with a scale for every joint.

Follows Wang et al., "Uncertainty-Aware Testing-Time Optimization for 3D Human Pose Estimation" (TMM 2025),
and its release where the paper leaves a choice open: no activation in the embedding and in the heads, one
fixed adjacency for all blocks, layer norms over the joints before what mixes joints. The adjacency, with
which the published 4.51 M parameters are counted, is a parameter that never learns, so that it is stored and
loaded with the others. Left out: training with amsgrad, which is a matter of the optimiser.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from poseshift.geometry.skeleton import Skeleton
from poseshift.geometry.skeleton import skeleton as skeleton_named
from poseshift.training.lifters.attention import DropPath, rising
from poseshift.training.lifters.config import LifterConfigBase
from poseshift.training.lifters.graph import adjacency_groups
from poseshift.training.lifters.lifter import Lifter, ScaledLifter

_EPS = 1e-6


class GUMLPConfig(LifterConfigBase):
    """Size of GUMLP. The defaults are the paper's smaller network: 4,510,215 parameters."""

    name: Literal["gumlp"] = "gumlp"
    skeleton: str = Field(
        default="human36m_17", description="Joint set of input and output, from geometry.skeleton."
    )
    width: int = Field(default=512, ge=2, multiple_of=2, description="Channels per joint.")
    embedding: int = Field(default=64, ge=1, description="Channels between the two layers of the embedding.")
    blocks: int = Field(default=3, ge=1, description="Blocks; the paper has three or five.")
    channel_dropout: float = Field(
        default=0.1, ge=0, lt=1, description="Dropout in the perceptron over channels."
    )
    joint_dropout: float = Field(
        default=0.05, ge=0, lt=1, description="Dropout in the perceptron over joints."
    )
    drop_path: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="Probability by which the last block leaves out a branch; it rises linearly from zero.",
    )

    def build(self, channels: int) -> Lifter:
        """Build the network for an encoding with this many channels per joint."""
        return GUMLP(self, channels)


PRESETS: Mapping[str, GUMLPConfig] = MappingProxyType(
    {
        "gumlp": GUMLPConfig(),
        "gumlp-5": GUMLPConfig(blocks=5),
        "gumlp-small": GUMLPConfig(
            width=32, embedding=16, blocks=2, channel_dropout=0.0, joint_dropout=0.0, drop_path=0.0
        ),
    }
)


class Layer(nn.Sequential):
    """A linear map of the last axis, GELU, dropout."""

    def __init__(self, features_in: int, features_out: int, dropout: float) -> None:
        super().__init__(nn.Linear(features_in, features_out), nn.GELU(), nn.Dropout(dropout))


class ChannelMLP(nn.Module):
    """Narrow the channels by half, mix them beside a shortcut, widen them again."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.down = Layer(width, width // 2, dropout)
        self.middle = Layer(width // 2, width // 2, dropout)
        self.up = Layer(width // 2, width, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, joints, width) to the same shape."""
        narrow = self.down(x)
        out: Tensor = self.up(self.middle(narrow) + narrow)
        return out


class JointMLP(nn.Module):
    """Widen the joints to six times as many in two steps, mix them beside a shortcut, narrow them again."""

    def __init__(self, joints: int, dropout: float) -> None:
        super().__init__()
        self.up_first = Layer(joints, 3 * joints, dropout)
        self.up_second = Layer(3 * joints, 6 * joints, dropout)
        self.middle = Layer(6 * joints, 6 * joints, dropout)
        self.down_first = Layer(6 * joints, 3 * joints, dropout)
        self.down_second = Layer(3 * joints, joints, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, width, joints) to (batch, joints, width)."""
        wide = self.up_second(self.up_first(x))
        linear, activation, dropout = self.down_second
        # Transposed before the activation, whose gradient then has the layout that torch.compile expects.
        turned = linear(self.down_first(self.middle(wide) + wide)).transpose(1, 2)
        out: Tensor = dropout(activation(turned))
        return out


class GraphConvolution(nn.Module):
    """``out[w] = sum_k sum_v (x[v] W_k + b_k) A[k, v, w]``."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.linear = nn.Linear(width, groups * width)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Map (batch, joints, width) to the same shape by an adjacency (groups, sender, receiver)."""
        sent = self.linear(x).unflatten(-1, (self.groups, x.shape[-1]))
        out: Tensor = torch.einsum("bvkc,kvw->bwc", sent, adjacency)
        return out


class Block(nn.Module):
    """A graph convolution, then the two perceptrons side by side, each stage added to its input."""

    def __init__(self, config: GUMLPConfig, joints: int, groups: int, drop_path: float) -> None:
        super().__init__()
        self.norm_graph = nn.LayerNorm(joints, eps=_EPS)
        self.graph = GraphConvolution(config.width, groups)
        self.norm_channels = nn.LayerNorm(config.width, eps=_EPS)
        self.channels = ChannelMLP(config.width, config.channel_dropout)
        self.norm_joints = nn.LayerNorm(joints, eps=_EPS)
        self.joints = JointMLP(joints, config.joint_dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Map (batch, joints, width) to the same shape."""
        # Contiguous: torch.compile takes the norm of a transposed tensor for one that is transposed too.
        normed = self.norm_graph(x.transpose(1, 2).contiguous()).transpose(1, 2)
        x = x + self.drop_path(self.graph(normed, adjacency))
        over_joints = self.joints(self.norm_joints(x.transpose(1, 2).contiguous()))
        out: Tensor = x + self.drop_path(self.channels(self.norm_channels(x)) + over_joints)
        return out


class Head(nn.Module):
    """A layer norm and two linear maps, without activation."""

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=_EPS)
        self.hidden = nn.Linear(width, width // 2)
        self.out = nn.Linear(width // 2, features)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, joints, width) to (batch, joints, features)."""
        out: Tensor = self.out(self.hidden(self.norm(x)))
        return out


class GUMLP(ScaledLifter):
    """GUMLP; see the module's text."""

    def __init__(self, config: GUMLPConfig, channels: int) -> None:
        super().__init__(frames=1, output="all", channels=channels, skeleton=config.skeleton)
        adjacency = published_adjacency(skeleton_named(config.skeleton))
        self.adjacency = nn.Parameter(adjacency, requires_grad=False)
        self.embed = nn.Linear(channels, config.embedding)
        self.widen = nn.Linear(config.embedding, config.width)
        self.blocks = nn.ModuleList(
            Block(config, self.joints, len(adjacency), drop_path)
            for drop_path in rising(config.drop_path, config.blocks)
        )
        self.mean = Head(config.width, 3)
        self.log_scale = Head(config.width, 1)

    def lift(self, keypoints: Tensor) -> Tensor:
        """Map (batch, 1, joints, channels) to (batch, 1, joints, 3)."""
        out: Tensor = self.mean(self._features(keypoints))
        return out.unsqueeze(1)

    def lift_scaled(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """Map (batch, 1, joints, channels) to positions (batch, 1, joints, 3) and log-scales (..., 1)."""
        features = self._features(keypoints)
        return self.mean(features).unsqueeze(1), self.log_scale(features).unsqueeze(1)

    def _features(self, keypoints: Tensor) -> Tensor:
        x: Tensor = self.widen(self.embed(keypoints.squeeze(1)))
        for block in self.blocks:
            x = block(x, self.adjacency)
        return x


def published_adjacency(joint_set: Skeleton) -> Tensor:
    """Return A of the release, (4, sender, receiver): self, towards the centre, away from it, mirrored joint.

    What a joint receives adds up to one over the four.
    """
    own, from_nearer, from_farther, mirrored = adjacency_groups(
        joint_set, "by-distance-symmetric", "random-walk"
    ).transpose(0, 2, 1)
    groups = [torch.from_numpy(one.copy()) for one in (own, from_farther, from_nearer, mirrored)]
    return torch.stack(groups).float()
