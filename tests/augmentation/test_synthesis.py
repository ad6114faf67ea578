import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from poseshift.augmentation.generator import RandomChanges, RandomParameters
from poseshift.augmentation.synthesis import SynthesisOptions, synthesise, write_augmented_store
from poseshift.augmentation.transforms import PoseParameters, apply
from poseshift.geometry.bones import bone_lengths
from poseshift.geometry.projection import project
from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.storage.exchange.augmented import export_augmented, import_augmented, import_augmented_trials
from poseshift.storage.exchange.npz import ExchangeError
from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.storage.store import StoreError

OPTIONS = SynthesisOptions(seed=4, copies=2)
RANDOM = RandomParameters(HUMAN36M_17, RandomChanges(angle_spread=0.3))


def split(flat: np.ndarray) -> PoseParameters:
    values = torch.as_tensor(flat)
    return PoseParameters(values[:, :48].reshape(-1, 16, 3), values[:, 48:58], values[:, 58:])


def test_poses_are_their_source_changed_by_their_parameters(source) -> None:
    poses = read_camera_poses(source, Selection(frame_step=4))
    trials = list(synthesise(poses, RANDOM, OPTIONS))
    runs = len(np.unique(np.stack([poses.trial, poses.camera]), axis=1).T)
    assert len(trials) == 2 * runs
    for trial in trials[:6]:
        rows = [
            row
            for row in range(len(poses))
            if poses.trials[poses.trial[row]].key.path == trial.options["source_trial"]
            and poses.cameras[poses.camera[row]].name == trial.options["source_camera"]
        ]
        before = torch.as_tensor(poses.positions_camera[rows])[:, None]
        after = apply(before, split(trial.augmentation), HUMAN36M_17).rotated[:, 0].numpy()
        np.testing.assert_allclose(trial.positions_world, after, atol=1e-5)
        seen = project(trial.positions_world.astype(float), trial.cameras[0].intrinsics)
        np.testing.assert_allclose(trial.keypoints_2d[0], seen, atol=1e-2)
        assert trial.cameras[0].name == trial.options["source_camera"]
    first, second = trials[:2]
    assert first.key.trial.removesuffix(".0") == second.key.trial.removesuffix(".1")
    assert not np.allclose(first.augmentation, second.augmentation)


def test_without_parameters_poses_stay_what_they_are(source) -> None:
    poses = read_camera_poses(source, Selection(subjects=("S1",), frame_step=4))
    poses = replace(poses, activity=(1 + np.arange(len(poses)) % 7).astype(np.int8))
    trials = list(synthesise(poses, None, SynthesisOptions(seed=4, segment_frames=3)))
    np.testing.assert_array_equal(
        np.concatenate([trial.positions_world for trial in trials]), poses.positions_camera
    )
    np.testing.assert_array_equal(np.concatenate([trial.activity for trial in trials]), poses.activity)
    assert all(trial.augmentation is None for trial in trials)


def test_segments_share_parameters(source) -> None:
    poses = read_camera_poses(source, Selection(subjects=("S1",), cameras=("first",)))
    options = SynthesisOptions(seed=4, segment_frames=16)
    for trial in synthesise(poses, RANDOM, options):
        starts = np.flatnonzero(np.abs(np.diff(trial.augmentation, axis=0)).max(axis=1) > 0) + 1
        assert starts.tolist() == list(range(16, trial.frames, 16))
        lengths = bone_lengths(trial.positions_world, HUMAN36M_17)
        np.testing.assert_allclose(lengths[:16] / lengths[:1], 1, atol=0.02)


def test_store_says_where_it_comes_from_and_is_repeatable(source, tmp_path) -> None:
    selection = Selection(subjects=("S1",), frame_step=4)
    made_by = {"parameters": "random"}
    store = write_augmented_store(
        tmp_path / "a", source, RANDOM, OPTIONS, selection=selection, made_by=made_by
    )
    again = write_augmented_store(
        tmp_path / "b", source, RANDOM, OPTIONS, selection=selection, made_by=made_by
    )
    assert store.dataset == "augmented"
    assert store.attributes.restaged_from == source.attributes.restaged_from
    options = store.attributes.options
    assert (options["seed"], options["source_snapshot"]) == ("4", source.snapshot)
    assert options["parameters"] == "random"
    assert store.verify().succeeded
    for key in store.keys():
        first, second = store.read(key), again.read(key)
        np.testing.assert_array_equal(first.augmentation, second.augmentation)
        np.testing.assert_array_equal(first.positions_world, second.positions_world)
    snapshot = store.snapshot
    repeated = write_augmented_store(
        tmp_path / "a", source, RANDOM, OPTIONS, selection=selection, made_by=made_by
    )
    assert repeated.snapshot == snapshot
    with pytest.raises(StoreError):
        write_augmented_store(tmp_path / "a", source, RANDOM, SynthesisOptions(seed=5), selection=selection)


def test_a_set_is_no_source_of_upright_turns(source, tmp_path) -> None:
    """Its cameras are their own worlds: up in them is unknown, and is not the optical axis."""
    few = Selection(subjects=("S1",), frame_step=10)
    made = write_augmented_store(tmp_path / "a", source, RANDOM, OPTIONS, selection=few)
    poses = read_camera_poses(made)
    assert {camera.up for camera in poses.cameras} == {None}
    with pytest.raises(ValueError, match="where up is is not known: camera 'first' has no extrinsics"):
        write_augmented_store(tmp_path / "b", made, RANDOM, OPTIONS)
    with pytest.raises(ValueError, match="no extrinsics"):
        list(synthesise(poses, RANDOM, OPTIONS))
    free = RandomParameters(HUMAN36M_17, RandomChanges(rotation="free"))
    assert len(write_augmented_store(tmp_path / "b", made, free, OPTIONS).keys()) == 2 * len(made.keys())


def test_npz_holds_the_store(source, tmp_path) -> None:
    store = write_augmented_store(
        tmp_path / "a", source, RANDOM, OPTIONS, selection=Selection(subjects=("S1",), frame_step=4)
    )
    poses = read_camera_poses(store)
    assert export_augmented(store, tmp_path / "a.npz") == len(poses)
    read = import_augmented(tmp_path / "a.npz")
    np.testing.assert_array_equal(read.positions_camera, poses.positions_camera)
    seen = project(read.positions_camera.astype(float), read.intrinsics[read.camera])
    np.testing.assert_allclose(read.keypoints_px, seen, atol=1e-2)
    for row in (0, len(poses) // 2, len(poses) - 1):
        trial = store.read(poses.trials[read.trial[row]].key)
        np.testing.assert_array_equal(read.parameters[row], trial.augmentation[read.frame[row]])
        assert read.source_trials[read.trial[row]] == trial.options["source_trial"]
    assert read.origin["seed"] == "4"
    assert json.dumps(read.origin)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as plain:
        assert plain["trials"].dtype.kind == "U"


def test_other_stores_are_not_exported(source, tmp_path) -> None:
    with pytest.raises(ValueError, match="holds human36m, not an augmented set"):
        export_augmented(source, tmp_path / "a.npz")


@pytest.mark.parametrize("wrong", [{"copies": 0}, {"segment_frames": 0}])
def test_options_are_checked(wrong) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SynthesisOptions(seed=0, **wrong)


def test_npz_becomes_trials_again(source, tmp_path) -> None:
    store = write_augmented_store(
        tmp_path / "a", source, RANDOM, OPTIONS, selection=Selection(subjects=("S1",), frame_step=4)
    )
    export_augmented(store, tmp_path / "a.npz")
    origin, trials = import_augmented_trials(tmp_path / "a.npz")
    assert (origin["snapshot"], origin["skeleton"]) == (store.snapshot, store.skeleton)
    assert [trial.key for trial in trials] == list(store.keys())
    for trial in trials:
        old = store.read(trial.key)
        for name in ("action", "subaction", "fps", "positions_kind"):
            assert getattr(trial, name) == getattr(old, name)
        for name in ("positions_world", "keypoints_2d", "augmentation"):
            np.testing.assert_array_equal(getattr(trial, name), getattr(old, name))
        (camera,), (before,) = trial.cameras, old.cameras
        assert (camera.size_px, camera.distortion.model) == (before.size_px, before.distortion.model)
        np.testing.assert_allclose(camera.focal_px, before.focal_px, rtol=1e-6)
        assert trial.options["source_trial"] == old.options["source_trial"]


def test_an_npz_of_torn_trials_is_refused(source, tmp_path) -> None:
    store = write_augmented_store(
        tmp_path / "a", source, RANDOM, OPTIONS, selection=Selection(subjects=("S1",), frame_step=4)
    )
    export_augmented(store, tmp_path / "a.npz")
    content = dict(np.load(tmp_path / "a.npz"))
    np.savez(tmp_path / "b.npz", **{**content, "frame": content["frame"] + 1})
    with pytest.raises(ExchangeError, match="all of its frames in order"):
        import_augmented_trials(tmp_path / "b.npz")
    content.pop("fps")
    np.savez(tmp_path / "c.npz", **content)
    with pytest.raises(ExchangeError, match="no 'fps'"):
        import_augmented_trials(tmp_path / "c.npz")
