"""Lifted poses, moved so that a body of capsules on them is seen where masks show the person.

Of every frame with a mask the joints are moved, and the girth of each body part, shared by frames that are
worked on together, by descent on a sum of squares and the masks' loss: how far joints move, how far they are
seen from their keypoints, how much bones change their length, each over what is usual. The lifter's network
is not touched, and frames without a mask stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn.functional import huber_loss

from poseshift.geometry.bones import bone_lengths
from poseshift.geometry.skeleton import Skeleton
from poseshift.storage.mask_files import ViewMasks
from poseshift.storage.model import FrozenModel
from poseshift.training.prediction.mask_targets import MaskClasses, crop_target
from poseshift.training.prediction.views import View
from poseshift.training.rendering.body_model import PARTS
from poseshift.training.rendering.capsule_body import CapsuleBody
from poseshift.training.rendering.crop import MARGIN, PersonCrop, person_crop
from poseshift.training.rendering.rasteriser import Softness, rasterise, to_ndc


class MaskRefinement(FrozenModel):
    """How poses are moved to fit masks."""

    weight: float = Field(default=3.0, ge=0)
    """Of the masks' loss beside the squares; 0 moves poses by keypoints and bones alone, a control."""
    moved_m: float = Field(default=0.05, gt=0)
    """How far a joint of the lifter's answer usually is from the truth, on each axis, metres."""
    keypoint_share: float = Field(default=0.01, gt=0)
    """How far a keypoint usually is from the truth, as a share of the person's extent in the image."""
    bone_m: float = Field(default=0.01, gt=0)
    """By how much the length of a bone of the answer usually is wrong, metres."""
    girth: float = Field(default=0.2, gt=0)
    """By how much the logarithm of a part's girth usually is wrong."""
    steps: int = Field(default=12, ge=1)
    """Of descent (L-BFGS); most take one picture, some a few."""
    size_px: int = Field(default=48, ge=16)
    """Width and height of the rendered crop."""
    frames: int = Field(default=8, ge=1)
    """Worked on together: they share girths."""


@dataclass(frozen=True)
class Evidence:
    """What is known of some frames of one person.

    Attributes
    ----------
    joints : Tensor of shape (frames, joints, 3)
        The lifter's answers, placed before the camera, metres.
    rays : Tensor of shape (frames, joints, 2)
        Keypoints, undistorted.
    seen : Tensor of shape (frames, joints)
        Whether they were seen; others do not count.
    crop : PersonCrop
        Where the person is looked at.
    target : Tensor of shape (frames, 1 + classes, size, size)
        What masks show there, see :func:`poseshift.training.prediction.mask_targets.crop_target`.
    """

    joints: Tensor
    rays: Tensor
    seen: Tensor
    crop: PersonCrop
    target: Tensor


def refine(
    evidence: Evidence, classes: MaskClasses, skeleton: Skeleton, settings: MaskRefinement
) -> tuple[Tensor, Tensor]:
    """Move joints by descent.

    Parameters
    ----------
    evidence : Evidence
        Of the frames.
    classes : MaskClasses
        Of the target.
    skeleton : Skeleton
        Of the joints.
    settings : MaskRefinement
        How.

    Returns
    -------
    tuple of Tensor
        (frames, joints, 3) metres before the camera, and (parts,) girths, times the body's size.
    """
    crop, answered = evidence.crop, evidence.joints
    body = CapsuleBody(skeleton, answered[0])
    priors = body.priors @ classes.of_parts.to(answered)
    loss, picture = classes.loss, (crop.size_px, crop.size_px)
    # A keypoint's pixels in the crop, over the part of its width that the person fills.
    given = crop.project(torch.cat([evidence.rays, torch.ones_like(evidence.rays[..., :1])], dim=-1))[0]
    unit_px = settings.keypoint_share * crop.size_px / MARGIN
    lengths: Tensor = bone_lengths(answered, skeleton)
    size = body.size(answered)[:, None]
    shift = torch.zeros_like(answered, requires_grad=True)
    growth = answered.new_zeros(len(PARTS)).requires_grad_()
    # Not Adam: its first steps are as long whatever the gradient, and move answers that fit everything.
    optimiser = torch.optim.LBFGS([shift, growth], max_iter=settings.steps, line_search_fn="strong_wolfe")

    def misfit() -> Tensor:
        joints = answered + settings.moved_m * shift
        girths = (settings.girth * growth).exp()[body.part_of_bone]
        off = torch.where(evidence.seen[..., None], (crop.project(joints)[0] - given) / unit_px, 0.0)
        bones = (bone_lengths(joints, skeleton) - lengths) / settings.bone_m
        whole: Tensor = shift.square().mean() + growth.square().mean() + bones.square().mean()
        whole = whole + huber_loss(off, torch.zeros_like(off), delta=_FARTHEST_BELIEVED)
        if settings.weight > 0:
            vertices = body.on_joints(joints, girths * size).vertices
            pixels, depth = crop.project(vertices)
            softness = Softness.of_pixels(crop.size_px)
            drawn = rasterise(to_ndc(pixels, picture), depth, body.faces, priors, picture, softness)
            whole = whole + settings.weight * loss(drawn.distribution, evidence.target)
        optimiser.zero_grad()
        whole.backward()  # type: ignore[no-untyped-call]  # PyTorch leaves this one untyped
        return whole

    optimiser.step(misfit)  # type: ignore[no-untyped-call]  # PyTorch leaves this one untyped
    with torch.no_grad():
        return answered + settings.moved_m * shift, (settings.girth * growth).exp()


@dataclass(frozen=True)
class Refined:
    """A view whose poses were moved.

    Attributes
    ----------
    view : View
        With other poses and roots.
    frames : int
        How many frames had a mask.
    girths : Mapping[str, float]
        Part to its girth for the size of the body, median over the frames that were moved; empty where none
        was.
    """

    view: View
    frames: int
    girths: Mapping[str, float]


def refine_view(
    view: View, masks: ViewMasks, classes: MaskClasses, skeleton: Skeleton, settings: MaskRefinement
) -> Refined:
    """Move the poses of all frames that have a mask.

    Parameters
    ----------
    view : View
        As it was lifted.
    masks : ViewMasks
        Its masks, by frame.
    classes : MaskClasses
        What their labels mean.
    skeleton : Skeleton
        Of the poses.
    settings : MaskRefinement
        How.

    Raises
    ------
    poseshift.storage.mask_files.MaskError
        A mask cannot be read.
    """
    rows = np.flatnonzero(np.isin(view.frame, sorted(masks.frames)))
    relative, root = view.relative.copy(), view.root.copy()
    girths: list[NDArray[np.float64]] = []
    for start in range(0, len(rows), settings.frames):
        some = rows[start : start + settings.frames]
        moved, found = refine(_evidence(view, some, masks, classes, settings), classes, skeleton, settings)
        joints = moved.double().numpy()
        root[some] = joints[:, skeleton.root]
        relative[some] = joints - root[some, None]
        girths += [found.double().numpy()] * len(some)
    middle = np.median(girths, axis=0).tolist() if girths else []
    named = dict(zip(PARTS, middle, strict=True)) if girths else {}
    return Refined(replace(view, relative=relative, root=root), len(rows), named)


def _evidence(
    view: View,
    rows: NDArray[np.intp],
    masks: ViewMasks,
    classes: MaskClasses,
    settings: MaskRefinement,
) -> Evidence:
    rays = torch.as_tensor(view.rays[rows], dtype=torch.float32)
    crop = person_crop(rays, settings.size_px)
    target = [
        crop_target(masks.read(int(view.frame[row])), crop[number], masks.camera, classes)
        for number, row in enumerate(rows)
    ]
    return Evidence(
        joints=torch.as_tensor(view.relative[rows] + view.root[rows, None], dtype=torch.float32),
        rays=rays,
        seen=torch.as_tensor(~view.missing[rows]),
        crop=crop,
        target=torch.stack(target),
    )


_FARTHEST_BELIEVED = 3.0
"""Usual errors beyond which a keypoint's distance counts linearly."""
