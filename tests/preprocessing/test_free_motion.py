"""Free motion before Human3.6M's cameras: every clip and person, exact keypoints, places by name."""

from pathlib import Path

import numpy as np
import pytest

from poseshift.flows.prepare import PrepareRequest, plan_store, prepare_store
from poseshift.geometry.projection import project, world_to_camera
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.free_motion import FreeMotionOptions, plan_free_motion
from poseshift.preprocessing.motion.motion import Motion
from poseshift.preprocessing.motion.procedural import generate
from poseshift.storage.schema import TrialKey
from poseshift.storage.store import PoseStore


def bundle(path: Path, motions: tuple[Motion, ...]) -> Path:
    np.savez(path, **{motion.name: motion.positions for motion in motions})
    return path


@pytest.fixture(scope="module")
def motions() -> tuple[Motion, ...]:
    return generate(seed=3, subjects=9, clips_per_subject=2, frames_per_clip=30)


def test_every_person_becomes_a_subject_and_keypoints_are_exact(motions, tmp_path: Path) -> None:
    plan = plan_free_motion(bundle(tmp_path / "motion.npz", motions), FreeMotionOptions())
    assert len(plan.trials) == len(motions)
    assert {trial.key.subject for trial in plan.trials} == {motion.subject for motion in motions}
    assert plan.restaged_from is not None
    trial, motion = plan.trials[0].read(), motions[0]
    assert trial.positions_world.shape == motion.positions.shape
    assert trial.fps == motion.fps
    assert len(trial.cameras) == 4
    for camera, seen in zip(trial.cameras, trial.keypoints_2d, strict=True):
        before = world_to_camera(
            trial.positions_world.astype(float), np.array(camera.rotation), np.array(camera.translation)
        )
        assert before[..., 2].min() > 0.5
        np.testing.assert_allclose(seen, project(before, camera.intrinsics), atol=0.01)
    # A place is a turn about the vertical and a shift: distances in a frame and heights between frames stay.
    apart, was = (
        np.linalg.norm(one[:, 3] - one[:, 13], axis=-1) for one in (trial.positions_world, motion.positions)
    )
    np.testing.assert_allclose(apart, was, atol=1e-4)
    rise, rose = (np.diff(one[:, 0, 2]) for one in (trial.positions_world, motion.positions))
    np.testing.assert_allclose(rise, rose, atol=1e-4)


def test_a_bundle_that_grows_leaves_its_other_clips_in_place(motions, tmp_path: Path) -> None:
    few = plan_free_motion(bundle(tmp_path / "few.npz", motions[4:6]), FreeMotionOptions())
    all_of_them = plan_free_motion(bundle(tmp_path / "all.npz", motions), FreeMotionOptions())
    wanted = {trial.key: trial for trial in all_of_them.trials}
    for trial in few.trials:
        np.testing.assert_array_equal(trial.read().positions_world, wanted[trial.key].read().positions_world)
    elsewhere = plan_free_motion(tmp_path / "few.npz", FreeMotionOptions(seed=1)).trials[0].read()
    assert not np.allclose(elsewhere.positions_world, few.trials[0].read().positions_world)


def test_a_store_is_made_and_a_second_call_finds_it_unchanged(motions, tmp_path: Path) -> None:
    request = PrepareRequest(
        kind="free-motion", raw=bundle(tmp_path / "motion.npz", motions[:3]), store=str(tmp_path / "store")
    )
    foreseen = plan_store(request)
    first = prepare_store(request)
    assert first.succeeded
    store = PoseStore.open(tmp_path / "store")
    assert store.dataset == "free_motion"
    assert len(store.keys()) == 3
    assert foreseen.raw_bytes == request.raw.stat().st_size  # one file, whatever the number of its clips
    assert store.attributes.restaged_from is not None
    assert isinstance(next(iter(store.keys())), TrialKey)
    assert prepare_store(request).succeeded
    assert PoseStore.open(tmp_path / "store").snapshot == store.snapshot


def test_what_is_no_motion_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match=r"nothing\.npz"):
        plan_free_motion(tmp_path / "nothing.npz", FreeMotionOptions())
