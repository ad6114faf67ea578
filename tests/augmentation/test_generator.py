import math

import pytest
import torch
from torch import nn

from poseshift.augmentation.checkpoint import load_generator, save_generator
from poseshift.augmentation.generator import (
    GeneratorConfig,
    PoseGenerator,
    RandomChanges,
    RandomParameters,
    TranslationGenerator,
    network,
)
from poseshift.geometry.skeleton import HUMAN36M_17, POSEAUG_16

CONFIG = GeneratorConfig(width=16, noise=4)
LEVEL_UP = torch.tensor([[0.0, -1.0, 0.0]]).expand(32, 3)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture
def bodies(draw_bodies) -> torch.Tensor:
    return draw_bodies(HUMAN36M_17, 32)[:, 0].float()


@pytest.fixture
def generator() -> PoseGenerator:
    torch.manual_seed(3)
    return PoseGenerator(CONFIG, HUMAN36M_17)


def test_sizes_of_poseaug() -> None:
    """48 + 48 inputs, five hidden layers of 256, 45 outputs, on the 16 joints."""
    layers = [
        (layer.in_features, layer.out_features)
        for layer in PoseGenerator(GeneratorConfig(), POSEAUG_16).angles
        if isinstance(layer, nn.Linear)
    ]
    assert layers == [(96, 256), (256, 256), (256, 256), (256, 256), (256, 256), (256, 45)]


def test_shapes_and_bounds(generator, bodies) -> None:
    parameters = generator(bodies, rng(), LEVEL_UP)
    assert parameters.angles.shape == (32, 16, 3)
    assert parameters.gains.shape == (32, 10)
    assert parameters.axis_angle.shape == (32, 3)
    assert float(parameters.gains.abs().max()) <= 0.2
    assert float(parameters.axis_angle.abs().max()) <= math.pi
    assert parameters.flat().shape == (32, 48 + 10 + 3)


def test_where_a_body_stands_does_not_matter(generator, bodies) -> None:
    generator.eval()
    moved = bodies + torch.tensor([1.0, -2.0, 3.0])
    here, there = (generator(one, rng(), LEVEL_UP).flat() for one in (bodies, moved))
    torch.testing.assert_close(here, there, atol=1e-3, rtol=1e-3)


def test_pose_and_noise_both_matter(generator, bodies) -> None:
    generator.eval()
    first = generator(bodies, rng(1), LEVEL_UP).flat()
    assert torch.equal(first, generator(bodies, rng(1), LEVEL_UP).flat())
    assert not torch.allclose(first, generator(bodies, rng(2), LEVEL_UP).flat())
    assert not torch.allclose(first, generator(bodies.flip(0), rng(1), LEVEL_UP).flat())


def test_every_generator_draws_its_own_noise(bodies) -> None:
    """With equal weights and equal poses, equal noise would give equal outputs."""
    generator = PoseGenerator(GeneratorConfig(width=16, noise=4, rotation="free"), HUMAN36M_17).eval()
    seen: list[torch.Tensor] = []
    for part in (generator.angles, generator.gains, generator.rotation):
        part.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][:, -4:]))
    generator(bodies, rng())
    assert len(seen) == 3
    assert not torch.allclose(seen[0], seen[1])
    assert not torch.allclose(seen[1], seen[2])


@pytest.mark.parametrize(("rotation", "follows"), [("upright", True), ("free", False)])
def test_only_upright_turns_follow_gravity(bodies, rotation, follows) -> None:
    """The direction against gravity is the axis of upright turns and has no say in free ones."""
    generator = PoseGenerator(CONFIG.model_copy(update={"rotation": rotation}), HUMAN36M_17).eval()
    sideways, upwards = (torch.eye(3)[axis].expand(32, 3) for axis in (0, 1))
    turns = [generator(bodies, rng(), up).axis_angle for up in (sideways, upwards)]
    assert torch.equal(*turns) != follows
    if follows:
        assert torch.equal(turns[0][:, 0], turns[1][:, 1])
        assert not turns[0][:, 1:].any()


def test_upright_turns_are_about_gravity(bodies) -> None:
    generator = PoseGenerator(CONFIG.model_copy(update={"rotation": "upright"}), HUMAN36M_17)
    up = nn.functional.normalize(torch.randn(32, 3, generator=rng(5)), dim=1)
    turns = generator(bodies, rng(), up).axis_angle
    torch.testing.assert_close(torch.linalg.cross(turns, up), torch.zeros(32, 3), atol=1e-6, rtol=0)
    assert float(turns.norm(dim=1).min()) > 0


@pytest.mark.parametrize("learned", [True, False])
def test_without_gravity_upright_turns_are_refused_and_others_made(bodies, learned) -> None:
    """An axis that is made up would tip people over; free turns, or none, ask for no gravity."""

    def source(rotation: str) -> PoseGenerator | RandomParameters:
        if learned:
            return PoseGenerator(CONFIG.model_copy(update={"rotation": rotation}), HUMAN36M_17).eval()
        return RandomParameters(HUMAN36M_17, RandomChanges.model_validate({"rotation": rotation}))

    assert [source(one).needs_up for one in ("upright", "free", "none")] == [True, False, False]
    with pytest.raises(ValueError, match=r"no extrinsics\. Choose rotation 'viewing_axis', 'free' or 'none'"):
        source("upright")(bodies, rng())
    assert float(source("free")(bodies, rng()).axis_angle.abs().min()) > 0
    assert not source("none")(bodies, rng()).axis_angle.any()


def test_no_turns(bodies) -> None:
    generator = PoseGenerator(CONFIG.model_copy(update={"rotation": "none"}), HUMAN36M_17)
    assert float(generator(bodies, rng()).axis_angle.abs().max()) == 0


def test_learned_positions_are_before_the_camera(bodies) -> None:
    torch.manual_seed(0)
    generator = TranslationGenerator(CONFIG, HUMAN36M_17)
    raw: list[torch.Tensor] = []
    generator.position.register_forward_hook(lambda *args: raw.append(args[2]))
    position = generator(bodies, rng())
    torch.testing.assert_close(position[:, :2], raw[0][:, :2])
    torch.testing.assert_close(position[:, 2], raw[0][:, 2] ** 2)


def test_weights_are_kaiming_normal() -> None:
    torch.manual_seed(0)
    weight = network(400, 3, GeneratorConfig(width=300))[0].weight
    assert float(weight.std()) == pytest.approx(math.sqrt(2 / 400), rel=0.02)


def test_random_parameters_stay_in_their_ranges(bodies) -> None:
    many = bodies.repeat(200, 1, 1)
    up = LEVEL_UP[:1].expand(len(many), 3)
    parameters = RandomParameters(HUMAN36M_17, RandomChanges(angle_spread=0.3))(many, rng(), up)
    assert float(parameters.gains.abs().max()) == pytest.approx(0.1, abs=1e-3)
    assert float(parameters.angles.std()) == pytest.approx(0.3, rel=0.02)
    turns = parameters.axis_angle
    assert float(turns[:, [0, 2]].abs().max()) == 0
    assert float(turns[:, 1].abs().max()) == pytest.approx(math.pi, abs=0.01)
    free = RandomParameters(HUMAN36M_17, RandomChanges(rotation="free"))(many, rng()).axis_angle
    assert float(free.mean(dim=0).abs().max()) < 0.1
    assert float(free.norm(dim=1).max()) <= math.pi + 1e-5
    unturned = RandomParameters(HUMAN36M_17, RandomChanges(rotation="none"))(many, rng())
    assert float(unturned.axis_angle.abs().max()) == 0


def test_saved_and_loaded_generators_say_the_same(generator, bodies, tmp_path) -> None:
    generator(bodies, rng(), LEVEL_UP)  # moves the running statistics
    generator.eval()
    save_generator(tmp_path, generator, {"seed": 3})
    loaded = load_generator(tmp_path)
    assert not loaded.training
    assert torch.equal(loaded(bodies, rng(), LEVEL_UP).flat(), generator(bodies, rng(), LEVEL_UP).flat())


def test_folders_without_a_fitting_generator_are_refused(generator, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"generator\.json is missing"):
        load_generator(tmp_path)
    save_generator(tmp_path / "a", generator, {})
    save_generator(tmp_path / "b", PoseGenerator(GeneratorConfig(width=8), HUMAN36M_17), {})
    (tmp_path / "b" / "generator.json").write_text((tmp_path / "a" / "generator.json").read_text())
    with pytest.raises(ValueError, match="do not fit"):
        load_generator(tmp_path / "b")
    (tmp_path / "a" / "generator.json").write_text("{}")
    with pytest.raises(ValueError, match="does not describe"):
        load_generator(tmp_path / "a")
