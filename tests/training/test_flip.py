import dataclasses

import numpy as np
import pytest
import torch

from poseshift.geometry.camera import normalise, project
from poseshift.geometry.skeleton import skeleton
from poseshift.training.batches import DevicePoses
from poseshift.training.encoding import encoding
from poseshift.training.flip import (
    RandomFlip,
    lift,
    lift_flip_averaged,
    mirror,
    mirror_keypoints,
    mirror_positions,
)
from poseshift.training.lifters.registry import build, preset

BODY = skeleton("human36m_17")


@pytest.fixture
def batch(poses):
    source = DevicePoses.from_columns(poses, "cpu", frames=3)
    rows = torch.arange(0, len(source), 5)
    return source.batch(rows)


def _tensors(batch):
    return [batch.positions_camera, batch.keypoints_px, *vars(batch.intrinsics).values()]


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


def test_random_flip_mirrors_whole_clips_in_the_given_share(batch) -> None:
    whole = dataclasses.replace(batch)
    mirrored = mirror(batch, BODY)
    flip = RandomFlip(BODY, 0.5)
    generator = torch.Generator().manual_seed(3)
    flipped_clips = 0
    for _ in range(20):
        out = flip(whole, generator)
        for clip in range(len(batch)):
            chosen = mirrored if not torch.equal(out.keypoints_px[clip], batch.keypoints_px[clip]) else batch
            flipped_clips += chosen is mirrored
            for have, want in zip(_tensors(out), _tensors(chosen), strict=True):
                assert torch.equal(have[clip], want[clip])
    share = flipped_clips / (20 * len(batch))
    assert 0.4 < share < 0.6


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
