import pytest
import torch

from poseshift.training.lifters.lifter import LOG_SCALE_RANGE, ScaledLifter
from poseshift.training.lifters.registry import build, preset
from poseshift.training.lifters.simple_baseline import SimpleBaselineConfig
from poseshift.training.lifters.videopose3d import VideoPose3DConfig
from poseshift.training.lifters.with_scale import FIRST_SCALE_M, WithScaleConfig

SINGLE = WithScaleConfig(of=SimpleBaselineConfig(width=8, dropout=0.0), hidden=8)
CLIPS = WithScaleConfig(of=VideoPose3DConfig(filter_widths=(3,), width=8, dropout=0.0), hidden=8)


def _keypoints(lifter, channels: int = 2) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(4, lifter.frames, lifter.joints, channels, generator=draw)


@pytest.mark.parametrize("config", [SINGLE, CLIPS], ids=["single frames", "clips"])
def test_answers_are_those_of_the_lifter_alone(config) -> None:
    lifter = build(config, 2).eval()
    keypoints = _keypoints(lifter)
    positions, log_scale = lifter.scaled(keypoints)
    assert torch.equal(positions, lifter.lifter(keypoints))
    assert torch.equal(positions, lifter(keypoints))
    assert log_scale.shape == (*positions.shape[:-1], 1)
    torch.testing.assert_close(log_scale.exp(), torch.full_like(log_scale, FIRST_SCALE_M))


def test_a_lifter_of_clips_tells_the_scale_of_its_middle_frame() -> None:
    lifter = build(CLIPS, 2).eval()
    torch.nn.init.normal_(lifter.scale[-1].weight)
    keypoints = _keypoints(lifter).requires_grad_()
    answered = lifter.scaled(keypoints).log_scale.sum()
    (gradient,) = torch.autograd.grad(answered, keypoints)
    assert gradient[:, 1].abs().sum() > 0
    assert (gradient[:, [0, 2]] == 0).all()  # the answer itself reaches the scale without a gradient


def test_the_scale_teaches_the_lifter_nothing() -> None:
    lifter = build(SINGLE, 2)
    torch.nn.init.normal_(lifter.scale[-1].weight)
    lifter.scaled(_keypoints(lifter)).log_scale.sum().backward()
    assert all(p.grad is None or not p.grad.abs().any() for p in lifter.lifter.parameters())
    assert all(p.grad.abs().sum() > 0 for p in lifter.scale.parameters())


def test_scales_are_bounded_and_the_root_is_as_sure_as_the_surest() -> None:
    class Wild(ScaledLifter):
        def lift(self, keypoints):
            return keypoints[..., [0, 0, 0]]

        def lift_scaled(self, keypoints):
            return self.lift(keypoints), keypoints[..., :1]

    lifter = Wild(frames=1, output="all", channels=1, skeleton="human36m_17")
    told = torch.linspace(-8, 8, 17)[None, None, :, None]  # the root would be the lowest of all
    log_scale = lifter.scaled(told).log_scale.flatten()
    low, high = LOG_SCALE_RANGE
    torch.testing.assert_close(log_scale[1:], told.flatten()[1:].clamp(low, high))
    assert log_scale[0] == log_scale[1:].min()
    risen = lifter.scaled(told + 4).log_scale.flatten()
    assert risen[0] == pytest.approx(-3.0)  # of joint 1, not the root's own -4


def test_any_preset_takes_a_scale_and_one_that_has_its_own_is_refused() -> None:
    config = preset("simple-baseline-small+scale")
    assert config == WithScaleConfig(of=preset("simple-baseline-small"))
    assert WithScaleConfig.model_validate_json(config.model_dump_json()) == config
    with pytest.raises(ValueError, match="a scale of its own"):
        build(preset("gumlp-small+scale"), 2)
    with pytest.raises(ValueError, match="lifter preset"):
        preset("nothing+scale")
