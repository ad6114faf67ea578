"""``poseshift import`` and ``export``, run as a user runs them; pickles need permission and run nothing."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.experiment.folder import RunFolder, Trained
from poseshift.flows.experiment.recipe import Recipe
from poseshift.geometry.projection import project
from poseshift.geometry.skeleton import mapping
from poseshift.preprocessing.human36m.layout import EXPECTED_ROWS
from poseshift.preprocessing.mpi_inf_3dhp.layout import TEST_CAMERAS
from poseshift.storage.exchange.detections import attach_detections, read_coco_detections
from poseshift.storage.exchange.poseaug import import_test
from poseshift.storage.exchange.registry import FORMATS, Format, Imported
from poseshift.storage.frame_rates import sampling_hz
from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.storage.schema import TrialKey
from poseshift.storage.store import PoseStore
from poseshift.training.batches import DevicePoses


@pytest.fixture
def poseshift(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command line, in this process: these commands start no flow."""
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_videopose3d_out_and_in_again(poseshift, prepared: Recipe, tmp_path: Path) -> None:
    written = poseshift("export", "videopose3d", prepared.source.store, tmp_path)
    assert written.exit_code == 0, written.stderr
    files = (tmp_path / "data_3d_h36m.npz", tmp_path / "data_2d_h36m_gt.npz")
    refused = poseshift("import", "videopose3d", *files, tmp_path / "store")
    assert refused.exit_code == 1
    assert "a pickle can name code to run" in refused.stderr
    assert "--trust-pickle" in refused.stderr
    assert isinstance(refused.exception, SystemExit)
    assert not PoseStore.exists(tmp_path / "store")
    imported = poseshift("import", "videopose3d", *files, tmp_path / "store", "--trust-pickle")
    assert imported.exit_code == 0, imported.stderr
    old, new = PoseStore.open(prepared.source.store), PoseStore.open(tmp_path / "store")
    assert new.keys() == old.keys()
    key = old.keys()[-1]
    for name in ("positions_world", "keypoints_2d"):
        np.testing.assert_array_equal(new.read_array(key, name), old.read_array(key, name))
    assert new.read(key).cameras == old.read(key).cameras
    assert [source.path for source in new.sources(key)] == [file.name for file in files]
    assert new.attributes.options == {"imported_from": "VideoPose3D"}


@pytest.mark.parametrize("options", [(), ("--frame-step", "5")], ids=["told by the numbers", "said"])
def test_every_fifth_frame_of_videopose3d(
    poseshift, prepared: Recipe, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """The files name no frames; where trials are as long as in the release, their lengths tell the step."""
    source = PoseStore.open(prepared.source.store)
    keys = [key for key in source.keys() if key.subject == "S1"]
    positions, keypoints = {}, {}
    for key in keys:
        trial = source.read(key)
        length = 9 if options else -(-EXPECTED_ROWS[key.subject, trial.options["stem"]] // 5)
        rows = np.arange(length) % trial.frames
        positions[key.trial] = trial.positions_world[rows]
        keypoints[key.trial] = [view[rows] for view in trial.keypoints_2d]
    files = (tmp_path / "3d.npz", tmp_path / "2d.npz")
    np.savez(files[0], positions_3d=np.array({"S1": positions}, dtype=object))
    np.savez(files[1], positions_2d=np.array({"S1": keypoints}, dtype=object))
    imported = poseshift("import", "videopose3d", *files, tmp_path / "store", "--trust-pickle", *options)
    assert imported.exit_code == 0, imported.stderr
    assert (
        f"{len(keys)} of the trials hold every 5. frame: stored with 10 frames per second" in imported.stdout
    )
    assert {PoseStore.open(tmp_path / "store").trial_attributes(key).fps for key in keys} == {10.0}


def test_pstmo_out_and_in_again(poseshift, prepared: Recipe, tmp_path: Path) -> None:
    file, store = tmp_path / "npz" / "data_test_3dhp.npz", tmp_path / "store"
    assert poseshift("export", "pstmo-test", prepared.test.data.store, file).exit_code == 0
    imported = poseshift("import", "pstmo-test", file, store, "--trust-pickle")
    assert imported.exit_code == 0, imported.stderr
    old = read_camera_poses(PoseStore.open(prepared.test.data.store), Selection(positions="universal"))
    new = read_camera_poses(PoseStore.open(store), Selection(positions="universal"))
    assert len(new) == len(old)
    np.testing.assert_allclose(new.positions_camera, old.positions_camera, atol=1e-6)
    np.testing.assert_allclose(new.keypoints_px, old.keypoints_px, atol=1e-3)
    np.testing.assert_array_equal(new.frame, old.frame)
    trial = PoseStore.open(store).read(TrialKey("TS1", "TS1"))
    assert (trial.positions_kind, trial.positions_universal) == ("universal", None)


def test_universal_figures_do_not_pass_for_annotated_ones(
    poseshift, finished: tuple[Recipe, tuple[Trained, ...]], tmp_path: Path
) -> None:
    recipe, trained = finished
    lifter = RunFolder(recipe.run_dir).lifter(trained[0].method, trained[0].seed)
    file, universal = tmp_path / "universal.npz", tmp_path / "universal"
    assert poseshift("export", "pstmo-test", recipe.test.data.store, file).exit_code == 0
    assert poseshift("import", "pstmo-test", file, universal, "--trust-pickle").exit_code == 0
    refused = poseshift("evaluate", lifter, universal, "--protocol", "3dhp-annot3", "--out", tmp_path / "out")
    assert refused.exit_code == 1
    assert isinstance(refused.exception, SystemExit)
    assert "3dhp-annot3 measures annotated 3D" in refused.stderr
    assert "holds universal 3D alone; protocols for it: 3dhp-official" in refused.stderr
    measured = poseshift("evaluate", lifter, universal, "--out", tmp_path / "out", "--json")
    assert measured.exit_code == 0, measured.stderr
    figures = {one["protocol"]: one["mpjpe_mm"]["value"] for one in json.loads(measured.stdout)["results"]}
    assert set(figures) == {"3dhp-official", "3dhp-poseaug16", "3dhp-graphmlp17"}
    raw = poseshift("evaluate", lifter, recipe.test.data.store, "--out", tmp_path / "raw", "--json")
    prepared = {one["protocol"]: one["mpjpe_mm"]["value"] for one in json.loads(raw.stdout)["results"]}
    assert figures["3dhp-official"] == pytest.approx(prepared["3dhp-official"], abs=1e-3)
    assert abs(prepared["3dhp-annot3"] - prepared["3dhp-official"]) > 0.1, "the two kinds differ"


def test_pstmo_frames_around_an_invalid_one_are_no_neighbours(
    poseshift, prepared: Recipe, tmp_path: Path
) -> None:
    """Velocities and clips would run over the frames left out, were the others counted anew."""
    file, store = tmp_path / "data_test_3dhp.npz", tmp_path / "store"
    frames, valid = np.arange(7.0), np.array([1, 1, 1, 0, 0, 1, 1])
    stored = PoseStore.open(prepared.test.data.store).read(TrialKey("TS1", "TS1"))
    person = stored.positions_world[:1]
    world = person + frames[:, None, None] * [0.01, 0.0, 0.0]
    order = mapping("human36m_17", "mpi_inf_3dhp_17")
    seen = project(world, TEST_CAMERAS["TS1"].intrinsics)
    view = {"data_3d": order.apply(world) * 1000, "data_2d": order.apply(np.asarray(seen))}
    np.savez(file, data=np.array({"TS1": {**view, "valid": valid}}, dtype=object))
    imported = poseshift("import", "pstmo-test", file, store, "--trust-pickle")
    assert imported.exit_code == 0, imported.stderr
    poses = read_camera_poses(PoseStore.open(store))
    assert poses.frame.tolist() == [0, 1, 2, 5, 6]
    np.testing.assert_allclose(
        poses.positions_camera[:, 0, 0], person[0, 0, 0] + 0.01 * poses.frame, atol=1e-6
    )
    trial = PoseStore.open(store).read(TrialKey("TS1", "TS1"))
    assert trial.valid is not None
    assert trial.valid.tolist() == valid.astype(bool).tolist()
    clips = DevicePoses.from_columns(poses, "cpu", frames=3)
    assert clips.run_first.tolist() == [0, 0, 0, 3, 3]


def test_pstmo_training_views_become_trials(poseshift, prepared: Recipe, tmp_path: Path) -> None:
    assert prepared.target is not None
    file, store = tmp_path / "data_train_3dhp.npz", tmp_path / "store"
    exported = poseshift("export", "pstmo-train", prepared.target.store, file, "--positions", "annotated")
    assert exported.exit_code == 0, exported.stderr
    imported = poseshift("import", "pstmo-train", file, store, "--positions", "annotated", "--trust-pickle")
    assert imported.exit_code == 0, imported.stderr
    key = TrialKey("S1", "Seq1.8")
    old = PoseStore.open(prepared.target.store)
    seen = read_camera_poses(old, Selection(subjects=("S1",), actions=("Seq1",), cameras=("8",)))
    trial = PoseStore.open(store).read(key)
    np.testing.assert_allclose(trial.positions_world, seen.positions_camera, atol=1e-6)
    assert (trial.positions_kind, trial.positions_universal) == ("annotated", None)
    assert trial.fps == 25.0


def test_mmpose_needs_no_permission(poseshift, prepared: Recipe, tmp_path: Path) -> None:
    file, store = tmp_path / "h36m_train.npz", tmp_path / "store"
    exported = poseshift("export", "mmpose", prepared.source.store, file, "--frame-step", "5")
    assert exported.exit_code == 0, exported.stderr
    imported = poseshift("import", "mmpose", file, store)
    assert imported.exit_code == 0, imported.stderr
    assert "of the trials hold every 5. frame: stored with 10 frames per second" in imported.stdout
    old = read_camera_poses(PoseStore.open(prepared.source.store), Selection(frame_step=5))
    new = read_camera_poses(PoseStore.open(store))
    assert len(new) == len(old)
    assert sampling_hz(new) == sampling_hz(old) == 10.0
    np.testing.assert_allclose(
        np.sort(new.keypoints_px[:, 0, 0]), np.sort(old.keypoints_px[:, 0, 0]), atol=1e-3
    )


def test_poseaug_out_and_in_again(poseshift, prepared: Recipe, tmp_path: Path) -> None:
    file = tmp_path / "test_3dhp.npz"
    exported = poseshift("export", "poseaug", prepared.test.data.store, file)
    assert exported.exit_code == 0, exported.stderr
    rows = import_test(file).positions
    assert rows.shape[1:] == (16, 3)
    imported = poseshift("import", "poseaug", file, tmp_path / "store")
    assert imported.exit_code == 0, imported.stderr
    new = read_camera_poses(PoseStore.open(tmp_path / "store"))
    assert (new.skeleton, len(new)) == ("poseaug_16", len(rows))
    relative = (new.positions_camera - new.positions_camera[:, :1]).reshape(len(new), -1)
    apart = np.abs(relative[:, None] - rows.reshape(len(rows), -1)).max(axis=-1)
    assert sorted(apart.argmin(axis=1)) == list(range(len(rows)))
    assert apart.min(axis=1).max() < 1e-5
    seen = project(new.positions_camera, new.intrinsics[new.camera])
    assert np.abs(seen - new.keypoints_px).max() < 0.5, "placed where they are seen"
    old = read_camera_poses(PoseStore.open(prepared.test.data.store))
    known = mapping(old.skeleton, "poseaug_16").apply(old.keypoints_px).reshape(len(old), -1)
    apart = np.abs(new.keypoints_px.reshape(len(new), -1)[:, None] - known).max(axis=-1).min(axis=1)
    assert apart.max() < 0.01, "cameras, which the file does not name, are found again"


class Attack:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch {self.trace}",)


def test_a_malicious_file_is_refused_with_permission_too(poseshift, tmp_path: Path) -> None:
    trace, file = tmp_path / "was-run", tmp_path / "data_train_3dhp.npz"
    np.savez(file, data=np.array({"S1 Seq1": [{"0": Attack(trace)}, 25]}, dtype=object))
    result = poseshift("import", "pstmo-train", file, tmp_path / "store", "--trust-pickle")
    assert result.exit_code == 1
    assert "system, which is not plain data" in result.stderr
    assert not trace.exists()
    with np.load(file, allow_pickle=True) as content:
        content["data"]
    assert trace.exists()  # it does bite when it is let


def test_a_store_is_not_overwritten(poseshift, prepared: Recipe, tmp_path: Path) -> None:
    poseshift("export", "mmpose", prepared.source.store, tmp_path / "a.npz", "--frame-step", "20")
    result = poseshift("import", "mmpose", tmp_path / "a.npz", prepared.source.store)
    assert result.exit_code == 1
    assert "there is a store already" in result.stderr


@pytest.mark.parametrize(
    ("kind", "which", "options", "name"),
    [
        ("videopose3d", "source", (), "pair/data_3d_h36m.npz"),
        ("mmpose", "source", ("--frame-step", "20"), "a.npz"),
        ("pstmo-test", "test", (), "a.npz"),
        ("poseaug", "test", (), "a.npz"),
        ("pstmo-train", "target", ("--positions", "annotated"), "a.npz"),
    ],
)
def test_an_export_does_not_replace_another(
    poseshift, prepared: Recipe, tmp_path: Path, kind: str, which: str, options: tuple[str, ...], name: str
) -> None:
    data = {"source": prepared.source, "test": prepared.test.data, "target": prepared.target}[which]
    file, place = tmp_path / name, tmp_path / name.partition("/")[0]
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"of another store")
    command = ("export", kind, data.store, place, *options)
    refused = poseshift(*command)
    assert refused.exit_code == 1
    assert isinstance(refused.exception, SystemExit)
    assert f"{file} holds what nothing beside it describes" in refused.stderr
    assert PoseStore.open(data.store).snapshot in refused.stderr
    assert file.read_bytes() == b"of another store"
    replaced = poseshift(*command, "--replace")
    assert replaced.exit_code == 0, replaced.stderr
    assert file.read_bytes()[:2] == b"PK"
    assert poseshift(*command).exit_code == 0, "the same export again"


def test_an_export_of_other_settings_is_refused(poseshift, prepared: Recipe, tmp_path: Path) -> None:
    store, file = prepared.source.store, tmp_path / "a.npz"
    assert poseshift("export", "mmpose", store, file, "--frame-step", "20").exit_code == 0
    before = file.read_bytes()
    refused = poseshift("export", "mmpose", store, file, "--frame-step", "10")
    assert refused.exit_code == 1
    assert "frame_step 20" in refused.stderr
    assert "frame_step 10" in refused.stderr
    assert file.read_bytes() == before


def test_the_file_that_is_written_is_named(poseshift, prepared: Recipe, tmp_path: Path) -> None:
    """NumPy adds .npz to names without it."""
    written = poseshift("export", "mmpose", prepared.source.store, tmp_path / "a", "--frame-step", "20")
    assert written.exit_code == 0, written.stderr
    assert f"{tmp_path / 'a.npz'}\n" in written.stdout
    assert (tmp_path / "a.npz").is_file()


@pytest.mark.parametrize("channels", [2, 3])
def test_confidences_of_a_detector_are_kept_or_said_to_be_missing(
    poseshift, prepared: Recipe, tmp_path: Path, channels: int
) -> None:
    source = PoseStore.open(prepared.source.store)
    key = next(key for key in source.keys() if key.subject == "S1")
    trial = source.read(key)
    shape = (*trial.keypoints_2d.shape[:3], 1)
    confidence = np.random.default_rng(0).uniform(0.1, 1, shape).astype(np.float32)
    detected = np.concatenate([trial.keypoints_2d + 3, confidence], axis=-1).astype(np.float32)
    files = (tmp_path / "3d.npz", tmp_path / "2d.npz")
    views = list(detected[..., :channels])
    np.savez(files[0], positions_3d=np.array({"S1": {key.trial: trial.positions_world}}, dtype=object))
    np.savez(files[1], positions_2d=np.array({"S1": {key.trial: views}}, dtype=object))
    options = ("--trust-pickle", "--detector", "cpn")
    imported = poseshift("import", "videopose3d", *files, tmp_path / "store", *options)
    assert imported.exit_code == 0, imported.stderr
    kept = PoseStore.open(tmp_path / "store").read(key)
    np.testing.assert_array_equal(kept.detections["cpn"][..., :2], detected[..., :2])
    np.testing.assert_array_equal(kept.detections["cpn"][..., 2:], confidence if channels == 3 else 1)
    np.testing.assert_allclose(kept.keypoints_2d, trial.keypoints_2d, atol=0.1)
    assert ("the file has no confidences" in imported.stderr) == (channels == 2)


def test_an_import_that_follows_one_of_several_people_prints_it(
    poseshift, prepared: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A format of one's own that attaches COCO-style detections with tracks."""
    trial = PoseStore.open(prepared.test.data.store).read(TrialKey("TS1", "TS1"))
    people = [
        {"image_id": frame, "category_id": 1, "keypoints": [5.0] * 51, "score": score, "track_id": track}
        for frame in range(trial.frames)
        for track, score in ((1, 0.9), (2, 0.4))
    ]
    file = tmp_path / "people.json"
    file.write_text(json.dumps(people))

    def read(path: Path) -> Imported:
        found = read_coco_detections(path, trial.frames)
        return Imported("mpi_inf_3dhp_test", [attach_detections(trial, "coco", [found])])

    monkeypatch.setitem(FORMATS._entries, "coco-people", Format("coco-people", "With tracks.", read))
    imported = poseshift("import", "other", "coco-people", file, tmp_path / "store")
    assert imported.exit_code == 0, imported.stderr
    assert f"{file}: 2 people by track; the one of track 1 is followed" in imported.stderr


def test_a_frame_step_that_leaves_little_is_said(poseshift, prepared: Recipe, tmp_path: Path) -> None:
    done = poseshift("export", "mmpose", prepared.source.store, tmp_path / "a.npz", "--frame-step", "5000")
    assert done.exit_code == 0, done.stderr
    assert "poses are left with frame step 5000, no two of them of one view" in done.stderr
