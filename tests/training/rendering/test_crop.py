"""Crops of people: by exact geometry, and by bodies that are rendered in the image and in the crop."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from poseshift.geometry.camera import Camera
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.projection import normalise, project
from poseshift.training.rendering.capsule_body import CapsuleBody
from poseshift.training.rendering.crop import PersonCrop, crop_image, encoding_map, homography, person_crop
from poseshift.training.rendering.rasteriser import Softness, rasterise, to_ndc

PINHOLE = Camera("c", (320, 240), (300.0, 310.0), (155.0, 124.0))


def of(camera: Camera) -> Intrinsics:
    return camera.intrinsics.map(lambda field: torch.as_tensor(field, dtype=torch.float64)[None])


def standing(body: CapsuleBody, root: tuple[float, float, float]) -> torch.Tensor:
    return (body.rest.double() + torch.tensor(root, dtype=torch.float64))[None]


def crop_of(joints: torch.Tensor, camera: Camera, size_px: int) -> PersonCrop:
    return person_crop(normalise(project(joints, of(camera)), of(camera)), size_px)


@settings(max_examples=20, deadline=None)
@given(st.floats(-1.5, 1.5), st.floats(-1.0, 1.0), st.floats(2.5, 6.0))
def test_the_homography_takes_pixels_to_those_of_the_turned_body(x: float, y: float, z: float) -> None:
    rng = np.random.default_rng(1)
    joints = torch.tensor(rng.normal(scale=0.4, size=(1, 17, 3)) + np.array([x, y, z]))
    crop = crop_of(joints, PINHOLE, 96)
    seen = project(joints, of(PINHOLE))
    homogeneous = torch.cat([seen, torch.ones(1, 17, 1, dtype=torch.float64)], dim=-1)
    mapped = homogeneous @ homography(crop, of(PINHOLE)).mT
    pixels, depth = crop.project(joints)
    torch.testing.assert_close(mapped[..., :2] / mapped[..., 2:], pixels, atol=1e-8, rtol=0)
    # The body is in the middle, as large as the margin leaves, and no farther than it was.
    assert ((pixels >= 96 * 0.1 - 1e-6) & (pixels <= 96 * 0.9 + 1e-6)).all()
    torch.testing.assert_close((crop.rotation @ joints[0].T)[0, 2], depth[0], atol=1e-12, rtol=0)


def drawn(
    body: CapsuleBody, pixels: torch.Tensor, depth: torch.Tensor, size_px: tuple[int, int]
) -> torch.Tensor:
    priors, softness = body.priors.double(), Softness(sigma=1e-7, gamma=1e-3)
    return rasterise(to_ndc(pixels, size_px), depth, body.faces, priors, size_px, softness).distribution


def test_warping_a_picture_is_rendering_the_turned_body(body: CapsuleBody) -> None:
    """A body far from the axis; the image is sharper than the crop, and only edges may differ."""
    joints = standing(body, (1.1, -0.3, 3.4))
    girths = torch.ones(1, body.bones, dtype=torch.float64)
    vertices = body.on_joints(joints, girths).vertices
    camera = Camera("wide", (420, 400), (400.0, 400.0), (210.0, 200.0))
    crop = crop_of(joints, camera, 72)
    image = drawn(body, project(vertices, of(camera)), vertices[..., 2], camera.size_px)
    warped = crop_image(image, crop, of(camera))
    direct = drawn(body, *crop.project(vertices), (72, 72))
    inside = warped.sum(dim=1) > 0.99
    assert inside.float().mean() > 0.5
    differing = (warped - direct).abs().sum(dim=1)[inside] / 2
    assert float(differing.mean()) < 0.02
    # Turned back the wrong way the same comparison fails: it is the rotation that is tested.
    wrong = PersonCrop(crop.rotation.mT, crop.focal_px, crop.size_px)
    other = crop_image(image, wrong, of(camera))
    assert float((other - direct).abs().sum(dim=1).mean()) > 0.2


def test_a_crop_looks_through_the_lens(distorted_camera: Camera, body: CapsuleBody) -> None:
    """An image whose values are its own pixel coordinates says where every pixel of a crop came from."""
    joints = standing(body, (0.9, 0.5, 3.5))
    crop = crop_of(joints, distorted_camera, 40)
    width, height = distorted_camera.size_px
    rows, columns = torch.meshgrid(
        torch.arange(height, dtype=torch.float64) + 0.5,
        torch.arange(width, dtype=torch.float64) + 0.5,
        indexing="ij",
    )
    image = torch.stack([columns, rows])[None]
    found = crop_image(image, crop, of(distorted_camera))[0].permute(1, 2, 0)
    away = torch.cat([crop.rays()[0], torch.ones(40, 40, 1, dtype=torch.float64)], dim=-1) @ crop.rotation[0]
    expected = project(away[None], of(distorted_camera))[0]
    inside = ((expected > 1) & (expected < torch.tensor([width - 1.0, height - 1.0]))).all(dim=-1)
    assert inside.float().mean() > 0.5
    torch.testing.assert_close(found[inside], expected[inside], atol=1e-6, rtol=0)
    assert not found[((expected < -1) | (expected > max(width, height) + 1)).any(dim=-1)].any()


def test_the_encoding_map_holds_rays_and_is_zero_where_intrinsics_are_unknown(body: CapsuleBody) -> None:
    joints = standing(body, (0.3, 0.1, 4.0)).expand(2, -1, -1)
    crop = crop_of(joints, PINHOLE, 64)
    encoded = encoding_map(crop, torch.tensor([True, False]))
    assert encoded.shape == (2, 2, 16, 16)
    cell = torch.tensor([4 * 3 + 2.0, 4 * 10 + 2.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(encoded[0, :, 10, 3], (torch.linalg.inv(crop.matrix[0]) @ cell)[:2])
    assert not encoded[1].any()
    wide = encoding_map(crop_of(standing(body, (0.3, 0.1, 2.0)), PINHOLE, 64), torch.tensor([True]))
    assert float(wide.abs().max()) > 1.5 * float(encoded.abs().max())  # nearer people need a wider view


def test_a_shift_moves_the_person_by_its_share_of_the_box(body: CapsuleBody) -> None:
    joints = standing(body, (0.0, 0.1, 4.0))
    rays = normalise(project(joints, of(PINHOLE)), of(PINHOLE))
    side = (rays.amax(dim=1) - rays.amin(dim=1)).amax()
    moved = person_crop(rays, 64, shift=torch.tensor([[0.1, 0.0]], dtype=torch.float64))
    middle = (rays.amin(dim=1) + rays.amax(dim=1)) / 2 + torch.stack([0.1 * side, side * 0])
    ahead = torch.cat([middle, torch.ones(1, 1, dtype=torch.float64)], dim=-1)[:, None]
    torch.testing.assert_close(moved.project(ahead)[0], torch.full((1, 1, 2), 32.0, dtype=torch.float64))
