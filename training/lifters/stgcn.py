"""ST-GCN, single frame: graph convolutions over the joints, over the body's parts, and both together.

Follows Cai et al., "Exploiting Spatial-temporal Relationships for 3D Pose Estimation via Graph Convolutional
Networks" (ICCV 2019), in the single-frame form that the authors release and PoseAug's and PoseDA's tables
use: neighbours told apart by distance to the body's centre and by symmetry, pooling from joints to five parts
to the whole body and back, and a non-local block over the joints. Left out: edges between frames, and the
refinement of the answer by the camera, which needs the root's true depth. A convolution here has one bias
and not one per group of neighbours: 4,608 numbers fewer than the 3,627,847 of the released network.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from poseshift.geometry.skeleton import Skeleton
from poseshift.geometry.skeleton import skeleton as skeleton_named
from poseshift.training.lifters.config import LifterConfigBase
from poseshift.training.lifters.graph import GraphConvolution
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.non_local import NonLocal
from poseshift.training.lifters.norm import ChannelNorm
from poseshift.training.lifters.pooling import group_members, group_of_joint, max_pool

PARTS = (
    ("pelvis", "spine", "thorax", "nose", "head"),
    ("left_shoulder", "left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow", "right_wrist"),
    ("left_hip", "left_knee", "left_ankle"),
    ("right_hip", "right_knee", "right_ankle"),
)
"""Joints of each node of :data:`BODY_PARTS`."""

BODY_PARTS = Skeleton(
    name="body_parts",
    joint_names=("trunk", "left_arm", "right_arm", "left_leg", "right_leg"),
    parents=(-1, 0, 0, 0, 0),
    left=(1, 3),
    right=(2, 4),
)
"""The pooled graph: four limbs linked to the trunk, and to their mirror images."""


class STGCNConfig(LifterConfigBase):
    """Size of ST-GCN. The defaults are the authors' single-frame network: 3.6 M parameters."""

    name: Literal["st-gcn"] = "st-gcn"
    skeleton: Literal["human36m_17", "poseaug_16"] = Field(
        default="human36m_17", description="Joint set of input and output; the parts name its joints."
    )
    width: int = Field(
        default=128, ge=1, description="Channels of the first two units; the third has twice as many."
    )
    part_width: int = Field(default=512, ge=1, description="Channels of the body's parts and of the whole.")
    dropout: float = Field(default=0.05, ge=0, lt=1, description="Dropout, twice in every unit.")
    whole_dropout: float = Field(
        default=0.25, ge=0, lt=1, description="Dropout of the whole body's features."
    )
    head_dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Dropout on the way back to the joints and before the last layer.",
    )

    def build(self, channels: int) -> Lifter:
        """Build the network for an encoding with this many channels per joint."""
        return STGCN(self, channels)


PRESETS: Mapping[str, STGCNConfig] = MappingProxyType(
    {
        "st-gcn": STGCNConfig(),
        "st-gcn-small": STGCNConfig(
            width=32, part_width=128, dropout=0.0, whole_dropout=0.0, head_dropout=0.0
        ),
    }
)


class Unit(nn.Module):
    """Graph convolution and linear layer, each with batch norm, and a shortcut past both."""

    def __init__(
        self, graph: Skeleton, width_in: int, width_out: int, dropout: float, shortcut: nn.Module | None
    ) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.inside = nn.Sequential(
            GraphConvolution(graph, width_in, "by-distance-symmetric", "random-walk", width_out=width_out),
            ChannelNorm(width_out, "batch"),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width_out, width_out),
            ChannelNorm(width_out, "batch"),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, joints, width in) to (batch, joints, width out)."""
        out: Tensor = self.inside(x)
        if self.shortcut is not None:
            out = out + self.shortcut(x)
        return F.relu(out)


class STGCN(Lifter):
    """ST-GCN for single frames; see the module's text."""

    def __init__(self, config: STGCNConfig, channels: int) -> None:
        super().__init__(frames=1, output="all", channels=channels, skeleton=config.skeleton)
        joints, width, part_width = skeleton_named(config.skeleton), config.width, config.part_width

        def widen(width_in: int, width_out: int) -> nn.Module:
            return nn.Sequential(nn.Linear(width_in, width_out), ChannelNorm(width_out, "batch"))

        def layer(width_in: int, width_out: int, dropout: float) -> nn.Module:
            return nn.Sequential(widen(width_in, width_out), nn.ReLU(), nn.Dropout(dropout))

        self.input_norm = nn.BatchNorm1d(self.joints * channels)
        self.joint_units = nn.Sequential(
            Unit(joints, channels, width, config.dropout, None),
            Unit(joints, width, width, config.dropout, nn.Identity()),
            Unit(joints, width, 2 * width, config.dropout, widen(width, 2 * width)),
        )
        self.part_units = nn.Sequential(
            Unit(BODY_PARTS, 2 * width, part_width, config.dropout, widen(2 * width, part_width)),
            Unit(BODY_PARTS, part_width, part_width, config.dropout, nn.Identity()),
        )
        self.whole = layer(part_width, part_width, config.whole_dropout)
        self.to_joints = layer(2 * part_width, 2 * width, config.head_dropout)
        self.non_local = NonLocal(4 * width, "embedded-gaussian")
        self.head = nn.Sequential(nn.Dropout(config.head_dropout), nn.Linear(4 * width, 3))
        members = group_members(joints, PARTS)
        self.register_buffer("members", members, persistent=False)
        self.register_buffer("part_of_joint", group_of_joint(members, joints.joints), persistent=False)

    def lift(self, keypoints: Tensor) -> Tensor:
        """Map (batch, 1, joints, channels) to (batch, 1, joints, 3)."""
        flat = self.input_norm(keypoints.flatten(1))
        x = self.joint_units(flat.view_as(keypoints).squeeze(1))  # (batch, joints, 2 width)
        parts = self.part_units(max_pool(x, self.get_buffer("members")))  # (batch, 5, part width)
        whole = self.whole(parts.amax(dim=1, keepdim=True))  # (batch, 1, part width)
        coarse = self.to_joints(torch.cat([whole.expand_as(parts), parts], dim=-1))  # (batch, 5, 2 width)
        both = torch.cat([x, coarse[:, self.get_buffer("part_of_joint")]], dim=-1)
        out: Tensor = self.head(self.non_local(both))
        return out.unsqueeze(1)
