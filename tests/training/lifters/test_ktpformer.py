import numpy as np
import pytest
import torch
from tests.training.lifters.counting import cost
from tests.training.lifters.restated import Weights, batch_norm, below, block, drawn, layer_norm, linear

from poseshift.geometry.skeleton import skeleton
from poseshift.training.lifters.graph import bones_of
from poseshift.training.lifters.ktpformer import KTPFormerConfig
from poseshift.training.lifters.mixste import MixSTEConfig
from poseshift.training.lifters.priors import (
    KinematicPrior,
    PriorConvolution,
    TrajectoryPrior,
    chain_of,
    linked_with_self,
)
from poseshift.training.lifters.registry import build, preset

BODY = skeleton("human36m_17")
TINY = KTPFormerConfig(frames=5, width=8, heads=2, depth=2)


@pytest.mark.parametrize(
    ("frames", "parameters", "layers", "everything", "digits"),
    [
        (243, 35_213_430, 138.62, 153.89, 2),
        (81, 34_859_622, 46.2, 49.0, 1),
        (27, 34_765_014, 15.4, 16.1, 1),
    ],
)
def test_size_and_multiply_adds_are_the_published_ones(
    frames, parameters, layers, everything, digits
) -> None:
    counted = cost(KTPFormerConfig(frames=frames))
    assert counted.parameters == parameters
    assert (round(counted.layers, digits), round(counted.everything, digits)) == (layers, everything)


def test_size_of_the_parts_and_of_the_small_network() -> None:
    def size(part: torch.nn.Module) -> int:
        return sum(one.numel() for one in part.parameters())

    assert size(KinematicPrior(BODY, 2, 512)) == 12_577
    assert size(TrajectoryPrior(243, 512)) == 1_418_578 == 2 * (2 * 512**2 + 243 * 512 + 243**2 + 3 * 512)
    assert round(cost(preset("ktpformer-small")).parameters / 1e6, 3) == 0.228


def _plain(adjacency: np.ndarray, width: int) -> PriorConvolution:
    """A convolution that changes nothing but what its links do."""
    convolution = PriorConvolution(adjacency, width, width)
    with torch.no_grad():
        convolution.weight.copy_(torch.eye(width).expand(2, -1, -1))
        convolution.learned.zero_()
        convolution.bias.zero_()
    return convolution


@pytest.mark.parametrize("links", [bones_of(BODY), chain_of(6), chain_of(1)])
def test_without_weights_a_prior_convolution_is_its_adjacency(links) -> None:
    adjacency = linked_with_self(links)
    convolution = _plain(adjacency, 3)
    x = torch.randn(2, len(links), 3, generator=torch.Generator().manual_seed(0))
    symmetric = torch.from_numpy((adjacency + adjacency.T) / 2).float()
    torch.testing.assert_close(convolution(x), symmetric @ x)
    assert np.allclose(np.diag(adjacency), 1)
    rows = adjacency.sum(axis=1) - 1
    assert np.allclose(rows[links.any(axis=1)], 1)


def test_a_chain_is_linked_half_inside_and_whole_at_its_ends() -> None:
    chain = linked_with_self(chain_of(5))
    assert chain[0].tolist() == [1, 1, 0, 0, 0]
    assert chain[2].tolist() == [0, 0.5, 1, 0.5, 0]
    assert chain[4].tolist() == [0, 0, 0, 1, 1]


def _convolution(x: np.ndarray, weights: Weights, links: np.ndarray) -> np.ndarray:
    """The formula, node by node."""
    links = linked_with_self(links) + weights["learned"]
    out = np.zeros((len(x), len(weights["bias"])))
    for n in range(len(x)):
        for m in range(len(x)):
            way = 0 if m == n else 1
            share = (links[n, m] + links[m, n]) / 2
            out[n] += share * weights["modulation"][m] * (x[m] @ weights["weight"][way])
    return out + weights["bias"]


def _prior(x: np.ndarray, weights: Weights, links: np.ndarray) -> np.ndarray:
    convolved = _convolution(x, below(weights, "convolution."), links)
    return np.maximum(batch_norm(convolved, weights, "norm.norm."), 0)


def test_links_are_symmetric_whatever_is_learned() -> None:
    convolution = PriorConvolution(linked_with_self(bones_of(BODY)), 2, 4)
    drawn(convolution)
    assert torch.equal(convolution.links(), convolution.links().T)


def test_equals_the_formulas_frame_by_frame_and_joint_by_joint() -> None:
    lifter = build(TINY, 2)
    weights = drawn(lifter)
    clip = np.random.default_rng(1).normal(size=(5, 17, 2))
    bones, chain = bones_of(BODY), chain_of(5)
    x = np.stack([_prior(frame, below(weights, "embed."), bones) for frame in clip])
    x = x + weights["position_joint"]
    for pair in range(3):
        eps = 1e-6 if pair else 1e-5
        for frame in range(5):
            x[frame] = block(x[frame], below(weights, f"over_joints.{pair}."), 2, eps)
        x = layer_norm(x, weights, "norm_joints.", 1e-6)
        for joint in range(17):
            row = x[:, joint]
            if pair == 0:
                inside = _prior(row, below(weights, "before_frames.layers.0."), chain)
                row = row + _prior(inside, below(weights, "before_frames.layers.1."), chain)
                row = row + weights["position_frame"][0]
            x[:, joint] = block(row, below(weights, f"over_frames.{pair}."), 2, eps)
        x = layer_norm(x, weights, "norm_frames.", 1e-6)
    expected = linear(layer_norm(x, weights, "head.0.", 1e-5), weights, "head.1.")
    with torch.no_grad():
        answer = lifter.lift(torch.from_numpy(clip)[None])[0]
    np.testing.assert_allclose(answer, expected, atol=1e-9)


def test_trajectory_prior_sees_two_frames_to_each_side() -> None:
    prior = TrajectoryPrior(9, 4)
    drawn(prior)
    with torch.no_grad():
        for layer in prior.layers:
            layer.convolution.learned.zero_()
    x = torch.randn(1, 9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(prior, x)[0, :, :, 0]  # frame out, width, frame in, width
    influence = jacobian.abs().sum(dim=(1, 3)) > 0
    apart = (torch.arange(9)[:, None] - torch.arange(9)).abs()
    assert not influence[apart > 2].any()
    assert influence[4, 2:7].all()


def test_priors_are_parts_that_another_lifter_can_take() -> None:
    lifter = build(MixSTEConfig(frames=4, width=8, heads=2, depth=2, skeleton="poseaug_16"), 3)
    lifter.embed = KinematicPrior(skeleton("poseaug_16"), 3, 8)
    lifter.before_frames = TrajectoryPrior(4, 8)
    lifter(torch.randn(2, 4, 16, 3)).square().sum().backward()
    assert all(one.grad is not None and torch.isfinite(one.grad).all() for one in lifter.parameters())


def test_a_single_frame_has_no_trajectory() -> None:
    lifter = build(KTPFormerConfig(frames=1, width=8, heads=2, depth=1), 2)
    assert not any(name.startswith("before_frames") for name in lifter.state_dict())
    assert lifter(torch.randn(3, 1, 17, 2)).shape == (3, 1, 17, 3)
