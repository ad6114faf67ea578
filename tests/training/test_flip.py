import dataclasses

import numpy as np
import pytest
import torch
from tests.training.mirroring import mirror

from poseshift.geometry.camera import AssumedCamera
from poseshift.geometry.projection import normalise, project
from poseshift.geometry.rotation import axis_angle_to_matrix
from poseshift.geometry.skeleton import skeleton
from poseshift.training.batches import DevicePoses
from poseshift.training.encoding import encoding
from poseshift.training.flip import (
    draw_mirrored,
    lift,
    lift_flip_averaged,
    mirror_keypoints,
    mirror_positions,
)
from poseshift.training.lifters.registry import build, preset

BODY = skeleton("human36m_17")
LEVEL = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))


@pytest.fixture
def batch(poses):
    source = DevicePoses.from_columns(poses, "cpu", frames=3)
    rows = torch.arange(0, len(source), 5)
    return source.batch(rows)


def _tensors(batch):
    fields = vars(batch.intrinsics).values()
    return [batch.positions_camera, batch.keypoints_px, *(one for one in fields if one is not None)]


def test_twice_mirrored_is_the_same(batch) -> None:
    twice = mirror(mirror(batch, BODY), BODY)
    for before, after in zip(_tensors(batch), _tensors(twice), strict=True):
        torch.testing.assert_close(after, before, atol=1e-3, rtol=0)


def test_projection_commutes_with_mirroring(batch) -> None:
    """A mirrored person before the mirrored camera is seen mirrored, lens distortion included."""
    mirrored = mirror(batch, BODY)
    double = mirrored.intrinsics.map(lambda field: field.double())
    seen = project(mirrored.positions_camera.double(), double)
    np.testing.assert_allclose(seen.numpy(), mirrored.keypoints_px.numpy(), atol=2e-3)
    assert (mirrored.keypoints_px - batch.keypoints_px).abs().max() > 10
    rays = normalise(mirrored.keypoints_px, mirrored.intrinsics)
    plain = normalise(batch.keypoints_px, batch.intrinsics)[..., list(BODY.mirrored), :]
    torch.testing.assert_close(rays, plain * torch.tensor([-1.0, 1.0]), atol=1e-5, rtol=0)


def test_left_and_right_change_places() -> None:
    positions = torch.zeros(17, 3)
    positions[BODY.left[0]] = torch.tensor([1.0, 2.0, 3.0])
    mirrored = mirror_positions(positions, BODY)
    assert mirrored[BODY.right[0]].tolist() == [-1.0, 2.0, 3.0]
    assert mirrored[BODY.left[0]].abs().sum() == 0


@pytest.mark.parametrize(
    ("frames", "hz", "moving", "assumed"),
    [(1, None, False, False), (1, None, True, False), (3, 20.0, False, False), (1, None, False, True)],
)
def test_clips_are_cut_out_mirrored_as_they_would_be_mirrored_afterwards(
    poses, frames, hz, moving, assumed
) -> None:
    """To the same bits: keypoints and left and right, camera, gravity, clips between rows among them."""
    placed = [dataclasses.replace(one, rotation=LEVEL, translation=(0.0, 1.0, 4.0)) for one in poses.cameras]
    if assumed:
        placed[0] = AssumedCamera.of(placed[0])
    poses = dataclasses.replace(poses, cameras=tuple(placed))
    source = DevicePoses.from_columns(poses, "cpu", frames, hz)
    turns = axis_angle_to_matrix(torch.randn(len(source), 3, generator=torch.Generator().manual_seed(1)))
    source = dataclasses.replace(source, turns=turns) if moving else source
    rows = torch.arange(0, len(source), 3)
    chosen = torch.rand(len(rows), generator=torch.Generator().manual_seed(0)) < 0.5
    plain, found = source.batch(rows), source.batch(rows, chosen)
    expected = mirror(plain, BODY)
    assert not chosen.all()
    assert (found.intrinsics.known is not None) == assumed
    for have, want, other in zip(
        [*_tensors(found), found.up_camera],
        [*_tensors(expected), expected.up_camera],
        [*_tensors(plain), plain.up_camera],
        strict=True,
    ):
        assert torch.equal(have[chosen], want[chosen])
        assert torch.equal(have[~chosen], other[~chosen])


def test_clips_are_drawn_in_the_given_share() -> None:
    generator = torch.Generator().manual_seed(3)
    drawn = draw_mirrored(2000, 0.3, generator)
    assert drawn is not None
    assert 0.27 < drawn.double().mean() < 0.33
    state = generator.get_state()
    assert draw_mirrored(2000, 0.0, generator) is None
    assert torch.equal(generator.get_state(), state)


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 3e-7), (torch.float64, 1e-12)])
def test_rays_that_are_kept_are_those_of_the_keypoints_mirrored_or_not(poses, dtype, most) -> None:
    """Those of mirrored keypoints differ by rounding: with more digits the difference goes away."""
    single = DevicePoses.from_columns(poses, "cpu", frames=3)
    source = dataclasses.replace(
        single,
        positions_camera=single.positions_camera.to(dtype),
        keypoints_px=single.keypoints_px.to(dtype),
        intrinsics=single.intrinsics.map(lambda field: field.to(dtype)),
    ).with_rays()
    rows = torch.arange(len(source))
    mirrored = rows % 2 == 0
    batch = source.batch(rows, mirrored)
    anew = normalise(batch.keypoints_px, batch.intrinsics)
    assert batch.rays is not None
    assert torch.equal(batch.rays[~mirrored], anew[~mirrored])
    torch.testing.assert_close(batch.rays, anew, atol=most, rtol=0)


def test_clips_between_rows_have_no_rays_that_are_kept(poses) -> None:
    source = DevicePoses.from_columns(poses, "cpu", 3, hz=20.0).with_rays()
    assert source.batch(torch.arange(4)).rays is None


def test_flip_averaged_answers_are_equivariant(poses) -> None:
    source = DevicePoses.from_columns(poses, "cpu", frames=1)
    batch = source.batch(torch.arange(6))
    lifter = build(preset("ampose-small"), 2).eval()
    seen = encoding("ray")
    with torch.no_grad():
        plain = lift_flip_averaged(lifter, seen, batch.keypoints_px, batch.intrinsics, BODY)
        mirrored = mirror(batch, BODY)
        other = lift_flip_averaged(lifter, seen, mirrored.keypoints_px, mirrored.intrinsics, BODY)
        once = lift(lifter, seen, batch.keypoints_px, batch.intrinsics)
    torch.testing.assert_close(other, mirror_positions(plain, BODY), atol=1e-5, rtol=0)
    assert (plain - once).abs().max() > 1e-3


def test_screen_coordinates_of_mirrored_keypoints_are_negated(batch) -> None:
    screen = encoding("screen")
    plain = screen.encode(batch.keypoints_px, batch.intrinsics).inputs[..., list(BODY.mirrored), :]
    flipped = screen.encode(mirror_keypoints(batch.keypoints_px, batch.intrinsics, BODY), batch.intrinsics)
    torch.testing.assert_close(flipped.inputs, plain * torch.tensor([-1.0, 1.0]), atol=1e-6, rtol=0)
