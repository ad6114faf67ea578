import numpy as np
import pytest
import torch

from poseshift.geometry.skeleton import Skeleton, skeleton
from poseshift.training.lifters.graph import GraphConvolution, adjacency_groups, distances_to_centre

BODY = skeleton("human36m_17")
CHAIN = Skeleton("chain", ("a", "b", "c"), (-1, 0, 1), (), ())
GROUPINGS = ("shared", "by-distance", "by-distance-symmetric", "unshared", "modulated")


def test_distances_are_those_printed_by_cai_et_al() -> None:
    # hip; right leg; left leg; spine, thorax, neck, head; left arm; right arm
    printed = [1, 2, 3, 4, 2, 3, 4, 0, 1, 2, 3, 2, 3, 4, 2, 3, 4]
    assert distances_to_centre(BODY).tolist() == printed


@pytest.mark.parametrize("normalisation", ["random-walk", "symmetric"])
@pytest.mark.parametrize("neighbours", GROUPINGS)
def test_groups_are_disjoint_and_sum_to_the_normalised_adjacency(neighbours, normalisation) -> None:
    groups = adjacency_groups(BODY, neighbours, normalisation)
    assert ((groups > 0).sum(0) <= 1).all()
    # an independent construction of the normalised adjacency, entry by entry
    linked = {(j, j) for j in range(17)} | set(BODY.bones) | {(b, a) for a, b in BODY.bones}
    if neighbours == "by-distance-symmetric":
        pairs = set(zip(BODY.left, BODY.right, strict=True))
        linked |= pairs | {(b, a) for a, b in pairs}
    degree = [sum((i, j) in linked for j in range(17)) for i in range(17)]
    for i in range(17):
        for j in range(17):
            scale = degree[i] if normalisation == "random-walk" else (degree[i] * degree[j]) ** 0.5
            assert groups.sum(0)[i, j] == pytest.approx(((i, j) in linked) / scale)


def test_groups_of_a_chain_by_hand() -> None:
    # a - b - c, centre b; rows receive. a and c have two entries (themselves, b), b has three.
    own, nearer, farther = adjacency_groups(CHAIN, "by-distance", "random-walk")
    np.testing.assert_allclose(own, np.diag([1 / 2, 1 / 3, 1 / 2]))
    np.testing.assert_allclose(nearer, [[0, 1 / 2, 0], [0, 0, 0], [0, 1 / 2, 0]])
    np.testing.assert_allclose(farther, [[0, 0, 0], [1 / 3, 0, 1 / 3], [0, 0, 0]])


def _one_channel(neighbours, weights: list[float], bias: float) -> GraphConvolution:
    convolution = GraphConvolution(CHAIN, 1, neighbours, "random-walk")
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor(weights)[:, None, None])
        convolution.bias.fill_(bias)
    return convolution


@pytest.mark.parametrize(
    ("neighbours", "weights", "expected"),
    [
        # x = (1, 10, 100); bias 1000
        ("shared", [6.0], [6 * (1 + 10) / 2, 6 * (1 + 10 + 100) / 3, 6 * (10 + 100) / 2]),
        # self 2, nearer 4, farther 6
        ("by-distance", [2.0, 4.0, 6.0], [(2 + 40) / 2, (20 + 6 + 600) / 3, (40 + 200) / 2]),
        # by sender: a 2, b 4, c 6
        ("unshared", [2.0, 4.0, 6.0], [(2 + 40) / 2, (2 + 40 + 600) / 3, (40 + 600) / 2]),
        # self 2, others 4, before modulation
        ("modulated", [2.0, 4.0], [(2 + 40) / 2, (4 + 20 + 400) / 3, (40 + 200) / 2]),
    ],
)
def test_convolution_by_hand(neighbours, weights, expected) -> None:
    convolution = _one_channel(neighbours, weights, 1000.0)
    out = convolution(torch.tensor([[[1.0], [10.0], [100.0]]]))
    torch.testing.assert_close(out.flatten(), torch.tensor(expected) + 1000)


def test_modulation_scales_what_a_joint_sends() -> None:
    convolution = _one_channel("modulated", [2.0, 4.0], 0.0)
    with torch.no_grad():
        convolution.modulation.copy_(torch.tensor([[1.0], [0.0], [-1.0]]))
    out = convolution(torch.tensor([[[1.0], [10.0], [100.0]]]))
    torch.testing.assert_close(out.flatten(), torch.tensor([2 / 2, (4 - 400) / 3, -200 / 2]))


@pytest.mark.parametrize("neighbours", GROUPINGS)
def test_convolution_equals_its_formula_written_with_loops(neighbours) -> None:
    torch.manual_seed(0)
    width = 3
    convolution = GraphConvolution(BODY, width, neighbours, "symmetric")
    groups = torch.from_numpy(adjacency_groups(BODY, neighbours, "symmetric")).float()
    if convolution.modulation is not None:
        torch.nn.init.normal_(convolution.modulation)
    x = torch.randn(2, 17, width)
    expected = convolution.bias.expand(2, 17, width).clone()
    for k in range(groups.shape[0]):
        for i in range(17):
            for j in range(17):
                sent = x[:, j] @ convolution.weight[k]
                if convolution.modulation is not None:
                    sent = sent * convolution.modulation[j]
                expected[:, i] += groups[k, i, j] * sent
    torch.testing.assert_close(convolution(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("neighbours", "count"), [("shared", 1), ("by-distance", 3), ("unshared", 17)])
def test_number_of_weights(neighbours, count) -> None:
    assert GraphConvolution(BODY, 8, neighbours, "random-walk").weight.numel() == count * 8 * 8


@pytest.mark.parametrize("neighbours", GROUPINGS)
def test_convolution_may_widen(neighbours) -> None:
    torch.manual_seed(0)
    convolution = GraphConvolution(BODY, 3, neighbours, "symmetric", width_out=5)
    groups = torch.from_numpy(adjacency_groups(BODY, neighbours, "symmetric")).float()
    x = torch.randn(2, 17, 3)
    expected = torch.einsum("kij,bjc,kcd->bid", groups, x, convolution.weight)
    torch.testing.assert_close(convolution(x), expected, atol=1e-5, rtol=1e-5)
