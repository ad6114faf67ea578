import math

import numpy as np
import pytest
import torch

from poseshift.geometry.skeleton import SKELETONS, skeleton
from poseshift.training.losses import joint_weights, laplace_nll, loss


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
        ("mixste-3", (1.0 * 5 + 4.0 * 2) / 17),  # of one frame its first term is left
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


@pytest.mark.parametrize("name", ["mpjpe", "mse", "weighted-mpjpe", "mixste-3"])
def test_gradient_is_finite_where_prediction_and_target_agree(name) -> None:
    prediction = torch.zeros(2, 3, 17, 3, requires_grad=True)
    loss(name)(prediction, torch.zeros(2, 3, 17, 3)).backward()
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))


# Written down from the released code, joint by joint in the order of Human3.6M.
PUBLISHED = (1, 1, 2.5, 2.5, 1, 2.5, 2.5, 1, 1, 1, 1.5, 1.5, 4, 4, 1.5, 4, 4)


def test_mixste_loss_is_what_its_description_says() -> None:
    """Frame by frame and joint by joint, in plain Python."""
    rng = np.random.default_rng(0)
    p, g = rng.normal(size=(2, 3, 5, 17, 3))
    position = np.mean(
        [
            PUBLISHED[j] * np.linalg.norm(p[n, t, j] - g[n, t, j])
            for n in range(3)
            for t in range(5)
            for j in range(17)
        ]
    )
    smoothness = np.mean(
        [
            PUBLISHED[j] * (p[n, t + 1, j, c] - p[n, t, j, c]) ** 2
            for n in range(3)
            for t in range(4)
            for j in range(17)
            for c in range(3)
        ]
    )
    velocity = np.mean(
        [
            np.linalg.norm((p[n, t + 1, j] - p[n, t, j]) - (g[n, t + 1, j] - g[n, t, j]))
            for n in range(3)
            for t in range(4)
            for j in range(17)
        ]
    )
    found = loss("mixste-3")(torch.as_tensor(p), torch.as_tensor(g))
    assert float(found) == pytest.approx(position + 0.5 * smoothness + 2.0 * velocity, rel=1e-9)


def test_joints_weigh_by_their_names_on_any_skeleton() -> None:
    published = dict(zip(skeleton("human36m_17").joint_names, PUBLISHED, strict=True))
    assert joint_weights(skeleton("human36m_17")) == PUBLISHED
    sixteen = skeleton("poseaug_16")
    assert joint_weights(sixteen) == tuple(published[name] for name in sixteen.joint_names)
    many = skeleton("mpi_inf_3dhp_28")
    weights = dict(zip(many.joint_names, joint_weights(many), strict=True))
    assert weights["left_hand"] == weights["left_wrist"] == 4
    assert weights["right_toe"] == weights["right_ankle"] == 2.5
    assert weights["left_clavicle"] == weights["spine3"] == weights["pelvis"] == 1


def test_skeletons_without_named_limbs_are_refused() -> None:
    refused = []
    for name, joint_set in SKELETONS.items():
        try:
            assert len(set(joint_weights(joint_set))) > 1
        except ValueError:
            refused.append(name)
    assert refused == ["human36m_32"]  # the only one with another way of naming joints
    with pytest.raises(ValueError, match="no joints named knee"):
        loss("mixste-3", "human36m_32")


def test_joint_weights_need_their_joints() -> None:
    with pytest.raises(ValueError, match="for 17 joints but the poses have 16"):
        loss("weighted-mpjpe")(torch.zeros(1, 1, 16, 3), torch.zeros(1, 1, 16, 3))
