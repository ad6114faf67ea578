"""Fine-tuning on target keypoints: what is drawn, when it counts, what is kept of it, and what is refused."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from poseshift.adaptation.config import GlobalPositionAdaptation, NoAdaptation, looks_at_target
from poseshift.adaptation.methods import METHODS
from poseshift.adaptation.plan import learns_beside_lifter, plan
from poseshift.adaptation.target_clips import Pairs, Tracks, Triples, shown
from poseshift.adaptation.tuning import TargetLoss, has_drifted
from poseshift.adaptation.tuning_config import TargetTuning
from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project, world_to_camera
from poseshift.geometry.rotation import axis_angle_to_matrix
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.schema import TrialKey
from poseshift.training.batches import DevicePoses
from poseshift.training.encoding import Encoding, encoding
from poseshift.training.fit import EpochLog, fit
from poseshift.training.flip import lift
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.registry import build
from poseshift.training.lifters.simple_baseline import SimpleBaselineConfig
from poseshift.training.lifters.videopose3d import VideoPose3DConfig
from poseshift.training.losses import loss
from poseshift.training.schedule import Schedule
from poseshift.training.step_loss import batch_loss, mixed_loss
from poseshift.training.transforms import TrainingRun

CPU = torch.device("cpu")
FRAMES = (40, 12)
SMALL = TargetTuning(tracks=4, frames=3, pairs=4, multi_view=0.3, check_every=2)
SCHEDULE = Schedule(epochs=4, steps_per_epoch=3, batch_size=16)


class InterruptionError(Exception):
    pass


def filmed(draw_people: Callable[..., np.ndarray], cameras: tuple[Camera, ...]) -> CameraPoses:
    """Two trials of different length before cameras at once, every second frame of each."""
    rng = np.random.default_rng(3)
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("positions_camera", "keypoints_px", "camera", "trial", "frame")
    }
    for trial, frames in enumerate(FRAMES):
        world = draw_people(rng, frames, depth=0.0)
        for number, camera in enumerate(cameras):
            seen = world_to_camera(world, camera.rotation, camera.translation).astype(np.float32)
            columns["positions_camera"].append(seen)
            columns["keypoints_px"].append(project(seen, camera.intrinsics).astype(np.float32))
            columns["camera"].append(np.full(frames, number, dtype=np.int32))
            columns["trial"].append(np.full(frames, trial, dtype=np.int32))
            columns["frame"].append(2 * np.arange(frames, dtype=np.int32))
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return CameraPoses(
        **joined,
        activity=np.zeros(len(joined["frame"]), dtype=np.int8),
        cameras=cameras,
        trials=tuple(TrialInfo(TrialKey("S1", f"t{i}"), "Walking", "1", 50.0) for i in range(len(FRAMES))),
        skeleton="human36m_17",
        snapshot="filmed",
    )


@pytest.fixture
def rig(square_camera: Camera) -> tuple[Camera, ...]:
    """Three cameras around the world's origin, four metres away."""
    turns = axis_angle_to_matrix(np.array([[0.0, angle, 0.0] for angle in (0.0, 1.0, 2.0)]))
    return tuple(
        dataclasses.replace(
            square_camera,
            name=str(number),
            rotation=tuple(map(tuple, turn.tolist())),
            translation=(0.0, 0.0, 4.0),
        )
        for number, turn in enumerate(turns)
    )


@pytest.fixture
def target(draw_people: Callable[..., np.ndarray], rig: tuple[Camera, ...]) -> CameraPoses:
    return filmed(draw_people, rig)


@pytest.fixture
def source(make_columns: Callable[..., CameraPoses], draw_people, square_camera: Camera) -> CameraPoses:
    return make_columns(
        draw_people(np.random.default_rng(0), 64), (square_camera,), np.zeros(64, dtype=np.int32)
    )


def test_a_track_is_one_view_spread_over_its_seconds(target: CameraPoses) -> None:
    rows = Tracks(target, 0.8, CPU).draw(500, 4, torch.Generator().manual_seed(0)).numpy()
    assert rows.shape == (500, 4)
    for column in (target.trial, target.camera):
        assert (column[rows] == column[rows[:, :1]]).all()
    seconds = target.frame[rows] / 50.0
    assert (np.diff(seconds, axis=1) >= 0).all()
    assert (np.diff(seconds, axis=1) > 0).mean() > 0.9, "one frame of each part"
    length = seconds[:, -1] - seconds[:, 0]
    assert length.max() <= 0.8
    long = target.trial[rows[:, 0]] == 0
    assert length[long].mean() > 0.5
    assert length[~long].max() <= (FRAMES[1] - 1) * 2 / 50.0
    assert set(np.unique(target.frame[rows])) == set(range(0, 80, 2)), "every frame is drawn"


def test_a_pair_is_one_moment_before_two_cameras(target: CameraPoses) -> None:
    gappy = target.take(np.arange(len(target)) % 7 != 0)
    rows = Pairs(gappy, CPU).draw(4000, torch.Generator().manual_seed(0)).numpy()
    first, second = rows.T
    assert (gappy.trial[first] == gappy.trial[second]).all()
    assert (gappy.frame[first] == gappy.frame[second]).all()
    assert (gappy.camera[first] != gappy.camera[second]).all()
    met = set(zip(gappy.camera[first].tolist(), gappy.camera[second].tolist(), strict=True))
    assert met == {(a, b) for a in range(3) for b in range(3) if a != b}


def test_answers_that_are_true_agree_in_the_world(target: CameraPoses, source: CameraPoses) -> None:
    """The rotations are used the right way round: camera axes to the world."""
    pairs = Pairs(target, CPU)
    rows = pairs.draw(50, torch.Generator().manual_seed(0)).flatten()
    truth = torch.as_tensor(target.positions_camera)[rows]
    relative = truth - truth[:, :1]
    rotation = pairs.rotation(rows)
    world = (relative @ rotation).view(50, 2, 17, 3)  # R^T p, row by row
    torch.testing.assert_close(world[:, 0], world[:, 1], atol=1e-5, rtol=0)


def test_views_that_cannot_agree_are_refused(target: CameraPoses, source: CameraPoses) -> None:
    apart = dataclasses.replace(target, frame=np.arange(len(target), dtype=np.int32))
    nowhere = tuple(
        dataclasses.replace(one, rotation=Camera.rotation, translation=Camera.translation)
        for one in target.cameras
    )
    held = tuple(dataclasses.replace(one, translation=Camera.translation) for one in target.cameras)
    useless_cameras = (dataclasses.replace(target, cameras=one) for one in (nowhere, held))
    for useless in (apart, *useless_cameras):
        with pytest.raises(ValueError, match=r"views cannot agree.*multi_view"):
            TargetLoss(SMALL, source, useless.unlabelled(), CPU)
    TargetLoss(TargetTuning(), source, apart.unlabelled(), CPU)


def test_poses_with_gaps_are_shown_filled_and_counted_as_unseen(target: CameraPoses) -> None:
    keypoints = target.keypoints_px.copy()
    keypoints[3, 5] = np.nan  # one joint of a frame
    keypoints[9, :12] = np.nan  # most of another
    keypoints[40:80, 2] = np.nan  # a joint of a whole view
    found = shown(dataclasses.replace(target, keypoints_px=keypoints))
    assert len(found.poses) == len(target) - 40 - 1
    assert found.poses.whole.all()
    assert not found.seen[3, 5]
    assert found.seen.sum() == found.seen.size - 1
    np.testing.assert_allclose(
        found.poses.keypoints_px[3, 5], (keypoints[2, 5] + keypoints[4, 5]) / 2, rtol=1e-5
    )
    with pytest.raises(ValueError, match="none of the"):
        shown(dataclasses.replace(target, keypoints_px=np.full_like(keypoints, np.nan)))


def train(
    source: CameraPoses,
    target: CameraPoses,
    folder: Path,
    config: TargetTuning | None = SMALL,
    lifter_config: SimpleBaselineConfig | VideoPose3DConfig | None = None,
    on_epoch: Callable[[EpochLog], None] | None = None,
):
    """Train a tiny lifter; its weights after every epoch, the log and the loss."""
    seen = encoding("perspective")
    lifter = build(lifter_config or SimpleBaselineConfig(width=16, blocks=1), seen.channels, seed=0)
    poses = DevicePoses.from_columns(source, CPU, lifter.frames)
    beside = None if config is None else TargetLoss(config, source, target.unlabelled(), CPU)
    weights = []

    def keep(log: EpochLog) -> None:
        weights.append([one.detach().clone() for one in lifter.state_dict().values()])
        if on_epoch is not None:
            on_epoch(log)

    result = fit(lifter, seen, poses, SCHEDULE, run_dir=folder, seed=1, beside=beside, on_epoch=keep)
    return weights, result, beside


def step(beside: TargetLoss, lifter: Lifter, seen: Encoding, rng: torch.Generator) -> Tensor:
    """The target's terms of one step, as the training loop asks for them."""
    batch = beside.draw(rng)
    assert batch is not None
    return beside.whole(torch.zeros(()), lift(lifter, seen, batch.keypoints_px, batch.intrinsics))


def equal(first, second) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_one_batch_of_both_gives_each_its_own(source, target) -> None:
    """With fixed statistics of normalisation, lifting together is lifting one after the other."""
    seen = encoding("perspective")
    lifter = build(SimpleBaselineConfig(width=16, blocks=1), 3, seed=0).eval()
    poses, others = (DevicePoses.from_columns(one, CPU, 1) for one in (source, target.unlabelled()))
    batch, shown_too = poses.batch(torch.arange(8)), others.batch(torch.arange(20))
    value, answers = mixed_loss(lifter, seen, batch, shown_too, loss("mpjpe"))
    torch.testing.assert_close(value, batch_loss(lifter, seen, batch, loss("mpjpe")))
    torch.testing.assert_close(answers, lift(lifter, seen, shown_too.keypoints_px, shown_too.intrinsics))


def test_the_first_share_is_that_of_a_training_without(source, target, tmp_path) -> None:
    plain, log, _ = train(source, target, tmp_path / "plain", None)
    tuned, tuned_log, _ = train(source, target, tmp_path / "tuned")
    assert equal(plain[1], tuned[1])
    assert not equal(plain[2], tuned[2])
    assert [one.step for one in log.history] == [one.step for one in tuned_log.history]


@pytest.mark.parametrize("stop_after", [1, 3])
def test_a_resumed_run_ends_like_an_undisturbed_one(source, target, tmp_path, stop_after) -> None:
    """Bit for bit: the lifter, and what was recorded."""
    whole, log, beside = train(source, target, tmp_path / "whole")

    def stop(entry: EpochLog) -> None:
        if entry.epoch == stop_after:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        train(source, target, tmp_path / "broken", on_epoch=stop)
    resumed, resumed_log, resumed_beside = train(source, target, tmp_path / "broken")
    assert equal(whole[-1], resumed[-1])
    assert [one.loss for one in resumed_log.history] == [one.loss for one in log.history]
    assert resumed_beside.checks == beside.checks
    assert [check.step for check in beside.checks] == [7, 9, 11, 12]


def test_a_state_without_the_terms_is_another_runs(source, target, tmp_path) -> None:
    train(source, target, tmp_path, None)
    with pytest.raises(ValueError, match="losses"):
        train(source, target, tmp_path)


def test_tuning_lowers_what_it_minimises(source, target) -> None:
    config = SMALL.model_copy(update={"first": 0.0, "labelled": 0.0, "bones": 3.0, "multi_view": 0.0})
    lifter = build(SimpleBaselineConfig(width=16, blocks=1, dropout=0.0), 3, seed=0)
    beside = TargetLoss(config, source, target.unlabelled(), CPU)
    beside.attach(TrainingRun(lifter, encoding("perspective"), 60))
    optimizer = torch.optim.Adam(lifter.parameters(), lr=1e-3)
    rng = torch.Generator().manual_seed(0)
    for _ in range(60):
        optimizer.zero_grad()
        step(beside, lifter, encoding("perspective"), rng).backward()
        optimizer.step()
    assert beside.checks[-1].bones < 0.7 * beside.checks[0].bones


def test_answers_that_drift_are_told(source, target, caplog) -> None:
    """A lifter whose depths are scaled away while it is tuned."""
    lifter = build(SimpleBaselineConfig(width=16, blocks=1), 2, seed=0)
    beside = TargetLoss(SMALL.model_copy(update={"first": 0.0}), source, target.unlabelled(), CPU)
    beside.attach(TrainingRun(lifter, encoding("screen"), 20))
    rng = torch.Generator().manual_seed(0)
    step(beside, lifter, encoding("screen"), rng)
    with torch.no_grad():
        lifter.head.weight.view(17, 3, -1)[:, 2] *= 0.1
        lifter.head.bias.view(17, 3)[:, 2] *= 0.1
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            step(beside, lifter, encoding("screen"), rng)
    assert "have drifted by step 3" in caplog.text
    assert beside.checks[1].depth_spread < 0.5 * beside.checks[0].depth_spread
    first = beside.checks[0]
    assert not has_drifted(first, first.model_copy(update={"size": 1.4 * first.size}))
    for name in ("size", "depth_spread"):
        for factor in (0.6, 1.6):
            assert has_drifted(first, first.model_copy(update={name: factor * getattr(first, name)}))


def test_lifters_of_clips_are_tuned_and_may_be_smooth(source, target, tmp_path) -> None:
    clips = VideoPose3DConfig(filter_widths=(3,), width=8)
    smooth = SMALL.model_copy(update={"smoothness": 0.1})
    _, _, plain = train(source, target, tmp_path / "plain", SMALL, clips)
    _, _, smoothed = train(source, target, tmp_path / "smooth", smooth, clips)
    assert plain.checks[-1].smoothness is None
    assert smoothed.checks[-1].smoothness > 0


def test_triples_are_evenly_spaced_frames_of_one_view(target: CameraPoses) -> None:
    gappy = target.take(np.arange(len(target)) % 9 != 4)
    rows = Triples(gappy, CPU).draw(2000, torch.Generator().manual_seed(0)).numpy()
    assert (gappy.trial[rows] == gappy.trial[rows[:, :1]]).all()
    assert (gappy.camera[rows] == gappy.camera[rows[:, :1]]).all()
    assert (np.diff(gappy.frame[rows], axis=1) == 2).all()
    with pytest.raises(ValueError, match="smoothness: 0"):
        Triples(target.take(np.arange(0, len(target), 60)), CPU)


def test_a_method_says_what_it_uses_and_learns_alone() -> None:
    for name in ("diverse_tuned", "diverse_multi_view"):
        method = METHODS[name]
        assert method.role == "adapted"
        assert learns_beside_lifter(method.adaptation)
        assert ("extrinsics" in str(method.parts)) == (name == "diverse_multi_view")
        stripped = method.adaptation.model_copy(update={"tuning": None})
        assert stripped == METHODS["diverse"].adaptation
    assert "tuning" not in METHODS["diverse"].adaptation.model_dump(), "digests stay what they were"
    assert METHODS["diverse"].parts.tuning == "none"
    assert not learns_beside_lifter(NoAdaptation())


def test_tuning_needs_a_target_and_a_weight(source, target) -> None:
    shuffled = GlobalPositionAdaptation(positions="source", tuning=TargetTuning())
    assert looks_at_target(shuffled)
    with pytest.raises(ValueError, match="needs a target"):
        plan(shuffled, source, None, seed=0, device=CPU)
    made = plan(shuffled, source, target.unlabelled(), seed=0, device=CPU)
    assert made.beside is not None
    with pytest.raises(ValidationError, match="every weight"):
        TargetTuning(reprojection=0, bones=0, symmetry=0)
