"""Soft pictures: their gradients, and what they come to when nothing is soft."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from benchmarks.rendering.zbuffer import NOTHING, hard_labels

from poseshift.training.rendering.capsule_body import CapsuleBody
from poseshift.training.rendering.rasteriser import Softness, rasterise, to_ndc

if TYPE_CHECKING:
    from tests.training.rendering.conftest import Draw, See

TETRAHEDRON = torch.tensor([[0, 1, 2], [0, 3, 1], [1, 3, 2], [2, 3, 0]])


def test_gradients_are_those_of_differences() -> None:
    points = torch.tensor(
        [[[-0.52, -0.41], [0.63, -0.3], [0.08, 0.57], [0.11, 0.02]]], dtype=torch.float64, requires_grad=True
    )
    depth = torch.tensor([[2.1, 2.4, 2.2, 1.7]], dtype=torch.float64, requires_grad=True)
    priors = torch.tensor(np.random.default_rng(0).dirichlet([1, 1, 1], 4), requires_grad=True)

    def pictures(*inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen, away, classes = inputs
        drawn = rasterise(seen, away, TETRAHEDRON, classes, (7, 6), Softness(sigma=0.02, gamma=0.3))
        return drawn.silhouette, drawn.distribution

    assert torch.autograd.gradcheck(pictures, (points, depth, priors), atol=1e-6)


def test_the_published_formulae_are_followed_pixel_by_pixel() -> None:
    """Written out for every pair of pixel and face, without culling by boxes, from the formulae alone."""
    rng = np.random.default_rng(4)
    corners, depth = rng.uniform(-1, 1, (5, 3, 2)), rng.uniform(1, 2, (5, 3))
    priors, (width, height) = np.eye(5), (8, 5)
    sigma, gamma = 0.01, 0.2
    drawn = rasterise(
        torch.tensor(corners.reshape(1, 15, 2)),
        torch.tensor(depth.reshape(1, 15)),
        torch.arange(15).view(5, 3),
        torch.tensor(priors),
        (width, height),
        Softness(sigma, gamma),
    )
    near, far = depth.min(), depth.max()
    for row in range(height):
        for column in range(width):
            at = (2 * np.array([column + 0.5, row + 0.5]) - [width, height]) / width
            covers, weights = np.zeros(5), np.zeros(5)
            for face in range(5):
                triangle = corners[face]
                b = np.linalg.solve(np.vstack([triangle.T, np.ones(3)]), np.append(at, 1.0))
                samples = np.concatenate(
                    [
                        triangle[i] + np.linspace(0, 1, 4001)[:, None] * (triangle[i - 1] - triangle[i])
                        for i in range(3)
                    ]
                )
                squared = ((samples - at) ** 2).sum(axis=1).min()
                inside = (b > 0).all()
                if not inside and squared > sigma * np.log(1 / 1e-4 - 1):
                    continue
                covers[face] = 1 / (1 + np.exp(-(squared if inside else -squared) / sigma))
                b = np.clip(b, 0, 1) / np.clip(b, 0, 1).sum()
                nearness = (far - 1 / (b / depth[face]).sum()) / (far - near)
                weights[face] = covers[face] * np.exp(nearness / gamma)
            uncovered = np.prod(1 - covers)
            np.testing.assert_allclose(drawn.uncovered[0, row, column], uncovered, atol=1e-5)
            shares = weights / weights.sum() if weights.any() else weights
            np.testing.assert_allclose(drawn.classes[0, :, row, column], (1 - uncovered) * shares, atol=1e-5)


def test_soft_pictures_become_those_of_a_z_buffer(body: CapsuleBody, see: "See", draw: "Draw") -> None:
    size = 64
    posed = body.on_joints(body.rest[None].double(), torch.ones(1, body.bones, dtype=torch.float64))
    pixels, depth = see(posed, size)
    part = body.priors.argmax(dim=1).numpy()
    hard = hard_labels(pixels[0].numpy(), depth[0].numpy(), body.faces.numpy(), part, (size, size))
    mask = hard != NOTHING
    assert 0.05 < mask.mean() < 0.6
    overlaps, agreements = [], []
    for sigma in (1e-3, 1e-4, 1e-5, 1e-6):
        drawn = draw(torch.ones(1, 1), size, Softness(sigma, gamma=1e-3))
        silhouette = drawn.silhouette[0].numpy()
        overlaps.append((silhouette * mask).sum() / (silhouette + mask - silhouette * mask).sum())
        agreements.append((drawn.distribution[0].argmax(dim=0).numpy() - 1 == hard).mean())
    assert overlaps == sorted(overlaps)
    assert agreements == sorted(agreements)
    assert overlaps[-1] > 0.97
    assert agreements[-1] > 0.995


def test_shares_of_a_pixel_sum_to_one_and_pictures_do_not_touch_each_other(draw: "Draw") -> None:
    thin_and_thick = draw(torch.tensor([[0.7], [1.4]]), 24)
    torch.testing.assert_close(thin_and_thick.distribution.sum(dim=1), torch.ones(2, 24, 24))
    torch.testing.assert_close(thin_and_thick.classes[1], draw(torch.tensor([[1.4]]), 24).classes[0])
    assert thin_and_thick.silhouette[0].sum() < thin_and_thick.silhouette[1].sum()


def test_what_is_behind_the_camera_or_seen_from_the_side_is_left_out() -> None:
    points = torch.tensor([[[-0.5, -0.5], [0.5, -0.5], [0.0, 0.5], [0.0, 0.0], [0.5, 0.5], [0.25, 0.25]]])
    points.requires_grad_()
    depth = torch.tensor([[1.0, 1.0, -1.0, 1.0, 1.0, 1.0]])
    faces = torch.tensor([[0, 1, 2], [3, 4, 5]])
    drawn = rasterise(points, depth, faces, torch.eye(2), (8, 8), Softness.of_pixels(8))
    assert not drawn.silhouette.detach().any()
    (gradient,) = torch.autograd.grad(drawn.distribution.square().sum(), points)
    assert not gradient.any()


def test_the_larger_side_of_an_image_is_two_wide() -> None:
    ends = torch.tensor([[0.0, 0.0], [200.0, 100.0]])
    assert to_ndc(ends, (200, 100)).tolist() == [[-1.0, -0.5], [1.0, 0.5]]
