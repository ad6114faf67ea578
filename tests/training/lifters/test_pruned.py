import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from tests.training.lifters.counting import cost
from tests.training.lifters.restated import attention, drawn, linear
from tests.training.mirroring import mirror

from poseshift.geometry.skeleton import skeleton
from poseshift.training.batches import DevicePoses
from poseshift.training.encoding import encoding
from poseshift.training.flip import lift_flip_averaged, mirror_positions
from poseshift.training.lifters.config import LifterConfig, LifterConfigError
from poseshift.training.lifters.ktpformer import KTPFormerConfig
from poseshift.training.lifters.mixste import MixSTEConfig
from poseshift.training.lifters.pruned import PRESETS, PrunedConfig
from poseshift.training.lifters.registry import build
from poseshift.training.lifters.token_recovery import TokenRecovery, between
from poseshift.training.losses import loss
from poseshift.training.step_loss import batch_loss, mixed_loss

BODY = skeleton("human36m_17")
HOSTS = (
    MixSTEConfig(frames=6, width=8, heads=2, depth=3, drop_path=0.0),
    KTPFormerConfig(frames=6, width=8, heads=2, depth=2, drop_path=0.0),
)


def _pruned(host: LifterConfig = HOSTS[0], **changed: object) -> PrunedConfig:
    return PrunedConfig(**{"of": host, "keep": 3, "before_block": 1, "heads": 2} | changed)


def _clip(batch: int = 2, frames: int = 6, seed: int = 0) -> torch.Tensor:
    steps = np.random.default_rng(seed).normal(size=(batch, frames, 17, 2))
    return torch.from_numpy(steps.cumsum(axis=1))


@pytest.mark.parametrize(
    ("name", "parameters", "layers", "everything"),
    [("hot-mixste", 35_000_323, 83.76, 88.09), ("tpc-mixste", 33_783_811, 125.64, 133.42)],
)
def test_size_and_multiply_adds_are_the_published_ones(name, parameters, layers, everything) -> None:
    counted = cost(PRESETS[name])
    assert counted.parameters == parameters
    assert (round(counted.layers, 2), round(counted.everything, 2)) == (layers, everything)


@pytest.mark.parametrize("host", HOSTS)
def test_multiply_adds_fall_by_what_later_blocks_do_not_see(host) -> None:
    plain = cost(host).layers * 1e9
    a_pair = 6 * 17 * 2 * (4 + 2 * 2) * 8**2  # qkv, out and an MLP of ratio two, over joints and over frames
    head = 6 * 17 * 8 * 3
    for keep, before in ((1, 1), (3, 2)):
        left_out = (1 - keep / 6) * (a_pair * (3 - before) + head)
        counted = cost(_pruned(host, keep=keep, before_block=before, recover="linear")).layers * 1e9
        assert counted == pytest.approx(plain - left_out)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("recover", ["linear", "nearest"])
def test_with_all_frames_kept_it_is_the_lifter_itself(host, recover) -> None:
    pruned = build(_pruned(host, keep=6, recover=recover), 2)
    drawn(pruned)
    with torch.no_grad():
        torch.testing.assert_close(pruned(_clip()), pruned.host(_clip()))


def test_recovering_attention_by_the_formula() -> None:
    recovery = TokenRecovery(frames=5, width=4, heads=2)
    weights = drawn(recovery)
    tokens = np.random.default_rng(1).normal(size=(2, 3, 2, 4))
    with torch.no_grad():
        recovered = recovery(torch.from_numpy(tokens)).numpy()
    queries = weights["queries"][0]
    for clip in range(2):
        for joint in range(2):
            own = tokens[clip, :, joint]
            attended = attention(
                linear(queries, weights, "query."),
                linear(own, weights, "key."),
                linear(own, weights, "value."),
                heads=2,
            )
            expected = queries + linear(attended, weights, "out.")
            np.testing.assert_allclose(recovered[clip, :, joint], expected, atol=1e-12)


def test_kept_tokens_have_positions_of_their_own_and_go_through_the_other_blocks() -> None:
    pruned = build(_pruned(), 2)
    drawn(pruned)
    host = pruned.host
    with torch.no_grad():
        tokens = host.block(0, host.tokens(_clip()))
        frames = torch.tensor([[0, 2, 5], [1, 2, 3]])
        kept = torch.stack([clip[row] for clip, row in zip(tokens, frames, strict=True)])
        kept = kept + pruned.position[0][None, :, None]
        for index in (1, 2):
            kept = host.block(index, kept)
        found, same = pruned._kept(_clip(), frames)
        torch.testing.assert_close(found, kept)
        assert torch.equal(same, frames)
        answer = host.positions(pruned.recovery(pruned._kept(_clip())[0]))
        torch.testing.assert_close(pruned.lift(_clip()), answer)


@pytest.mark.parametrize("nearest", [True, False])
def test_between_kept_frames_as_numpy_interpolates(nearest) -> None:
    rng = np.random.default_rng(0)
    frames = np.stack([np.sort(rng.choice(9, 4, replace=False)) for _ in range(5)])
    values = rng.normal(size=(5, 4, 2, 3))
    filled = between(torch.from_numpy(values), torch.from_numpy(frames), 9, nearest=nearest).numpy()
    for clip in range(5):
        for joint in range(2):
            for axis in range(3):
                known = values[clip, :, joint, axis]
                if nearest:
                    closest = [int(np.abs(frames[clip] - frame).argmin()) for frame in range(9)]
                    expected = known[closest]
                else:
                    expected = np.interp(np.arange(9), frames[clip], known)
                np.testing.assert_allclose(filled[clip, :, joint, axis], expected)


@pytest.mark.parametrize("host", HOSTS)
def test_without_recovery_kept_frames_are_learned_and_the_middle_is_answered(host, poses_of) -> None:
    lifter = build(_pruned(host, recover="none", keep=3), 2).eval()
    poses = DevicePoses.from_columns(poses_of(8, 0), "cpu", 6)
    batch, seen = poses.batch(torch.arange(5)), encoding("screen")
    inputs = seen.encode(batch.keypoints_px, batch.intrinsics).inputs
    (learned,) = lifter.answered(inputs)
    assert learned.positions.shape == (5, 3, 17, 3)
    answer = lifter(inputs)
    total = torch.zeros(())
    for clip in range(5):
        frames = learned.frames[clip].tolist()
        torch.testing.assert_close(answer[clip, 0], learned.positions[clip, frames.index(3)])
        for place, frame in enumerate(frames):
            truth = batch.positions_camera[clip, frame] - batch.positions_camera[clip, frame, :1]
            total = total + (learned.positions[clip, place] - truth).norm(dim=-1).mean() / 15
    torch.testing.assert_close(batch_loss(lifter, seen, batch, loss("mpjpe")), total)
    labelled, unlabelled = mixed_loss(lifter, seen, batch[:2], batch[2:], loss("mpjpe"))
    torch.testing.assert_close(unlabelled, answer[2:])
    assert torch.isfinite(labelled)


def test_the_mirrored_clip_is_lifted_with_the_frames_of_the_clip(poses_of) -> None:
    lifter = build(_pruned(), 2).float().eval()
    poses = DevicePoses.from_columns(poses_of(8, 0), "cpu", 6)
    batch, seen = poses.batch(torch.arange(5)), encoding("screen")
    other = mirror(batch, BODY)
    inputs, mirrored = (seen.encode(one.keypoints_px, one.intrinsics).inputs for one in (batch, other))
    with torch.no_grad():
        tokens, frames = lifter._kept(inputs)
        own = lifter._kept(mirrored)[1]
        assert not torch.equal(own, frames)  # left to itself, it would choose others
        plain = lifter._recovered(tokens, frames)
        flipped = lifter._recovered(lifter._kept(mirrored, frames)[0], frames)
        not_root = lifter.get_buffer("not_root")
        expected = (plain + mirror_positions(flipped, BODY)) / 2 * not_root
        averaged = lift_flip_averaged(lifter, seen, batch.keypoints_px, batch.intrinsics, BODY)
    torch.testing.assert_close(averaged, expected)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"keep": 7}, "more than the clip's 6 frames"),
        ({"before_block": 3}, "none of the lifter's blocks 1 to 2"),
        ({"heads": 3}, "not a multiple of heads"),
        ({"of": {"name": "semgcn"}}, "no blocks"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changed, told) -> None:
    with pytest.raises((ValidationError, LifterConfigError), match=told):
        _pruned(**changed)


def test_a_recipe_can_write_it_out() -> None:
    written = {
        "name": "pruned",
        "of": {"name": "mixste", "frames": 27, "width": 64, "depth": 3, "drop_path": 0.0},
        "keep": 9,
        "before_block": 1,
    }
    assert TypeAdapter(LifterConfig).validate_python(written) == PRESETS["hot-mixste-small"]
