"""A picture of one person as a camera that looks straight at them would have taken it.

The picture's side of PersPose (ICCV 2025), whose keypoints' side is :mod:`poseshift.geometry.perspective`.
The camera is turned onto the person by the shortest rotation and zoomed to them; every pixel of the crop is
looked up where its ray meets the original image, lens distortion included. For a camera without distortion
that is the homography ``K_crop R K^-1``.

Pixel i covers i to i + 1 and has its centre at i + 0.5, as everywhere in the project.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.perspective import (
    box_centre,
    extent,
    perspective_rotation,
    rotate_rays,
    rotate_rays_back,
)
from poseshift.geometry.projection import distort, rays_of, rays_to_px
from poseshift.geometry.rotation import rotate

MARGIN = 1.25
"""By how much a crop is wider than the square that holds all keypoints."""


@dataclass(frozen=True)
class PersonCrop:
    """Cameras that look straight at people: pinholes with the principal point in the middle.

    Attributes
    ----------
    rotation : Tensor of shape (batch, 3, 3)
        From the axes of the original camera to those of the crop's.
    focal_px : Tensor of shape (batch,)
        In pixels of the crop.
    size_px : int
        Width and height.
    """

    rotation: Tensor
    focal_px: Tensor
    size_px: int

    def __getitem__(self, row: int) -> PersonCrop:
        """Take one crop, as a batch of one."""
        return PersonCrop(self.rotation[row : row + 1], self.focal_px[row : row + 1], self.size_px)

    @property
    def matrix(self) -> Tensor:
        """K of the crops, (batch, 3, 3)."""
        middle = torch.full_like(self.focal_px, self.size_px / 2)
        return _matrix(self.focal_px, self.focal_px, middle, middle)

    def project(self, points_camera: Tensor) -> tuple[Tensor, Tensor]:
        """See points as the crops' cameras do.

        Parameters
        ----------
        points_camera : Tensor
            (batch, points, 3), metres, in the axes of the original camera.

        Returns
        -------
        tuple of Tensor
            (batch, points, 2) pixels of the crop and (batch, points) depth before its camera, metres.
        """
        turned: Tensor = rotate(points_camera, self.rotation)
        pixels: Tensor = rays_of(turned) * self.focal_px[:, None, None] + self.size_px / 2
        return pixels, turned[..., 2]

    def rays(self, stride: int = 1) -> Tensor:
        """Rays ``K_crop^-1 (u, v, 1)`` of the centres of cells of so many pixels, in the crops' axes.

        Returns
        -------
        Tensor
            (batch, rows, columns, 2).
        """
        cells = torch.arange(self.size_px // stride, device=self.focal_px.device, dtype=self.focal_px.dtype)
        centred = (cells + 0.5) * stride - self.size_px / 2
        grid = torch.stack(torch.meshgrid(centred, centred, indexing="xy"), dim=-1)
        return grid / self.focal_px[:, None, None, None]

    def original_rays(self) -> Tensor:
        """Rays of the crops' pixels in the axes of the original cameras, (batch, size, size, 2)."""
        turned: Tensor = rotate_rays_back(self.rays().flatten(1, 2), self.rotation)
        return turned.view(-1, self.size_px, self.size_px, 2)


def person_crop(
    rays: Tensor, size_px: int, margin: float = MARGIN, shift: Tensor | None = None
) -> PersonCrop:
    """Turn cameras onto people and zoom to them.

    Parameters
    ----------
    rays : Tensor
        (batch, joints, 2) undistorted rays of keypoints, none missing.
    size_px : int
        Width and height of the crops.
    margin : float
        See :data:`MARGIN`.
    shift : Tensor or None
        (batch, 2) by how much the crop's centre is moved, as a share of the larger side of the keypoints'
        box; the publication draws it from -0.1 to 0.1 in training.
    """
    centre = box_centre(rays)
    if shift is not None:
        side = (rays.amax(dim=1) - rays.amin(dim=1)).amax(dim=1, keepdim=True)
        centre = centre + shift * side
    rotation: Tensor = perspective_rotation(centre)
    half: Tensor = extent(rotate_rays(rays, rotation))
    return PersonCrop(rotation, size_px / 2 / (margin * half), size_px)


def homography(crop: PersonCrop, intrinsics: Intrinsics) -> Tensor:
    """Matrices (batch, 3, 3) from undistorted pixels of the image to pixels of the crop: ``K_crop R K^-1``.

    Parameters
    ----------
    crop : PersonCrop
        The crops.
    intrinsics : Intrinsics
        Tensors with leading dimensions (batch,); distortion is not looked at.
    """
    focal, centre = intrinsics.focal_px, intrinsics.centre_px
    image = _matrix(focal[:, 0], focal[:, 1], centre[:, 0], centre[:, 1])
    mapping: Tensor = crop.matrix @ crop.rotation @ torch.linalg.inv(image)
    return mapping


def crop_image(
    image: Tensor,
    crop: PersonCrop,
    intrinsics: Intrinsics,
    interpolation: Literal["bilinear", "nearest"] = "bilinear",
) -> Tensor:
    """Warp images to crops.

    Parameters
    ----------
    image : Tensor
        (batch, channels, height, width).
    crop : PersonCrop
        Where to look.
    intrinsics : Intrinsics
        Tensors with leading dimensions (batch,), of the images.
    interpolation : str
        ``nearest`` for labels.

    Returns
    -------
    Tensor
        (batch, channels, size, size); zero where the crop reaches beyond the image.
    """
    pixels: Tensor = rays_to_px(distort(crop.original_rays(), intrinsics), intrinsics)
    shown = 2 * pixels / pixels.new_tensor([image.shape[3], image.shape[2]]) - 1
    warped: Tensor = grid_sample(image, shown, mode=interpolation, padding_mode="zeros", align_corners=False)
    return warped


def encoding_map(crop: PersonCrop, known: Tensor, stride: int = 4) -> Tensor:
    """PersPose's perspective encoding: which ray each cell of a crop looks along.

    Parameters
    ----------
    crop : PersonCrop
        The crops.
    known : Tensor
        (batch,) bool, whether the intrinsics are known; the map is zero where they are not.
    stride : int
        Pixels of the crop per cell; 4 where the publication adds the map to an image model's first stage.

    Returns
    -------
    Tensor
        (batch, 2, size / stride, size / stride), x and y of ``K_crop^-1 (u, v, 1)``.
    """
    return crop.rays(stride).permute(0, 3, 1, 2) * known[:, None, None, None]


def _matrix(fx: Tensor, fy: Tensor, cx: Tensor, cy: Tensor) -> Tensor:
    nothing, one = torch.zeros_like(fx), torch.ones_like(fx)
    rows = ((fx, nothing, cx), (nothing, fy, cy), (nothing, nothing, one))
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)
