"""Losses on rendered bodies: DSR's, for body parts with little and with much clothing.

After "Learning To Regress Bodies From Images Using Differentiable Semantic Rendering" (Dwivedi et al., ICCV
2021). Where the released code differs from what the paper says, the paper is followed: an intersection over
union is one of the whole image and not of each row, and the cross-entropy is that of the rendered
distribution, background included, and not of a softmax of its probabilities.

Distributions and targets are (batch, classes, height, width) with the background first. A target may be soft;
a pixel of which nothing is known has zeros.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

FEWEST_SHARE = 60 / 224**2
"""Classes that a target shows on less of the image do not count: 60 of 224 x 224 pixels, as published."""

LABEL_NOISE = 0.05
"""Share of the pixels whose label is taken to be anything. Parsers err, and clothing covers pixels that no
body covers: without it, each of those few pixels would weigh as much as a limb that is missing."""

_LEAST = 1e-6


def iou_loss(silhouette: Tensor, mask: Tensor) -> Tensor:
    """One minus the soft intersection over union of the whole image, mean over the images with a mask.

    Parameters
    ----------
    silhouette : Tensor
        (batch, height, width) covered share of each pixel.
    mask : Tensor
        Of the same shape, in [0, 1]. Images whose mask is empty do not count; zero when all are.
    """
    both = (silhouette * mask).sum(dim=(1, 2))
    either = (silhouette + mask - silhouette * mask).sum(dim=(1, 2))
    shown = mask.amax(dim=(1, 2)) > 0
    return _mean(1 - both / either.clamp(min=_LEAST), shown)


def distance_loss(silhouette: Tensor, distances: Tensor) -> Tensor:
    """Distance of what is rendered from the mask, ``sum(R DT) / sum(R)^1.5``: without unit, mean over images.

    It says that a body is inside a mask, and nothing of whether it fills it.

    Parameters
    ----------
    silhouette : Tensor
        (batch, height, width) covered share of each pixel.
    distances : Tensor
        Of the same shape, see :func:`distances_px`.
    """
    area = silhouette.sum(dim=(1, 2)).clamp(min=_LEAST)
    return ((silhouette * distances).sum(dim=(1, 2)) / area**1.5).mean()


def distances_px(mask: Tensor) -> Tensor:
    """Distance of every pixel to the nearest of a mask, (batch, height, width); zeros for an empty one."""
    found = [
        distance_transform_edt(one < 0.5) if (one >= 0.5).any() else np.zeros(one.shape)
        for one in mask.detach().cpu().numpy()
    ]
    return torch.as_tensor(np.stack(found), dtype=mask.dtype, device=mask.device)


def minimally_clothed_loss(
    distribution: Tensor, target: Tensor, classes: Sequence[int], fewest_share: float = FEWEST_SHARE
) -> Tensor:
    """DSR-MC: intersection over union of the parts that clothing does not widen.

    Parameters
    ----------
    distribution, target : Tensor
        (batch, classes, height, width), rendered and given.
    classes : sequence of int
        Those that are bare, or all but (face, arms, shoes); of each image, those that its target shows.
    fewest_share : float
        See :data:`FEWEST_SHARE`.
    """
    chosen = list(classes)
    shown = (_areas(target) >= fewest_share)[:, chosen, None, None].to(target.dtype)
    return iou_loss((distribution[:, chosen] * shown).sum(dim=1), (target[:, chosen] * shown).sum(dim=1))


def clothed_loss(
    distribution: Tensor, target: Tensor, fewest_share: float = FEWEST_SHARE, noise: float = LABEL_NOISE
) -> Tensor:
    """DSR-C: weighted negative log-likelihood of the target's classes under the rendered distribution.

    Parameters
    ----------
    distribution, target : Tensor
        (batch, classes, height, width), rendered and given, background first.
    fewest_share : float
        See :data:`FEWEST_SHARE`.
    noise : float
        See :data:`LABEL_NOISE`; above 0.

    Returns
    -------
    Tensor
        Scalar, mean over images; see :func:`class_weights`.
    """
    weights = class_weights(target, fewest_share)[..., None, None] * target
    noisy = (1 - noise) * distribution + noise / distribution.shape[1]
    likelihood = (weights * noisy.log()).sum(dim=(1, 2, 3))
    total = weights.sum(dim=(1, 2, 3))
    return _mean(-likelihood / total.clamp(min=_LEAST), total > 0)


def class_weights(target: Tensor, fewest_share: float = FEWEST_SHARE) -> Tensor:
    """Weights (batch, classes) that let every class of an image count alike: least area over own area.

    Classes that the image hardly shows have weight zero and are not the least.
    """
    area = _areas(target)
    shown = (area >= fewest_share) & (area > 0)
    least = torch.where(shown, area, torch.full_like(area, torch.inf)).amin(dim=1, keepdim=True)
    return torch.where(shown, least / area.clamp(min=_LEAST**2), torch.zeros_like(area))


def _areas(target: Tensor) -> Tensor:
    """Share of the image that each class has, (batch, classes)."""
    return target.mean(dim=(2, 3))


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of the values that count; zero when none does."""
    kept = torch.where(counted, values, torch.zeros_like(values))
    return kept.sum() / counted.sum().clamp(min=1)
