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

from poseshift.geometry.bones import bone_directions, bone_lengths, bone_vectors, from_bones
from poseshift.geometry.camera import Intrinsics
from poseshift.geometry.skeleton import Skeleton
from poseshift.training.answer import RaysBlend, RaysSnap, Sighting, sighting

BONE_M = 0.01
"""How far a bone may be from the view's length: standard deviation, metres."""

DEPTH_M = 0.05
"""How far a joint may be from the answer in depth, relative to the root: standard deviation, metres."""

ACROSS_M = 0.04
"""The same across the image, where :class:`~poseshift.training.answer.RaysBlend` does not say."""

STEPS = 4
"""Steps towards the optimum; what more of them change is far below a millimetre on average."""

_FRAMES_AT_ONCE = 1024


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
    """Least squares over the joints of each frame: all but the bones' lengths is linear in them.

    Attributes
    ----------
    start : Tensor
        (n, joints, 3), the answer where its keypoints put it.
    lengths : Tensor
        (n, bones), metres.
    hessian, pull : Tensor
        (n, 3 joints, 3 joints) and (n, 3 joints), of the linear terms.
    across_rays : Tensor
        (n, joints), inverse deviation of a joint's distance from its ray, zero for one not believed.
    rays : Tensor
        (n, joints, 2).
    deviation : Tensor
        (3,), of a joint from the answer by axis.
    skeleton : Skeleton
        Names the bones.
    """

    start: Tensor
    lengths: Tensor
    hessian: Tensor
    pull: Tensor
    across_rays: Tensor
    rays: Tensor
    deviation: Tensor
    skeleton: Skeleton

    @classmethod
    def of(
        cls, placed: Sighting, lengths: Tensor, skeleton: Skeleton, rays: RaysSnap | RaysBlend
    ) -> _Problem:
        """Set up the terms that are linear in the joints."""
        start, seen_at = placed.absolute[:, 0], placed.rays[:, 0]
        across_m = rays.error_m if isinstance(rays, RaysBlend) else ACROSS_M
        deviation = start.new_tensor([across_m, across_m, DEPTH_M])
        noise = (placed.noise * torch.ones_like(placed.believed))[:, 0]
        across_rays = placed.believed[:, 0] / (noise * start[..., 2]).clamp(min=1e-6)

        joints, root = skeleton.joints, skeleton.root
        to_root = torch.eye(joints, dtype=start.dtype, device=start.device)
        to_root[:, root] -= 1.0
        # (3 joints, 3 joints): every joint is held to the root by the answer, axis by axis.
        held = torch.kron(to_root.T @ to_root, torch.diag(deviation**-2))
        pull = (held @ start.flatten(1)[..., None])[..., 0]

        x, y = seen_at.unbind(-1)
        one, none = torch.ones_like(x), torch.zeros_like(x)
        beside = torch.stack([one, none, -x, none, one, -y], dim=-1).unflatten(-1, (2, 3))
        beside = across_rays[..., None, None] * beside
        hessian = held.expand(len(start), -1, -1).clone().unflatten(-1, (joints, 3)).unflatten(1, (joints, 3))
        each = torch.arange(joints, device=start.device)
        hessian[:, each, :, each, :] += (beside.transpose(-1, -2) @ beside).transpose(0, 1)
        return cls(
            start=start,
            lengths=lengths,
            hessian=hessian.flatten(3).flatten(1, 2),
            pull=pull,
            across_rays=across_rays,
            rays=seen_at,
            deviation=deviation,
            skeleton=skeleton,
        )

    def cost(self, joints: Tensor) -> Tensor:
        """Sum of squares of all terms, (n,)."""
        root = self.skeleton.root
        from_answer = ((joints - joints[:, [root]]) - (self.start - self.start[:, [root]])) / self.deviation
        beside = (joints[..., :2] - self.rays * joints[..., 2:]) * self.across_rays[..., None]
        stretched = (bone_lengths(joints, self.skeleton) - self.lengths) / BONE_M
        cost: Tensor = sum(term.square().flatten(1).sum(dim=1) for term in (from_answer, beside, stretched))
        return cost

    def step(self, joints: Tensor, damping: Tensor) -> Tensor:
        """One damped step from (n, joints, 3)."""
        parents, children = (list(ends) for ends in zip(*self.skeleton.bones, strict=True))
        vectors = bone_vectors(joints, self.skeleton)
        length = vectors.norm(dim=-1).clamp(min=1e-6)
        along = vectors / (length * BONE_M)[..., None]
        bone = torch.arange(len(children), device=joints.device)
        slopes = torch.zeros(*along.shape[:2], *joints.shape[1:], dtype=joints.dtype, device=joints.device)
        slopes[:, bone, children] = along
        slopes[:, bone, parents] = -along
        slopes = slopes.flatten(2)
        stretched = (length - self.lengths) / BONE_M
        flat = joints.flatten(1)
        gradient = (self.hessian @ flat[..., None])[..., 0] - self.pull
        gradient = gradient + (stretched[:, None] @ slopes)[:, 0]
        hessian = self.hessian + slopes.transpose(1, 2) @ slopes
        hessian = hessian + torch.diag_embed(damping[:, None] * hessian.diagonal(dim1=1, dim2=2))
        return (flat - torch.linalg.solve(hessian, gradient)).reshape(joints.shape)
