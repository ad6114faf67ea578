from dataclasses import replace

import numpy as np
import pytest
import torch

from poseshift.geometry.skeleton import skeleton
from poseshift.training.batches import DevicePoses
from poseshift.training.encoding import encoding


def test_single_frames_are_the_rows(poses) -> None:
    source = DevicePoses.from_columns(poses, "cpu", frames=1)
    rows = torch.tensor([100, 3, 3, 40])
    batch = source.batch(rows)
    assert len(batch) == 4
    np.testing.assert_array_equal(batch.positions_camera[:, 0], poses.positions_camera[rows])
    np.testing.assert_array_equal(batch.keypoints_px[:, 0], poses.keypoints_px[rows])
    for row, camera in enumerate(poses.camera[rows]):
        assert batch.intrinsics.focal_px[row].tolist() == pytest.approx(poses.cameras[camera].focal_px)
        assert batch.intrinsics.size_px[row].tolist() == list(poses.cameras[camera].size_px)


def test_root_relative(poses) -> None:
    batch = DevicePoses.from_columns(poses, "cpu", frames=1).batch(torch.arange(5))
    relative = batch.root_relative(skeleton("human36m_17"))
    assert (relative[..., 0, :] == 0).all()
    expected = poses.positions_camera[:5] - poses.positions_camera[:5, :1]
    np.testing.assert_array_equal(relative[:, 0], expected)


@pytest.mark.parametrize("frames", [2, 3, 5, 81])
def test_clips_stay_in_their_run_and_repeat_its_ends(poses, frames) -> None:
    """Against a plain loop over the frames of each clip."""
    source = DevicePoses.from_columns(poses, "cpu", frames=frames)
    batch = source.batch(torch.arange(len(source)))
    for row in range(0, len(source), 5):
        same = np.flatnonzero((poses.trial == poses.trial[row]) & (poses.camera == poses.camera[row]))
        clip = [int(np.clip(row + k - frames // 2, same[0], same[-1])) for k in range(frames)]
        np.testing.assert_array_equal(batch.keypoints_px[row], poses.keypoints_px[clip])


def test_a_gap_in_the_frames_ends_a_run(poses) -> None:
    every_second = poses.take(np.arange(0, 32, 2))
    gap = every_second.take(np.delete(np.arange(16), [7, 8]))
    source = DevicePoses.from_columns(gap, "cpu", frames=3)
    batch = source.batch(torch.tensor([6, 7]))
    np.testing.assert_array_equal(batch.positions_camera[0], gap.positions_camera[[5, 6, 6]])
    np.testing.assert_array_equal(batch.positions_camera[1], gap.positions_camera[[7, 7, 8]])


def test_up_is_known_when_it_is_known_of_every_camera(poses) -> None:
    level = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
    first, second = (replace(camera, rotation=level) for camera in poses.cameras)
    both = DevicePoses.from_columns(replace(poses, cameras=(first, second)), "cpu", frames=1)
    assert both.batch(torch.arange(3)).up_camera.tolist() == [[0.0, -1.0, 0.0]] * 3
    for cameras in (poses.cameras, (first, poses.cameras[1])):
        partly = DevicePoses.from_columns(replace(poses, cameras=cameras), "cpu", frames=1)
        assert partly.up_camera is None
        assert partly.batch(torch.arange(3)).up_camera is None


def test_nothing_selected_is_refused(poses) -> None:
    with pytest.raises(ValueError, match="holds no poses"):
        DevicePoses.from_columns(poses.take(np.arange(0)), "cpu", frames=1)
    with pytest.raises(ValueError, match="at least one frame"):
        DevicePoses.from_columns(poses, "cpu", frames=0)


@pytest.mark.parametrize("frames", [1, 2, 5, 81])
def test_a_part_gives_the_clips_of_the_whole(poses, frames) -> None:
    whole = DevicePoses.from_columns(poses, "cpu", frames=frames)
    first, last = len(whole) // 3, 2 * len(whole) // 3
    part = whole.part(first, last)
    rows = torch.arange(first, last)
    expected, found = whole.batch(rows), part.batch(rows - max(0, first - frames // 2))
    assert torch.equal(found.keypoints_px, expected.keypoints_px)
    assert torch.equal(found.positions_camera, expected.positions_camera)
    assert len(part) <= last - first + 2 * (frames // 2)


def test_keypoints_that_are_replaced_are_what_an_encoding_sees(poses) -> None:
    """A transform, a user's own among them, may change keypoints and knows nothing of rays."""
    source = DevicePoses.from_columns(poses, "cpu", frames=1).with_rays()
    batch = source.batch(torch.arange(20))
    assert batch.rays is not None
    moved = replace(batch, keypoints_px=batch.keypoints_px + 25 * torch.randn(batch.keypoints_px.shape))
    chosen = encoding("ray")
    seen = chosen.encode(moved.keypoints_px, moved.intrinsics, rays=moved.rays).inputs
    torch.testing.assert_close(seen, chosen.encode(moved.keypoints_px, moved.intrinsics).inputs)
    assert (seen - batch.rays).abs().max() > 0.02
