"""One body in all frames of a view: the bones of a person do not change from frame to frame.

A lifter answers each frame by itself, and gives the same person other bones in each. Their median over a
view is nearer to the truth than most frames' own, and it costs no label: with bones of the same length and
joints near their rays, depth has little freedom left. So each answer gets the view's bones, along its own
directions; then joints are moved to where three things agree best, in the sense of least squares: the answer
(depth and place across the image), the rays of the keypoints, and the lengths of the bones. Left and right
are one length.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseshift.geometry.bones import bone_directions, bone_lengths, bone_vectors, from_bones, root_first
from poseshift.geometry.constants import indices
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.skeleton import Skeleton
from poseshift.training.answer import RaysBlend, RaysSnap, Sighting, sighting

BONE_M = 0.01
"""How far a bone may be from the view's length: standard deviation, metres."""

DEPTH_M = 0.05
"""How far a joint may be from the answer in depth, relative to the root: standard deviation, metres."""

ACROSS_M = 0.04
"""The same across the image, where :class:`~poseshift.training.answer.RaysBlend` does not say."""

STEPS = 3
"""Steps towards the optimum; what more of them change is far below a millimetre on average."""

_FRAMES_AT_ONCE = 4096


@dataclass(frozen=True)
class Seen:
    """What was seen of some frames, on one device.

    Attributes
    ----------
    keypoints_px : Tensor
        (n, joints, 2), pixels, NaN where a joint was not seen.
    intrinsics : Intrinsics
        Leading dimensions (n,).
    confidence : Tensor or None
        (n, joints), from 0 to 1.
    """

    keypoints_px: Tensor
    intrinsics: Intrinsics
    confidence: Tensor | None = None

    def __getitem__(self, rows: slice) -> Seen:
        """Take some frames."""
        sure = None if self.confidence is None else self.confidence[rows]
        return Seen(self.keypoints_px[rows], self.intrinsics[rows], sure)


def with_one_body(
    answers: Tensor,
    seen: Seen,
    views: Iterable[NDArray[np.intp]],
    skeleton: Skeleton,
    rays: RaysSnap | RaysBlend,
) -> Tensor:
    """Give all frames of each view the same bones, and settle them on their keypoints.

    Parameters
    ----------
    answers : Tensor
        (n, joints, 3), metres, relative to the root, camera axes: each frame answered by itself.
    seen : Seen
        The keypoints of the same frames.
    views : iterable of arrays of int
        The rows of each view; every row is in one.
    skeleton : Skeleton
        Names the bones.
    rays : RaysSnap or RaysBlend
        How far keypoints are believed.

    Returns
    -------
    Tensor
        (n, joints, 3), metres, relative to the root, in float64.
    """
    lengths = view_lengths(answers, views, skeleton)
    parts = [
        settled(answers[rows].double(), lengths[rows], seen[rows], skeleton, rays)
        for rows in (slice(k, k + _FRAMES_AT_ONCE) for k in range(0, len(answers), _FRAMES_AT_ONCE))
    ]
    return torch.cat(parts) if parts else answers.double()


def view_lengths(answers: Tensor, views: Iterable[NDArray[np.intp]], skeleton: Skeleton) -> Tensor:
    """Median of every bone's length over the frames of a view, (n, bones), the mean of left and right."""
    own = bone_lengths(answers.double(), skeleton)
    children = [child for _, child in skeleton.bones]
    opposite = [children.index(skeleton.mirrored[child]) for child in children]
    shared = torch.empty_like(own)
    for rows in views:
        here = torch.as_tensor(rows, device=own.device)
        shared[here] = own[here].quantile(0.5, dim=0)
    return (shared + shared[:, opposite]) / 2


def settled(
    answers: Tensor, lengths: Tensor, seen: Seen, skeleton: Skeleton, rays: RaysSnap | RaysBlend
) -> Tensor:
    """Move joints to where answers, rays and lengths agree best.

    Gauss-Newton with Levenberg's and Marquardt's damping, each frame by itself; a step that does not bring a
    frame nearer is not taken.

    Parameters
    ----------
    answers : Tensor
        (n, joints, 3), metres, relative to the root, camera axes.
    lengths : Tensor
        (n, bones), metres.
    seen, skeleton, rays
        As in :func:`with_one_body`.

    Returns
    -------
    Tensor
        (n, joints, 3), relative to the root. A frame of which too little was seen to place it has the
        lengths, along the answer's directions.
    """
    root = skeleton.root
    origin = torch.zeros_like(answers[:, root])
    proportioned = from_bones(origin, bone_directions(answers, skeleton), lengths, skeleton)
    sure = None if seen.confidence is None else seen.confidence[:, None]
    placed = sighting(rays, proportioned[:, None], seen.keypoints_px[:, None].double(), seen.intrinsics, sure)
    problem = _Problem.of(placed, lengths, skeleton, rays)
    joints = problem.start
    cost, damping = problem.cost(joints), torch.full_like(joints[:, 0, 0], _DAMPING)
    for _ in range(STEPS):
        moved = problem.step(joints, damping)
        reached = problem.cost(moved)
        better = reached < cost
        joints = torch.where(better[:, None, None], moved, joints)
        cost = torch.where(better, reached, cost)
        damping = torch.where(better, damping / _DAMPING_FACTOR, damping * _DAMPING_FACTOR)
    relative = joints - joints[:, root : root + 1]
    found: Tensor = torch.where(placed.placeable[:, 0], relative, proportioned)
    return found


_DAMPING, _DAMPING_FACTOR = 1e-3, 5.0


@dataclass(frozen=True)
class _Problem:
    """Least squares over the joints of each frame; all but the bones' lengths is linear in them.

    A joint is tied to its parent by a bone, to its ray, and by the answer to the root. So a step's equations
    are solved from the tips of the tree to its root and back, three unknowns at a time.

    Attributes
    ----------
    start : Tensor
        (n, joints, 3), the answer where its keypoints put it.
    lengths : Tensor
        (n, bones), metres.
    rays : Tensor
        (n, joints, 2).
    across_rays : Tensor
        (n, joints), inverse deviation of a joint's distance from its ray, zero for one not believed.
    held : Tensor
        (3,), inverse deviation of a joint's place from the answer, relative to the root, by axis.
    skeleton : Skeleton
        Names the bones.
    """

    start: Tensor
    lengths: Tensor
    rays: Tensor
    across_rays: Tensor
    held: Tensor
    skeleton: Skeleton

    @classmethod
    def of(
        cls, placed: Sighting, lengths: Tensor, skeleton: Skeleton, rays: RaysSnap | RaysBlend
    ) -> _Problem:
        """Set up the terms."""
        start = placed.absolute[:, 0]
        across_m = rays.error_m if isinstance(rays, RaysBlend) else ACROSS_M
        noise = (placed.noise * torch.ones_like(placed.believed))[:, 0]
        return cls(
            start=start,
            lengths=lengths,
            rays=placed.rays[:, 0],
            across_rays=placed.believed[:, 0] / (noise * start[..., 2]).clamp(min=1e-6),
            held=start.new_tensor([1 / across_m, 1 / across_m, 1 / DEPTH_M]),
            skeleton=skeleton,
        )

    def cost(self, joints: Tensor) -> Tensor:
        """Sum of squares of all terms, (n,)."""
        stretched = (bone_lengths(joints, self.skeleton) - self.lengths) / BONE_M
        from_answer = self._from_answer(joints) * self.held
        beside = self._beside(joints) * self.across_rays[..., None]
        cost: Tensor = stretched.square().sum(dim=1)
        return cost + from_answer.square().sum(dim=(1, 2)) + beside.square().sum(dim=(1, 2))

    def _from_answer(self, joints: Tensor) -> Tensor:
        """How far joints are from the answer, relative to the root, (n, joints, 3)."""
        root = [self.skeleton.root]
        return joints - joints[:, root] - (self.start - self.start[:, root])

    def _beside(self, joints: Tensor) -> Tensor:
        """How far joints are from their rays, across the image, (n, joints, 2)."""
        return joints[..., :2] - self.rays * joints[..., 2:]

    def step(self, joints: Tensor, damping: Tensor) -> Tensor:
        """One damped step of Gauss and Newton from (n, joints, 3)."""
        skeleton, root = self.skeleton, self.skeleton.root
        parents, children = (indices(ends, joints) for ends in zip(*skeleton.bones, strict=True))
        vectors = bone_vectors(joints, skeleton)
        length = vectors.norm(dim=-1).clamp(min=1e-6)
        along = vectors / (length * BONE_M)[..., None]
        stretched = along * ((length - self.lengths) / BONE_M)[..., None]
        tied = along[..., :, None] * along[..., None, :]
        held = torch.diag(self.held**2)

        # How the cost changes with each joint, and how that changes with the joint itself.
        beside = self._beside(joints) * self.across_rays[..., None] ** 2
        pull = torch.cat([beside, -(self.rays * beside).sum(dim=-1, keepdim=True)], dim=-1)
        answered = self._from_answer(joints) * self.held**2
        pull = pull + answered
        pull[:, root] -= answered.sum(dim=1)
        pull[:, children] += stretched
        pull.index_add_(1, parents, stretched, alpha=-1)
        own = self._of_rays() + held
        own[:, root] += held * (skeleton.joints - 2)
        own[:, children] += tied
        own.index_add_(1, parents, tied)
        own.diagonal(dim1=-2, dim2=-1).mul_(1 + damping[:, None, None])
        return joints - _solved(own, pull, tied, held, skeleton)

    def _of_rays(self) -> Tensor:
        """Second derivatives of the rays' terms, (n, joints, 3, 3)."""
        x, y = self.rays.unbind(-1)
        one, none = torch.ones_like(x), torch.zeros_like(x)
        beside = torch.stack([one, none, -x, none, one, -y], dim=-1).reshape(*x.shape, 2, 3)
        beside = self.across_rays[..., None, None] * beside
        return beside.mT @ beside


def _solved(own: Tensor, pull: Tensor, tied: Tensor, held: Tensor, skeleton: Skeleton) -> Tensor:
    """Solve a step's equations, (n, joints, 3), from the tips of the tree to its root and back.

    Parameters
    ----------
    own : Tensor
        (n, joints, 3, 3), of each joint with itself; written into.
    pull : Tensor
        (n, joints, 3), the right side; written into.
    tied, held : Tensor
        (n, bones, 3, 3) and (3, 3), minus those of each joint with its parent and with the root.
    skeleton : Skeleton
        Names the bones.
    """
    root = skeleton.root
    bone_of = {child: bone for bone, (_, child) in enumerate(skeleton.bones)}
    order = [joint for joint in root_first(skeleton) if joint != root]
    to_root = {joint: -held.expand(len(own), 3, 3) for joint in order}
    eliminated: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
    for joint in reversed(order):
        parent, tie = skeleton.parents[joint], -tied[:, bone_of[joint]]
        if parent == root:
            tie, rooted = torch.zeros_like(tie), tie + to_root[joint]
        else:
            rooted = to_root[joint]
        known = torch.cat([tie, rooted, pull[:, joint, :, None]], dim=-1)
        by_parent, by_root, alone = torch.linalg.solve(own[:, joint], known).split([3, 3, 1], dim=-1)
        eliminated[joint] = (by_parent, by_root, alone)
        own[:, root] -= rooted.mT @ by_root
        pull[:, root] -= (rooted.mT @ alone)[..., 0]
        if parent != root:
            own[:, parent] -= tie.mT @ by_parent
            pull[:, parent] -= (tie.mT @ alone)[..., 0]
            to_root[parent] = to_root[parent] - tie.mT @ by_root

    solved = {root: torch.linalg.solve(own[:, root], pull[:, root, :, None])}
    for joint in order:
        by_parent, by_root, alone = eliminated[joint]
        solved[joint] = alone - by_parent @ solved[skeleton.parents[joint]] - by_root @ solved[root]
    return torch.cat([solved[joint] for joint in range(skeleton.joints)], dim=-1).mT
