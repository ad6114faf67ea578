from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from poseshift.training.batches import DevicePoses
from poseshift.training.checkpoint import TrainedLifter, load_lifter, save_lifter
from poseshift.training.encoding import encoding
from poseshift.training.evaluation.answering import predict
from poseshift.training.fit import fit
from poseshift.training.lifters.registry import build, describe
from poseshift.training.lifters.videopose3d import JoinFrames, VideoPose3DConfig
from poseshift.training.schedule import Schedule

TINY = VideoPose3DConfig(width=16, dropout=0.0)


def _parameters(config: VideoPose3DConfig) -> int:
    return sum(p.numel() for p in build(config, 2).parameters())


@pytest.mark.parametrize(("blocks", "published"), [(2, 8.56), (3, 12.75), (4, 16.95)])
def test_size_is_the_published_one(blocks, published) -> None:
    """27, 81 and 243 frames: the paper's table of computational complexity."""
    config = VideoPose3DConfig(filter_widths=(3,) * (blocks + 1))
    assert config.frames == 3 ** (blocks + 1)
    assert round(_parameters(config) / 1e6, 2) == published


def test_size_follows_the_layers() -> None:
    width, joints = 12, 17
    convolutions = 2 * joints * width * 5 + width**2 * (1 + 1) + width**2 * (3 + 1)
    norms = 2 * width * 5
    head = width * 3 * joints + 3 * joints
    config = VideoPose3DConfig(filter_widths=(5, 1, 3), width=width)
    assert _parameters(config) == convolutions + norms + head


def test_multiply_adds_of_a_clip_and_of_a_long_sequence() -> None:
    embed, head = 34 * 3 * 1024, 1024 * 51
    join, mix = 3 * 1024**2, 1024**2
    (row,) = describe(["videopose3d-27f"])
    assert row.multiply_adds == 9 * embed + 3 * (join + mix) + (join + mix) + head
    # the paper counts 17.09 M operations per frame of a long sequence, where windows share their values
    assert round(2 * (embed + 2 * (join + mix) + head) / 1e6, 2) == 17.09


def _randomise_norms(lifter: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(1)
    for module in lifter.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)


def test_strided_clips_equal_dilated_convolutions_over_a_sequence() -> None:
    lifter = build(TINY, 2).eval()
    _randomise_norms(lifter)
    sequence = torch.randn(33, 17, 2, generator=torch.Generator().manual_seed(0))

    def layer(x: torch.Tensor, join: JoinFrames, dilation: int) -> torch.Tensor:
        norm = join.norm
        weight = join.linear.weight.unflatten(1, (-1, x.shape[1])).transpose(1, 2)  # out, in, frames
        x = F.conv1d(x, weight, dilation=dilation)
        x = (x - norm.running_mean[:, None]) / (norm.running_var[:, None] + 1e-5).sqrt()
        return (x * norm.weight[:, None] + norm.bias[:, None]).relu()

    with torch.no_grad():
        x = layer(sequence.flatten(1).T[None], lifter.embed, 1)
        for block, dilation in zip(lifter.blocks, (3, 9), strict=True):
            x = x[:, :, dilation:-dilation] + layer(layer(x, block.join, dilation), block.mix, 1)
        whole = (x[0].T @ lifter.head.weight.T + lifter.head.bias).view(7, 17, 3)
        clips = sequence.unfold(0, 27, 1).permute(0, 3, 1, 2)  # (7, 27, 17, 2)
        torch.testing.assert_close(lifter.lift(clips)[:, 0], whole, atol=1e-5, rtol=1e-4)


def test_every_frame_of_the_clip_counts() -> None:
    lifter = build(TINY, 2).eval()
    clip = torch.randn(1, 27, 17, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    lifter(clip).square().sum().backward()
    assert (clip.grad[0].abs().sum(dim=(1, 2)) > 0).all()
    with pytest.raises(ValueError, match="built for keypoints of shape"):
        lifter(torch.zeros(1, 28, 17, 2))


@pytest.mark.parametrize("name", ["screen", "perspective"])
def test_predictions_see_thirteen_frames_to_each_side_inside_their_sequence(poses_of, name) -> None:
    chosen = encoding(name)
    trained = TrainedLifter(build(TINY, chosen.channels).eval(), chosen, TINY, {})
    poses, frames, middle = poses_of(40, 3), 40, 20
    before = predict(trained, poses)
    assert before.shape == (160, 17, 3)
    np.testing.assert_allclose(predict(trained, poses, batch_size=7), before, atol=1e-6)
    for shift, sees in ((0, True), (13, True), (-13, True), (14, False), (-14, False)):
        keypoints = poses.keypoints_px.copy()
        keypoints[frames + middle + shift] += 40 * np.random.default_rng(0).normal(size=(17, 2))
        after = predict(trained, replace(poses, keypoints_px=keypoints))
        assert (np.abs(after - before)[frames + middle].max() > 1e-5) == sees
        other_sequences = np.r_[0:frames, 2 * frames : 4 * frames]
        np.testing.assert_array_equal(after[other_sequences], before[other_sequences])


def test_first_frame_is_answered_from_a_clip_padded_with_itself(poses_of) -> None:
    chosen = encoding("screen")
    lifter = build(TINY, chosen.channels).eval()
    poses = poses_of(5, 3)
    rows = np.clip(np.arange(27) - 13, 0, 4)
    clip = torch.from_numpy(poses.keypoints_px[rows])[None]
    intrinsics = poses.intrinsics[poses.camera[:1]].map(torch.from_numpy)
    with torch.no_grad():
        expected = lifter(chosen.encode(clip, intrinsics).inputs.float())[0, 0].numpy()
    np.testing.assert_allclose(
        predict(TrainedLifter(lifter, chosen, TINY, {}), poses)[0], expected, atol=1e-6
    )


def test_clips_are_trained_saved_and_evaluated(poses_of, tmp_path) -> None:
    poses, chosen = poses_of(16, 0), encoding("screen")
    lifter = build(TINY, chosen.channels)
    schedule = Schedule(epochs=15, steps_per_epoch=10, batch_size=32, learning_rate=3e-3, flip_probability=0)
    result = fit(
        lifter, chosen, DevicePoses.from_columns(poses, "cpu", 27), schedule, run_dir=tmp_path / "run", seed=0
    )
    assert result.history[-1].loss < 0.7 * result.history[0].loss
    save_lifter(tmp_path / "lifter", TINY, "screen", lifter, {})
    loaded = load_lifter(tmp_path / "lifter")
    assert loaded.config == TINY
    truth = poses.positions_camera - poses.positions_camera[:, :1]
    answers = predict(loaded, poses)
    assert np.linalg.norm(answers - truth, axis=-1).mean() < 1.5 * result.history[-1].loss
    np.testing.assert_array_equal(answers, predict(TrainedLifter(lifter, chosen, TINY, {}), poses))


def test_even_filters_are_refused() -> None:
    with pytest.raises(ValidationError, match="no middle frame"):
        VideoPose3DConfig(filter_widths=(3, 2))
    with pytest.raises(ValidationError):
        VideoPose3DConfig(filter_widths=())
