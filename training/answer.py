"""From a network's output to the pose that is answered: on the rays of its keypoints, and of a human size.

A network answers a root-relative pose and is free to contradict the keypoints that it was given. They fix the
root, and with it where across the image each joint is (:mod:`poseshift.geometry.rays`); what remains the
network's own is depth. What is done to the output is part of a trained lifter and stored with it.

Each frame is answered by itself here. That all frames of a view show one body is used afterwards, by
:mod:`poseshift.training.one_body`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor

from poseshift.geometry.bones import bone_lengths
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.projection import normalise
from poseshift.geometry.rays import FEWEST_JOINTS, absolute_on_rays, onto_rays, trust_in_rays
from poseshift.geometry.skeleton import Skeleton
from poseshift.storage.model import FrozenModel, is_left_out, is_still

BodyOf = Literal["frame", "view"]
"""Whose bones an answer has: the network's for each frame, or one body's in all frames of a view."""

_BODY = (
    "`view`: all frames of a trial before one camera get the same bone lengths, their median; `frame`: each "
    "keeps its own."
)


class RaysOff(FrozenModel):
    """The network's output as it is."""

    kind: Literal["off"] = "off"

    @property
    def in_loss(self) -> bool:
        """Never."""
        return False

    @property
    def body(self) -> BodyOf:
        """Each frame's own."""
        return "frame"


class RaysSnap(FrozenModel):
    """Every joint on its ray, at the depth that the network gives: for exact keypoints."""

    kind: Literal["snap"] = "snap"
    in_loss: bool = Field(
        default=False, description="Whether half of the training's loss is that of the pose on its rays."
    )
    body: BodyOf = Field(default="frame", exclude_if=is_still("frame"), description=_BODY)


class RaysBlend(FrozenModel):
    """Every joint between the network's place and its ray, as the keypoints' noise says: for detections."""

    kind: Literal["blend"] = "blend"
    in_loss: bool = Field(default=False, description="As for `snap`.")
    noise_px: float = Field(
        default=4.0,
        ge=0,
        description="Standard deviation of a keypoint on each axis, in pixels of an image 1000 px wide.",
    )
    error_m: float = Field(
        default=0.04, gt=0, description="Standard deviation of the network's places across the image, metres."
    )
    confidence_power: float = Field(
        default=0.0,
        ge=0,
        exclude_if=is_still(0.0),
        description=(
            "A keypoint's variance is that of `noise_px` over its confidence to this power, for the place of "
            "the root and for that of the joint; 0 takes all keypoints that were seen as equally good."
        ),
    )
    farthest: float | None = Field(
        default=None,
        gt=0,
        exclude_if=is_left_out,
        description=(
            "A keypoint that is farther from the network's place than so many deviations of the two is not "
            "believed: neither its ray nor what it says of the root. None believes all."
        ),
    )
    body: BodyOf = Field(default="frame", exclude_if=is_still("frame"), description="As for `snap`.")


def _named(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


Rays = Annotated[RaysOff | RaysSnap | RaysBlend, Field(discriminator="kind"), BeforeValidator(_named)]
"""What a recipe may say: off, snap or blend, or one of them with its options."""

AS_IT_IS = RaysOff()
"""The output as it is."""

FARTHEST_BELIEVED = 3.0
"""Deviations beyond which a detection is believed no more, where a method does not believe all."""

EXACT_NOISE_PX = 1.0
"""Standard deviation of exact keypoints against one body's bones, in pixels of an image 1000 px wide."""

_REFERENCE_WIDTH_PX = 1000.0


class Answer(FrozenModel):
    """How a network's output becomes a pose."""

    rays: Rays = RaysOff()
    """Whether and how far joints are put on their rays."""
    largest_body_m: float | None = None
    """Largest sum of all bone lengths that is believed; larger poses are made smaller. None: any."""

    def refine(
        self,
        relative: Tensor,
        keypoints_px: Tensor,
        intrinsics: Intrinsics,
        skeleton: Skeleton,
        confidence: Tensor | None = None,
    ) -> Tensor:
        """Turn output in camera axes into the answer.

        Parameters
        ----------
        relative : Tensor
            (batch, frames, joints, 3), metres, relative to the root, camera axes.
        keypoints_px : Tensor
            (batch, frames, joints, 2), pixels, of the same frames.
        intrinsics : Intrinsics
            Leading dimensions (batch,).
        skeleton : Skeleton
            Names the root and the bones.
        confidence : Tensor or None of shape (batch, frames, joints)
            How sure the detector is of each keypoint, from 0 to 1; None where it does not say.

        Returns
        -------
        Tensor
            (batch, frames, joints, 3), metres, relative to the root, camera axes.
        """
        bounded = self._bounded(relative, skeleton)
        return on_rays(self.rays, bounded, keypoints_px, intrinsics, skeleton.root, confidence)

    def of_body(self, body: BodyOf) -> Answer:
        """Take each frame's bones or one body's in a view; an answer off its rays keeps each frame's."""
        if isinstance(self.rays, RaysOff):
            return self
        return self.model_copy(update={"rays": self.rays.model_copy(update={"body": body})})

    def _bounded(self, relative: Tensor, skeleton: Skeleton) -> Tensor:
        if self.largest_body_m is None:
            return relative
        size = bone_lengths(relative, skeleton).sum(dim=-1)
        bounded: Tensor = relative * (self.largest_body_m / size).clamp(max=1.0)[..., None, None]
        return bounded


PLAIN = Answer()
"""The output as it is, whatever its size."""


def on_rays(
    rays: Rays,
    relative: Tensor,
    keypoints_px: Tensor,
    intrinsics: Intrinsics,
    root: int,
    confidence: Tensor | None = None,
) -> Tensor:
    """Put root-relative poses on the rays of their keypoints; shapes as in :meth:`Answer.refine`.

    Parameters
    ----------
    rays : Rays
        Whether and how far.
    relative, keypoints_px, intrinsics, confidence
        As in :meth:`Answer.refine`.
    root : int
        Index of the root joint, which is put on its ray as every other joint is.
    """
    if isinstance(rays, RaysOff):
        return relative
    seen = sighting(rays, relative, keypoints_px, intrinsics, confidence)
    trust = seen.believed
    if isinstance(rays, RaysBlend):
        trust = trust * trust_in_rays(seen.absolute[..., 2], seen.noise, rays.error_m)
    placed = onto_rays(seen.absolute, seen.rays, trust)
    answered: Tensor = torch.where(seen.placeable, placed - placed[..., root : root + 1, :], relative)
    return answered


@dataclass(frozen=True)
class Sighting:
    """Poses where their keypoints put them.

    Attributes
    ----------
    absolute : Tensor
        (batch, frames, joints, 3), metres, camera axes.
    rays : Tensor
        (batch, frames, joints, 2), undistorted ray coordinates, zero where there is no keypoint.
    noise : Tensor
        Broadcasts against (batch, frames, joints): standard deviation of the ray coordinates.
    believed : Tensor
        (batch, frames, joints), 1 where a joint's keypoint is believed, else 0.
    placeable : Tensor
        (batch, frames, 1, 1) bool, whether enough is seen of a pose to place it.
    """

    absolute: Tensor
    rays: Tensor
    noise: Tensor
    believed: Tensor
    placeable: Tensor


def sighting(
    rays: RaysSnap | RaysBlend,
    relative: Tensor,
    keypoints_px: Tensor,
    intrinsics: Intrinsics,
    confidence: Tensor | None = None,
) -> Sighting:
    """Place root-relative poses by their keypoints; parameters as in :func:`on_rays`."""
    seen = normalise(keypoints_px, intrinsics)
    known = seen.isfinite().all(dim=-1)
    sure = known.to(relative.dtype)
    if isinstance(rays, RaysBlend) and confidence is not None and rays.confidence_power > 0:
        sure = sure * confidence.to(relative.dtype) ** rays.confidence_power
        known = sure > 0
    # A pose of which too little is seen to place it stays as the network gave it.
    placeable = (known.sum(dim=-1) >= FEWEST_JOINTS)[..., None, None]
    weights = torch.where(placeable[..., 0], sure, torch.ones_like(sure))
    seen = torch.where(known[..., None], seen, torch.zeros_like(seen))
    absolute = absolute_on_rays(relative, seen, weights)
    believed = known.to(relative.dtype)
    width, focal = intrinsics.size_px[..., 0], intrinsics.focal_px.mean(dim=-1)
    noise_px = rays.noise_px if isinstance(rays, RaysBlend) else EXACT_NOISE_PX
    noise = (noise_px * width / _REFERENCE_WIDTH_PX / focal)[:, None, None]
    if isinstance(rays, RaysBlend):
        noise = noise / torch.where(known, sure, torch.ones_like(sure)).sqrt()
    if isinstance(rays, RaysBlend) and rays.farthest is not None:
        near = _near(absolute, seen, noise, rays.error_m, rays.farthest)
        enough = ((near & known).sum(dim=-1) >= FEWEST_JOINTS)[..., None]
        believed = believed * torch.where(enough, near, torch.zeros_like(near))
        absolute = torch.where(
            enough[..., None],
            absolute_on_rays(relative, seen, torch.where(enough, believed * sure, weights)),
            absolute,
        )
    return Sighting(absolute, seen, noise, believed, placeable)


def _near(absolute: Tensor, seen: Tensor, noise: Tensor, error_m: float, farthest: float) -> Tensor:
    """Whether joints (..., joints, 3) lie near their rays (..., joints, 2), (..., joints) bool."""
    depth = absolute[..., 2].clamp(min=_NEAREST_M)
    across = (absolute[..., :2] / depth[..., None] - seen).norm(dim=-1) * depth
    near: Tensor = across <= farthest * ((noise * depth) ** 2 + error_m**2).sqrt()
    return near


_NEAREST_M = 0.1
