"""SemGCN: graph convolutions that learn how much each bone counts, with non-local blocks between them.

Follows Zhao et al., "Semantic Graph Convolutional Networks for 3D Human Pose Regression" (CVPR 2019), with
one learned weight per edge shared by all channels: the form whose size they publish, 0.43 M parameters with
non-local blocks and 0.27 M without. Left out: the channel-wise form of the layer and the image features of
their second configuration. The groups to which the non-local blocks pool are those of their release, written
as joint names; the nose, which their 16 joints lack, joins the head.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from poseshift.geometry.skeleton import Skeleton
from poseshift.geometry.skeleton import skeleton as skeleton_named
from poseshift.training.lifters.config import LifterConfigBase
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.non_local import NonLocal
from poseshift.training.lifters.norm import ChannelNorm
from poseshift.training.lifters.pooling import group_members

GROUPS = (
    ("right_knee", "right_ankle"),
    ("left_knee", "left_ankle"),
    ("right_hip", "left_hip"),
    ("pelvis", "spine"),
    ("thorax", "nose", "head"),
    ("right_elbow", "right_wrist"),
    ("left_elbow", "left_wrist"),
    ("left_shoulder", "right_shoulder"),
)
"""Joints that a non-local block pools together."""


class SemGCNConfig(LifterConfigBase):
    """Size and variant of SemGCN. The defaults are the paper's full network."""

    name: Literal["semgcn"] = "semgcn"
    skeleton: Literal["human36m_17", "poseaug_16"] = Field(
        default="human36m_17", description="Joint set of input and output; the pooled groups name its joints."
    )
    width: int = Field(default=128, ge=2, multiple_of=2, description="Channels per joint.")
    blocks: int = Field(default=4, ge=1, description="Residual blocks of two graph convolutions each.")
    non_local: Literal["pooled", "none"] = Field(
        default="pooled",
        description="Non-local blocks after the first convolution and after each residual block, keys pooled "
        "over pairs of joints; or none, as in PoseAug's and PoseDA's tables.",
    )
    dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Dropout after every hidden graph convolution; the paper has none.",
    )

    def build(self, channels: int) -> Lifter:
        """Build the network for an encoding with this many channels per joint."""
        return SemGCN(self, channels)


PRESETS: Mapping[str, SemGCNConfig] = MappingProxyType(
    {
        "semgcn": SemGCNConfig(),
        "semgcn-local": SemGCNConfig(non_local="none"),
        "semgcn-small": SemGCNConfig(non_local="none", width=64),
    }
)


class SemanticGraphConvolution(nn.Module):
    """``out[i] = A[i, i] x[i] W_0 + sum_(j != i) A[i, j] x[j] W_1 + b``, with A learned on the bones.

    Row i of A is the softmax of the learned weights of the edges into joint i, its self loop included. When
    new, all edges weigh the same.
    """

    def __init__(self, skeleton: Skeleton, width_in: int, width_out: int) -> None:
        super().__init__()
        linked = np.eye(skeleton.joints, dtype=bool)
        for parent, child in skeleton.bones:
            linked[parent, child] = linked[child, parent] = True
        receivers, senders = (torch.from_numpy(ends) for ends in linked.nonzero())
        self.register_buffer("receivers", receivers, persistent=False)
        self.register_buffer("senders", senders, persistent=False)
        self.joints = skeleton.joints
        self.edges = nn.Parameter(torch.ones(len(receivers)))
        self.weight = nn.Parameter(torch.empty(2, width_in, width_out))
        for matrix in self.weight:
            nn.init.xavier_uniform_(matrix, gain=math.sqrt(2))
        self.bias = nn.Parameter(torch.zeros(width_out))

    def adjacency(self) -> Tensor:
        """Return A, (joints, joints), entry [receiver, sender]; rows sum to one."""
        place = (self.get_buffer("receivers"), self.get_buffer("senders"))
        unlinked = self.edges.new_full((self.joints, self.joints), -torch.inf)
        return unlinked.index_put(place, self.edges).softmax(dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, joints, width in) to (batch, joints, width out)."""
        adjacency = self.adjacency()
        own = adjacency.diagonal()
        others = adjacency - own.diag()
        return own[:, None] * (x @ self.weight[0]) + others @ (x @ self.weight[1]) + self.bias


class Residual(nn.Module):
    """Two hidden layers added to their input."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, joints, width) to the same shape."""
        out: Tensor = x + self.second(self.first(x))
        return out


class SemGCN(Lifter):
    """SemGCN; see the module's text."""

    def __init__(self, config: SemGCNConfig, channels: int) -> None:
        super().__init__(frames=1, output="all", channels=channels, skeleton=config.skeleton)
        joint_set, width = skeleton_named(config.skeleton), config.width

        def layer(width_in: int) -> nn.Sequential:
            convolution = SemanticGraphConvolution(joint_set, width_in, width)
            return nn.Sequential(
                convolution, ChannelNorm(width, "batch"), nn.ReLU(), nn.Dropout(config.dropout)
            )

        stages: list[nn.Module] = [layer(channels)]
        stages += [Residual(layer(width), layer(width)) for _ in range(config.blocks)]
        if config.non_local == "pooled":
            members = group_members(joint_set, GROUPS)
            stages = [nn.Sequential(stage, NonLocal(width, "concatenation", members)) for stage in stages]
        self.stages = nn.Sequential(*stages)
        self.head = SemanticGraphConvolution(joint_set, width, 3)

    def lift(self, keypoints: Tensor) -> Tensor:
        """Map (batch, 1, joints, channels) to (batch, 1, joints, 3)."""
        out: Tensor = self.head(self.stages(keypoints.squeeze(1)))
        return out.unsqueeze(1)
