"""Graph convolutions with a prior of who moves with whom: the parts of KTPFormer that any lifter can take.

Follows Peng et al., "KTPFormer: Kinematics and Trajectory Prior Knowledge-Enhanced Transformer for 3D Human
Pose Estimation" (CVPR 2024). Bones link joints in :class:`KinematicPrior`, neighbouring frames are linked in
:class:`TrajectoryPrior`; both may learn further links. The first replaces any layer that embeds joints, the
second goes before any stack of blocks over frames.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from poseshift.geometry.skeleton import Skeleton
from poseshift.training.lifters.graph import bones_of
from poseshift.training.lifters.norm import ChannelNorm

Float64 = NDArray[np.float64]


def linked_with_self(links: Float64) -> Float64:
    """Divide each row of a symmetric adjacency by its sum, and then set the diagonal to one.

    Parameters
    ----------
    links : array of float64 of shape (nodes, nodes)
        Ones where two nodes are linked, the diagonal zero; a node may have no link.

    Examples
    --------
    >>> linked_with_self(np.array([[0.0, 1, 0], [1, 0, 1], [0, 1, 0]])).tolist()
    [[1.0, 1.0, 0.0], [0.5, 1.0, 0.5], [0.0, 1.0, 1.0]]
    """
    rows: Float64 = links / np.maximum(links.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(rows, 1.0)
    return rows


def chain_of(frames: int) -> Float64:
    """Link each frame with the next, (frames, frames)."""
    return np.eye(frames, k=1) + np.eye(frames, k=-1)


class PriorConvolution(nn.Module):
    """``out[n] = S[n,n] M[n] * (x[n] W[0]) + sum over m != n of S[n,m] M[m] * (x[m] W[1]) + b``.

    ``S`` is the symmetric part of a fixed adjacency and a learned one. ``M`` belongs to the node that sends.

    Parameters
    ----------
    adjacency : array of float64 of shape (nodes, nodes)
        The fixed one, from :func:`linked_with_self`.
    width_in, width_out : int
        Features per node.

    Attributes
    ----------
    weight : Parameter of shape (2, width in, width out)
        Of a node itself, and of the others.
    modulation : Parameter of shape (nodes, width out)
        ``M``, at first ones.
    learned : Parameter of shape (nodes, nodes)
        Added to the adjacency, at first 1e-6.
    bias : Parameter of shape (width out,)
    """

    def __init__(self, adjacency: Float64, width_in: int, width_out: int) -> None:
        super().__init__()
        nodes = len(adjacency)
        self.register_buffer("adjacency", torch.from_numpy(adjacency).float(), persistent=False)
        self.register_buffer("self_only", torch.eye(nodes), persistent=False)
        self.weight = nn.Parameter(torch.empty(2, width_in, width_out))
        nn.init.xavier_uniform_(self.weight, gain=1.414)
        self.modulation = nn.Parameter(torch.ones(nodes, width_out))
        self.learned = nn.Parameter(torch.full((nodes, nodes), 1e-6))
        self.bias = nn.Parameter(torch.empty(width_out))
        bound = 1 / math.sqrt(width_out)
        nn.init.uniform_(self.bias, -bound, bound)

    def links(self) -> Tensor:
        """Return ``S``, (nodes, nodes)."""
        links = self.get_buffer("adjacency") + self.learned
        return (links + links.T) / 2

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, nodes, width in) to (rows, nodes, width out)."""
        own, others = self.weight
        links, self_only = self.links(), self.get_buffer("self_only")
        sent = torch.cat([x @ own * self.modulation, x @ others * self.modulation], dim=1)
        taken = torch.cat([links * self_only, links * (1 - self_only)], dim=1)  # (nodes, 2 nodes)
        return taken @ sent + self.bias


class _Prior(nn.Module):
    """``relu(norm(convolution(x)))``; the norm takes its moments over rows and nodes."""

    def __init__(self, adjacency: Float64, width_in: int, width_out: int) -> None:
        super().__init__()
        self.convolution = PriorConvolution(adjacency, width_in, width_out)
        self.norm = ChannelNorm(width_out, "batch")

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, nodes, width in) to (rows, nodes, width out)."""
        out: Tensor = self.norm(self.convolution(x)).relu()
        return out


class KinematicPrior(_Prior):
    """Embedding of joints along the bones, in place of a linear layer per joint (KPA without its attention).

    Parameters
    ----------
    skeleton : Skeleton
        Whose bones link the joints.
    channels, width : int
        Features per joint, before and after.
    """

    def __init__(self, skeleton: Skeleton, channels: int, width: int) -> None:
        super().__init__(linked_with_self(bones_of(skeleton)), channels, width)


class TrajectoryPrior(nn.Module):
    """Residual layer along each joint's way through the frames (TPA without its attention).

    Each frame sees two others to each side, as long as no further links are learned.

    Parameters
    ----------
    frames : int
        Length of the clip.
    width : int
        Features per joint and frame.
    """

    def __init__(self, frames: int, width: int) -> None:
        super().__init__()
        chain = linked_with_self(chain_of(frames))
        self.layers = nn.Sequential(_Prior(chain, width, width), _Prior(chain, width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map (rows, frames, width) to the same shape, a row per joint of each clip."""
        out: Tensor = x + self.layers(x)
        return out
