import numpy as np
import pytest
import torch
from tests.training.lifters.counting import cost
from tests.training.lifters.restated import Weights, batch_norm, below, drawn, softmax

from poseshift.geometry.skeleton import Skeleton, skeleton
from poseshift.training.batches import Batch, DevicePoses
from poseshift.training.encoding import encoding
from poseshift.training.lifters.adaptive_graph import AdaptiveGraphConvolution, directed_bones
from poseshift.training.lifters.gla_gcn import GLAGCNConfig, JointLayers
from poseshift.training.lifters.registry import build
from poseshift.training.losses import loss
from poseshift.training.step_loss import batch_loss

BODY = skeleton("human36m_17")
FORK = Skeleton("fork", ("root", "left", "right", "end"), (-1, 0, 0, 2), (1,), (2,))
TINY = GLAGCNConfig(filter_widths=(3, 1), width=8)


@pytest.mark.parametrize(
    ("widths", "parameters", "layers", "everything"),
    [(5, 1_348_856, 1.542, 1.623), (4, 1_096_466, 0.511, 0.538), (3, 844_076, 0.167, 0.176)],
)
def test_size_and_multiply_adds_are_the_published_ones(widths, parameters, layers, everything) -> None:
    counted = cost(GLAGCNConfig(filter_widths=(3,) * widths))
    assert counted.parameters == parameters
    assert (round(counted.layers, 3), round(counted.everything, 3)) == (layers, everything)


def test_links_of_a_fork_by_hand() -> None:
    own, outwards, inwards = directed_bones(FORK)
    assert own.tolist() == np.eye(4).tolist()
    assert outwards.tolist() == [[0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert inwards.tolist() == [[0, 0, 0, 0], [0.5, 0, 0, 0], [0.5, 0, 0, 0], [0, 0, 1, 0]]


def _point(x: np.ndarray, weights: Weights, prefix: str) -> np.ndarray:
    """A convolution of width one on features (width, frames, joints)."""
    kernel = weights[f"{prefix}weight"][:, :, 0, 0]
    return np.einsum("oi,itv->otv", kernel, x) + weights[f"{prefix}bias"][:, None, None]


def _graph(x: np.ndarray, weights: Weights, skeleton_: Skeleton) -> np.ndarray:
    """The adaptive graph convolution, link by link."""
    fixed = directed_bones(skeleton_)
    joints, out = x.shape[2], 0.0
    for subset in range(3):
        theta = _point(x, weights, f"theta.{subset}.")
        phi = _point(x, weights, f"phi.{subset}.")
        alike = np.zeros((joints, joints))
        for v in range(joints):
            for w in range(joints):
                alike[v, w] = (theta[:, :, v] * phi[:, :, w]).sum() / (len(theta) * x.shape[1])
        links = softmax(alike, axis=0) + fixed[subset] + weights["learned"][subset]
        gathered = np.zeros_like(x)
        for v in range(joints):
            for w in range(joints):
                gathered[:, :, w] += x[:, :, v] * links[v, w]
        out = out + _point(gathered, weights, f"transform.{subset}.")
    return out


def _norm(x: np.ndarray, weights: Weights, prefix: str) -> np.ndarray:
    return np.moveaxis(batch_norm(np.moveaxis(x, 0, -1), weights, prefix), -1, 0)


def _unit(x: np.ndarray, weights: Weights, *, stride: int, shortcut: str) -> np.ndarray:
    spread = _norm(_graph(x, below(weights, "graph."), BODY), weights, "graph_norm.")
    past = x
    if "past_graph.0.weight" in weights:
        past = _norm(_point(x, weights, "past_graph.0."), weights, "past_graph.1.")
    hidden = np.maximum(spread + past, 0)
    kernel, bias = weights["over_time.0.weight"][:, :, :, 0], weights["over_time.0.bias"]
    padded = np.pad(hidden, ((0, 0), (4, 4), (0, 0)))
    frames = [
        sum(kernel[:, :, tap] @ padded[:, first + tap] for tap in range(9)) + bias[:, None]
        for first in range(0, x.shape[1], stride)
    ]
    out = _norm(np.stack(frames, axis=1), weights, "over_time.1.")
    if shortcut == "identity":
        out = out + x
    elif shortcut == "projected":
        out = out + _norm(_point(x, weights, "shortcut.0."), weights, "shortcut.1.")
    return np.maximum(out, 0)


@pytest.mark.parametrize("head", ["shared", "individual"])
def test_equals_the_formulas_unit_by_unit(head) -> None:
    lifter = build(TINY.model_copy(update={"head": head}), 2)
    weights = drawn(lifter)
    clip = np.random.default_rng(1).normal(size=(3, 17, 2))
    x = batch_norm(clip.reshape(3, 34), weights, "input_norm.").reshape(3, 17, 2).transpose(2, 0, 1)
    x = _unit(x, below(weights, "embed."), stride=1, shortcut="projected")
    for number, width in enumerate((3, 1)):
        middle = x[:, width // 2 :: width]
        x = _unit(x, below(weights, f"mixing.{number}."), stride=1, shortcut="identity")
        x = middle + _unit(x, below(weights, f"joining.{number}."), stride=width, shortcut="none")
    if head == "shared":
        expected = _point(x, weights, "head.")[:, 0].T
    else:
        rows = [x[:, 0, j] @ weights["head.weight"][j] + weights["head.bias"][j] for j in range(17)]
        expected = np.stack(rows)
    with torch.no_grad():
        answer = lifter.lift(torch.from_numpy(clip)[None])[0, 0]
    np.testing.assert_allclose(answer, expected, atol=1e-8)


def test_few_features_are_compared_by_three() -> None:
    assert AdaptiveGraphConvolution(FORK, 8, 3).theta[0].out_channels == 3
    assert AdaptiveGraphConvolution(FORK, 8, 16).theta[0].out_channels == 4


def test_global_loss_learns_all_frames_from_features_before_they_are_joined(poses_of) -> None:
    config = TINY.model_copy(update={"global_loss": True, "global_units": 1, "dropout": 0.0})
    lifter = build(config, 2).eval()
    drawn(lifter)
    lifter.float()
    poses = DevicePoses.from_columns(poses_of(4, 0), "cpu", lifter.frames)
    batch: Batch = poses.batch(torch.arange(6))
    seen = encoding("screen")
    inputs = seen.encode(batch.keypoints_px, batch.intrinsics).inputs
    middle, everywhere = lifter.answered(inputs)
    torch.testing.assert_close(middle.positions, lifter(inputs))
    assert everywhere.positions.shape == (6, 3, 17, 3)
    assert everywhere.frames.tolist() == [[0, 1, 2]] * 6
    target = batch.root_relative(BODY)
    expected = (middle.positions - target[:, 1:2]).norm(dim=-1).mean()
    expected = expected + (everywhere.positions - target).norm(dim=-1).mean()
    total = batch_loss(lifter, seen, batch, loss("mpjpe"))
    torch.testing.assert_close(total, expected)
    total.backward()
    assert all(one.grad is not None for one in lifter.parameters())


def test_layers_of_joints_are_not_shared() -> None:
    layers = JointLayers(3, 2)
    out = layers(torch.ones(1, 2, 1, 3))
    torch.testing.assert_close(out[0, :, 0], (layers.weight.sum(dim=1) + layers.bias).T)
