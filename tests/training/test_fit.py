import dataclasses
import logging

import pytest
import torch

from poseshift.geometry.skeleton import skeleton
from poseshift.training.batches import Batch, DevicePoses
from poseshift.training.encoding import encoding
from poseshift.training.fit import RowOrder, fit
from poseshift.training.flip import lift
from poseshift.training.lifters.ampose import AMPoseConfig
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.registry import build
from poseshift.training.losses import loss
from poseshift.training.run_state import STATE_FILE
from poseshift.training.schedule import Schedule
from poseshift.training.step_loss import batch_loss

BODY = skeleton("human36m_17")
TINY = AMPoseConfig(width=8, pairs=1, heads=2, dropout=0.2)
FULL = Schedule(epochs=4, steps_per_epoch=3, batch_size=16, ema_decay=0.8, warmup_steps=2)


class InterruptionError(Exception):
    """Raised by the tests in the middle of a run."""


@pytest.fixture
def source(poses) -> DevicePoses:
    return DevicePoses.from_columns(poses, "cpu", frames=1)


def shake(batch: Batch, generator: torch.Generator) -> Batch:
    """A random transform: pixel noise."""
    noise = torch.randn(batch.keypoints_px.shape, generator=generator)
    return dataclasses.replace(batch, keypoints_px=batch.keypoints_px + noise)


def train(source, run_dir, *, schedule=FULL, seed=5, transforms=(shake,), on_epoch=None, seen="perspective"):
    chosen = encoding(seen)
    lifter = build(TINY, chosen.channels)
    return fit(
        lifter,
        chosen,
        source,
        schedule,
        run_dir=run_dir,
        seed=seed,
        transforms=transforms,
        on_epoch=on_epoch,
    )


def same_weights(first: Lifter, second: Lifter) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def test_exactly_repeatable_algorithms_train_every_part(source, tmp_path) -> None:
    exact = FULL.model_copy(update={"repeatability": "exact"})
    first = train(source, tmp_path / "a", schedule=exact)
    assert same_weights(first.lifter, train(source, tmp_path / "b", schedule=exact).lifter)
    assert not torch.are_deterministic_algorithms_enabled()


def test_same_seed_same_weights(source, tmp_path) -> None:
    before = torch.get_rng_state()
    first = train(source, tmp_path / "a")
    torch.manual_seed(99)  # the caller's generator has no say
    again = train(source, tmp_path / "b")
    other = train(source, tmp_path / "c", seed=6)
    assert same_weights(first.lifter, again.lifter)
    assert not same_weights(first.lifter, other.lifter)
    torch.set_rng_state(before)


@pytest.mark.parametrize("checkpoint_every", [1, 2])
def test_interrupted_after_an_epoch_ends_like_undisturbed(source, tmp_path, checkpoint_every) -> None:
    schedule = FULL.model_copy(update={"checkpoint_every": checkpoint_every})
    undisturbed = train(source, tmp_path / "whole", schedule=schedule)

    def stop(log) -> None:
        if log.epoch == 3:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        train(source, tmp_path / "broken", schedule=schedule, on_epoch=stop)
    epochs: list[int] = []
    resumed = train(
        source, tmp_path / "broken", schedule=schedule, on_epoch=lambda log: epochs.append(log.epoch)
    )
    assert epochs == ([4] if checkpoint_every == 1 else [3, 4])
    assert same_weights(undisturbed.lifter, resumed.lifter)
    assert [log.loss for log in resumed.history] == [log.loss for log in undisturbed.history]


def test_interrupted_within_an_epoch_ends_like_undisturbed(source, tmp_path) -> None:
    undisturbed = train(source, tmp_path / "whole")
    calls = 0

    def breaks(batch: Batch, generator: torch.Generator) -> Batch:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise InterruptionError
        return shake(batch, generator)

    with pytest.raises(InterruptionError):
        train(source, tmp_path / "broken", transforms=(breaks,))
    resumed = train(source, tmp_path / "broken")
    assert same_weights(undisturbed.lifter, resumed.lifter)


def test_a_finished_run_is_not_trained_again(source, tmp_path) -> None:
    first = train(source, tmp_path)
    again = train(source, tmp_path, on_epoch=lambda log: pytest.fail("trained again"))
    assert same_weights(first.lifter, again.lifter)
    assert again.history == first.history


def test_the_state_of_another_run_is_refused(source, tmp_path) -> None:
    train(source, tmp_path)
    with pytest.raises(ValueError, match="different seed"):
        train(source, tmp_path, seed=7)
    with pytest.raises(ValueError, match="different schedule"):
        train(source, tmp_path, schedule=FULL.model_copy(update={"epochs": 5}))
    with pytest.raises(ValueError, match="different encoding, weights"):
        train(source, tmp_path, seen="screen")
    with pytest.raises(ValueError, match="different snapshot"):
        train(dataclasses.replace(source, snapshot="another"), tmp_path)


def test_a_damaged_state_is_refused(source, tmp_path) -> None:
    train(source, tmp_path)
    state = tmp_path / STATE_FILE
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(ValueError, match="delete it to train from the start"):
        train(source, tmp_path)


def test_learns_a_small_data_set(poses_of, tmp_path) -> None:
    """Eight poses with random joints by heart: under a centimetre, from over 7 cm for their mean."""
    source = DevicePoses.from_columns(poses_of(2, 1), "cpu", frames=1)
    chosen = encoding("ray")
    lifter = build(AMPoseConfig(width=32, pairs=2, heads=4, dropout=0.0), chosen.channels)
    schedule = Schedule(
        epochs=2,
        steps_per_epoch=250,
        batch_size=8,
        learning_rate=5e-3,
        warmup_steps=20,
        flip_probability=0.0,
    )
    fit(lifter, chosen, source, schedule, run_dir=tmp_path, seed=0)
    batch = source.batch(torch.arange(len(source)))
    with torch.no_grad():
        lifted = lift(lifter, chosen, batch.keypoints_px, batch.intrinsics)
    truth = batch.root_relative(BODY)
    error = (lifted - truth).norm(dim=-1).mean()
    by_mean_pose = (truth.mean(dim=0) - truth).norm(dim=-1).mean()
    assert by_mean_pose > 0.07
    assert error < 0.01


def test_averaged_weights_are_the_result(source, tmp_path) -> None:
    """With one step of decay d after the first, the result is d * first + (1 - d) * second."""
    steps = [Schedule(epochs=n, steps_per_epoch=1, batch_size=16, decay="constant") for n in (1, 2)]
    raw = [
        train(source, tmp_path / str(n), schedule=schedule, transforms=()).lifter
        for n, schedule in enumerate(steps)
    ]
    averaged = train(
        source, tmp_path / "ema", schedule=steps[1].model_copy(update={"ema_decay": 0.75}), transforms=()
    ).lifter
    first, second = (lifter.head.weight for lifter in raw)
    torch.testing.assert_close(averaged.head.weight, 0.75 * first + 0.25 * second)


def test_epoch_log(source, tmp_path, caplog) -> None:
    seen = []
    with caplog.at_level(logging.INFO, logger="poseshift.training.fit"):
        result = train(source, tmp_path, on_epoch=seen.append)
    assert tuple(seen) == result.history
    assert [log.step for log in seen] == [3, 6, 9, 12]
    last = FULL.learning_rate * FULL.rate_factor(11, 12)
    assert seen[-1].learning_rate == pytest.approx(last)
    assert all(log.seconds > 0 and log.samples_per_second > 0 for log in seen)
    assert "epoch 4, step 12" in caplog.text
    assert list((tmp_path / "tensorboard").iterdir())


def test_diverging_is_an_error_and_leaves_no_checkpoint(source, tmp_path) -> None:
    broken = dataclasses.replace(source, keypoints_px=source.keypoints_px * float("nan"))
    with pytest.raises(FloatingPointError, match="missing keypoints"):
        train(broken, tmp_path)
    assert not (tmp_path / STATE_FILE).exists()


def test_what_does_not_fit_together_is_refused(source, poses, tmp_path) -> None:
    lifter = build(TINY, 2)
    schedule = Schedule()
    with pytest.raises(ValueError, match="number of channels is 2"):
        fit(lifter, encoding("perspective"), source, schedule, run_dir=tmp_path, seed=0)
    clips = DevicePoses.from_columns(poses, "cpu", frames=9)
    with pytest.raises(ValueError, match="clip length is 1"):
        fit(lifter, encoding("ray"), clips, schedule, run_dir=tmp_path, seed=0)


def test_rows_of_a_pass_are_each_row_once() -> None:
    order = RowOrder(rows=10, batch_size=3, seed=1)
    passes = [[order(3 * number + place).tolist() for place in range(3)] for number in range(2)]
    for batches in passes:
        rows = [row for batch in batches for row in batch]
        assert len(rows) == len(set(rows)) == 9
        assert set(rows) <= set(range(10))
    assert passes[0] != passes[1]
    assert RowOrder(rows=10, batch_size=3, seed=1)(4).tolist() == passes[1][1]
    assert RowOrder(rows=4, batch_size=99, seed=1)(7).sort().values.tolist() == [0, 1, 2, 3]


class MiddleLifter(Lifter):
    """Answers for the middle frame: each joint's two coordinates and a zero."""

    def __init__(self) -> None:
        super().__init__(frames=3, output="centre", channels=2, skeleton="human36m_17")

    def lift(self, keypoints: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(keypoints[:, 1:2], (0, 1))


def test_centre_lifters_are_measured_on_the_middle_frame(poses) -> None:
    source = DevicePoses.from_columns(poses, "cpu", frames=3)
    batch = source.batch(torch.arange(7))
    value = batch_loss(MiddleLifter(), encoding("ray"), batch, loss("mpjpe"))
    middle = batch.positions_camera[:, 1]
    prediction = torch.nn.functional.pad(middle[..., :2] / middle[..., 2:], (0, 1))
    prediction[:, 0] = 0
    expected = (prediction - (middle - middle[:, :1])).norm(dim=-1).mean()
    torch.testing.assert_close(value, expected, atol=1e-5, rtol=0)


def test_adam_is_another_optimiser_and_resumes(source, tmp_path) -> None:
    adam = FULL.model_copy(update={"optimizer": "adam", "loss": "mse", "decay": "linear"})
    first = train(source, tmp_path / "a", schedule=adam)
    assert not same_weights(first.lifter, train(source, tmp_path / "b").lifter)

    def stop(log) -> None:
        if log.epoch == 2:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        train(source, tmp_path / "c", schedule=adam, on_epoch=stop)
    assert same_weights(first.lifter, train(source, tmp_path / "c", schedule=adam).lifter)
