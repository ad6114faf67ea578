import pytest
import torch
from torch import nn

from poseshift.augmentation.discriminator import (
    BoneMotionDiscriminator,
    DiscriminatorConfig,
    KeypointDiscriminator,
    KeypointMotionDiscriminator,
    PairDiscriminator,
    PartDiscriminator,
    in_person_sizes,
    keypoint_form,
)
from poseshift.augmentation.transforms import scale_lengths, turn
from poseshift.geometry.bones import bone_directions, bone_lengths
from poseshift.geometry.skeleton import HUMAN36M_17, POSEAUG_16

CONFIG = DiscriminatorConfig(width=16)


@pytest.fixture
def bodies(draw_bodies) -> torch.Tensor:
    torch.manual_seed(0)
    return draw_bodies(HUMAN36M_17, 8)[:, 0].float()


def test_parts_see_the_cosines_between_their_bones(bodies) -> None:
    judge = PartDiscriminator(CONFIG, HUMAN36M_17)
    seen = []
    judge.judges[2].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    assert judge(bodies).shape == (8, 5)
    bones = bone_directions(bodies, HUMAN36M_17)[:, [7, 10, 11, 12]]  # thorax and left arm
    cosines = torch.einsum("nia,nja->nij", bones, bones)
    torch.testing.assert_close(seen[0], cosines.flatten(1))


def test_parts_do_not_see_lengths_or_turns(bodies) -> None:
    judge = PartDiscriminator(CONFIG, HUMAN36M_17)
    scores = judge(bodies)
    longer = scale_lengths(bodies, torch.full((8, 10), 0.15), HUMAN36M_17)
    turned = turn(bodies[:, None], torch.randn(8, 3), HUMAN36M_17)[:, 0]
    for same in (longer, turned, 1.5 * bodies + 2):
        torch.testing.assert_close(judge(same), scores, atol=2e-4, rtol=1e-3)


def test_an_arm_concerns_its_own_part_alone(bodies) -> None:
    judge = PartDiscriminator(CONFIG, HUMAN36M_17)
    bent = bodies.clone()
    bent[:, 13] += torch.tensor([0.1, 0.2, 0.3])  # the left wrist
    same = torch.isclose(judge(bent), judge(bodies), atol=1e-5).all(dim=0)
    assert same.tolist() == [True, True, False, True, True]


def test_motion_is_the_difference_of_two_frames_and_nothing_else(bodies) -> None:
    """Bones that do not turn give zero, wherever the person goes and however large."""
    bones = BoneMotionDiscriminator(CONFIG, HUMAN36M_17)
    seen = []
    bones.enter.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    before, after = bodies, bodies.flip(0)
    assert bones(torch.stack([after, before], dim=1)).shape == (8, 1)
    step = bone_directions(after, HUMAN36M_17) - bone_directions(before, HUMAN36M_17)
    torch.testing.assert_close(seen[0], 10 * step.flatten(1))
    bones(torch.stack([1.2 * before + 3.0, before], dim=1))
    torch.testing.assert_close(seen[1], torch.zeros_like(seen[1]), atol=1e-3, rtol=0)


def test_motion_of_keypoints_is_measured_in_person_sizes(bodies) -> None:
    judge = KeypointMotionDiscriminator(CONFIG, HUMAN36M_17)
    seen = []
    judge.enter.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    rays = bodies[..., :2]
    aside = torch.stack([rays + torch.tensor([0.1, 0.0]), rays], dim=1)
    for scale in (1.0, 0.25):
        judge(in_person_sizes(scale * aside))
    size = (rays.amax(dim=1) - rays.amin(dim=1)).mean(dim=-1)
    torch.testing.assert_close(seen[0].view(8, 17, 2)[..., 0], (1.0 / size)[:, None].expand(8, 17))
    torch.testing.assert_close(seen[1], seen[0], atol=1e-4, rtol=1e-4)


def test_pairs_see_lengths_and_angles_but_no_common_turn_or_scale(bodies) -> None:
    judge = PairDiscriminator(CONFIG, HUMAN36M_17)
    other = bodies.flip(0)
    score = judge(torch.stack([bodies, other], dim=1))
    assert score.shape == (8, 1)
    turns = torch.randn(8, 3)
    both = torch.cat([turn(one[:, None], turns, HUMAN36M_17) for one in (bodies, other)], dim=1)
    torch.testing.assert_close(judge(both), score, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(judge(2 * torch.stack([bodies, other], dim=1)), score, atol=1e-3, rtol=1e-3)
    longer = scale_lengths(other, torch.full((8, 10), 0.15), HUMAN36M_17)
    assert not torch.allclose(judge(torch.stack([bodies, longer], dim=1)), score, atol=1e-2)
    assert not torch.allclose(judge(torch.stack([bodies, both[:, 1]], dim=1)), score, atol=1e-2)


def test_pairs_are_measured_in_mean_bone_lengths_of_the_anchor(bodies) -> None:
    """Each bone's product with itself is its squared length over the square of the anchor's mean length."""
    judge = PairDiscriminator(CONFIG, HUMAN36M_17)
    seen = []
    judge.judge.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    judge(torch.stack([bodies, 0.7 * bodies.flip(0)], dim=1))
    lengths = bone_lengths(bodies, HUMAN36M_17)
    both = torch.cat([lengths, 0.7 * lengths.flip(0)], dim=1) / lengths.mean(dim=1, keepdim=True)
    own = seen[0].unflatten(1, (32, 32)).diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(own, both.square())


def test_keypoint_forms_by_hand() -> None:
    """Width 2, height 4: mean 3; the root at (1, 1) goes to the origin."""
    rays = torch.zeros(1, 16, 2)
    rays[:] = torch.tensor([1.0, 1.0])
    rays[0, 5] = torch.tensor([3.0, 5.0])
    centred = keypoint_form(rays, "centred", POSEAUG_16)
    assert centred[0, 0].tolist() == [0, 0]
    assert centred[0, 5].tolist() == pytest.approx([2 / 3, 4 / 3])
    moved = keypoint_form(3 * rays - 7, "centred", POSEAUG_16)
    torch.testing.assert_close(moved, centred)
    assert torch.equal(keypoint_form(rays, "raw", POSEAUG_16), rays)


def test_keypoint_discriminator_has_the_layers_of_poseaug() -> None:
    judge = KeypointDiscriminator(CONFIG, POSEAUG_16)
    sizes = [(one.in_features, one.out_features) for one in judge.modules() if isinstance(one, nn.Linear)]
    assert sizes == [(32, 100), (100, 100), (100, 100), (100, 100), (100, 1)]
    assert judge(torch.randn(4, 16, 2)).shape == (4, 1)


def test_spectral_normalisation_bounds_every_layer(bodies) -> None:
    judge = PartDiscriminator(CONFIG.model_copy(update={"regularisation": "spectral"}), HUMAN36M_17)
    for _ in range(30):
        judge(bodies)
    judge.eval()
    layers = [one for one in judge.modules() if isinstance(one, nn.Linear)]
    norms = torch.stack([torch.linalg.matrix_norm(one.weight, 2) for one in layers])
    torch.testing.assert_close(norms, torch.ones(len(layers)), atol=0.05, rtol=0)
    plain = PartDiscriminator(CONFIG, HUMAN36M_17)
    largest = max(
        float(torch.linalg.matrix_norm(one.weight.detach(), 2))
        for one in plain.modules()
        if isinstance(one, nn.Linear)
    )
    assert largest > 1.5


@pytest.mark.parametrize("kind", ["parts", "pairs", "keypoints"])
def test_each_learns_to_tell_two_kinds_apart(draw_bodies, kind) -> None:
    """One posture with small deviations against random bodies; for pairs, the same body or another one."""
    rng = torch.Generator().manual_seed(1)
    torch.manual_seed(1)
    made = draw_bodies(HUMAN36M_17, 64)[:, 0].float()
    noise = 0.02 * torch.randn(64, 17, 3, generator=rng)
    if kind == "pairs":
        judge: nn.Module = PairDiscriminator(CONFIG, HUMAN36M_17)
        real = torch.stack([made, made + noise], dim=1)
        made = torch.stack([made, made.flip(0)], dim=1)
    elif kind == "parts":
        judge = PartDiscriminator(CONFIG, HUMAN36M_17)
        real = made[:1] + noise
    else:
        judge = KeypointDiscriminator(CONFIG, HUMAN36M_17)
        real, made = ((one - one[:, :1])[..., :2] for one in (made[:1] + noise, made))
    optimizer = torch.optim.Adam(judge.parameters(), 3e-3)
    for _ in range(100):
        loss = (judge(real) - 1).square().mean() + judge(made).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float((judge(real) > 0.5).float().mean()) > 0.95
    assert float((judge(made) < 0.5).float().mean()) > 0.95
