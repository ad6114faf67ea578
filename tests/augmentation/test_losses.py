import math

import pytest
import torch

from poseshift.augmentation.losses import (
    CHANGE_RANGE,
    JointRoles,
    Range,
    beyond,
    change_penalty,
    discriminator_loss,
    gain_penalty,
    generator_loss,
    gradient_penalty,
    group_errors,
    hardness_penalty,
    joint_roles,
    range_penalty,
    usefulness_loss,
)
from poseshift.geometry.skeleton import COCO_17, HUMAN36M_17, HUMAN36M_32, POSEAUG_16


def test_least_squares_by_hand() -> None:
    """Real 1 and 0.5 cost 0 and 0.25, made 0 and 1 cost 0 and 1: (0.125 + 0.5) / 2."""
    real, made = torch.tensor([[1.0], [0.5]]), torch.tensor([[0.0], [1.0]])
    assert float(discriminator_loss(real, made)) == pytest.approx(0.3125)
    assert float(generator_loss(made)) == pytest.approx(0.25)
    assert float(discriminator_loss(torch.ones(2, 5), torch.zeros(2, 5))) == 0
    assert float(generator_loss(torch.ones(2, 5))) == 0


def test_parts_count_alike() -> None:
    made = torch.tensor([[1.0, 1.0, 1.0, 1.0, -1.0]])
    assert float(generator_loss(made)) == pytest.approx(0.5 * 4 / 5)


def test_range_by_hand() -> None:
    """Inside nothing; outside the square of the distance to the centre, not to the edge."""
    values = torch.tensor([0.9, 1.0, 1.5, 1.6, 0.3])
    penalty = range_penalty(values, Range(1.0, 0.5))
    torch.testing.assert_close(penalty, torch.tensor([0.0, 0.0, 0.0, 0.36, 0.49]))


def test_change_of_a_pose_is_its_mean_over_bones() -> None:
    """One pose at 0.205 is free although its bones are not; one at 0.5 costs 0.295^2; their mean counts."""
    change = torch.tensor([[0.0, 0.41], [0.0, 1.0]])
    assert (CHANGE_RANGE.centre, CHANGE_RANGE.half_width) == (0.205, 0.165)
    assert float(change_penalty(change)) == pytest.approx(0.295**2 / 2)


def test_gains_beyond_a_tenth() -> None:
    gains = torch.tensor([[0.05, -0.1], [0.2, -0.15]])
    assert float(gain_penalty(gains)) == pytest.approx((0.04 + 0.0225) / 2)
    assert float(gain_penalty(gains[:1])) == 0


def test_gain_penalty_pulls_back_what_is_beyond_and_nothing_else() -> None:
    gains = torch.tensor([0.05, 0.2], requires_grad=True)
    gain_penalty(gains).backward()
    assert gains.grad.tolist() == pytest.approx([0, 0.4])


def test_gradient_penalty_of_a_known_slope() -> None:
    """D(x) = 3 x0 - 4 x1 has slope 5 everywhere; two inputs add up."""
    first = torch.randn(7, 2, requires_grad=True)
    second = torch.randn(7, 1, requires_grad=True)
    scores = (first @ torch.tensor([[3.0], [-4.0]])) + 2 * second
    assert float(gradient_penalty(scores, [first])) == pytest.approx(25)
    assert float(gradient_penalty(scores, [first, second])) == pytest.approx(29)


def test_gradient_penalty_teaches_the_discriminator() -> None:
    weight = torch.tensor(2.0, requires_grad=True)
    inputs = torch.ones(3, 1, requires_grad=True)
    gradient_penalty(weight * inputs, [inputs]).backward()
    assert float(weight.grad) == pytest.approx(4)


def test_roles_of_the_16_joints_are_those_of_poseaug() -> None:
    roles = joint_roles(POSEAUG_16)
    assert roles.weights == (1, 5, 2, 1, 5, 2, 1, 1, 1, 1, 5, 2, 1, 5, 2, 1)
    assert roles.groups == ((1, 4, 10, 13), (2, 5, 9, 11, 14), (3, 6, 12, 15))


def test_roles_of_the_17_joints_follow_the_names() -> None:
    roles = joint_roles(HUMAN36M_17)
    names = [[HUMAN36M_17.joint_names[joint] for joint in group] for group in roles.groups]
    assert names[1] == ["right_knee", "left_knee", "head", "left_elbow", "right_elbow"]
    assert roles.weights[HUMAN36M_17.joint_names.index("nose")] == 1


def test_a_skeleton_without_the_names_is_refused() -> None:
    joint_roles(COCO_17)  # has all of them
    with pytest.raises(ValueError, match="human36m_32 has no left_ankle"):
        joint_roles(HUMAN36M_32)


def test_group_errors_by_hand() -> None:
    """Joint 0 is off by (3, 0, 0): 9 / 3 = 3, times its weight 2; joint 1 by (0, 3, 3): 6; mean of both 6."""
    roles = JointRoles((2.0, 1.0, 1.0), ((0, 1), (2,)))
    prediction = torch.zeros(1, 1, 3, 3)
    target = torch.tensor([[[[3.0, 0, 0], [0, 3, 3], [0, 0, 0]]]])
    assert group_errors(prediction, target, roles).tolist() == pytest.approx([6, 0])
    both = torch.cat([target, torch.zeros_like(target)])
    assert group_errors(torch.zeros(2, 1, 3, 3), both, roles).tolist() == pytest.approx([3, 0])


def test_hardness_by_hand() -> None:
    """Ratios 3 and 6 against 3 +- 2: the second is 3 beyond the centre; mean of 0 and 9."""
    ratio = hardness_penalty(torch.tensor([3.0, 12.0]), torch.tensor([1.0, 2.0]), Range(3, 2))
    assert float(ratio) == pytest.approx(4.5)


def test_hardness_wants_harder_poses_when_they_are_too_easy() -> None:
    augmented = torch.tensor([0.5], requires_grad=True)
    hardness_penalty(augmented, torch.tensor([1.0]), Range(3, 2)).backward()
    assert float(augmented.grad) == pytest.approx(-5)


def test_usefulness_by_hand() -> None:
    """Ratios 3 and 6, of an aim of 4: log(4 / 3) for the first, nothing for the second."""
    loss = usefulness_loss(torch.tensor([3.0, 12.0]), torch.tensor([1.0, 2.0]), aim=4)
    assert float(loss) == pytest.approx(math.log(4 / 3) / 2)


def test_usefulness_wants_harder_poses_up_to_the_aim() -> None:
    augmented = torch.tensor([2.0, 9.0], requires_grad=True)
    usefulness_loss(augmented, torch.tensor([1.0, 1.0]), aim=4).backward()
    assert augmented.grad.tolist() == pytest.approx([-0.25, 0.0])


def test_usefulness_of_errors_that_are_zero_is_a_number() -> None:
    assert math.isfinite(usefulness_loss(torch.zeros(3), torch.zeros(3), aim=4))


def test_what_is_tolerated_costs_nothing() -> None:
    losses = torch.tensor([0.1, 0.25, 0.5])
    assert beyond(losses, 0.25).tolist() == pytest.approx([0.0, 0.0, 0.25])
    assert torch.equal(beyond(losses, 0.0), losses)
