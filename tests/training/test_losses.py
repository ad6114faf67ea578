import math

import pytest
import torch

from poseshift.training.losses import JOINT_WEIGHTS, laplace_nll, loss


def _pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Joint 1 is off by a 3-4-0 triangle (5 m), joint 16 by 2 m along z; all else is right."""
    target = torch.randn(1, 1, 17, 3, generator=torch.Generator().manual_seed(0))
    offset = torch.zeros_like(target)
    offset[0, 0, 1] = torch.tensor([3.0, 4.0, 0.0])
    offset[0, 0, 16, 2] = 2.0
    return target + offset, target


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mpjpe", (5 + 2) / 17),
        ("mse", (9 + 16 + 4) / 51),
        ("weighted-mpjpe", (1.0 * 5 + 4.0 * 2) / 17),
    ],
)
def test_closed_forms(name, expected) -> None:
    assert float(loss(name)(*_pair())) == pytest.approx(expected, rel=1e-5)


def test_likelihood_of_distances() -> None:
    prediction, target = _pair()
    scale = torch.full((1, 1, 17, 1), 0.5)
    scale[0, 0, 16] = 2.0
    expected = (5 / 0.5 + 2 / 2.0 + 16 * math.log(0.5) + math.log(2.0)) / 17
    found = laplace_nll(prediction, scale.log(), target)
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("distances", [[0.1, 0.1], [0.02, 0.5, 2.5], [3.0, 0.01, 0.3, 0.04, 0.7]])
def test_likelihood_is_best_where_the_scale_is_the_mean_distance(distances: list[float]) -> None:
    target = torch.zeros(len(distances), 1, 1, 3, dtype=torch.float64)
    prediction = target.clone()
    prediction[:, 0, 0, 1] = torch.tensor(distances, dtype=torch.float64)
    log_scale = torch.tensor(sum(distances) / len(distances), dtype=torch.float64).log().requires_grad_()
    laplace_nll(prediction, log_scale.expand(len(distances), 1, 1, 1), target).backward()
    assert log_scale.grad is not None
    assert abs(log_scale.grad) < 1e-9


@pytest.mark.parametrize("name", ["mpjpe", "mse", "weighted-mpjpe"])
def test_gradient_is_finite_where_prediction_and_target_agree(name) -> None:
    prediction = torch.zeros(2, 1, 17, 3, requires_grad=True)
    loss(name)(prediction, torch.zeros(2, 1, 17, 3)).backward()
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))


def test_joint_weights_need_their_joints() -> None:
    assert len(JOINT_WEIGHTS) == 17
    with pytest.raises(ValueError, match="for 17 joints but the poses have 16"):
        loss("weighted-mpjpe")(torch.zeros(1, 1, 16, 3), torch.zeros(1, 1, 16, 3))
