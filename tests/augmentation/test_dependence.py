"""What a generator's outputs depend on: against sums of parts whose sizes are known."""

import pytest
import torch
from torch import nn

from poseshift.augmentation.anatomy import anatomy
from poseshift.augmentation.conditional_generator import ConditionalGeneratorConfig
from poseshift.augmentation.dependence import dependence, shares
from poseshift.augmentation.generator import GeneratorConfig
from poseshift.geometry.skeleton import HUMAN36M_17


@pytest.mark.parametrize(
    ("common", "by_pose", "noise"), [(1, 1, 1), (0, 0, 1), (2, 0, 1), (0, 2, 1), (0, 0.1, 1), (1, 0, 0)]
)
def test_parts_of_known_size_are_found(common, by_pose, noise) -> None:
    """Normal parts with these deviations have shares in the ratio of their squares."""
    rng = torch.Generator().manual_seed(1)
    drawn = (
        common * torch.tensor([1.0, -1.0, 1.0, -1.0])
        + by_pose * torch.randn(1, 4000, 4, generator=rng)
        + noise * torch.randn(8, 4000, 4, generator=rng)
    )
    found = shares(drawn)
    whole = common**2 + by_pose**2 + noise**2
    assert found.pose == pytest.approx(by_pose**2 / whole, abs=0.015)
    assert found.common == pytest.approx(common**2 / whole, abs=0.015)


def test_noise_is_not_taken_for_dependence_when_there_are_few_poses() -> None:
    found = [
        shares(torch.randn(2, 8, 40, generator=torch.Generator().manual_seed(seed))) for seed in range(50)
    ]
    assert sum(one.pose for one in found) / 50 < 0.16  # a half, if draws were taken for poses
    assert sum(one.common for one in found) / 50 < 0.05


def test_outputs_that_are_zero_have_no_shares() -> None:
    found = shares(torch.zeros(3, 5, 2))
    assert (found.pose, found.common) == (0, 0)


def test_generators(draw_bodies) -> None:
    """Fresh: noise alone; with a last layer that is not zero, as much as shifts and spreads say."""
    poses = draw_bodies(HUMAN36M_17, 200)[:, 0].float()
    torch.manual_seed(0)
    generator = ConditionalGeneratorConfig(width=32).build(HUMAN36M_17)
    fresh = dependence(generator, poses, None, seed=0)
    assert max(fresh.angles.pose, fresh.angles.common, fresh.gains.pose, fresh.gains.common) < 0.02
    with torch.no_grad():
        nn.init.normal_(generator.network[-1].weight)
        for _ in range(100):
            generator.moments(poses)
    learned = dependence(generator, poses, None, seed=0)
    with torch.no_grad():
        around = generator.eval().moments(poses)
    used = [bone for bone in range(16) if bone not in anatomy(HUMAN36M_17).trunk]
    following = around.angle_shift[:, used].var(dim=0).sum()
    expected = following / (following + around.angle_spread[:, used].square().mean(dim=0).sum())
    assert float(expected) > 0.2
    assert learned.angles.pose == pytest.approx(float(expected), abs=0.02)
    assert learned.gains.pose > 0.2
    assert max(learned.angles.common, learned.gains.common) < 0.01


def test_looking_changes_nothing(draw_bodies) -> None:
    """Neither weights, nor running statistics, nor the mode, nor anybody else's random numbers."""
    poses = draw_bodies(HUMAN36M_17, 16)[:, 0].float()
    generator = GeneratorConfig(width=8, noise=4, rotation="free").build(HUMAN36M_17).train()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    state = torch.get_rng_state()
    first = dependence(generator, poses, None, seed=0)
    assert torch.equal(state, torch.get_rng_state())
    assert generator.training
    assert all(torch.equal(before[name], value) for name, value in generator.state_dict().items())
    assert first == dependence(generator, poses, None, seed=0)
    assert 0 <= first.angles.pose <= 1
