"""A camera that is carried about: from its trajectory to motions in the world and viewpoints of a target."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.moving_camera import FOCAL_PX, Scene, add_moving, carried, still, write_keypoints, write_tum
from benchmarks.own_cameras.scene import FPS, SIZE_PX
from click.testing import Result
from typer.testing import CliRunner

from poseshift.adaptation.found_viewpoint import known_gravity_of
from poseshift.adaptation.global_position import GlobalPositionAlignment, GlobalPositionConfig
from poseshift.adaptation.target_clips import Pairs
from poseshift.adaptation.target_keypoints import TargetKeypoints
from poseshift.adaptation.viewpoint import KnownViewpoint, viewpoint_transforms
from poseshift.flows.cli import app
from poseshift.flows.experiment.predict import PredictionOptions, PredictionOutcome, predict_store
from poseshift.flows.own_domain import check_domain
from poseshift.flows.viewer.clips import Wanted
from poseshift.flows.viewer.predicted import predicted_motions
from poseshift.geometry.camera_path import CameraPath
from poseshift.preprocessing.domain.assemble import ClipRequest
from poseshift.preprocessing.domain.rig import from_z_up
from poseshift.preprocessing.motion.procedural import generate
from poseshift.storage.columns import CameraPoses
from poseshift.storage.reading import Selection, read_keypoints
from poseshift.storage.schema import TrialKey
from poseshift.storage.store import PoseStore
from poseshift.training.batches import Batch, DevicePoses
from poseshift.training.prediction.body_height import SizeFrom
from poseshift.training.prediction.smoothing import NoSmoothing, SavitzkyGolay, Smoothing

TO_TRUTH = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]) @ from_z_up("-y")
"""From the store's world to the scene's, whose y points down in the trajectory's file."""

FRAME = 17
KEY = TrialKey("person-1", "walk")


@pytest.fixture(scope="module")
def scene() -> Scene:
    """One person for a second, seen without noise by a telephone that is carried."""
    motion = next(one for one in generate(seed=2, clips_per_subject=1, frames_per_clip=30))
    world = motion.positions.astype(np.float64) - [*motion.positions[:, 0, :2].mean(axis=0), 0.0]
    path = carried(world[:, 0], 4.5, np.random.default_rng(5))
    return Scene(world, path, np.zeros((len(world), 17, 2)))


@pytest.fixture(scope="module")
def store(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("carried")
    add_moving(str(folder / "store"), "walk", scene, folder)
    return str(folder / "store")


def lifted(
    store: str, folder: Path, smoothing: Smoothing, size_from: SizeFrom = "source"
) -> tuple[PredictionOutcome, dict[str, np.ndarray]]:
    """Lift by the lifter that ships, with the bones of each frame; positions with the floor where it was."""
    options = PredictionOptions(keypoints="detected", smoothing=smoothing, body="frame", size_from=size_from)
    outcome = predict_store(Path("free-motion-1"), store, options, folder, "cpu")
    motion = outcome.record.motions[-1]
    with np.load(folder / motion.files["npz"]) as held:
        arrays = dict(held)
    arrays["positions"] = arrays["positions"] + np.array([0.0, 0.0, motion.floor_m or 0.0])
    return outcome, arrays


@pytest.fixture(scope="module")
def plain(store: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return lifted(store, tmp_path_factory.mktemp("plain") / "lifted", NoSmoothing())[1]


def test_a_moving_camera_answers_as_one_that_stands_where_it_is(
    scene: Scene, plain: dict[str, np.ndarray], tmp_path: Path
) -> None:
    stands = replace(scene, path=still(scene.path, FRAME))
    add_moving(str(tmp_path / "store"), "walk", stands, tmp_path)
    _, other = lifted(str(tmp_path / "store"), tmp_path / "lifted", NoSmoothing())
    assert str(plain["axes"]) == "world"
    np.testing.assert_allclose(plain["positions"][FRAME], other["positions"][FRAME], atol=1e-4)
    answer = plain["positions"] @ TO_TRUTH.T
    away = np.linalg.norm(answer - answer[:, :1] - (scene.world - scene.world[:, :1]), axis=-1)
    assert away.mean() < 0.1, "turned as the person is in the world"


def test_motions_are_smoothed_in_the_world(store: str, plain: dict[str, np.ndarray], tmp_path: Path) -> None:
    _, smooth = lifted(store, tmp_path / "lifted", SavitzkyGolay())
    expected = SavitzkyGolay().apply(plain["positions"].astype(np.float64), FPS)
    np.testing.assert_allclose(smooth["positions"], expected, atol=1e-4)


def test_files_lead_back_to_the_camera_of_every_frame(
    scene: Scene, store: str, plain: dict[str, np.ndarray], tmp_path: Path
) -> None:
    outcome, arrays = lifted(store, tmp_path / "lifted", NoSmoothing())
    floor = outcome.record.motions[0].floor_m
    assert floor is not None
    on_floor = arrays["positions"] - [0.0, 0.0, floor]
    seen = np.einsum("nij,nkj->nki", arrays["rotation"], on_floor) + arrays["translation"][:, None]
    pixels = FOCAL_PX * seen[..., :2] / seen[..., 2:] + np.array(SIZE_PX) / 2
    truth = np.einsum("nij,nkj->nki", scene.path.rotation, scene.world) + scene.path.translation[:, None]
    expected = FOCAL_PX * truth[..., :2] / truth[..., 2:] + np.array(SIZE_PX) / 2
    assert np.median(np.linalg.norm(pixels - expected, axis=-1)) < 25
    assert any("smoothed in the world" in one for one in outcome.record.assumptions)
    (clip,) = predicted_motions(tmp_path / "lifted", None, Wanted()).clips
    assert clip.on_floor
    assert clip.frustum is None


def changed(store: str, folder: Path, extrinsics: Callable[[np.ndarray], np.ndarray], **facts: object) -> str:
    """Write the trial with other poses, or other facts, to a store of its own."""
    trial = PoseStore.open(store).read(KEY)
    assert trial.extrinsics is not None
    made = PoseStore.create(folder / "changed", "carried")
    with made.transaction("Write") as transaction:
        transaction.write(replace(trial, extrinsics=extrinsics(trial.extrinsics.copy()), **facts))  # type: ignore[arg-type]
    return str(folder / "changed")


def test_frames_without_a_pose_show_nobody(store: str, plain: dict[str, np.ndarray], tmp_path: Path) -> None:
    def lost(poses: np.ndarray) -> np.ndarray:
        poses[0, [0, 1, 10]] = np.nan
        return poses

    outcome, arrays = lifted(changed(store, tmp_path, lost), tmp_path / "lifted", NoSmoothing())
    (motion,) = outcome.record.motions
    assert (motion.left_out_frames, motion.frames_without_person) == (2, 1)
    assert arrays["frame"].tolist() == list(range(2, len(plain["frame"])))
    assert arrays["interpolated"].all(axis=1).tolist() == [frame == 10 for frame in arrays["frame"]]
    others = arrays["frame"] != 10
    np.testing.assert_allclose(arrays["positions"][others], plain["positions"][2:][others], atol=1e-4)
    between = np.linalg.norm(arrays["positions"][~others] - plain["positions"][10], axis=-1)
    assert between.max() < 0.1
    report = check_domain(str(tmp_path / "changed"))
    assert any("3 of 30 frames have no pose" in one.text for one in report.findings)


def test_where_up_is_not_known_motions_are_in_camera_axes(store: str, tmp_path: Path) -> None:
    unknown = changed(store, tmp_path, lambda poses: poses, up="unknown")
    outcome, arrays = lifted(unknown, tmp_path / "lifted", NoSmoothing())
    assert str(arrays["axes"]) == "camera"
    assert outcome.record.motions[0].floor_m is None


@pytest.fixture(scope="module")
def poses(store: str) -> CameraPoses:
    return read_keypoints(PoseStore.open(store), Selection(keypoints="detected"))


def test_the_people_before_a_moving_camera_tell_where_up_is_in_its_world(poses: CameraPoses) -> None:
    assert poses.motion is not None
    hidden = replace(poses, motion=replace(poses.motion, upright=np.zeros(len(poses), dtype=np.bool_)))
    (found,) = known_gravity_of(hidden, ("given", "learned"), pool_rigs=True).cameras
    assert (found.kind, found.moves) == ("learned", True)
    assert found.up is not None
    assert found.up[2] > np.cos(np.radians(15)), "z is up in the store, which was not told"
    (given,) = known_gravity_of(poses, ("given", "learned"), pool_rigs=True).cameras
    assert (given.kind, given.up) == ("given", (0.0, 0.0, 1.0))


def test_source_poses_are_turned_to_the_up_of_each_frame(poses: CameraPoses) -> None:
    target = TargetKeypoints.from_poses(poses)
    position = GlobalPositionAlignment(GlobalPositionConfig(), target)
    (align,) = viewpoint_transforms(KnownViewpoint(jitter_degrees=0.0), position, None)
    rng = torch.Generator().manual_seed(0)
    drawn = np.random.default_rng(1).normal([0.0, 0.0, 4.0], 0.5, size=(30, 17, 3))
    labelled = replace(poses, positions_camera=drawn.astype(np.float32))
    clips: Batch = DevicePoses.from_columns(labelled, "cpu", frames=1).batch(torch.arange(30))
    assert poses.motion is not None
    ups = torch.as_tensor(poses.motion.path.rotation[..., 2], dtype=torch.float32)
    torch.testing.assert_close(clips.up_camera, ups)
    rows = position.draw(30, torch.Generator().manual_seed(0))
    made = align(clips, rng)
    torch.testing.assert_close(made.up_camera, ups[rows])
    assert DevicePoses.from_columns(labelled, "cpu", frames=3).up_camera is None, "a clip has no one up"


@pytest.fixture(scope="module")
def two(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same person before two telephones that are carried, by the commands that a user gives."""
    folder = tmp_path_factory.mktemp("two")
    arguments = ["--store", str(folder / "store"), "--fps", f"{FPS:g}", "--clip", "walk"]
    for name, seed in (("left", 6), ("right", 7)):
        path = carried(scene.world[:, 0], 4.5, np.random.default_rng(seed))
        file = write_keypoints(folder / f"{name}.json", scene, path)
        arguments += ["--keypoints", f"{name}={file}"]
        arguments += ["--trajectory", f"{name}={write_tum(folder / f'{name}.txt', path)}"]
    arguments += ["--size", "1080x1920", "--camera-matrix", f"{FOCAL_PX:g},{FOCAL_PX:g},540,960"]
    added = command("domain", "add", "carried", *arguments, "--length-unit", "m", "--world-up=-y")
    assert added.exit_code == 0, added.output
    assert "left moves: 30 frames, 30 with a pose of their own" in added.output
    return str(folder / "store")


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "300"})


def test_two_moving_cameras_are_put_together(two: str, scene: Scene, tmp_path: Path) -> None:
    outcome, arrays = lifted(two, tmp_path / "lifted", NoSmoothing())
    assert [one.camera for one in outcome.record.motions] == ["left", "right", "fused"]
    away = np.linalg.norm(arrays["positions"] @ TO_TRUTH.T - scene.world, axis=-1)
    assert away.mean() < 0.15
    _, sized = lifted(two, tmp_path / "sized", NoSmoothing(), "cameras")
    nearer = np.linalg.norm(sized["positions"] @ TO_TRUTH.T - scene.world, axis=-1)
    assert nearer.mean() < 0.75 * away.mean(), "in the size at which both see the person in one place"


def test_the_check_lets_views_judge_the_trajectories(two: str, tmp_path: Path) -> None:
    (told,) = [one for one in check_domain(two).findings if one.check == "views"]
    assert told.level == "note"
    trial = PoseStore.open(two).read(KEY)
    assert trial.extrinsics is not None
    wrong = trial.extrinsics.copy()
    wrong[1, :, :, 3] += [0.0, 0.0, 2.0]
    store = PoseStore.create(tmp_path / "wrong", "carried")
    with store.transaction("Write") as transaction:
        transaction.write(replace(trial, extrinsics=wrong))
    (told,) = [one for one in check_domain(str(tmp_path / "wrong")).findings if one.check == "views"]
    assert told.level == "problem"


def test_pairs_of_moving_cameras_have_the_rotations_of_their_frames(two: str) -> None:
    poses = read_keypoints(PoseStore.open(two), Selection(keypoints="detected"))
    pairs = Pairs(poses, torch.device("cpu"))
    rows = pairs.draw(20, torch.Generator().manual_seed(0))
    assert poses.motion is not None
    assert (poses.frame[rows[:, 0]] == poses.frame[rows[:, 1]]).all()
    expected = torch.as_tensor(poses.motion.path.rotation, dtype=torch.float32)[rows[:, 0]]
    torch.testing.assert_close(pairs.rotation(rows[:, 0]), expected)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ((), "--trajectory without --length-unit"),
        (("--length-unit", "m", "--up", "attitude:5,0"), "--world-up"),
        (("--length-unit", "m", "--trajectory-start", "7"), "--trajectory-start"),
    ],
)
def test_what_is_not_said_of_a_trajectory_is_asked_for(
    extra: tuple[str, ...], message: str, scene: Scene, tmp_path: Path
) -> None:
    file = write_keypoints(tmp_path / "phone.json", scene, scene.path)
    path = write_tum(tmp_path / "phone.txt", scene.path)
    refused = command(
        *("domain", "add", "carried", "--store", str(tmp_path / "store"), "--fps", "30"),
        *("--keypoints", str(file), "--trajectory", str(path), "--size", "1080x1920", *extra),
    )
    assert refused.exit_code == 1
    assert message in refused.output
    assert not (tmp_path / "store").exists()


def test_the_record_of_a_clip_says_how_its_trajectory_was_meant(store: str) -> None:
    trial = PoseStore.open(store).read(KEY)
    assert trial.options["trajectory_metres_per_unit"] == "1"
    assert {Path(one.path).name for one in trial.sources} == {"phone.json", "phone.txt"}
    assert ClipRequest.model_fields["trajectories"].default == ()
    assert isinstance(trial.path("phone"), CameraPath)
