import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from poseshift.augmentation.anatomy import anatomy
from poseshift.augmentation.transforms import (
    PoseParameters,
    apply,
    length_gains,
    move_directions,
    rotation_vector,
    scale_bones,
    scale_lengths,
    turn,
    with_lengths,
)
from poseshift.geometry.bones import bone_directions, bone_lengths, bone_vectors
from poseshift.geometry.skeleton import HUMAN36M_17, POSEAUG_16, SKELETONS

BOTH = pytest.mark.parametrize("skeleton", [HUMAN36M_17, POSEAUG_16], ids=lambda one: one.name)
BONES = len(HUMAN36M_17.bones)


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def straight() -> torch.Tensor:
    """All bones point along x, one metre each: (1, 1, 17, 3)."""
    positions = torch.zeros(1, 1, 17, 3, dtype=torch.float64)
    for joint in range(1, 17):
        positions[0, 0, joint] = positions[0, 0, HUMAN36M_17.parents[joint]] + torch.tensor([1.0, 0, 0])
    return positions


def test_an_offset_by_hand() -> None:
    """(1,0,0) + (0,1,0), normalised, is 45 degrees away: change 1 - cos 45."""
    offsets = torch.zeros(1, BONES, 3, dtype=torch.float64)
    offsets[0, 1] = torch.tensor([0.0, 1.0, 0.0])  # the right thigh
    result = move_directions(straight(), offsets, HUMAN36M_17)
    half = math.sqrt(0.5)
    assert result.positions[0, 0, 2].tolist() == pytest.approx([1 + half, half, 0])
    assert result.positions[0, 0, 3].tolist() == pytest.approx([2 + half, half, 0])
    assert result.positions[0, 0, 6].tolist() == pytest.approx([3, 0, 0])
    expected = torch.zeros(BONES, dtype=torch.float64)
    expected[1] = 1 - half
    torch.testing.assert_close(result.change[0, 0], expected)


@BOTH
def test_offsets_keep_lengths_trunk_and_root(draw_bodies, skeleton) -> None:
    body = draw_bodies(skeleton, 3, 4)
    result = move_directions(body, normal(3, len(skeleton.bones), 3), skeleton)
    torch.testing.assert_close(bone_lengths(result.positions, skeleton), bone_lengths(body, skeleton))
    trunk = list(anatomy(skeleton).trunk)
    before, after = (bone_vectors(one, skeleton) for one in (body, result.positions))
    torch.testing.assert_close(after[..., trunk, :], before[..., trunk, :])
    torch.testing.assert_close(result.positions[..., 0, :], body[..., 0, :])
    assert float(result.change[..., trunk].abs().max()) < 1e-12
    others = [bone for bone in range(len(skeleton.bones)) if bone not in trunk]
    assert float(result.change[..., others].min()) > 1e-6
    assert float(result.change.max()) <= 2


@BOTH
def test_offsets_can_be_taken_back(draw_bodies, skeleton) -> None:
    body = draw_bodies(skeleton, 3)
    moved = move_directions(body, normal(3, len(skeleton.bones), 3), skeleton).positions
    back = bone_directions(body, skeleton) - bone_directions(moved, skeleton)
    torch.testing.assert_close(move_directions(moved, back[:, 0], skeleton).positions, body)


@BOTH
def test_gains_scale_mirrored_bones_alike_and_spare_the_trunk(draw_bodies, skeleton) -> None:
    body = draw_bodies(skeleton, 2, 3)
    groups = anatomy(skeleton)
    gains = 0.2 * torch.tanh(normal(2, groups.groups))
    lengths = bone_lengths(scale_lengths(body, gains, skeleton), skeleton) / bone_lengths(body, skeleton)
    for bone, (_, child) in enumerate(skeleton.bones):
        name = skeleton.joint_names[child]
        expected = 1.0 if name == "thorax" else 1 + gains[:, groups.length_groups[bone], None]
        torch.testing.assert_close(lengths[..., bone], torch.as_tensor(expected).expand(2, 3).double())
    twin = [name.replace("left", "right") for name in skeleton.joint_names]
    for child, name in enumerate(skeleton.joint_names):
        if name.startswith("left"):
            other = skeleton.joint_names.index(twin[child])
            torch.testing.assert_close(lengths[..., child - 1], lengths[..., other - 1])


@BOTH
def test_gains_can_be_taken_back(draw_bodies, skeleton) -> None:
    body = draw_bodies(skeleton, 2)
    gains = 0.2 * torch.tanh(normal(2, anatomy(skeleton).groups))
    scaled = scale_lengths(body, gains, skeleton)
    torch.testing.assert_close(scale_lengths(scaled, -gains / (1 + gains), skeleton), body)
    torch.testing.assert_close(bone_directions(scaled, skeleton), bone_directions(body, skeleton))


def test_a_quarter_turn_by_hand() -> None:
    """About y, x goes to -z."""
    turned = turn(straight() + 5.0, torch.tensor([[0.0, math.pi / 2, 0.0]], dtype=torch.float64), HUMAN36M_17)
    assert turned[0, 0, 0].tolist() == pytest.approx([5, 5, 5])
    assert turned[0, 0, 3].tolist() == pytest.approx([5, 5, 2])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-math.pi, math.pi), min_size=3, max_size=3), st.integers(0, 1000))
def test_turns_keep_distances_and_can_be_taken_back(draw_bodies, vector, seed) -> None:
    body = draw_bodies(HUMAN36M_17, 1, 2, seed=seed)
    axis_angle = torch.tensor([vector], dtype=torch.float64)
    turned = turn(body, axis_angle, HUMAN36M_17)
    flat = [one.flatten(0, 1) for one in (body, turned)]
    torch.testing.assert_close(
        torch.cdist(flat[1], flat[1]), torch.cdist(flat[0], flat[0]), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(turn(turned, -axis_angle, HUMAN36M_17), body)


def test_bounds_of_networks_outputs() -> None:
    outputs = torch.tensor([-100.0, 0.0, 0.5, 100.0])
    assert length_gains(outputs).tolist() == pytest.approx([-0.2, 0, 0.2 * math.tanh(0.5), 0.2])
    assert rotation_vector(outputs).tolist() == pytest.approx(
        [-math.pi, 0, math.pi * math.tanh(0.5), math.pi]
    )


def test_lengths_of_another_body(draw_bodies) -> None:
    first, second = draw_bodies(HUMAN36M_17, 2, 3, seed=1), draw_bodies(HUMAN36M_17, 2, 1, seed=2)
    lengths = bone_lengths(second, HUMAN36M_17)[:, 0]
    exchanged = with_lengths(first, lengths, HUMAN36M_17)
    torch.testing.assert_close(bone_lengths(exchanged, HUMAN36M_17), lengths[:, None].expand(2, 3, BONES))
    torch.testing.assert_close(bone_directions(exchanged, HUMAN36M_17), bone_directions(first, HUMAN36M_17))
    own = bone_lengths(first, HUMAN36M_17)[:, 0]
    torch.testing.assert_close(with_lengths(exchanged, own, HUMAN36M_17), first)


@pytest.mark.parametrize("name", sorted(SKELETONS))
def test_all_three_in_order_on_every_skeleton(draw_bodies, name) -> None:
    """One set of parameters serves all frames of a clip, and the steps follow each other."""
    skeleton = SKELETONS[name]
    body = draw_bodies(skeleton, 2, 3)
    groups = anatomy(skeleton).groups
    parameters = PoseParameters(
        normal(2, len(skeleton.bones), 3), 0.1 * normal(2, groups), normal(2, 3, seed=3)
    )
    result = apply(body, parameters, skeleton)
    for frame in range(3):
        one = body[:, frame : frame + 1]
        angled = move_directions(one, parameters.angles, skeleton).positions
        lengthened = scale_lengths(angled, parameters.gains, skeleton)
        torch.testing.assert_close(result.angled[:, frame], angled[:, 0])
        torch.testing.assert_close(result.lengthened[:, frame], lengthened[:, 0])
    final = turn(result.lengthened, parameters.axis_angle, skeleton)
    torch.testing.assert_close(result.rotated, final)


def test_velocities_of_a_clip_are_turned_and_scaled_with_it(draw_bodies) -> None:
    """One gain for every bone and one turn: every joint's velocity is the old one, turned and scaled."""
    body = draw_bodies(HUMAN36M_17, 2, 5)
    root_way = torch.cumsum(0.05 * normal(2, 5, 1, 3, seed=4), dim=1)
    walking = body + root_way - body[:, :, :1]
    turns = normal(2, 3, seed=3)
    rotation = torch.stack([torch.as_tensor(Rotation.from_rotvec(one).as_matrix()) for one in turns.numpy()])
    turned = turn(scale_bones(walking, torch.full((2, BONES), 1.25), HUMAN36M_17), turns, HUMAN36M_17)

    def velocities(clip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return clip[:, :, 0].diff(dim=1), (clip - clip[:, :, :1]).diff(dim=1)

    (root, relative), (root_after, relative_after) = velocities(walking), velocities(turned)
    expected = torch.einsum("nij,ntj->nti", rotation.to(root), root)
    torch.testing.assert_close(root_after, expected)
    expected = 1.25 * torch.einsum("nij,ntaj->ntai", rotation.to(relative), relative)
    torch.testing.assert_close(relative_after, expected)
    torch.testing.assert_close(turned[:, 2, 0], walking[:, 2, 0])


def test_bones_of_an_augmented_clip_keep_their_lengths(draw_bodies) -> None:
    one = draw_bodies(HUMAN36M_17, 2, 1)
    clip = with_lengths(
        draw_bodies(HUMAN36M_17, 2, 5, seed=5), bone_lengths(one, HUMAN36M_17)[:, 0], HUMAN36M_17
    )
    parameters = PoseParameters(
        0.2 * normal(2, BONES, 3), 0.2 * normal(2, anatomy(HUMAN36M_17).groups), normal(2, 3, seed=3)
    )
    lengths = bone_lengths(apply(clip, parameters, HUMAN36M_17).rotated, HUMAN36M_17)
    torch.testing.assert_close(lengths, lengths[:, :1].expand_as(lengths))
    assert float((lengths[:, 0] / bone_lengths(one, HUMAN36M_17)[:, 0] - 1).abs().max()) > 0.05


def test_gradients(draw_bodies) -> None:
    """Analytic gradients against finite differences, of everything by everything."""
    body = draw_bodies(POSEAUG_16, 1, 2)
    inputs = [body, 0.5 * normal(1, 15, 3), 0.1 * normal(1, 9), normal(1, 3)]
    for one in inputs:
        one.requires_grad_(True)

    def final(positions, angles, gains, axis_angle):
        return apply(positions, PoseParameters(angles, gains, axis_angle), POSEAUG_16).rotated

    assert torch.autograd.gradcheck(final, inputs)


def test_a_bone_without_length_stays_a_point_and_gradients_stay_finite() -> None:
    body = straight()
    body[0, 0, 3] = body[0, 0, 2]
    offsets = torch.zeros(1, BONES, 3, dtype=torch.float64, requires_grad=True)
    moved = move_directions(body, offsets, HUMAN36M_17).positions
    moved.square().sum().backward()
    assert np.isfinite(offsets.grad.numpy()).all()
    torch.testing.assert_close(moved.detach(), body)
