import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tests.training.lifters.counting import cost
from tests.training.lifters.restated import below, block, drawn, layer_norm, linear

from poseshift.training.lifters.attention import DropPath
from poseshift.training.lifters.mixste import MixSTEConfig
from poseshift.training.lifters.registry import build

TINY = MixSTEConfig(frames=5, width=8, heads=2, depth=3)


@pytest.mark.parametrize(
    ("frames", "parameters", "layers", "everything"),
    [(243, 33_783_811, 138.62, 147.42), (27, 33_673_219, 15.40, 15.57)],
)
def test_size_and_multiply_adds_are_the_published_ones(frames, parameters, layers, everything) -> None:
    counted = cost(MixSTEConfig(frames=frames))
    assert counted.parameters == parameters
    assert (round(counted.layers, 2), round(counted.everything, 2)) == (layers, everything)


def test_equals_the_formulas_frame_by_frame_and_joint_by_joint() -> None:
    """Also that both norms are one module for all pairs, and frames are told apart once."""
    lifter = build(TINY, 2)
    weights = drawn(lifter)
    clip = np.random.default_rng(1).normal(size=(5, 17, 2))
    x = linear(clip, weights, "embed.") + weights["position_joint"]
    for pair in range(3):
        for frame in range(5):
            x[frame] = block(x[frame], below(weights, f"over_joints.{pair}."), heads=2)
        x = layer_norm(x, weights, "norm_joints.", 1e-6)
        for joint in range(17):
            row = x[:, joint] + (weights["position_frame"][0] if pair == 0 else 0)
            x[:, joint] = block(row, below(weights, f"over_frames.{pair}."), heads=2)
        x = layer_norm(x, weights, "norm_frames.", 1e-6)
    expected = linear(layer_norm(x, weights, "head.0.", 1e-5), weights, "head.1.")
    with torch.no_grad():
        answer = lifter.lift(torch.from_numpy(clip)[None])[0]
    np.testing.assert_allclose(answer, expected, atol=1e-9)


def test_stochastic_depth_grows_evenly_and_keeps_the_mean() -> None:
    lifter = build(MixSTEConfig(frames=3, width=8, heads=2, depth=3, drop_path=0.2), 2)
    for stack in (lifter.over_joints, lifter.over_frames):
        assert [one.drop_path.probability for one in stack] == pytest.approx([0, 0.1, 0.2])
    torch.manual_seed(0)
    dropped = DropPath(0.25)(torch.ones(4000, 2, 3))
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (dropped == dropped[:, :1, :1]).all()  # whole rows
    assert dropped.mean() == pytest.approx(1, abs=0.03)
    assert (DropPath(0.25).eval()(torch.ones(50, 2)) == 1).all()


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(ValidationError, match="not a multiple of heads"):
        MixSTEConfig(width=12, heads=8)
