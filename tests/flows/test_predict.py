"""From a lifter and a store to files: what is written, what is said, and what is never overwritten."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.commands.prediction import _heights
from poseshift.flows.experiment.predict import RECORD, PredictionOptions, PredictionRecord, predict_store
from poseshift.flows.experiment.recipe import Recipe
from poseshift.storage.columns import CameraPoses
from poseshift.storage.files import write_atomically
from poseshift.storage.reading import Selection, read_keypoints
from poseshift.storage.registry import UnknownNameError
from poseshift.storage.schema import TrialKey
from poseshift.storage.store import PoseStore
from poseshift.training.checkpoint import WEIGHTS_FILE, load_lifter
from poseshift.training.evaluation.answering import predict
from poseshift.training.prediction.smoothing import NoSmoothing

if TYPE_CHECKING:
    from tests.conftest import OwnRig
    from tests.flows.conftest import WithDetector

UNSMOOTHED = PredictionOptions(subjects=("S1",), smoothing=NoSmoothing(), formats=("npz", "trc"))


@pytest.fixture
def right(prepared: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lifters that answer the truth of the source's store, which they are not shown."""
    store = PoseStore.open(prepared.source.store)

    def truth(_: object, poses: CameraPoses, **__: object) -> np.ndarray:
        assert np.isnan(poses.positions_camera).all()
        found = np.empty_like(poses.positions_camera)
        for row in range(len(poses)):
            camera = poses.cameras[poses.camera[row]]
            key = poses.trials[poses.trial[row]].key
            world = store.read_array(key, "positions_world")[poses.frame[row]]
            found[row] = (world - world[:1]) @ np.asarray(camera.rotation).T
        return found

    for module in ("prediction.views", "evaluation.scaled"):
        monkeypatch.setattr(f"poseshift.training.{module}.predict", truth)


@pytest.mark.usefixtures("right")
def test_a_right_lifter_gives_the_world_of_the_store(prepared: Recipe, lifter: Path, tmp_path: Path) -> None:
    record = predict_store(lifter, prepared.source.store, UNSMOOTHED, tmp_path / "out", "cpu").record
    store = PoseStore.open(prepared.source.store)
    trials = [key for key in store.keys() if key.subject == "S1"]
    assert len(record.motions) == 5 * len(trials)  # four cameras and what they say together
    for motion in record.motions:
        with np.load(tmp_path / "out" / motion.files["npz"], allow_pickle=False) as written:
            found, error = written["positions"], written["error"]
        world = store.read_array(TrialKey(motion.subject, motion.trial), "positions_world")
        assert motion.floor_m is not None
        np.testing.assert_allclose(found, world - [0, 0, motion.floor_m], atol=2e-3)
        np.testing.assert_allclose(error, 0, atol=1e-5)
        ankles = found[:, [3, 6], 2].min(axis=1)
        assert np.percentile(ankles, 2) == pytest.approx(0, abs=1e-4)
        assert (tmp_path / "out" / motion.files["trc"]).is_file()
    assert {motion.axes for motion in record.motions} == {"world"}
    assert record == PredictionRecord.model_validate_json((tmp_path / "out" / RECORD).read_bytes())
    assert record.inputs.store.snapshot == store.snapshot
    told = " ".join(record.assumptions)
    assert "Scale of S1: the mean body of the lifter's source" in told
    assert "World axes: z up" in told
    assert "camera axes" not in told


@pytest.mark.usefixtures("right")
def test_a_height_is_reached_and_recorded(prepared: Recipe, lifter: Path, tmp_path: Path) -> None:
    options = UNSMOOTHED.model_copy(update={"heights_m": {"S1": 2.0}, "cameras": ("54138969",)})
    record = predict_store(lifter, prepared.source.store, options, tmp_path / "out", "cpu").record
    for motion in record.motions:
        assert motion.lifted_height_m is not None
        assert motion.scale_factor == pytest.approx(2.0 / motion.lifted_height_m)
        assert 1.4 < motion.lifted_height_m < 2.1
    assert "Scale by body height: S1 2 m" in " ".join(record.assumptions)


@pytest.mark.usefixtures("right")
def test_a_rig_tells_the_size_and_a_single_camera_does_not(
    prepared: Recipe, lifter: Path, tmp_path: Path
) -> None:
    options = UNSMOOTHED.model_copy(update={"size_from": "cameras", "formats": ("npz",)})
    record = predict_store(lifter, prepared.source.store, options, tmp_path / "rig", "cpu").record
    assert {round(motion.scale_factor, 2) for motion in record.motions} == {1.0}
    assert "Scale of S1: where all cameras see the person in one place" in " ".join(record.assumptions)
    one = options.model_copy(update={"cameras": ("54138969",)})
    record = predict_store(lifter, prepared.source.store, one, tmp_path / "one", "cpu").record
    assert {motion.scale_factor for motion in record.motions} == {1.0}
    assert "Scale of S1: the mean body of the lifter's source" in " ".join(record.assumptions)


def test_where_up_is_unknown_camera_axes_are_written_and_said(
    prepared: Recipe, lifter: Path, tmp_path: Path
) -> None:
    options = PredictionOptions(formats=("npz", "trc"), subjects=("TS1",))
    (motion,) = predict_store(
        lifter, prepared.test.data.store, options, tmp_path / "out", "cpu"
    ).record.motions
    record = json.loads((tmp_path / "out" / RECORD).read_text())
    assert (motion.axes, motion.floor_m) == ("camera", None)
    assert any("Up is unknown" in sentence for sentence in record["assumptions"])
    with np.load(tmp_path / "out" / motion.files["npz"], allow_pickle=False) as written:
        positions = written["positions"]
    assert (positions[:, 0, 2] > 0).all()  # in front of the camera
    first = (tmp_path / "out" / motion.files["trc"]).read_text().split("\n")[6].split("\t")
    np.testing.assert_allclose(
        np.array(first[2:5], dtype=float), 1000 * positions[0, 0] * [1, -1, -1], atol=0.1
    )


def test_what_was_not_seen_is_marked(
    prepared: Recipe, with_detector: "WithDetector", lifter: Path, tmp_path: Path
) -> None:
    def miss(view: NDArray[np.float32]) -> None:
        view[3:5, 16] = 0
        view[8] = 0  # nobody

    place = with_detector(prepared.test.data, tmp_path / "store", miss).store
    options = PredictionOptions(keypoints="seen", subjects=("TS1",))
    (motion,) = predict_store(lifter, place, options, tmp_path / "out", "cpu").record.motions
    assert motion.interpolated_frames == 3
    with np.load(tmp_path / "out" / motion.files["npz"], allow_pickle=False) as written:
        marks = written["interpolated"]
        assert np.isfinite(written["positions"]).all()
    assert marks[3:5, 16].all()
    assert marks[8].all()
    assert marks.sum() == 2 + 17
    assert (motion.left_out_frames, motion.frames_without_person) == (0, 1)


def test_frames_before_and_after_the_person_are_left_out_and_counted(
    prepared: Recipe, with_detector: "WithDetector", lifter: Path, tmp_path: Path
) -> None:
    def doubt(view: NDArray[np.float32]) -> None:
        view[:4, :, 2] = 0.1
        view[-3:, :, 2] = 0.1
        view[10, 16, 2] = 0.1

    place = with_detector(prepared.test.data, tmp_path / "store", doubt).store
    options = PredictionOptions(keypoints="seen", subjects=("TS1",), least_confidence=0.3)
    (motion,) = predict_store(lifter, place, options, tmp_path / "out", "cpu").record.motions
    (whole,) = predict_store(
        lifter, place, options.model_copy(update={"least_confidence": 0.0}), tmp_path / "all", "cpu"
    ).record.motions
    assert (motion.left_out_frames, motion.frames_without_person) == (7, 0)
    assert (motion.frames, motion.interpolated_frames) == (whole.frames - 7, 1)
    with np.load(tmp_path / "out" / motion.files["npz"], allow_pickle=False) as written:
        assert written["frame"].tolist() == list(range(4, whole.frames - 3))


def test_a_rig_of_ones_own_needs_no_3d(own_rig: "OwnRig", lifter: Path, tmp_path: Path) -> None:
    keypoints = own_rig.write_mediapipe(tmp_path / "walk.npz")
    calibration = own_rig.write_qualisys(tmp_path / "rig.qca.txt")
    for store, cameras in (("placed", ["--cameras", str(calibration)]), ("assumed", [])):
        added = ["domain", "add", "my_rig", "--store", str(tmp_path / store), "--fps", "60"]
        done = CliRunner().invoke(app, [*added, "--keypoints", str(keypoints), *cameras])
        assert done.exit_code == 0, done.output
    options = PredictionOptions(keypoints="detected", formats=("npz", "gltf"))
    placed = predict_store(lifter, str(tmp_path / "placed"), options, tmp_path / "a", "cpu").record
    assert [one.camera for one in placed.motions] == [*own_rig.names, "fused"]
    assert {one.axes for one in placed.motions} == {"world"}
    assert {one.frames for one in placed.motions} == {60}
    assumed = predict_store(lifter, str(tmp_path / "assumed"), options, tmp_path / "b", "cpu").record
    assert {one.axes for one in assumed.motions} == {"camera"}
    assert [one.origin for one in assumed.intrinsics] == ["assumed"]
    assert "Intrinsics of person-1/walk are assumed, not calibrated" in assumed.assumptions[0]
    with pytest.raises(ValueError, match="keypoints: detected"):
        predict_store(lifter, str(tmp_path / "placed"), PredictionOptions(), tmp_path / "c", "cpu")


def test_a_lifter_is_told_which_cameras_are_assumed(
    prepared: Recipe, own_rig: "OwnRig", tmp_path: Path
) -> None:
    keypoints = own_rig.write_mediapipe(tmp_path / "walk.npz")
    added = ["domain", "add", "my_rig", "--fps", "60", "--keypoints", str(keypoints), "--store"]
    training = ["train", prepared.source.store, "--encoding", "perspective_and_known", "--epochs", "1"]
    training += ["--lifter", "simple-baseline-small", "--steps-per-epoch", "2", "--frame-step", "20"]
    for call in (
        [*training, "--out", str(tmp_path / "run")],
        [*added, str(tmp_path / "assumed")],
        [*added, str(tmp_path / "stated"), "--fov", "60"],
    ):
        done = CliRunner().invoke(app, call)
        assert done.exit_code == 0, done.output
    lifter = tmp_path / "run" / "lifter"

    def told(store: str) -> bool:
        options = PredictionOptions(keypoints="detected")
        record = predict_store(lifter, str(tmp_path / store), options, tmp_path / f"{store}-3d", "cpu").record
        sentence = "The lifter is told that the intrinsics of person-1/walk are not known, and sees none."
        return sentence in record.assumptions

    assert told("assumed")
    assert not told("stated")

    def focal_matters(store: str) -> bool:
        trained = load_lifter(lifter)
        poses = read_keypoints(PoseStore.open(str(tmp_path / store)), Selection(keypoints="detected"))
        longer = [replace(one, focal_px=(2 * one.focal_px[0], 2 * one.focal_px[1])) for one in poses.cameras]
        answers = predict(trained, poses)
        return not np.array_equal(answers, predict(trained, replace(poses, cameras=tuple(longer))))

    assert not focal_matters("assumed")
    assert focal_matters("stated")


def test_nothing_is_overwritten_and_the_same_is_not_done_twice(
    prepared: Recipe, lifter: Path, tmp_path: Path
) -> None:
    out, store = tmp_path / "out", prepared.test.data.store
    options = PredictionOptions(subjects=("TS1",))
    assert not predict_store(lifter, store, options, out, "cpu").reused
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert predict_store(lifter, store, options, out, "cpu").reused
    other = options.model_copy(update={"smoothing": NoSmoothing()})
    with pytest.raises(FileExistsError, match="holds another prediction"):
        predict_store(lifter, store, other, out, "cpu")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before

    next(path for path in before if path.suffix == ".npz").unlink()
    with pytest.raises(FileExistsError, match="lacks 1 of the files"):
        predict_store(lifter, store, options, out, "cpu")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="holds other files"):
        predict_store(lifter, store, options, tmp_path / "mine", "cpu")


def test_a_run_that_fails_leaves_nothing(
    prepared: Recipe, lifter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes | str) -> None:
        if path.name == RECORD:
            raise OSError(28, "No space left on device")
        write_atomically(path, content)

    monkeypatch.setattr("poseshift.flows.experiment.predict.write_atomically", full)
    with pytest.raises(OSError, match="No space left"):
        predict_store(
            lifter,
            prepared.test.data.store,
            PredictionOptions(subjects=("TS1",)),
            tmp_path / "a" / "out",
            "cpu",
        )
    assert list((tmp_path / "a").iterdir()) == []


def test_what_cannot_be_done_is_refused_by_name(prepared: Recipe, lifter: Path, tmp_path: Path) -> None:
    store, out = prepared.test.data.store, tmp_path / "out"
    with pytest.raises(UnknownNameError, match="no motion format 'fbx'; there are bvh, c3d, csv"):
        predict_store(lifter, store, PredictionOptions(formats=("fbx",)), out, "cpu")
    with pytest.raises(ValueError, match="no trial, camera or frame matches"):
        predict_store(lifter, store, PredictionOptions(subjects=("nobody",)), out, "cpu")
    with pytest.raises(FileNotFoundError, match=f"{WEIGHTS_FILE}|lifter.json"):
        predict_store(tmp_path, store, PredictionOptions(), out, "cpu")
    assert not out.exists()


def test_names_that_clash_as_files_are_refused(prepared: Recipe, lifter: Path, tmp_path: Path) -> None:
    place = tmp_path / "store"
    shutil.copytree(prepared.test.data.store, place)
    store = PoseStore.open(str(place))
    trial = store.read(next(key for key in store.keys() if key.subject == "TS1"))
    with store.transaction("add twins") as transaction:
        for name in ("a*b", "A?B", "..c"):
            transaction.write(replace(trial, key=TrialKey("twin", name)))
    options = PredictionOptions(subjects=("twin",))
    with pytest.raises(ValueError, match="written over each other: twin/A_B/TS1, twin/a_b/TS1; their"):
        predict_store(lifter, place, options, tmp_path / "out", "cpu")
    assert not (tmp_path / "out").exists()


def test_heights_are_read() -> None:
    assert _heights(["1.78"], ("S1", "S2")) == {"S1": 1.78, "S2": 1.78}
    assert _heights(["S2=1.6", "1.78"], ("S1", "S2")) == {"S1": 1.78, "S2": 1.6}
    assert _heights([], ("S1",)) == {}
    for wrong, told in (("tall", "expected metres"), ("S1=178", "178 m is no body height"), ("nan", "nan m")):
        with pytest.raises(ValueError, match=told):
            _heights([wrong], ("S1",))


@pytest.mark.usefixtures("connected")
def test_predict_as_a_command(
    prepared: Recipe, lifter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ["predict", str(lifter), prepared.test.data.store, "--out", str(tmp_path / "out")]
    options = [
        "--subject",
        "TS1",
        "--format",
        "npz,csv,trc,bvh,gltf,movement",
        "--smooth",
        "one-euro",
        "--height",
        "1.78",
        "--size",
        "cameras",
    ]
    done = CliRunner().invoke(app, [*arguments, *options])
    assert done.exit_code == 0, done.output
    assert "Up is unknown" in done.output
    written = {path.suffix for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert written == {".npz", ".csv", ".trc", ".bvh", ".glb", ".nc", ".json"}

    again = CliRunner().invoke(app, [*arguments, *options, "--json"])
    assert again.exit_code == 0, again.output
    record = PredictionRecord.model_validate_json(again.stdout)
    assert record.inputs.options.smoothing.kind == "one-euro"
    assert record.inputs.options.heights_m == {"TS1": 1.78}
    assert record.inputs.options.size_from == "cameras"

    refused = CliRunner().invoke(app, [*arguments, "--smooth", "none"])
    assert refused.exit_code == 1
    assert "holds another prediction" in refused.output
