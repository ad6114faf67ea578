"""From masks of a person to what a rendered body is compared with: shares of classes in a crop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseshift.geometry.camera import Camera
from poseshift.geometry.lens import distort_rays
from poseshift.training.rendering.body_model import PARTS
from poseshift.training.rendering.crop import PersonCrop
from poseshift.training.rendering.losses import clothed_loss, iou_loss, minimally_clothed_loss

BARE = frozenset(part for part in PARTS if part == "head" or part.endswith("_arm"))
"""Parts that clothing hardly widens."""

_FINER = 3
"""Pixels are looked up so many times finer along each axis than the crop's, and averaged."""


@dataclass(frozen=True)
class MaskClasses:
    """What labels of masks mean.

    Attributes
    ----------
    labels : Mapping[str, tuple[int, ...]] or None
        Part to the labels that show it; a part with several is as likely any of them. None for silhouettes.
    """

    labels: Mapping[str, tuple[int, ...]] | None

    @property
    def values(self) -> tuple[int, ...]:
        """Labels in the order of the classes, without the background."""
        return tuple(sorted({value for held in (self.labels or {}).values() for value in held}))

    @property
    def of_parts(self) -> Tensor:
        """How likely each part shows each class, (parts, classes); rows sum to one."""
        if self.labels is None:
            return torch.ones(len(PARTS), 1)
        found = torch.zeros(len(PARTS), len(self.values))
        for row, part in enumerate(PARTS):
            for value in set(self.labels[part]):
                found[row, self.values.index(value)] = 1 / len(set(self.labels[part]))
        return found

    def share(self, mask: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Split labels (...) into background and classes (..., 1 + classes); zeros for labels unknown."""
        if self.labels is None:
            return np.stack([mask == 0, mask != 0], axis=-1).astype(np.float32)
        return np.asarray(mask[..., None] == np.array([0, *self.values]), dtype=np.float32)

    @property
    def loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The loss of rendered against given distributions: DSR's two for parts, overlap for silhouettes."""
        if self.labels is None:
            return _silhouettes
        bare = tuple(
            number
            for number, value in enumerate(self.values, start=1)
            if all(part in BARE for part in PARTS if value in (self.labels or {})[part])
        )
        return lambda rendered, given: (
            clothed_loss(rendered, given) + minimally_clothed_loss(rendered, given, bare)
        )


def _silhouettes(rendered: Tensor, given: Tensor) -> Tensor:
    known = given.sum(dim=1)
    return iou_loss(rendered[:, 1:].sum(dim=1) * known, given[:, 1:].sum(dim=1))


def crop_target(mask: NDArray[np.uint8], crop: PersonCrop, camera: Camera, classes: MaskClasses) -> Tensor:
    """Look masks up where the rays of a crop's pixels meet the image.

    Parameters
    ----------
    mask : array of shape (height, width)
        Labels, in the pixels of the camera's own image.
    crop : PersonCrop
        One crop, batch 1.
    camera : Camera
        With its lens, of any model.
    classes : MaskClasses
        What labels mean.

    Returns
    -------
    Tensor
        (1 + classes, size, size), the background first; zeros where the label is unknown or the image ends.
    """
    fine = PersonCrop(crop.rotation, crop.focal_px * _FINER, crop.size_px * _FINER)
    rays = distort_rays(fine.original_rays()[0].double().numpy(), camera)
    pixels = np.floor(rays * np.asarray(camera.focal_px) + camera.centre_px)
    width, height = camera.size_px
    inside = ((pixels >= 0) & (pixels < (width, height))).all(axis=-1)
    column, row = np.moveaxis(np.where(inside[..., None], pixels, 0).astype(np.int64), -1, 0)
    shares = torch.as_tensor(classes.share(mask[row, column]) * inside[..., None])
    size = crop.size_px
    return shares.view(size, _FINER, size, _FINER, -1).mean(dim=(1, 3)).permute(2, 0, 1)
