import pytest
import torch
from pydantic import ValidationError

from poseshift.geometry.skeleton import skeleton
from poseshift.training.lifters.ampose import AMPoseConfig, GraphBlock
from poseshift.training.lifters.registry import build, preset

BODY = skeleton("human36m_17")
SMALL = {"width": 16, "pairs": 2, "heads": 2, "dropout": 0.0}


def _hops() -> torch.Tensor:
    linked = torch.eye(17)
    for a, b in BODY.bones:
        linked[a, b] = linked[b, a] = 1
    return linked


def _influence(block: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Which joint (column) moves which joint's output (row)."""
    jacobian = torch.autograd.functional.jacobian(lambda v: block(v[None])[0].sum(-1), x)
    return jacobian.abs().sum(-1) > 0


def test_a_graph_block_sees_two_bones_far_and_an_encoder_sees_everything() -> None:
    torch.manual_seed(0)
    config = AMPoseConfig(**SMALL, local_output="linear")
    lifter = build(config, 2).eval()
    pair = lifter.pairs[0]
    x = torch.randn(17, 16)
    one_bone = _hops()
    assert torch.equal(_influence(pair.graph.first, x), one_bone > 0)
    reachable = (one_bone @ one_bone) > 0
    seen = _influence(pair.graph, torch.randn(17, 16) + 1)
    assert not (seen & ~reachable).any()
    assert seen.sum() > one_bone.sum()
    assert _influence(pair.attention, x).all()


@pytest.mark.parametrize("order", ["global-first", "local-first", "parallel"])
def test_order_of_a_pair(order) -> None:
    lifter = build(AMPoseConfig(**SMALL, order=order), 2).eval()
    pair, x = lifter.pairs[0], torch.randn(3, 17, 16)
    expected = {
        "global-first": lambda: pair.graph(pair.attention(x)),
        "local-first": lambda: pair.attention(pair.graph(x)),
        "parallel": lambda: x + (pair.attention(x) - x) + (pair.graph(x) - x),
    }[order]()
    torch.testing.assert_close(pair(x), expected)


def test_encoder_treats_joints_alike() -> None:
    """Without graph and positions, permuted joints give permuted answers."""
    attention = build(AMPoseConfig(**SMALL), 2).eval().pairs[0].attention
    x, order = torch.randn(2, 17, 16), torch.randperm(17, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(attention(x[:, order]), attention(x)[:, order])


@pytest.mark.parametrize("name", ["ampose", "ampose-small"])
def test_parameters_follow_the_capacity_formula(name) -> None:
    config = preset(name)
    lifter = build(config, 2)
    weights = sum(p.numel() for n, p in lifter.named_parameters() if n.startswith("pairs") and p.ndim >= 2)
    encoder = (4 + 2 * config.mlp_ratio) * config.width**2
    graph = 6 * config.width**2
    assert weights == config.pairs * (encoder + graph)


def test_documented_size() -> None:
    assert sum(p.numel() for p in build(preset("ampose"), 2).parameters()) == pytest.approx(11.1e6, rel=0.01)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"positional_embedding": "none"},
        {"neighbours": "unshared"},
        {"neighbours": "modulated"},
        {"neighbours": "by-distance-symmetric"},
        {"neighbours": "shared", "normalisation": "symmetric"},
        {"local_norm": "layer", "local_output": "linear"},
        {"skeleton": "poseaug_16"},
    ],
)
def test_every_option_builds_and_answers_with_the_root_at_zero(options) -> None:
    lifter = build(AMPoseConfig(**SMALL, **options), 3)
    joints = skeleton(options.get("skeleton", "human36m_17")).joints
    out = lifter(torch.randn(4, 1, joints, 3))
    assert out.shape == (4, 1, joints, 3)
    root = skeleton(lifter.skeleton).root
    assert (out[..., root, :] == 0).all()
    out.square().sum().backward()
    reached = [p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in lifter.parameters()]
    assert all(reached)


def test_dropout_is_off_in_evaluation() -> None:
    lifter = build(AMPoseConfig(width=16, pairs=1, heads=2, dropout=0.5), 2)
    x = torch.randn(4, 1, 17, 2)
    assert not torch.equal(lifter(x), lifter(x))
    lifter.eval()
    assert torch.equal(lifter(x), lifter(x))


@pytest.mark.parametrize("shape", [(4, 17, 2), (4, 2, 17, 2), (4, 1, 16, 2), (4, 1, 17, 3)])
def test_wrong_clips_are_refused(shape) -> None:
    with pytest.raises(ValueError, match=r"built for keypoints of shape \(batch, 1, 17, 2\)"):
        build(AMPoseConfig(**SMALL), 2)(torch.zeros(shape))


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValidationError, match="not a multiple of heads"):
        AMPoseConfig(width=10, heads=4)


def test_graph_block_is_a_residual() -> None:
    block = GraphBlock(AMPoseConfig(**SMALL, local_output="linear")).eval()
    torch.nn.init.zeros_(block.norm_second.norm.weight)
    x = torch.randn(2, 17, 16)
    torch.testing.assert_close(block(x), x)
