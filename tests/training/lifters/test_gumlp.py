import math

import numpy as np
import pytest
import torch

from poseshift.geometry.skeleton import skeleton
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.encoding import encoding
from poseshift.training.export.formats import MODEL_FORMATS
from poseshift.training.export.lifter import export_lifter
from poseshift.training.lifters.gumlp import GUMLPConfig
from poseshift.training.lifters.registry import build, describe, preset

TINY = GUMLPConfig(width=6, embedding=4, blocks=2)
ERF = np.vectorize(math.erf)
Arrays = dict[str, np.ndarray]


@pytest.mark.parametrize(
    ("name", "parameters", "giga"), [("gumlp", 4510215, 0.112), ("gumlp-5", 7316785, 0.183)]
)
def test_published_sizes(name, parameters, giga) -> None:
    (row,) = describe([name])
    assert row.parameters == parameters
    assert round(row.multiply_adds / 1e9, 3) == giga


def test_adjacency_by_hand() -> None:
    """Entry [k, sender, receiver], columns of the sum normalised; the spine is the centre."""
    names = skeleton("human36m_17").joint_names
    own, inwards, outwards, mirrored = build(TINY, 2).adjacency
    knee, hip, ankle, other = (
        names.index(name) for name in ("right_knee", "right_hip", "right_ankle", "left_knee")
    )
    # a knee has itself, hip, ankle and the other knee
    assert own[knee, knee] == inwards[ankle, knee] == outwards[hip, knee] == mirrored[other, knee] == 0.25
    assert inwards[hip, knee] == outwards[ankle, knee] == mirrored[hip, knee] == 0
    torch.testing.assert_close((own + inwards + outwards + mirrored).sum(dim=0), torch.ones(17))


def _gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + ERF(x / math.sqrt(2)))


def _norm(x: np.ndarray, weights: Arrays, name: str, axis: int) -> np.ndarray:
    mean, variance = x.mean(axis=axis, keepdims=True), x.var(axis=axis, keepdims=True)
    shape = (-1, 1) if axis == 0 else (1, -1)
    scale, shift = (weights[f"{name}.{kind}"].reshape(shape) for kind in ("weight", "bias"))
    return (x - mean) / np.sqrt(variance + 1e-6) * scale + shift


def _linear(x: np.ndarray, weights: Arrays, name: str) -> np.ndarray:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _phi(x: np.ndarray, weights: Arrays, name: str) -> np.ndarray:
    return _gelu(_linear(x, weights, f"{name}.0"))


def restated(weights: Arrays, keypoints: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """What the specification says of one pose (joints, channels): mean (joints, 3), log-scale (joints, 1)."""
    x = _linear(_linear(keypoints, weights, "embed"), weights, "widen")
    adjacency = weights["adjacency"]
    block = 0
    while f"blocks.{block}.graph.linear.weight" in weights:
        at = f"blocks.{block}"
        h = _linear(_norm(x, weights, f"{at}.norm_graph", axis=0), weights, f"{at}.graph.linear")
        added = np.zeros_like(x)
        for k in range(4):
            part = h[:, k * width : (k + 1) * width]
            for v in range(len(x)):
                for w in range(len(x)):
                    added[w] += part[v] * adjacency[k, v, w]
        x = x + added
        a = _phi(_norm(x, weights, f"{at}.norm_channels", axis=1), weights, f"{at}.channels.down")
        a = _phi(a, weights, f"{at}.channels.middle") + a
        channels = _phi(a, weights, f"{at}.channels.up")
        u = _norm(x, weights, f"{at}.norm_joints", axis=0).T
        u = _phi(_phi(u, weights, f"{at}.joints.up_first"), weights, f"{at}.joints.up_second")
        u = _phi(u, weights, f"{at}.joints.middle") + u
        u = _phi(_phi(u, weights, f"{at}.joints.down_first"), weights, f"{at}.joints.down_second")
        x = x + channels + u.T
        block += 1

    def head(name: str) -> np.ndarray:
        hidden = _linear(_norm(x, weights, f"{name}.norm", axis=1), weights, f"{name}.hidden")
        return _linear(hidden, weights, f"{name}.out")

    return head("mean"), head("log_scale")


@pytest.mark.parametrize("joint_set", ["human36m_17", "poseaug_16"])
def test_forward_equals_the_specification_in_double_precision(joint_set) -> None:
    config = TINY.model_copy(update={"skeleton": joint_set})
    lifter = build(config, 3).double().eval()
    torch.manual_seed(0)
    for parameter in lifter.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    keypoints = torch.randn(2, 1, lifter.joints, 3, dtype=torch.float64)
    weights = {name: value.numpy() for name, value in lifter.state_dict().items()}
    with torch.no_grad():
        found = lifter.lift_scaled(keypoints)
        answered = lifter(keypoints)
    for number in range(2):
        mean, log_scale = restated(weights, keypoints[number, 0].numpy(), config.width)
        np.testing.assert_allclose(found[0][number, 0], mean, atol=1e-9)
        np.testing.assert_allclose(found[1][number, 0], log_scale, atol=1e-9)
        mean[skeleton(joint_set).root] = 0
        np.testing.assert_allclose(answered[number, 0], mean, atol=1e-9)


def test_depth_drops_and_nothing_drops_in_evaluation() -> None:
    lifter = build(GUMLPConfig(width=8, blocks=3), 2)
    assert [block.drop_path.probability for block in lifter.blocks] == pytest.approx([0, 0.1, 0.2])
    x = torch.randn(8, 1, 17, 2)
    assert not torch.equal(lifter(x), lifter(x))
    lifter.eval()
    assert torch.equal(lifter(x), lifter(x))


def test_a_hundred_steps_leave_finite_gradients() -> None:
    lifter = build(preset("gumlp-small"), 2, seed=0)
    adjacency = lifter.adjacency.clone()
    optimizer = torch.optim.AdamW((p for p in lifter.parameters() if p.requires_grad), lr=1e-3)
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(8, 1, 17, 2, generator=draw), torch.randn(8, 1, 17, 3, generator=draw)
    for _ in range(100):
        optimizer.zero_grad()
        positions, log_scale = lifter.scaled(x)
        away = (positions - y).norm(dim=-1, keepdim=True)[:, :, 1:]
        scale = log_scale[:, :, 1:]
        (away * (-scale).exp() + scale).mean().backward()
        optimizer.step()
    assert all(torch.isfinite(p.grad).all() for p in lifter.parameters() if p.requires_grad)
    assert torch.equal(lifter.adjacency, adjacency)


def test_exports_to_one_file() -> None:
    lifter, chosen = build(TINY, 2).eval(), encoding("screen")
    exported = export_lifter(TrainedLifter(lifter, chosen, TINY, {}), MODEL_FORMATS["pt2"])
    assert exported.difference_m < 1e-4
