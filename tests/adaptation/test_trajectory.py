"""Clips that follow the roots of target clips, against the rule written out frame by frame."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from poseshift.adaptation.global_position import GlobalPositionAlignment, GlobalPositionConfig, match
from poseshift.adaptation.target_keypoints import TargetKeypoints, TargetRuns
from poseshift.geometry.camera import stack_intrinsics
from poseshift.geometry.projection import normalise, project
from poseshift.training.batches import Batch

FRAMES, ROOT = 7, 0


def walkers(rng, runs, frames, step_m, depth=5.0):
    """People (runs * frames, 17, 3) whose limbs and roots move smoothly; a root by step_m from row to row."""
    bodies = rng.normal(scale=0.35, size=(runs, 1, 17, 3)) + np.cumsum(
        rng.normal(scale=0.01, size=(runs, frames, 17, 3)), axis=1
    )
    heading = rng.normal(size=(runs, 1, 3)) * [1, 0.1, 1]
    heading /= np.linalg.norm(heading, axis=-1, keepdims=True)
    root = rng.uniform([-0.5, -0.3, depth], [0.5, 0.3, depth + 1], size=(runs, 1, 3))
    roots = root + step_m * heading * np.arange(frames)[None, :, None]
    bodies = bodies - bodies[:, :, :1]
    return (bodies + roots[:, :, None]).reshape(-1, 17, 3).astype(np.float32)


@pytest.fixture
def target_of(make_columns, square_camera, wide_camera):
    """Keypoints of two recordings of 20 rows each, at 50 rows a second."""

    def make(step_m, clip_hz=50.0):
        people = walkers(np.random.default_rng(1), 2, 20, step_m)
        camera = np.repeat([0, 1], 20).astype(np.int32)
        return TargetKeypoints.from_poses(make_columns(people, (square_camera, wide_camera), camera), clip_hz)

    return make


@pytest.fixture
def batch(distorted_camera):
    clips = walkers(np.random.default_rng(2), 12, FRAMES, 0.02).reshape(12, FRAMES, 17, 3)
    positions = torch.as_tensor(clips, dtype=torch.float64)
    intrinsics = stack_intrinsics([distorted_camera] * 12).map(torch.as_tensor)
    return Batch(positions, project(positions, intrinsics), intrinsics)


def moved(target, batch, rows, **options):
    transform = GlobalPositionAlignment(GlobalPositionConfig(**options), target)
    return transform.move(batch, torch.as_tensor(rows), torch.Generator())


def clip_rows(row, step=1):
    """Rows of the clip about a row of a recording of 20, padded at its ends."""
    first = 20 * (row // 20)
    return [min(max(row + step * k, first), first + 19) for k in range(-(FRAMES // 2), FRAMES // 2 + 1)]


ROWS = [0, 1, 5, 9, 17, 19, 20, 22, 28, 30, 36, 39]


@pytest.mark.parametrize(("clip_hz", "step"), [(50.0, 1), (25.0, 2)])
def test_roots_are_seen_where_the_targets_are_in_every_frame(target_of, batch, clip_hz, step):
    target = target_of(0.02, clip_hz)
    result = moved(target, batch, ROWS)
    seen = normalise(result.keypoints_px, result.intrinsics)[:, :, ROOT].numpy()
    for number, row in enumerate(ROWS):
        np.testing.assert_allclose(seen[number], target.rays[clip_rows(row, step), ROOT], atol=1e-5)
    # Bodies are what they were, frame by frame: limbs move as before, and bones have their lengths.
    before, after = (one.positions_camera - one.positions_camera[:, :, :1] for one in (batch, result))
    torch.testing.assert_close(before, after)


def test_the_rule_written_out(target_of, batch):
    """Depth by the middle frame, changed by the source's own way in depth; fast ways shortened about it."""
    target = target_of(0.12)  # 6 m/s at the target's own size
    result = moved(target, batch, ROWS, fastest_m_s=3.0)
    intrinsics = stack_intrinsics(target.cameras)[target.camera[ROWS]]
    poses = batch.positions_camera.numpy()
    depth = match(poses[:, 3], target.rays[ROWS].astype(float), intrinsics, root=ROOT, root_form="ray").depth
    shortened = 0
    for number, row in enumerate(ROWS):
        roots = []
        for frame, at in enumerate(clip_rows(row)):
            z = depth[number] + poses[number, frame, ROOT, 2] - poses[number, 3, ROOT, 2]
            u, v = target.rays[at, ROOT]
            roots.append([u * z, v * z, z])
        way = np.array(roots) - roots[3]
        speed = np.mean([np.linalg.norm(way[t + 1] - way[t]) for t in range(FRAMES - 1)]) * 50
        if speed > 3.0:
            way, shortened = way * 3.0 / speed, shortened + 1
        found = result.positions_camera[number, :, ROOT].numpy()
        np.testing.assert_allclose(found, roots[3] + way, atol=1e-4)
        assert np.linalg.norm(np.diff(found, axis=0), axis=1).mean() * 50 <= 3.0 + 1e-6
    assert 3 <= shortened < len(ROWS)


def test_a_frame_alone_is_placed_as_the_middle_of_its_clip(target_of, batch):
    target = target_of(0.05)
    alone = Batch(batch.positions_camera[:, 3:4], batch.keypoints_px[:, 3:4], batch.intrinsics)
    clips, single = (moved(target, one, ROWS).positions_camera for one in (batch, alone))
    torch.testing.assert_close(clips[:, 3:4], single)


def test_nobody_comes_too_near_on_the_way(target_of, batch):
    towards = torch.zeros(12, FRAMES, 1, 3, dtype=torch.float64)
    towards[..., 2] = -0.5 * torch.arange(FRAMES)[:, None]
    nearing = replace(batch, positions_camera=batch.positions_camera + towards)
    for fastest in (1.0, 100.0):
        result = moved(target_of(0.02), nearing, ROWS, nearest_m=4.5, fastest_m_s=fastest)
        assert float(result.positions_camera[..., 2].min()) >= 4.5 - 1e-6


def test_controls_move_as_they_say(target_of, batch):
    target = target_of(0.05)
    own = batch.positions_camera[:, :, ROOT] - batch.positions_camera[:, 3:4, ROOT]
    for options in ({"trajectory": "source"}, {"copied": "scale_only"}):
        roots = moved(target, batch, ROWS, **options).positions_camera[:, :, ROOT]
        torch.testing.assert_close(roots - roots[:, 3:4], own)
    roots = moved(target, batch, ROWS).positions_camera[:, :, ROOT]
    assert float((roots - roots[:, 3:4] - own).abs().max()) > 0.05


def test_unknown_recordings_are_refused(target_of, batch):
    target = replace(target_of(0.05), runs=None)
    with pytest.raises(ValueError, match="do not say which follow each other"):
        moved(target, batch, ROWS)


def test_repeated_and_joined_runs_stay_apart(target_of):
    runs = target_of(0.05).runs
    assert runs is not None
    short = TargetRuns(np.array([0, 0, 0]), np.array([2, 2, 2]), np.full(3, 2.0), runs.hz)
    joined = runs.joined(short.repeated(8))
    assert joined.first[40:].tolist() == [40, 40, 40, 43, 43, 43, 46, 46]
    assert joined.last[40:].tolist() == [42, 42, 42, 45, 45, 45, 47, 47]
    assert (joined.rows_per_frame[:40] == 1).all()
    assert (joined.rows_per_frame[40:] == 2).all()
