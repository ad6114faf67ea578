"""Windows and clips at test, against the protocols written out frame by frame."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from poseshift.geometry.bones import bone_lengths
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.frame_rates import slowest_hz
from poseshift.training.answer import Answer, RaysBlend, RaysOff, RaysSnap
from poseshift.training.batches import DevicePoses
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.encoding import encoding
from poseshift.training.evaluation.answering import predict, predict_each, window_starts
from poseshift.training.lifters.lifter import Lifter, Output
from poseshift.training.lifters.videopose3d import VideoPose3DConfig

BODY = skeleton("human36m_17")


class Mixing(Lifter):
    """Every frame's answer depends on every frame of the clip, and on where it is in it."""

    def __init__(self, frames: int, output: Output) -> None:
        super().__init__(frames=frames, output=output, channels=2, skeleton="human36m_17")
        torch.manual_seed(0)
        self.over_time = nn.Linear(frames, frames)
        self.head = nn.Linear(2, 3)

    def lift(self, keypoints: Tensor) -> Tensor:
        mixed = self.over_time(keypoints.movedim(1, -1)).movedim(-1, 1)
        answers: Tensor = self.head(mixed)
        middle = self.frames // 2
        return answers if self.output == "all" else answers[:, middle : middle + 1]


def trained(frames: int, output: Output, hz: float | None = 50.0) -> TrainedLifter:
    lifter = Mixing(frames, output).eval()
    return TrainedLifter(lifter, encoding("screen"), VideoPose3DConfig(), {"sampling_hz": hz})


def screen(poses, rows):
    """Screen coordinates of rows of one camera, by hand."""
    camera = poses.cameras[poses.camera[rows[0]]]
    width, height = camera.size_px
    return poses.keypoints_px[rows] * 2 / width - np.array([1, height / width])


def lifted(one: TrainedLifter, clip) -> np.ndarray:
    with torch.no_grad():
        return one.lifter(torch.as_tensor(clip, dtype=torch.float32)[None])[0].numpy()


def mirrored(values: np.ndarray) -> np.ndarray:
    """Mirror (..., joints, 2 or 3) about x = 0, left for right."""
    swapped = values[..., list(BODY.mirrored), :].copy()
    swapped[..., 0] *= -1
    return swapped


@pytest.mark.parametrize("frames_of_run", [3, 5, 10, 13])
@pytest.mark.parametrize("test_time", ["plain", "flip"])
def test_windows_do_not_overlap_and_the_last_ends_with_the_recording(make_poses, frames_of_run, test_time):
    poses, one, size = make_poses(frames=frames_of_run), trained(5, "all"), 5
    expected = np.full((len(poses), 17, 3), np.nan)
    for begin in range(0, len(poses), frames_of_run):
        run = list(range(begin, begin + frames_of_run))
        starts = list(range(0, frames_of_run - size + 1, size))
        if not starts or starts[-1] + size < frames_of_run:
            starts.append(max(0, frames_of_run - size))
        for start in starts:
            window = [run[min(start + k, frames_of_run - 1)] for k in range(size)]
            clip = screen(poses, window)
            answer = lifted(one, clip)
            if test_time == "flip":
                answer = (answer + mirrored(lifted(one, mirrored(clip)))) / 2
            for k, row in enumerate(window):
                if np.isnan(expected[row]).any():
                    expected[row] = answer[k]
    for batch_size in (4096, 7):
        found = predict(one, poses, test_time=test_time, batch_size=batch_size)
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("output", ["centre", "all"])
@pytest.mark.parametrize(("learned_hz", "step"), [(25.0, 2.0), (100.0, 0.5), (40.0, 1.25)])
def test_clips_are_shown_at_the_rate_that_was_learned(make_poses, caplog, output, learned_hz, step):
    """Rows come at 50 Hz; every row is the middle of a clip of five frames, step rows apart."""
    poses, one = make_poses(frames=9), trained(5, output, learned_hz)
    expected = []
    for row in range(len(poses)):
        first = 9 * (row // 9)
        run = screen(poses, list(range(first, first + 9)))
        places = [min(max(row - first + step * k, 0), 8) for k in range(-2, 3)]
        clip = [
            np.apply_along_axis(lambda track, at=at: np.interp(at, np.arange(9), track), 0, run)
            for at in places
        ]
        answer = lifted(one, np.array(clip))
        expected.append(answer[2] if output == "all" else answer[0])
    np.testing.assert_allclose(predict(one, poses, batch_size=7), expected, atol=1e-5)
    assert f"at {learned_hz:.4g} Hz: motion at 50 Hz is shown to it at that rate" in caplog.text


def test_trials_of_several_rates_are_each_shown_at_the_one(make_poses):
    poses = make_poses(frames=9)
    fast, slow = poses.trials
    poses = replace(poses, trials=(fast, replace(slow, fps=25.0)))
    assert slowest_hz(poses) == 25.0
    columns = DevicePoses.from_columns(poses, "cpu", 3, hz=25.0)
    clips = columns.batch(torch.tensor([4, 9 * 3 + 4])).keypoints_px
    np.testing.assert_allclose(clips[0], poses.keypoints_px[[2, 4, 6]], atol=1e-4)
    np.testing.assert_allclose(clips[1], poses.keypoints_px[[30, 31, 32]], atol=1e-4)


def test_a_rate_that_is_not_known_is_told_and_an_equal_one_is_not(make_poses, caplog):
    predict(trained(5, "centre", 49.0), make_poses())
    assert not caplog.text
    predict(trained(5, "centre", None), make_poses())
    assert "does not say at which frame rate it has learned clips of 5 frames" in caplog.text


def test_all_frames_of_a_view_have_one_body_where_the_lifter_answers_so(make_poses):
    poses = make_poses(frames=30)
    plain = trained(1, "centre")
    answers = {
        body: predict(replace(plain, answer=Answer(rays=RaysSnap(body=body))), poses)
        for body in ("frame", "view")
    }

    def spread(answer):
        lengths = bone_lengths(answer, BODY)
        return np.mean([lengths[rows].std(axis=0) for rows in poses.view_rows])

    assert answers["view"].dtype == np.float32
    assert spread(answers["view"]) < 0.5 * spread(answers["frame"])
    # What the frames of one view show does not reach another.
    first = poses.view_rows[0]
    alone = predict(replace(plain, answer=Answer(rays=RaysSnap(body="view"))), poses.take(first))
    np.testing.assert_allclose(answers["view"][first], alone, atol=1e-5)


@pytest.mark.parametrize("output", ["centre", "all"])
@pytest.mark.parametrize("hz", [50.0, 25.0])
def test_rows_asked_for_are_answered_as_among_all(make_poses, output, hz):
    poses, one = make_poses(frames=9), trained(5, output, hz)
    rows = np.arange(1, len(poses), 4)
    answers = [Answer(rays=RaysSnap()), Answer(rays=RaysBlend(), largest_body_m=1.0), Answer(rays=RaysOff())]
    found = predict_each(one, poses, answers, rows=rows, test_time="flip", batch_size=3)
    for answer, part in zip(answers, found, strict=True):
        alone = predict(replace(one, answer=answer), poses, test_time="flip")
        np.testing.assert_allclose(part, alone[rows], atol=1e-5)
    assert np.abs(found[0] - found[2]).max() > 0.01


def test_one_body_is_that_of_the_rows_asked_for(make_poses):
    poses, rows = make_poses(frames=30), np.arange(0, 120, 5)
    answer = Answer(rays=RaysSnap(body="view"))
    (found,) = predict_each(trained(1, "centre"), poses, [answer], rows=rows)
    alone = predict(replace(trained(1, "centre"), answer=answer), poses.take(rows))
    np.testing.assert_allclose(found, alone, atol=1e-5)


def test_every_row_is_in_a_window(make_poses):
    columns = DevicePoses.from_columns(make_poses(frames=7), "cpu", 5)
    assert window_starts(columns).tolist() == [0, 2, 7, 9, 14, 16, 21, 23]
