"""Stores without 3D: what they take and refuse, how they are read, and that labels are never made up."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera, Distortion
from poseshift.storage import reading
from poseshift.storage.arrays import read_array
from poseshift.storage.inspection import describe
from poseshift.storage.reading import Selection, positions_held, read_camera_poses, read_keypoints
from poseshift.storage.schema import NoPositionsError, Trial, TrialKey, Vertical, zarr_attributes
from poseshift.storage.store import PoseStore

BARREL = Distortion("opencv", (-0.3, 0.1, 0.0), (0.001, 0.0))
CAMERA = Camera(
    name="front",
    size_px=(1080, 1920),
    focal_px=(1500.0, 1500.0),
    centre_px=(540.0, 960.0),
    distortion=BARREL,
    rotation=((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
    translation=(0.0, 1.0, 4.0),
)


def unlabelled() -> Trial:
    rng = np.random.default_rng(0)
    seen = np.ones((1, 5, 17, 3), dtype=np.float32)
    seen[..., :2] = rng.uniform(300, 800, size=(1, 5, 17, 2))
    seen[0, 2, 4] = 0
    return Trial(
        key=TrialKey("person-1", "walk"),
        action="walk",
        subaction="1",
        fps=30.0,
        cameras=(CAMERA,),
        positions_world=None,
        keypoints_2d=None,
        positions_kind=None,
        intrinsics="calibration file",
        detections={"detected": seen},
    )


@pytest.fixture
def store(tmp_path: Path) -> PoseStore:
    made = PoseStore.create(tmp_path / "store", "my_rig")
    with made.transaction("Write") as transaction:
        transaction.write(unlabelled())
    return PoseStore.open(tmp_path / "store")


def test_a_trial_without_3d_comes_back_as_it_was(store: PoseStore) -> None:
    trial = store.read(TrialKey("person-1", "walk"))
    expected = unlabelled()
    assert (trial.positions_world, trial.keypoints_2d, trial.positions_kind) == (None, None, None)
    assert (trial.frames, trial.cameras, trial.up) == (5, (CAMERA,), "z")
    np.testing.assert_array_equal(trial.detections["detected"], expected.detections["detected"])
    assert store.verify().succeeded
    assert store.frames(trial.key) == 5
    assert describe(store).subjects[0].trials[0].positions_kind is None
    assert positions_held(store) == frozenset()


def test_keypoints_are_read_without_lens_and_labels_are_refused(store: PoseStore) -> None:
    poses = read_keypoints(store, Selection(keypoints="detected"))
    assert np.isnan(poses.positions_camera).all()
    assert poses.cameras == (CAMERA.pinhole,)
    assert np.argwhere(np.isnan(poses.keypoints_px[..., 0])).tolist() == [[2, 4]]
    # A point of the pinhole's image, bent by hand, is the pixel that was stored.
    x, y = ((poses.keypoints_px[0, 3] - np.array([540.0, 960.0])) / 1500.0).astype(np.float64)
    r2 = x * x + y * y
    radial = 1 - 0.3 * r2 + 0.1 * r2**2
    bent = np.array([x * radial + 2 * 0.001 * x * y, y * radial + 0.001 * (r2 + 2 * y * y)])
    stored = unlabelled().detections["detected"][0, 0, 3, :2]
    np.testing.assert_allclose(1500 * bent + np.array([540.0, 960.0]), stored, atol=1e-3)
    with pytest.raises(NoPositionsError, match=r"trial 'person-1/walk' has no 3D: it can be a target"):
        read_camera_poses(store, Selection(keypoints="detected"))
    with pytest.raises(ValueError, match="say `keypoints: detected` of these data"):
        read_keypoints(store)


def test_where_up_is_unknown_no_direction_is_handed_on(tmp_path: Path) -> None:
    store = PoseStore.create(tmp_path / "store", "my_rig")
    with store.transaction("Write") as transaction:
        transaction.write(replace(unlabelled(), up="unknown"))
    trial = store.read(TrialKey("person-1", "walk"))
    assert trial.up == "unknown"
    assert trial.cameras == (CAMERA,)  # which see one person together, whatever is up
    poses = read_keypoints(store, Selection(keypoints="detected"))
    assert poses.cameras[0].up is None
    assert poses.rig == (CAMERA.rotation,), "how the cameras stand to each other is known"
    assert poses.take(np.array([0])).rig == poses.rig


def test_how_sure_a_stated_vertical_is_comes_with_its_camera(tmp_path: Path, store: PoseStore) -> None:
    stated = PoseStore.create(tmp_path / "stated", "my_rig")
    told = Vertical("horizon", 1.5)
    with stated.transaction("Write") as transaction:
        transaction.write(replace(unlabelled(), verticals={"front": told}))
        # The same camera in another trial, of which another statement was made: neither is handed on.
        transaction.write(replace(unlabelled(), key=TrialKey("person-2", "walk"), verticals={}))
    assert stated.read(TrialKey("person-1", "walk")).verticals == {"front": told}
    one = Selection(subjects=("person-1",), keypoints="detected")
    assert read_keypoints(stated, one).verticals == (told,)
    assert read_keypoints(stated, replace(one, subjects=None)).verticals == ()
    assert "verticals" not in zarr_attributes(store.trial_attributes(TrialKey("person-1", "walk")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"detections": {}}, "neither positions, keypoints nor detections"),
        ({"positions_kind": "annotated"}, "positions_kind is 'annotated' and positions_world is not there"),
        (
            {"positions_world": np.zeros((5, 17, 3), np.float32), "positions_kind": "annotated"},
            "without keypoints_2d",
        ),
        ({"positions_universal": np.zeros((5, 17, 3), np.float32)}, "positions_universal without"),
    ],
)
def test_half_a_trial_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    store = PoseStore.create(tmp_path / "store", "my_rig")
    with pytest.raises(ValueError, match=message), store.transaction("Write") as transaction:
        transaction.write(replace(unlabelled(), **change))  # type: ignore[arg-type]
    assert store.keys() == ()


def test_hidden_3d_takes_no_memory_and_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = PoseStore.create(tmp_path / "store", "my_rig")
    labelled = replace(
        unlabelled(),
        positions_world=np.zeros((5, 17, 3), dtype=np.float32),
        positions_kind="annotated",
        keypoints_2d=np.zeros((1, 5, 17, 2), dtype=np.float32),
    )
    with made.transaction("Write") as transaction:
        transaction.write(labelled)
    store, read = PoseStore.open(tmp_path / "store"), []

    def watched(group: zarr.Group, name: str, *row: int) -> NDArray[Any]:
        read.append(name)
        return read_array(group, name, *row)

    monkeypatch.setattr(reading, "read_array", watched)
    hidden = read_keypoints(store, Selection(keypoints="detected"))
    assert read == ["keypoints_2d_detected"]
    few = hidden.take(np.array([True, False, True, False, True])).on_skeleton("poseaug_16").unlabelled()
    for poses, shape in ((hidden, (5, 17, 3)), (few, (3, 16, 3))):
        assert poses.positions_camera.shape == shape
        assert poses.positions_camera.dtype == np.float32
        assert np.isnan(poses.positions_camera).all()
        assert poses.positions_camera.strides == (0, 0, 0)
