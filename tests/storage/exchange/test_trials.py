"""Imported frames keep their distance in time: steps become rates, and what is missing leaves a gap."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.exchange import pstmo
from poseshift.storage.exchange.trials import trials_of
from poseshift.storage.frame_rates import sampling_hz
from poseshift.storage.pose_runs import PoseRun, columns_of
from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.storage.schema import SourceFile, Trial, TrialKey
from poseshift.storage.store import PoseStore
from poseshift.training.batches import DevicePoses

SOURCE = SourceFile("a.npz", 1, "0" * 64)
MakeColumns = Callable[[NDArray[np.float32], list[Camera], NDArray[np.int32]], CameraPoses]


@pytest.fixture
def at_frames(make_columns: MakeColumns, square_camera: Camera) -> Callable[..., CameraPoses]:
    """Columns of views with these frame numbers at 50 Hz, of a person who moves by a centimetre a frame."""

    def columns(*views: list[int]) -> CameraPoses:
        cameras = [replace(square_camera, name=f"TS{number}") for number in range(len(views))]
        camera = np.repeat(np.arange(len(views), dtype=np.int32), [len(view) for view in views])
        frame = np.concatenate([np.array(view, dtype=np.int32) for view in views])
        positions = np.zeros((len(frame), 17, 3), dtype=np.float32)
        positions[..., 2] = 5
        positions[..., 0] = 0.01 * frame[:, None]
        return replace(make_columns(positions, cameras, camera), frame=frame)

    return columns


def stored(trials: list[Trial], place: Path) -> PoseStore:
    store = PoseStore.create(place, "mpi_inf_3dhp_test")
    with store.transaction("write") as transaction:
        for trial in trials:
            transaction.write(trial)
    return store


def test_every_fifth_frame_is_stored_at_a_fifth_of_the_rate(at_frames, tmp_path: Path) -> None:
    trials = list(trials_of(at_frames([100, 105, 110, 115], [3, 8, 13]), SOURCE))
    assert [(trial.fps, trial.frame_number) for trial in trials] == [(10.0, None)] * 2
    assert [trial.options for trial in trials] == [{"frame_step": "5"}] * 2
    poses = read_camera_poses(stored(trials, tmp_path / "store"))
    assert sampling_hz(poses) == 10.0
    assert DevicePoses.from_columns(poses, "cpu", 3).run_first.tolist() == [0, 0, 0, 0, 4, 4, 4]
    speed = np.diff(poses.positions_camera[:4, 0, 0]) * poses.trials[0].fps
    np.testing.assert_allclose(speed, 0.01 * 50, rtol=1e-5)


def test_missing_frames_leave_a_gap(at_frames, tmp_path: Path) -> None:
    trials = list(trials_of(at_frames([0, 5, 10, 20, 25], [0, 5, 10, 15, 20]), SOURCE))
    assert trials[0].frame_number is not None
    assert trials[0].frame_number.tolist() == [0, 1, 2, 4, 5]
    assert trials[1].frame_number is None
    store = stored(trials, tmp_path / "store")
    poses = read_camera_poses(store)
    assert poses.frame.tolist() == [0, 1, 2, 4, 5, 0, 1, 2, 3, 4]
    assert DevicePoses.from_columns(poses, "cpu", 3).run_first.tolist() == [0, 0, 0, 3, 3, 5, 5, 5, 5, 5]
    every_other = read_camera_poses(store, Selection(frame_step=2))
    assert every_other.frame.tolist() == [0, 2, 4, 0, 2, 4]
    again = store.read(trials[0].key)
    np.testing.assert_array_equal(again.frame_number, trials[0].frame_number)
    assert store.verify().problems == ()
    with pytest.raises(ValueError, match="lacks frames of its recording"):
        pstmo.export_test(store, tmp_path / "out.npz", "annotated")


def test_a_view_of_two_far_frames_has_no_rate_of_its_own(at_frames) -> None:
    trials = list(trials_of(at_frames([0, 5, 10, 15], [0, 20], [7]), SOURCE))
    assert [trial.fps for trial in trials] == [10.0] * 3
    assert trials[1].frame_number.tolist() == [0, 4]
    assert trials[2].frame_number is None


def test_a_frame_that_comes_twice_is_refused(at_frames) -> None:
    with pytest.raises(ValueError, match="a frame twice"):
        list(trials_of(at_frames([0, 1, 1, 2]), SOURCE))


def test_numbers_that_do_not_rise_are_no_trial(at_frames, tmp_path: Path) -> None:
    trial = next(iter(trials_of(at_frames([0, 1, 3]), SOURCE)))
    wrong = replace(trial, frame_number=np.array([0, 2, 1], dtype=np.int32))
    with pytest.raises(ValueError, match="does not rise"):
        stored([wrong], tmp_path / "store")


@given(
    step=st.integers(1, 60),
    first=st.integers(0, 1000),
    kept=st.sets(st.integers(0, 30), min_size=1, max_size=12),
    length=st.integers(40, 50),
)
def test_time_between_frames_is_kept(step: int, first: int, kept: set[int], length: int) -> None:
    """A whole view beside one with gaps, both of every n-th frame."""
    rng = np.random.default_rng(0)
    views = [step * np.arange(length), first + step * np.array(sorted(kept))]
    camera = Camera(name="a", size_px=(100, 100), focal_px=(100.0, 100.0), centre_px=(50.0, 50.0))
    runs = [
        PoseRun(
            TrialInfo(TrialKey("S1", f"{number}"), "", "", 50.0),
            camera,
            rng.normal(size=(len(view), 17, 3)).astype(np.float32),
            rng.normal(size=(len(view), 17, 2)).astype(np.float32),
            view,
            np.zeros(len(view), dtype=np.int8),
        )
        for number, view in enumerate(views)
    ]
    for trial, view in zip(trials_of(columns_of(runs, "human36m_17", ""), SOURCE), views, strict=True):
        numbers = np.arange(trial.frames) if trial.frame_number is None else trial.frame_number
        np.testing.assert_allclose(np.diff(numbers) / trial.fps, np.diff(view) / 50.0, rtol=1e-12)
