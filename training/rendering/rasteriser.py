"""A soft rasteriser: pictures of meshes whose pixels have gradients with respect to the vertices.

Follows Soft Rasterizer (Liu et al., ICCV 2019) as DSR (Dwivedi et al., ICCV 2021) uses it. A face covers a
pixel by ``D = sigmoid(+-d^2 / sigma)``, d being the distance to the nearest edge and the sign positive
inside; a pixel is covered by ``1 - prod(1 - D)``. Faces share a pixel by ``D exp(z / gamma)``, z being 1 at
the nearest and 0 at the farthest vertex of the picture's mesh.

Only pairs of pixels and faces that matter are computed: those in a face's bounding box and, outside of it, no
farther than where D falls below 1e-4. Without that cut-off near faces win pixels that they do not cover.

One thing differs from the publication: the background's share of a pixel is what no face covers. The
published constant (``exp(1e-3 / gamma)`` among the faces' weights) loses with small gamma against every face
within the cut-off, so that what is rendered grows by the cut-off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

_LEAST_COVER = 1e-4
_NEAREST_M = 0.01
_SMALLEST_AREA = 1e-12
"""Faces seen from the side, in NDC; their barycentric coordinates would have no meaning."""


@dataclass(frozen=True)
class Softness:
    """How soft a picture is.

    Attributes
    ----------
    sigma : float
        Square of the width over which an edge is blurred, in NDC: the larger side of the image is 2.
    gamma : float
        Depth over which faces blend, as a share of the mesh's depth.
    """

    sigma: float
    gamma: float = 1e-2

    @classmethod
    def of_pixels(cls, size_px: int, width_px: float = 0.5, gamma: float = 1e-2) -> Softness:
        """Blur edges over so many pixels of an image whose larger side has ``size_px``.

        Examples
        --------
        >>> Softness.of_pixels(100).sigma
        0.0001
        """
        return cls((2 * width_px / size_px) ** 2, gamma)

    @property
    def farthest_squared(self) -> float:
        """Squared distance in NDC beyond which a face does not touch a pixel outside of it."""
        return self.sigma * math.log(1 / _LEAST_COVER - 1)


@dataclass(frozen=True)
class Rendered:
    """A soft picture.

    Attributes
    ----------
    uncovered : Tensor of shape (batch, height, width)
        Share of each pixel that no face covers.
    classes : Tensor of shape (batch, classes, height, width)
        Share of each class of the faces; with ``uncovered`` they sum to one where every face has one.
    """

    uncovered: Tensor
    classes: Tensor

    @property
    def silhouette(self) -> Tensor:
        """Share of each pixel that is covered, (batch, height, width)."""
        return 1 - self.uncovered

    @property
    def distribution(self) -> Tensor:
        """Background and classes, (batch, 1 + classes, height, width)."""
        return torch.cat([self.uncovered[:, None], self.classes], dim=1)


def to_ndc(pixels: Tensor, size_px: tuple[int, int]) -> Tensor:
    """Pixels (..., 2) to NDC: the larger side of an image (width, height) goes from -1 to 1.

    Examples
    --------
    >>> to_ndc(torch.tensor([[0.0, 50.0], [200.0, 100.0]]), (200, 100)).tolist()
    [[-1.0, 0.0], [1.0, 0.5]]
    """
    return (2 * pixels - pixels.new_tensor(size_px)) / max(size_px)


def rasterise(
    points: Tensor, depth: Tensor, faces: Tensor, priors: Tensor, size_px: tuple[int, int], softness: Softness
) -> Rendered:
    """Render meshes that share their faces.

    Parameters
    ----------
    points : Tensor
        (batch, vertices, 2) in NDC, x right and y down, see :func:`to_ndc`.
    depth : Tensor
        (batch, vertices) metres before the camera. Faces with a vertex behind it, or all but on its plane,
        are left out.
    faces : Tensor
        (faces, 3) int64, rows of the vertices.
    priors : Tensor
        (faces, classes) of which class each face is; rows sum to one.
    size_px : tuple of int
        Width and height of the picture.
    softness : Softness
        Of edges and depths.

    Returns
    -------
    Rendered
        Pixel (row, column) is seen at its centre, (column + 0.5, row + 0.5) in pixels.
    """
    batch, (width, height) = len(points), size_px
    corners = points[:, faces].flatten(0, 1)
    corner_depth = depth[:, faces].flatten(0, 1)
    with torch.no_grad():
        face, pixel = _pairs(corners, corner_depth, len(faces), size_px, softness)
    seen_at = _centres(pixel, size_px, points)
    inside, squared, barycentric = _place(seen_at, corners[face])
    cover = torch.where(inside, squared, -squared) / softness.sigma

    pixels = batch * height * width
    uncovered = points.new_zeros(pixels).index_add(0, pixel, -softplus(cover)).exp()
    nearness = _nearness(barycentric, corner_depth[face], depth, face // len(faces))
    share = _shares(logsigmoid(cover) + nearness / softness.gamma, pixel, pixels)
    classes = points.new_zeros(pixels, priors.shape[1])
    classes = classes.index_add(0, pixel, share[:, None] * priors[face % len(faces)])
    classes = classes * (1 - uncovered)[:, None]
    return Rendered(
        uncovered.view(batch, height, width),
        classes.view(batch, height, width, -1).permute(0, 3, 1, 2),
    )


def _pairs(
    corners: Tensor, corner_depth: Tensor, faces: int, size_px: tuple[int, int], softness: Softness
) -> tuple[Tensor, Tensor]:
    """Pair faces (of all pictures, one after the other) with the pixels that they touch."""
    width, height = size_px
    side = corners.new_tensor(size_px)
    margin = math.sqrt(softness.farthest_squared)
    # Pixel i has its centre at (2 i + 1 - side) / max side.
    low = ((corners.amin(dim=1) - margin) * max(size_px) + side) / 2 - 0.5
    high = ((corners.amax(dim=1) + margin) * max(size_px) + side) / 2 - 0.5
    drawn = (corner_depth > _NEAREST_M).all(dim=1) & (_area(corners).abs() > _SMALLEST_AREA)
    drawn &= low.isfinite().all(dim=1) & high.isfinite().all(dim=1)
    first = torch.where(drawn[:, None], low.ceil(), torch.zeros_like(low)).clamp(min=0)
    last = torch.where(drawn[:, None], high.floor(), -torch.ones_like(high)).minimum(side - 1)
    first, count = first.clamp(max=1e6).long(), (last - first + 1).clamp(min=0).long()
    boxes = count.prod(dim=1)

    face = torch.repeat_interleave(torch.arange(len(corners), device=corners.device), boxes)
    begin = boxes.cumsum(0) - boxes
    number = torch.arange(len(face), device=corners.device) - begin[face]
    columns = count[face, 0]
    column, row = first[face, 0] + number % columns, first[face, 1] + number // columns
    pixel = ((face // faces) * height + row) * width + column
    inside, squared, _ = _place(_centres(pixel, size_px, corners), corners[face])
    kept = inside | (squared < softness.farthest_squared)
    return face[kept], pixel[kept]


def _centres(pixel: Tensor, size_px: tuple[int, int], like: Tensor) -> Tensor:
    """Centres of pixels, counted over all pictures, in NDC: (pairs,) -> (pairs, 2)."""
    width, height = size_px
    column, row = pixel % width, pixel // width % height
    return to_ndc(torch.stack([column, row], dim=-1).to(like.dtype) + 0.5, size_px)


def _area(corners: Tensor) -> Tensor:
    """Twice the signed area of triangles, (..., 3, 2) -> (...)."""
    return _cross(corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :])


def _cross(first: Tensor, second: Tensor) -> Tensor:
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]


def _place(points: Tensor, corners: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where points (pairs, 2) lie to triangles (pairs, 3, 2).

    Returns whether they are inside, the squared distance to the nearest edge, and barycentric coordinates
    (pairs, 3).
    """
    ends = corners.roll(-1, dims=1)
    edge, away = ends - corners, points[:, None] - corners
    along = ((away * edge).sum(dim=-1) / edge.square().sum(dim=-1).clamp(min=1e-20)).clamp(0, 1)
    squared = (away - along[..., None] * edge).square().sum(dim=-1).amin(dim=1)
    # The coordinate of a corner is the area that the point makes with the edge opposite to it.
    barycentric = _cross(edge, away).roll(-1, dims=1) / _area(corners)[:, None]
    return (barycentric > 0).all(dim=1), squared, barycentric


def _nearness(barycentric: Tensor, corner_depth: Tensor, depth: Tensor, picture: Tensor) -> Tensor:
    """Nearness of faces where they are seen: 1 at the nearest vertex of the picture, 0 at the farthest."""
    weights = barycentric.clamp(0, 1)
    weights = weights / weights.sum(dim=1, keepdim=True)
    here = 1 / (weights / corner_depth).sum(dim=1)
    near, far = depth.amin(dim=1), depth.amax(dim=1)
    return ((far[picture] - here) / (far - near).clamp(min=1e-6)[picture]).clamp(0, 1)


def _shares(score: Tensor, pixel: Tensor, pixels: int) -> Tensor:
    """Softmax of scores over the pairs of each pixel, (pairs,)."""
    highest = score.new_full((pixels,), -torch.inf).scatter_reduce(0, pixel, score.detach(), "amax")
    weight = (score - highest[pixel]).exp()
    return weight / score.new_zeros(pixels).index_add(0, pixel, weight)[pixel]
