"""Random augmentation of batches: what changes, what stays, and that keypoints follow."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from poseshift.augmentation.random_augmentation import RandomAugmentation, RandomAugmentationConfig
from poseshift.geometry.bones import bone_directions, bone_lengths
from poseshift.geometry.projection import project
from poseshift.geometry.skeleton import skeleton
from poseshift.training.batches import Batch, DevicePoses

BODY = skeleton("human36m_17")


@pytest.fixture
def batch(make_columns, draw_people, distorted_camera, wide_camera) -> Batch:
    people = draw_people(np.random.default_rng(1), 40)
    poses = make_columns(people, (distorted_camera, wide_camera), np.repeat([0, 1], 20).astype(np.int32))
    return DevicePoses.from_columns(poses, "cpu", frames=5).batch(torch.arange(40))


def augmented(batch: Batch, seed: int = 0, **options: object) -> Batch:
    transform = RandomAugmentation(RandomAugmentationConfig.model_validate(options), BODY)
    return transform(batch, torch.Generator().manual_seed(seed))


def test_a_share_changes_and_the_rest_stays(batch) -> None:
    result = augmented(batch, share=0.25)
    assert torch.equal(result.positions_camera[10:], batch.positions_camera[10:])
    assert torch.equal(result.keypoints_px[10:], batch.keypoints_px[10:])
    moved = (result.positions_camera - batch.positions_camera)[:10].norm(dim=-1).amax(dim=(1, 2))
    assert bool((moved > 0.01).all())
    assert len(augmented(batch, share=1.0)) == len(result) == 40


def test_keypoints_are_the_projection_in_front_of_the_same_cameras(batch) -> None:
    result = augmented(batch, share=1.0)
    torch.testing.assert_close(result.keypoints_px, project(result.positions_camera, batch.intrinsics))
    middle = batch.positions_camera.shape[1] // 2
    roots = (one.positions_camera[:, middle, 0] for one in (result, batch))
    torch.testing.assert_close(*roots)


@pytest.mark.parametrize(
    ("options", "same_lengths", "same_directions"),
    [
        ({"angle_spread": 0.2, "length_range": 0.0, "rotation": "none"}, True, False),
        ({"angle_spread": 0.0, "length_range": 0.2, "rotation": "none"}, False, True),
        ({"angle_spread": 0.0, "length_range": 0.0, "rotation": "upright"}, True, False),
        ({"angle_spread": 0.0, "length_range": 0.0, "rotation": "none"}, True, True),
    ],
)
def test_each_operator_changes_its_own(batch, options, same_lengths, same_directions) -> None:
    result = augmented(batch, share=1.0, **options)
    for measure, same in ((bone_lengths, same_lengths), (bone_directions, same_directions)):
        before, after = (measure(one.positions_camera, BODY) for one in (batch, result))
        assert torch.allclose(before, after, atol=1e-4) == same


def test_upright_turns_keep_gravity_and_heights(batch) -> None:
    options = {"angle_spread": 0.0, "length_range": 0.0, "share": 1.0}
    upright = augmented(batch, rotation="upright", **options)
    up = batch.up_camera[:, None, None]
    heights = [
        ((one.positions_camera - one.positions_camera[:, :, :1]) * up).sum(-1) for one in (batch, upright)
    ]
    torch.testing.assert_close(*heights, atol=1e-4, rtol=0)
    torch.testing.assert_close(upright.up_camera, batch.up_camera, atol=1e-5, rtol=0)
    free = augmented(batch, rotation="free", **options)
    turned_up = free.up_camera[:, None, None]
    heights[1] = ((free.positions_camera - free.positions_camera[:, :, :1]) * turned_up).sum(-1)
    torch.testing.assert_close(*heights, atol=1e-4, rtol=0)
    assert not torch.allclose(free.up_camera, batch.up_camera, atol=0.1)


def test_the_seed_decides(batch) -> None:
    first, again, other = (augmented(batch, seed).positions_camera for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_upright_turns_need_to_know_up(batch) -> None:
    unplaced = replace(batch, up_camera=None)
    with pytest.raises(ValueError, match="where up is in these poses is not known"):
        augmented(unplaced, rotation="upright")
    assert augmented(unplaced, rotation="free").up_camera is None
