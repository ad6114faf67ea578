"""Losses on rendered bodies: their definitions, what they recover, and what clothing does to them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from benchmarks.rendering.clothing import clothed
from torch import Tensor

from poseshift.training.rendering.body_model import PARTS
from poseshift.training.rendering.losses import (
    class_weights,
    clothed_loss,
    distance_loss,
    distances_px,
    iou_loss,
    minimally_clothed_loss,
)

if TYPE_CHECKING:
    from tests.training.rendering.conftest import Draw

BARE = tuple(1 + number for number, part in enumerate(PARTS) if part == "head" or part.endswith("arm"))
CLOTHED = tuple(1 + number for number, part in enumerate(PARTS) if part == "torso" or "upper_leg" in part)


def test_overlap_is_of_the_whole_image_and_images_without_a_mask_do_not_count() -> None:
    silhouette, mask = torch.zeros(2, 4, 4), torch.zeros(2, 4, 4)
    silhouette[:, :2, :2], mask[0, 1:3, :2] = 1, 1
    assert float(iou_loss(silhouette, mask)) == pytest.approx(1 - 2 / 6)
    assert float(iou_loss(silhouette[:1], mask[1:])) == 0


def test_the_form_of_distances_asks_only_whether_a_body_is_inside() -> None:
    mask = torch.zeros(1, 9, 9)
    mask[0, 3:6, 3:6] = 1
    distances = distances_px(mask)
    assert float(distances[0, 4, 8]) == 3
    assert float(distances[0, 0, 0]) == pytest.approx(18**0.5)
    inside, outside = torch.zeros(1, 9, 9), torch.zeros(1, 9, 9)
    inside[0, 4, 4], outside[0, 4, 7:] = 1, 1
    assert float(distance_loss(inside, distances)) == 0
    assert float(distance_loss(outside, distances)) == pytest.approx((2 + 3) / 2**1.5)
    assert not distances_px(torch.zeros(1, 3, 3)).any()


def test_likelihood_is_that_of_the_rendered_distribution_by_hand() -> None:
    target = torch.zeros(1, 3, 2, 4)
    target[0, 0, 0], target[0, 1, 1, :2] = 1, 1  # four of background, two of the class, two unknown
    rendered = torch.full((1, 3, 2, 4), 0.25)
    rendered[0, 1, 1] = 0.5
    weights = class_weights(target, fewest_share=0.2)
    assert weights.tolist() == [[0.5, 1.0, 0.0]]
    background, part = 0.9 * 0.25 + 0.1 / 3, 0.9 * 0.5 + 0.1 / 3
    expected = -(4 * 0.5 * np.log(background) + 2 * np.log(part)) / (4 * 0.5 + 2)
    assert float(clothed_loss(rendered, target, fewest_share=0.2, noise=0.1)) == pytest.approx(expected)
    assert class_weights(target, fewest_share=0.3).tolist() == [[1.0, 0.0, 0.0]]
    assert float(clothed_loss(rendered, torch.zeros_like(target))) == 0


def test_girth_is_recovered_from_a_soft_silhouette(draw: "Draw") -> None:
    """Gradients lead from 0.85 and from 1.15 to the truth, which is where their sign changes."""
    with torch.no_grad():
        truth = draw(torch.ones(1, 1), 24).silhouette

    def slope(girth: float) -> float:
        given = torch.tensor([[girth]], requires_grad=True)
        loss = (draw(given, 24).silhouette - truth).square().mean()
        return float(torch.autograd.grad(loss, given)[0])

    low, high = 0.85, 1.15
    assert slope(low) < 0 < slope(high)
    while high - low > 0.005:
        middle = 0.4 * low + 0.6 * high
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    assert low <= 1.0025
    assert high >= 0.9975


def test_clothing_widens_what_silhouettes_fit_and_not_what_parts_fit(draw: "Draw") -> None:
    """Torso and thighs look two pixels of 64 wider; each loss is looked at over girths, truth 1."""
    girths = torch.arange(0.8, 1.95, 0.1)
    with torch.no_grad():
        bare = draw(torch.ones(1, 1), 64).distribution
        candidates = torch.split(draw(girths[:, None], 64).distribution, 1)
    target = clothes(bare)
    assert target[0, 1:].sum() > 1.1 * bare[0, 1:].sum()

    def fitted(loss: Callable[[Tensor], Tensor]) -> float:
        return float(girths[int(torch.stack([loss(one) for one in candidates]).argmin())])

    silhouette = fitted(lambda one: iou_loss(person(one), person(target)))
    parts = fitted(lambda one: clothed_loss(one, target))
    minimally = fitted(lambda one: minimally_clothed_loss(one, target, BARE))
    both = fitted(lambda one: minimally_clothed_loss(one, target, BARE) + clothed_loss(one, target))
    assert silhouette >= 1.3
    assert abs(parts - 1) < 0.6 * (silhouette - 1)
    assert abs(minimally - 1) < 0.11
    assert abs(both - 1) < 0.4 * (silhouette - 1)
    # Of the bare body the silhouette is right: the difference is the clothing's.
    assert abs(fitted(lambda one: iou_loss(person(one), person(bare))) - 1) < 0.11


def person(distribution: Tensor) -> Tensor:
    return distribution[:, 1:].sum(dim=1)


def clothes(bare: Tensor) -> Tensor:
    """Labels of the truth, with those of torso and thighs grown over two pixels of the background."""
    labels = clothed(bare[0].argmax(dim=0).numpy(), CLOTHED, width_px=2, background=0)
    return torch.nn.functional.one_hot(torch.tensor(labels), bare.shape[1]).permute(2, 0, 1)[None].float()
