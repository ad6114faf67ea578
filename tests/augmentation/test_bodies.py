"""Bodies of their own: what is drawn changes, what is not drawn stays, left and right are alike."""

import numpy as np
import pytest
import torch

from poseshift.augmentation.bodies import BodyDiversity, DiverseBodies, placed_anew
from poseshift.augmentation.transforms import scale_bones
from poseshift.geometry.bones import bone_directions, bone_lengths
from poseshift.geometry.projection import project
from poseshift.geometry.skeleton import skeleton
from poseshift.training.batches import Batch, DevicePoses
from poseshift.training.flip import mirror_positions

BODY = skeleton("human36m_17")


@pytest.fixture
def batch(make_columns, draw_people, distorted_camera, wide_camera) -> Batch:
    people = draw_people(np.random.default_rng(1), 400)
    poses = make_columns(people, (distorted_camera, wide_camera), np.repeat([0, 1], 200).astype(np.int32))
    return DevicePoses.from_columns(poses, "cpu", frames=3).batch(torch.arange(400))


def changed(batch: Batch, **options: float) -> Batch:
    none = {"stature_spread": 0.0, "proportion_spread": 0.0, "joint_spread_m": 0.0}
    transform = DiverseBodies(BodyDiversity.model_validate({**none, **options}), BODY)
    return transform(batch, torch.Generator().manual_seed(0))


def test_stature_scales_all_bones_of_a_clip_alike(batch: Batch) -> None:
    result = changed(batch, stature_spread=0.07)
    ratio = bone_lengths(result.positions_camera, BODY) / bone_lengths(batch.positions_camera, BODY)
    spread_in_clip = ratio.flatten(1).std(dim=1)
    assert float(spread_in_clip.max()) < 1e-3
    assert float(ratio.flatten(1).mean(dim=1).log().std()) == pytest.approx(0.07, rel=0.15)


def test_proportions_are_the_same_left_and_right_and_directions_stay(batch: Batch) -> None:
    result = changed(batch, proportion_spread=0.08)
    ratio = bone_lengths(result.positions_camera, BODY) / bone_lengths(batch.positions_camera, BODY)
    names = [BODY.joint_names[child] for _, child in BODY.bones]
    left, right = names.index("left_knee"), names.index("right_knee")
    torch.testing.assert_close(ratio[..., left], ratio[..., right], atol=1e-3, rtol=0)
    assert float(ratio[..., left].log().std()) == pytest.approx(0.08, rel=0.15)
    before, after = (bone_directions(one.positions_camera, BODY) for one in (batch, result))
    torch.testing.assert_close(before, after, atol=1e-3, rtol=0)


def test_keypoints_follow_and_roots_stay_when_bodies_are_resized(batch: Batch) -> None:
    result = changed(batch, stature_spread=0.07, proportion_spread=0.08)
    torch.testing.assert_close(result.keypoints_px, project(result.positions_camera, batch.intrinsics))
    torch.testing.assert_close(result.positions_camera[..., 0, :], batch.positions_camera[..., 0, :])


def test_joints_are_placed_anew_by_as_much_as_asked_and_limbs_stay(batch: Batch) -> None:
    result = changed(batch, joint_spread_m=0.02)
    moved = (result.positions_camera - batch.positions_camera).norm(dim=-1)
    limbs = [
        BODY.joint_names.index(name) for name in ("left_knee", "right_ankle", "left_elbow", "right_wrist")
    ]
    assert float(moved[..., limbs].max()) < 1e-5
    hip, head = (BODY.joint_names.index(name) for name in ("left_hip", "head"))
    assert float(moved[..., hip].square().mean().sqrt()) == pytest.approx(0.02 * 3**0.5, rel=0.15)
    assert float(moved[..., head].square().mean().sqrt()) == pytest.approx(0.02 * 2**0.5, rel=0.15)


def test_a_definition_belongs_to_the_body_wherever_it_turns_and_is_mirrored_with_it(batch: Batch) -> None:
    positions = batch.positions_camera.double()
    offsets = torch.zeros(len(batch), 17, 3, dtype=torch.float64)
    left, right = BODY.joint_names.index("left_hip"), BODY.joint_names.index("right_hip")
    offsets[:, left], offsets[:, right] = (
        torch.tensor([0.02, -0.01, 0.03]),
        torch.tensor([-0.02, -0.01, 0.03]),
    )
    placed = placed_anew(positions, offsets.double(), BODY)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).double())[0]
    turn = turn * torch.linalg.det(turn)
    torch.testing.assert_close(placed_anew(positions @ turn.T, offsets, BODY), placed @ turn.T)
    mirrored = mirror_positions(positions, BODY)
    torch.testing.assert_close(placed_anew(mirrored, offsets, BODY), mirror_positions(placed, BODY))


def test_a_wider_pelvis_is_wider_by_twice_the_offset(batch: Batch) -> None:
    positions = batch.positions_camera.double()
    hips = [BODY.joint_names.index(name) for name in ("left_hip", "right_hip")]
    offsets = torch.zeros(len(batch), 17, 3, dtype=torch.float64)
    offsets[:, hips[0], 0], offsets[:, hips[1], 0] = 0.024, -0.024

    def width(points: torch.Tensor) -> torch.Tensor:
        return (points[..., hips[0], :] - points[..., hips[1], :]).norm(dim=-1)

    wider = width(placed_anew(positions, offsets, BODY)) - width(positions)
    assert float(wider.min()) > 0
    assert float(wider.max()) <= 0.048 + 1e-9
    assert float(wider.mean()) > 0.03


def test_factors_scale_the_bones_they_are_given_for(batch: Batch) -> None:
    factors = torch.ones(len(batch), len(BODY.bones))
    factors[:, 3] = 1.5
    before = bone_lengths(batch.positions_camera, BODY)
    after = bone_lengths(scale_bones(batch.positions_camera, factors, BODY), BODY)
    torch.testing.assert_close(after, before * factors[:, None], atol=1e-4, rtol=0)
