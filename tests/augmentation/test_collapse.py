import math

import numpy as np
import pytest
import torch

from poseshift.augmentation.collapse import (
    CollapseConfig,
    CollapseError,
    Health,
    Watch,
    accuracy,
    neighbour_ratios,
    parameter_spreads,
)
from poseshift.augmentation.transforms import PoseParameters

GOOD = Health(
    step=1,
    accuracy_3d=0.7,
    accuracy_2d=0.6,
    angle_spread=0.3,
    gain_spread=0.05,
    turn_spread=0.5,
    diversity=1.0,
    distance=2.0,
)


def with_(**changes: float | None) -> Health:
    return GOOD.model_copy(update=changes)


def test_accuracy_by_hand() -> None:
    real, made = torch.tensor([[0.9], [0.4]]), torch.tensor([[0.1], [0.2], [0.3], [0.8]])
    assert accuracy(real, made) == pytest.approx((1 / 2 + 3 / 4) / 2)


def test_spreads_by_hand() -> None:
    """Two poses: a number that is 1 and 3 deviates by 1, one that is 2 and 2 by 0."""
    parameters = PoseParameters(
        angles=torch.tensor([[[1.0, 2.0]], [[3.0, 2.0]]]),
        gains=torch.tensor([[0.0], [0.2]]),
        axis_angle=torch.zeros(2, 3),
    )
    assert parameter_spreads(parameters) == pytest.approx((0.5, 0.1, 0))


def test_neighbours_by_hand() -> None:
    """Source points one apart; augmented ones two apart, in pairs three beside the source."""
    source = np.array([[0.0, 0], [1, 0], [2, 0], [3, 0]])
    augmented = np.array([[0.0, 3], [2, 3]])
    assert neighbour_ratios(augmented, source) == pytest.approx((2, 3))
    assert neighbour_ratios(source, source) == pytest.approx((1, 0))
    alike = np.zeros((5, 2)) + 7
    assert neighbour_ratios(alike, source)[0] == 0
    assert all(math.isnan(ratio) for ratio in neighbour_ratios(augmented * np.nan, source))


@pytest.mark.parametrize(
    ("changes", "sign"),
    [
        ({"accuracy_3d": 1.0}, "discriminator of 3D has won"),
        ({"accuracy_2d": 0.999}, "discriminator of 2D has won"),
        ({"angle_spread": 0.0}, "bone angles are all alike"),
        ({"gain_spread": 0.0}, "bone lengths are all alike"),
        ({"turn_spread": 0.01}, "rotations are all alike"),
        ({"diversity": 0.1}, "augmented poses are all alike"),
        ({"diversity": float("nan")}, "augmented poses are all alike"),
        ({"distance": 31.0}, "far from every source pose"),
    ],
)
def test_each_sign(changes, sign) -> None:
    signs = with_(**changes).signs(CollapseConfig())
    assert len(signs) == 1
    assert sign in signs[0]


def test_what_is_not_there_is_no_sign() -> None:
    assert GOOD.signs(CollapseConfig()) == ()
    assert with_(accuracy_3d=None, accuracy_2d=None, turn_spread=None).signs(CollapseConfig()) == ()


def test_a_sign_counts_when_it_lasts() -> None:
    watch = Watch(CollapseConfig(patience=3))
    for health in (with_(diversity=0.1), with_(diversity=0.1), GOOD, with_(diversity=0.1)):
        watch.look(health)
    assert not watch.healthy
    watch.look(with_(diversity=0.1, angle_spread=0.0))  # a new sign beside the old one
    with pytest.raises(CollapseError, match="step 9: the augmented poses are all alike") as caught:
        watch.look(with_(diversity=0.1, step=9))
    assert caught.value.signs == ("the augmented poses are all alike",)


def test_more_patience_with_winners() -> None:
    watch = Watch(CollapseConfig(patience=1, patience_with_winners=3))
    for _ in range(2):
        watch.look(with_(accuracy_2d=1.0))
    with pytest.raises(CollapseError, match="discriminator of 2D has won"):
        watch.look(with_(accuracy_2d=1.0))


def test_no_patience_with_what_is_not_a_number() -> None:
    with pytest.raises(CollapseError, match="not a number"):
        Watch(CollapseConfig(patience=99)).look(with_(angle_spread=float("nan")))


def test_a_restored_watch_goes_on_counting() -> None:
    watch = Watch(CollapseConfig(patience=2))
    watch.look(with_(diversity=0.1))
    restored = Watch(CollapseConfig(patience=2))
    restored.load_state_dict(watch.state_dict())
    assert restored.history == watch.history
    with pytest.raises(CollapseError):
        restored.look(with_(diversity=0.1))
