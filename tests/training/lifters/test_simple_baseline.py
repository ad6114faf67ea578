import numpy as np
import pytest
import torch

from poseshift.training.lifters.registry import build
from poseshift.training.lifters.simple_baseline import SimpleBaselineConfig


def _parameters(config: SimpleBaselineConfig) -> int:
    return sum(p.numel() for p in build(config, 2).parameters())


def test_size_is_the_published_one() -> None:
    # 4.29 M with 16 joints: results table in the repository of SemGCN
    assert round(_parameters(SimpleBaselineConfig(skeleton="poseaug_16")) / 1e6, 2) == 4.29
    # Martinez et al. write "between 4 and 5 million"
    assert 4e6 < _parameters(SimpleBaselineConfig()) < 5e6


@pytest.mark.parametrize(("width", "blocks", "joints"), [(1024, 2, 16), (24, 3, 17)])
def test_size_follows_the_layers(width, blocks, joints) -> None:
    norm = 2 * width
    hidden = width * width + width + norm
    expected = (2 * joints * width + width + norm) + 2 * blocks * hidden + (width * 3 * joints + 3 * joints)
    name = {16: "poseaug_16", 17: "human36m_17"}[joints]
    assert _parameters(SimpleBaselineConfig(width=width, blocks=blocks, skeleton=name)) == expected


def test_answer_equals_the_layers_written_out() -> None:
    lifter = build(SimpleBaselineConfig(width=8, blocks=2), 2)
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for _, norm in sorted(lifter.named_modules()):
            if isinstance(norm, torch.nn.BatchNorm1d):
                for values, low in ((norm.running_mean, -1), (norm.running_var, 0.5), (norm.weight, -1)):
                    values.copy_(torch.from_numpy(rng.uniform(low, 2, values.shape)))
    weights = {name: value.double().numpy() for name, value in lifter.state_dict().items()}

    def layer(x: np.ndarray, name: str) -> np.ndarray:
        x = x @ weights[f"{name}.0.weight"].T + weights[f"{name}.0.bias"]
        x = (x - weights[f"{name}.1.running_mean"]) / np.sqrt(weights[f"{name}.1.running_var"] + 1e-5)
        return np.maximum(0, x * weights[f"{name}.1.weight"] + weights[f"{name}.1.bias"])

    keypoints = rng.normal(size=(3, 1, 17, 2))
    x = layer(keypoints.reshape(3, 34), "embed")
    for block in range(2):
        x = x + layer(layer(x, f"blocks.{block}.inside.0"), f"blocks.{block}.inside.1")
    expected = (x @ weights["head.weight"].T + weights["head.bias"]).reshape(3, 1, 17, 3)
    expected[:, :, 0] = 0
    with torch.no_grad():
        found = lifter.eval()(torch.from_numpy(keypoints).float())
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)
