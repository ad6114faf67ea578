"""The generator that begins as random augmentation: what it draws at first, and what no learning can undo."""

import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from poseshift.augmentation.bodies import body_axes
from poseshift.augmentation.checkpoint import load_generator, save_generator
from poseshift.augmentation.conditional_generator import ConditionalGenerator, ConditionalGeneratorConfig
from poseshift.augmentation.config import LearnedAugmentationConfig
from poseshift.augmentation.generator import RandomChanges, RandomParameters
from poseshift.augmentation.transforms import turn
from poseshift.geometry.rotation import axis_angle_to_matrix, rotate, rotate_back
from poseshift.geometry.skeleton import HUMAN36M_17, POSEAUG_16

CONFIG = ConditionalGeneratorConfig(width=16)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture
def bodies(draw_bodies) -> torch.Tensor:
    return draw_bodies(HUMAN36M_17, 64)[:, 0].float()


@pytest.fixture
def fresh() -> ConditionalGenerator:
    torch.manual_seed(3)
    return CONFIG.build(HUMAN36M_17)


@pytest.fixture
def learned(fresh) -> ConditionalGenerator:
    """Weights of the last layer such that every output runs into its bounds."""
    torch.manual_seed(4)
    nn.init.normal_(fresh.network[-1].weight, std=3.0)
    return fresh


@pytest.mark.parametrize("rotation", ["free", "mixed", "viewing_axis", "none"])
def test_at_first_it_is_random_augmentation(bodies, rotation) -> None:
    """The same draws give the same gains and turns, and the same offsets in the axes of the body."""
    changes = RandomChanges(angle_spread=0.2, length_range=0.1, rotation=rotation)
    random = RandomParameters(HUMAN36M_17, changes)(bodies, rng())
    made = CONFIG.model_copy(update={"rotation": rotation}).build(HUMAN36M_17)(bodies, rng())
    assert torch.equal(made.gains, random.gains)
    assert torch.equal(made.axis_angle, random.axis_angle)
    own = rotate_back(made.angles, body_axes(bodies, HUMAN36M_17))
    torch.testing.assert_close(own, random.angles, atol=1e-6, rtol=1e-5)


def test_at_first_shifts_are_zero_and_spreads_those_of_the_configuration(fresh, bodies) -> None:
    around = fresh.moments(bodies)
    assert not around.angle_shift.any()
    assert not around.gain_shift.any()
    torch.testing.assert_close(around.angle_spread, torch.full((64, 16, 3), 0.2))
    torch.testing.assert_close(around.gain_range, torch.full((64, 10), 0.1))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_floors_and_bounds_hold_whatever_is_learned(learned, bodies, sign) -> None:
    learned.network[-1].bias.fill_(sign * 5)
    around = learned.moments(bodies)
    assert float(around.angle_spread.min()) >= CONFIG.least_angle_spread - 1e-6
    assert float(around.angle_spread.max()) <= 2 * CONFIG.angle_spread - CONFIG.least_angle_spread + 1e-6
    assert float(around.gain_range.min()) >= CONFIG.least_length_range - 1e-6
    assert float(around.angle_shift.abs().max()) <= 2 * CONFIG.largest_angle_shift
    assert float(around.gain_shift.abs().max()) <= 2 * CONFIG.largest_length_shift


def test_the_noise_is_never_learned_away(learned, bodies) -> None:
    """Over many draws for one pose, every number deviates by no less than its floor."""
    learned.eval()
    drawn = torch.stack([learned(bodies[:2], rng(seed)).angles for seed in range(400)])
    assert float(drawn.std(dim=0).min()) > 0.85 * CONFIG.least_angle_spread


def test_shifts_are_zero_in_the_mean_over_poses(learned, bodies) -> None:
    """In training by the batch's mean; in evaluation by the running one, which a long run makes the same."""
    learned.network[-1].bias.fill_(0.7)
    around = learned.moments(bodies)
    assert float(around.angle_shift.std(dim=0).mean()) > 0.05
    for shift in (around.angle_shift, around.gain_shift):
        torch.testing.assert_close(shift.mean(dim=0), torch.zeros_like(shift[0]), atol=1e-6, rtol=0)
    for _ in range(100):
        learned.moments(bodies)
    learned.eval()
    assert float(learned.moments(bodies).angle_shift.mean(dim=0).abs().max()) < 0.02


def test_the_pose_is_seen_standardised(fresh, bodies) -> None:
    seen: list[torch.Tensor] = []
    fresh.network[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    fresh.moments(bodies)
    (numbers,) = seen
    own = rotate_back(bodies - bodies[:, :1], body_axes(bodies, HUMAN36M_17)).flatten(1)
    varies = own.std(dim=0) > 0.01  # the root does not, nor where the axes are laid through a joint
    assert int(varies.sum()) > 40
    assert float(numbers.mean(dim=0).abs().max()) < 1e-3
    assert float((numbers.std(dim=0, correction=0)[varies] - 1).abs().max()) < 0.06


def test_a_turned_body_gets_turned_offsets(learned, bodies) -> None:
    """The pose is seen in its body's axes, and so are its offsets: the viewpoint does not matter."""
    learned.eval()
    axis_angle = torch.nn.functional.normalize(torch.randn(64, 3, generator=rng(1)), dim=1) * 1.3
    turned = turn(bodies[:, None], axis_angle, HUMAN36M_17)[:, 0]
    before, after = (learned.moments(one) for one in (bodies, turned))
    torch.testing.assert_close(before.angle_shift, after.angle_shift, atol=1e-3, rtol=1e-3)
    offsets = [learned(one, rng(2)).angles for one in (bodies, turned)]
    expected = rotate(offsets[0], axis_angle_to_matrix(axis_angle))
    torch.testing.assert_close(offsets[1], expected, atol=2e-3, rtol=1e-3)


def test_headings_are_drawn_uniformly_whatever_is_learned(learned, bodies) -> None:
    """Angles are uniform up to half a turn, axes on the sphere; the weights and the pose change nothing."""
    many = bodies.repeat(100, 1, 1)
    turns = learned(many, rng()).axis_angle
    angle = turns.norm(dim=1)
    quantiles = torch.quantile(angle, torch.tensor([0.25, 0.5, 0.75])) / math.pi
    torch.testing.assert_close(quantiles, torch.tensor([0.25, 0.5, 0.75]), atol=0.02, rtol=0)
    axes = turns / angle[:, None]
    assert float(axes.mean(dim=0).abs().max()) < 0.04
    torch.testing.assert_close(axes.square().mean(dim=0), torch.full((3,), 1 / 3), atol=0.02, rtol=0)
    assert torch.equal(turns, learned(many.flip(0), rng()).axis_angle)


def test_upright_turns_need_to_know_up(bodies) -> None:
    upright = ConditionalGeneratorConfig(width=8, rotation="upright").build(HUMAN36M_17)
    assert upright.needs_up
    with pytest.raises(ValueError, match="no extrinsics"):
        upright(bodies, rng())
    up = torch.tensor([[0.0, -1.0, 0.0]]).expand(64, 3)
    assert not upright(bodies, rng(), up).axis_angle[:, [0, 2]].any()


def test_other_joint_sets(draw_bodies) -> None:
    made = CONFIG.build(POSEAUG_16)(draw_bodies(POSEAUG_16, 4)[:, 0].float(), rng())
    assert made.angles.shape == (4, 15, 3)


def test_floors_above_the_beginning_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"least_angle_spread \(0\.3\) is above angle_spread \(0\.2\)"):
        ConditionalGeneratorConfig(least_angle_spread=0.3)


def test_it_learns_no_positions() -> None:
    with pytest.raises(ValidationError, match="learns no positions"):
        LearnedAugmentationConfig(generator=CONFIG, placement="learned")


def test_the_kind_of_earlier_configurations_need_not_be_said() -> None:
    """Nor is it written, so that their digests stay."""
    before = LearnedAugmentationConfig.model_validate({"generator": {"width": 8}, "feedback": {"weight": 1}})
    assert "kind" not in before.model_dump()["generator"]
    assert "kind" not in before.model_dump()["feedback"]
    after = LearnedAugmentationConfig.model_validate({"generator": {"kind": "conditional", "width": 8}})
    assert after.generator == ConditionalGeneratorConfig(width=8)
    assert LearnedAugmentationConfig.model_validate(after.model_dump()) == after


def test_saved_and_loaded_generators_say_the_same(learned, bodies, tmp_path) -> None:
    learned(bodies, rng())  # moves the running statistics
    save_generator(tmp_path, learned, {"seed": 3})
    loaded = load_generator(tmp_path)
    assert isinstance(loaded, ConditionalGenerator)
    assert torch.equal(loaded(bodies, rng()).flat(), learned.eval()(bodies, rng()).flat())
