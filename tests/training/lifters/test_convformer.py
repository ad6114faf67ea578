import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tests.training.lifters.counting import cost
from tests.training.lifters.restated import (
    Weights,
    attention,
    below,
    drawn,
    gelu,
    layer_norm,
    linear,
    softmax,
)

from poseshift.training.lifters.convformer import ConvFormerConfig, ConvolutionalAttention
from poseshift.training.lifters.registry import build

TINY = ConvFormerConfig(frames=5, width=4, heads=2, kernels=(3, 1, 5), dropout=0.5)


@pytest.mark.parametrize(
    ("frames", "millions", "giga"),
    [(9, 2.561, 0.049), (27, 2.654, 0.182), (81, 3.431, 0.860), (143, 5.243, 2.155), (243, 10.241, 5.407)],
)
def test_size_by_frames_is_that_of_the_papers_table(frames, millions, giga) -> None:
    """The paper prints 2.56, 2.65, 3.43, 5.24 and 10.24 million."""
    counted = cost(ConvFormerConfig(frames=frames))
    assert round(counted.parameters / 1e6, 3) == millions
    assert round(counted.everything, 3) == giga


def test_size_follows_the_layers() -> None:
    frames, width, joints, kernels = 5, 4, 17, (3, 1, 5)
    pose = joints * width

    def convolutions(size: int) -> int:
        dynamic = sum(size**2 * kernel + size for kernel in kernels) + len(kernels)
        return 3 * dynamic + size**2 + size

    def rest(features: int) -> int:
        return 2 * 2 * features + 2 * (2 * features**2) + 3 * features

    blocks = 2 * (convolutions(width) + rest(width)) + 2 * (convolutions(frames) + rest(pose))
    embedding = 2 * width + width + joints * width + frames * pose
    head = 2 * width + 2 * pose + pose * 3 * joints + 3 * joints + frames + 1
    assert cost(TINY).parameters == blocks + embedding + head


def _convolved(x: np.ndarray, weights: Weights) -> np.ndarray:
    """(size, length) through the weighted convolutions, by the sum that defines one."""
    shares = softmax(weights["logits"])
    out = np.zeros_like(x)
    for number, share in enumerate(shares):
        kernel = weights[f"convolutions.{number}.weight"]
        half = kernel.shape[2] // 2
        padded = np.pad(x, ((0, 0), (half, half)))
        one = np.zeros_like(x) + weights[f"convolutions.{number}.bias"][:, None]
        for place in range(x.shape[1]):
            for tap in range(kernel.shape[2]):
                one[:, place] += kernel[:, :, tap] @ padded[:, place + tap]
        out += share * one
    return out


def _block(x: np.ndarray, weights: Weights, heads: int, *, tokens_last: bool) -> np.ndarray:
    def turned(one: np.ndarray) -> np.ndarray:
        return one.T if tokens_last else one

    normed = turned(layer_norm(x, weights, "norm_attention.", 1e-5))
    q, k, v = (
        turned(_convolved(normed, below(weights, f"attention.{name}."))) for name in ("query", "key", "value")
    )
    attended = turned(attention(q, k, v, heads))
    mixed = weights["attention.out.weight"][:, :, 0] @ attended + weights["attention.out.bias"][:, None]
    x = x + turned(mixed)
    hidden = gelu(linear(layer_norm(x, weights, "norm_mlp.", 1e-5), weights, "expand."))
    return x + linear(hidden, weights, "contract.")


def test_equals_the_formulas_convolution_by_convolution() -> None:
    lifter = build(TINY, 2)
    weights = drawn(lifter)
    clip = np.random.default_rng(1).normal(size=(5, 17, 2))
    x = linear(clip, weights, "embed.") + weights["position_joint"]
    for number in range(2):
        own = below(weights, f"over_joints.{number}.")
        x = np.stack([_block(frame, own, 2, tokens_last=True) for frame in x])
    x = layer_norm(x, weights, "norm_joints.", 1e-5).reshape(5, 17 * 4) + weights["position_frame"]
    for number in range(2):
        x = _block(x, below(weights, f"over_frames.{number}."), 2, tokens_last=False)
    poses = linear(layer_norm(x, weights, "norm_frames.", 1e-5), weights, "head.")
    joined = weights["join_frames.weight"][0, :, 0] @ poses + weights["join_frames.bias"]
    with torch.no_grad():
        answer = lifter.lift(torch.from_numpy(clip)[None])[0, 0]
    np.testing.assert_allclose(answer, joined.reshape(17, 3), atol=1e-9)


def test_a_filter_of_seven_sees_three_joints_to_each_side() -> None:
    whole = ConvolutionalAttention(8, tokens_last=True, config=ConvFormerConfig(width=8))
    x = torch.randn(1, 8, 17, generator=torch.Generator().manual_seed(0))
    jacobian = torch.autograd.functional.jacobian(whole.eval().query, x)[0, :, :, 0]
    influence = jacobian.abs().sum(dim=(0, 2)) > 0  # joint out, joint in
    apart = (torch.arange(17)[:, None] - torch.arange(17)).abs()
    assert torch.equal(influence, apart <= 3)


def test_order_of_frames_counts_even_without_their_positions() -> None:
    lifter = build(TINY, 2)
    drawn(lifter)
    clip = torch.randn(1, 5, 17, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        lifter.position_frame.zero_()
        exchanged = clip[:, [0, 3, 2, 1, 4]]
        assert (lifter(clip) - lifter(exchanged)).abs().max() > 1e-3


def test_open_choices_are_what_they_say() -> None:
    clip = torch.randn(1, 5, 17, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain = build(TINY, 2)
    drawn(plain)
    # `width` divides scores by the root of all features: the same as smaller queries
    scaled = build(TINY.model_copy(update={"scale": "width"}), 2).double().eval()
    scaled.load_state_dict(plain.state_dict())
    with torch.no_grad():
        for block in (*plain.over_joints, *plain.over_frames):
            for convolution in block.attention.query.convolutions:
                convolution.weight.div_(2**0.5)
                convolution.bias.div_(2**0.5)
        torch.testing.assert_close(scaled(clip), plain(clip))
    # `divided` with weights that sum to one is the softmax of their logarithms
    divided = build(TINY.model_copy(update={"kernel_weights": "divided"}), 2)
    drawn(divided)
    shares = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    softmaxed = build(TINY, 2).double().eval()
    softmaxed.load_state_dict(divided.state_dict())
    with torch.no_grad():
        for name, value in divided.named_parameters():
            if name.endswith("logits"):
                value.copy_(5 * shares)
        for name, value in softmaxed.named_parameters():
            if name.endswith("logits"):
                value.copy_(shares.log())
        torch.testing.assert_close(divided(clip), softmaxed(clip))


def test_even_kernels_and_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValidationError, match="no middle"):
        ConvFormerConfig(kernels=(7, 4))
    with pytest.raises(ValidationError, match="not a multiple of heads"):
        ConvFormerConfig(width=12)
