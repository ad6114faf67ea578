"""Graph convolution over joints whose links adapt to each clip, and the unit of space and time made of it.

Follows Shi et al., "Two-Stream Adaptive Graph Convolutional Networks for Skeleton-Based Action Recognition"
(CVPR 2019), in the form that GLA-GCN takes: links are a softmax of how alike two joints move over the whole
clip, plus the bones, plus learned ones. Features are (batch, width, frames, joints) here.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from poseshift.geometry.skeleton import Skeleton

Shortcut = Literal["none", "identity", "projected"]
"""Past a unit: nothing, its input, or its input through a convolution of width one and a norm."""

FRAMES_JOINED = 9
"""Width of the convolutions over time."""


def directed_bones(skeleton: Skeleton) -> NDArray[np.float64]:
    """Links of each joint with itself, from parent to child, and from child to parent.

    Returns
    -------
    (3, joints, joints): entry [1, parent, child] and [2, child, parent] of every bone; each column divided by
    its sum, so that those of the third subset share a parent with several children.
    """
    subsets = np.zeros((3, skeleton.joints, skeleton.joints))
    subsets[0] = np.eye(skeleton.joints)
    for parent, child in skeleton.bones:
        subsets[1, parent, child] = subsets[2, child, parent] = 1.0
    divided: NDArray[np.float64] = subsets / np.maximum(subsets.sum(axis=1, keepdims=True), 1)
    return divided


class AdaptiveGraphConvolution(nn.Module):
    """``out = sum over k of g[k](x S[k])`` with ``S[k] = softmax(theta[k](x)^T phi[k](x)) + A[k] + PA[k]``.

    The softmax is over the joint that sends (rows). What it is taken of is summed over features and frames
    and divided by their number: one matrix for each clip.

    Parameters
    ----------
    skeleton : Skeleton
        Whose bones are the fixed links ``A``.
    width_in, width_out : int
        Features per joint.

    Attributes
    ----------
    theta, phi : ModuleList of three Conv2d of width one
        To a quarter of the features (three where that is none).
    transform : ModuleList of three Conv2d of width one
        ``g``.
    learned : Parameter of shape (3, joints, joints)
        ``PA``, at first 1e-6.
    """

    def __init__(self, skeleton: Skeleton, width_in: int, width_out: int) -> None:
        super().__init__()
        adjacency = torch.from_numpy(directed_bones(skeleton)).float()
        self.register_buffer("adjacency", adjacency, persistent=False)
        self.learned = nn.Parameter(torch.full_like(adjacency, 1e-6))
        subsets = len(adjacency)
        inner = width_out // 4 or 3
        self.theta = nn.ModuleList(by_outputs(nn.Conv2d(width_in, inner, 1)) for _ in range(subsets))
        self.phi = nn.ModuleList(by_outputs(nn.Conv2d(width_in, inner, 1)) for _ in range(subsets))
        self.transform = nn.ModuleList(nn.Conv2d(width_in, width_out, 1) for _ in range(subsets))
        for one in self.transform:
            nn.init.normal_(one.weight, std=math.sqrt(2 / (width_out * width_in * subsets)))
            nn.init.zeros_(one.bias)

    def links(self, x: Tensor, subset: int) -> Tensor:
        """Return ``S`` of one subset, (batch, joints, joints), for (batch, width in, frames, joints)."""
        one, other = self.theta[subset](x).flatten(1, 2), self.phi[subset](x).flatten(1, 2)
        alike = (one.transpose(1, 2) @ other / one.shape[1]).softmax(dim=-2)
        fixed: Tensor = self.get_buffer("adjacency")[subset] + self.learned[subset]
        return alike + fixed

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, width in, frames, joints) to (batch, width out, frames, joints)."""
        out = x.new_zeros(())
        for subset, transform in enumerate(self.transform):
            gathered = x.flatten(1, 2) @ self.links(x, subset)
            out = out + transform(gathered.view_as(x))
        return out


class Unit(nn.Module):
    """Graph convolution over joints, then a convolution over nine frames, with a shortcut past both.

    Parameters
    ----------
    skeleton : Skeleton
        The graph.
    width_in, width_out : int
        Features per joint.
    stride : int
        Every which frame is kept.
    dropout : float
        After the graph convolution's norm.
    shortcut : Shortcut
        What is added at the end; ``identity`` only where the shape stays.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        width_in: int,
        width_out: int,
        *,
        stride: int = 1,
        dropout: float,
        shortcut: Shortcut,
    ) -> None:
        super().__init__()
        self.graph = AdaptiveGraphConvolution(skeleton, width_in, width_out)
        self.graph_norm = nn.BatchNorm2d(width_out)
        nn.init.constant_(self.graph_norm.weight, 1e-6)
        self.dropout = nn.Dropout(dropout)
        self.past_graph = nn.Identity() if width_in == width_out else _projection(width_in, width_out)
        half = FRAMES_JOINED // 2
        over_time = nn.Conv2d(width_out, width_out, (FRAMES_JOINED, 1), (stride, 1), (half, 0))
        self.over_time = nn.Sequential(by_outputs(over_time), nn.BatchNorm2d(width_out))
        self.shortcut: nn.Module | None = None
        if shortcut == "identity":
            self.shortcut = nn.Identity()
        elif shortcut == "projected":
            self.shortcut = _projection(width_in, width_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, width in, frames, joints) to (batch, width out, frames / stride, joints)."""
        spread = self.dropout(self.graph_norm(self.graph(x)))
        out: Tensor = self.over_time((spread + self.past_graph(x)).relu())
        if self.shortcut is not None:
            out = out + self.shortcut(x)
        return out.relu()


def by_outputs(convolution: nn.Conv2d) -> nn.Conv2d:
    """Draw weights by the number of outputs, which keeps the size of gradients (He et al.), and no bias."""
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out")
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return convolution


def _projection(width_in: int, width_out: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(width_in, width_out, 1, (stride, 1))
    return nn.Sequential(by_outputs(convolution), nn.BatchNorm2d(width_out))
