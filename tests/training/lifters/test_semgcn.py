import pytest
import torch
from pydantic import ValidationError

from poseshift.geometry.skeleton import Skeleton, skeleton
from poseshift.training.lifters.registry import build
from poseshift.training.lifters.semgcn import SemanticGraphConvolution, SemGCNConfig

CHAIN = Skeleton("chain", ("a", "b", "c"), (-1, 0, 1), (), ())
BODY = skeleton("human36m_17")


def _linked(body: Skeleton) -> torch.Tensor:
    linked = torch.eye(body.joints)
    for a, b in body.bones:
        linked[a, b] = linked[b, a] = 1
    return linked


def _influence(network, x: torch.Tensor) -> torch.Tensor:
    """Which joint (column) moves which joint's output (row), for x (joints, channels)."""
    jacobian = torch.autograd.functional.jacobian(lambda v: network(v[None])[0].sum(-1), x)
    return jacobian.abs().sum(-1) > 0


@pytest.mark.parametrize(("non_local", "published"), [("pooled", 0.43), ("none", 0.27)])
def test_size_is_the_published_one(non_local, published) -> None:
    """Results table in the authors' repository: 16 joints, four blocks of width 128."""
    for name in ("poseaug_16", "human36m_17"):
        lifter = build(SemGCNConfig(skeleton=name, non_local=non_local), 2)
        assert round(sum(p.numel() for p in lifter.parameters()) / 1e6, 2) == published


@pytest.mark.parametrize(("width", "blocks"), [(128, 4), (10, 2)])
def test_size_follows_the_layers(width, blocks) -> None:
    edges = 16 + 2 * 15

    def convolution(a: int, b: int) -> int:
        return 2 * a * b + edges + b

    local = convolution(2, width) + 2 * width
    local += 2 * blocks * (convolution(width, width) + 2 * width) + convolution(width, 3)
    inner = width // 2
    block = 3 * (width * inner + inner) + 2 * inner + (inner * width + width) + 2 * width
    for non_local, expected in (("none", local), ("pooled", local + (blocks + 1) * block)):
        config = SemGCNConfig(width=width, blocks=blocks, non_local=non_local, skeleton="poseaug_16")
        assert sum(p.numel() for p in build(config, 2).parameters()) == expected


def test_learned_adjacency_and_convolution_by_hand() -> None:
    convolution = SemanticGraphConvolution(CHAIN, 1, 1)
    with torch.no_grad():
        # edges in the order of the receivers: a: a b; b: a b c; c: b c
        convolution.edges.copy_(torch.tensor([1.0, 3, 2, 3, 5, 1, 1]).log())
        convolution.weight.copy_(torch.tensor([2.0, 4.0])[:, None, None])
        convolution.bias.fill_(1000)
    expected = torch.tensor([[1 / 4, 3 / 4, 0], [2 / 10, 3 / 10, 5 / 10], [0, 1 / 2, 1 / 2]])
    torch.testing.assert_close(convolution.adjacency(), expected)
    out = convolution(torch.tensor([[[1.0], [10.0], [100.0]]])).flatten()
    by_hand = [2 / 4 + 4 * 30 / 4, 4 * 2 / 10 + 2 * 30 / 10 + 4 * 500 / 10, 4 * 10 / 2 + 2 * 100 / 2]
    torch.testing.assert_close(out, torch.tensor(by_hand) + 1000)


def test_new_adjacency_is_a_mean_and_any_adjacency_keeps_to_the_bones() -> None:
    convolution = SemanticGraphConvolution(BODY, 2, 2)
    linked = _linked(BODY)
    torch.testing.assert_close(convolution.adjacency(), linked / linked.sum(1, keepdim=True))
    torch.nn.init.normal_(convolution.edges, std=3.0, generator=torch.Generator().manual_seed(0))
    learned = convolution.adjacency()
    assert torch.equal(learned > 0, linked > 0)
    torch.testing.assert_close(learned.sum(1), torch.ones(17))


def test_without_non_local_blocks_a_joint_sees_as_many_bones_as_there_are_layers() -> None:
    layers = 4  # first, one block of two, last
    within = torch.linalg.matrix_power(_linked(BODY), layers) > 0
    x = torch.randn(17, 2, generator=torch.Generator().manual_seed(0))
    local = build(SemGCNConfig(width=16, blocks=1, non_local="none"), 2).eval()
    seen = _influence(lambda v: local.lift(v[:, None])[:, 0], x)
    assert not (seen & ~within).any()
    assert seen.sum() > (torch.linalg.matrix_power(_linked(BODY), layers - 1) > 0).sum()
    assert torch.equal(_influence(local.head, torch.randn(17, 16)), _linked(BODY) > 0)

    pooled = build(SemGCNConfig(width=16, blocks=1), 2).eval()
    for stage in pooled.stages:
        torch.nn.init.ones_(stage[1].norm.norm.weight)
    assert (_influence(lambda v: pooled.lift(v[:, None])[:, 0], x) & ~within).any()


def test_skeletons_without_the_groups_are_refused() -> None:
    with pytest.raises(ValidationError, match="human36m_17"):
        SemGCNConfig(skeleton="coco_17")
