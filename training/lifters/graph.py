"""Graph convolution over the bones of a skeleton, with several ways of sharing weights among neighbours.

The grouping by distance to the body's centre follows Cai et al., "Exploiting Spatial-temporal Relationships
for 3D Pose Estimation via Graph Convolutional Networks" (ICCV 2019); unshared weights follow Liu et al.
(ECCV 2020) and modulation follows Zou and Tang (ICCV 2021). The adjacency is fixed, never learned.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from poseshift.geometry.skeleton import Skeleton

Neighbours = Literal["by-distance", "by-distance-symmetric", "shared", "unshared", "modulated"]
"""How a graph convolution tells neighbours apart.

``shared``: one matrix for all. ``by-distance``: one each for the joint itself, its neighbours nearer to the
body's centre and those farther from it. ``by-distance-symmetric``: a fourth for the mirrored joint, added
as a neighbour. ``unshared``: one matrix per sending joint. ``modulated``: two matrices, self and others,
times a vector per sending joint.
"""

Normalisation = Literal["random-walk", "symmetric"]

Float64 = NDArray[np.float64]


def bones_of(skeleton: Skeleton) -> Float64:
    """Link the joints of each bone, (joints, joints): one where there is a bone, else zero."""
    links = np.zeros((skeleton.joints, skeleton.joints))
    for parent, child in skeleton.bones:
        links[parent, child] = links[child, parent] = 1.0
    return links


def distances_to_centre(skeleton: Skeleton) -> NDArray[np.int64]:
    """Count the bones between each joint and the centre of the skeleton's tree.

    The centre is the joint whose farthest joint is nearest (the first such joint on a tie): the spine joint
    of Human3.6M's 17, which is the centre that Cai et al. name.

    Returns
    -------
    (joints,) number of bones.
    """
    hops = np.where(bones_of(skeleton) > 0, 1.0, np.inf)
    np.fill_diagonal(hops, 0)
    for via in range(skeleton.joints):  # Floyd-Warshall
        hops = np.minimum(hops, hops[:, via, None] + hops[None, via, :])
    centre = int(np.argmin(hops.max(axis=1)))
    distances: NDArray[np.int64] = hops[centre].astype(np.int64)
    return distances


def adjacency_groups(skeleton: Skeleton, neighbours: Neighbours, normalisation: Normalisation) -> Float64:
    """Split the normalised adjacency into the groups that have a weight matrix of their own.

    Parameters
    ----------
    skeleton : Skeleton
        Tree and left/right pairs.
    neighbours : Neighbours
        Grouping; see :data:`Neighbours`.
    normalisation : Normalisation
        ``random-walk`` (a receiving joint's entries sum to one) or ``symmetric``.

    Returns
    -------
    (groups, joints, joints), entry [k, receiver, sender]. The groups are disjoint and sum to the normalised
    adjacency, self loops included. ``unshared`` has one group per sending joint.
    """
    joints = skeleton.joints
    symmetric_pairs = np.zeros((joints, joints))
    if neighbours == "by-distance-symmetric":
        for left, right in zip(skeleton.left, skeleton.right, strict=True):
            symmetric_pairs[left, right] = symmetric_pairs[right, left] = 1
    bones = bones_of(skeleton)
    symmetric_pairs[bones > 0] = 0
    adjacency = _normalise(np.eye(joints) + bones + symmetric_pairs, normalisation)

    if neighbours == "shared":
        masks = [np.ones((joints, joints), dtype=bool)]
    elif neighbours == "unshared":
        masks = [np.broadcast_to(np.arange(joints) == sender, (joints, joints)) for sender in range(joints)]
    elif neighbours == "modulated":
        masks = [np.eye(joints, dtype=bool), ~np.eye(joints, dtype=bool)]
    else:
        distance = distances_to_centre(skeleton)
        receiver, sender = distance[:, None], distance[None, :]
        masks = [
            np.eye(joints, dtype=bool),
            (bones > 0) & (sender < receiver),
            (bones > 0) & (sender > receiver),
        ]
        if neighbours == "by-distance-symmetric":
            masks.append(symmetric_pairs > 0)
    return np.stack([np.where(mask, adjacency, 0.0) for mask in masks])


def _normalise(adjacency: Float64, normalisation: Normalisation) -> Float64:
    degree = adjacency.sum(axis=1)
    if normalisation == "random-walk":
        scale = np.broadcast_to(degree[:, None], adjacency.shape)
    else:
        scale = np.sqrt(np.outer(degree, degree))
    normalised: Float64 = adjacency / scale
    return normalised


class GraphConvolution(nn.Module):
    """``out[i] = sum_k sum_j A[k, i, j] (m[k, j] * (x[j] W[k])) + b``, with m = 1 unless modulated.

    Parameters
    ----------
    skeleton : Skeleton
        The graph.
    width : int
        Channels in.
    neighbours, normalisation : Neighbours or Normalisation
        See :func:`adjacency_groups`.
    width_out : int or None
        Channels out; by default as many as in.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        width: int,
        neighbours: Neighbours,
        normalisation: Normalisation,
        *,
        width_out: int | None = None,
    ) -> None:
        super().__init__()
        groups = torch.from_numpy(adjacency_groups(skeleton, neighbours, normalisation)).float()
        count = groups.shape[0]
        self.unshared = neighbours == "unshared"
        # Senders first, then groups, as the linear map below lays its output out: no copy in between.
        mixing = groups.sum(0) if self.unshared else groups.permute(1, 2, 0).flatten(1)
        self.register_buffer("mixing", mixing.contiguous(), persistent=False)
        self.width_out = width if width_out is None else width_out
        self.weight = nn.Parameter(torch.empty(count, width, self.width_out))
        bound = math.sqrt(3.0 / width)
        nn.init.uniform_(self.weight, -bound, bound)
        self.bias = nn.Parameter(torch.zeros(self.width_out))
        self.modulation = (
            nn.Parameter(torch.ones(skeleton.joints, self.width_out)) if neighbours == "modulated" else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, joints, width) to (batch, joints, width out)."""
        batch, joints, _ = x.shape
        mixing: Tensor = self.get_buffer("mixing")
        if self.unshared:
            sent = torch.einsum("bjc,jcd->bjd", x, self.weight)
        else:
            matrix = self.weight.permute(1, 0, 2).flatten(1)  # (width, groups * width out)
            sent = x @ matrix  # (batch, joints, groups * width out)
            if self.modulation is not None:
                sent = sent.view(batch, joints, -1, self.width_out) * self.modulation[:, None, :]
            sent = sent.reshape(batch, -1, self.width_out)  # (batch, joints * groups, width out)
        return mixing @ sent + self.bias
