from pathlib import Path

import numpy as np
import pytest
import torch

from poseshift.adaptation.global_position import GlobalPositionConfig
from poseshift.adaptation.staging import TargetStage
from poseshift.adaptation.target_keypoints import TargetKeypoints
from poseshift.augmentation.synthesis import SynthesisOptions, synthesise, write_augmented_store
from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import normalise, project, rays_of, world_to_camera
from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.storage.schema import Trial, TrialKey
from poseshift.storage.store import PoseStore, StoreError

TURNED = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
"""World z up, camera y down."""


@pytest.fixture
def source(tmp_path: Path, distorted_camera: Camera, draw_people) -> PoseStore:
    """Two trials of 11 frames in front of two cameras of Human3.6M."""
    cameras = tuple(
        Camera(
            name=name,
            size_px=distorted_camera.size_px,
            focal_px=distorted_camera.focal_px,
            centre_px=distorted_camera.centre_px,
            distortion=distorted_camera.distortion,
            rotation=TURNED,
            translation=(offset, 1.0, 4.0),
        )
        for name, offset in (("54138969", 0.0), ("55011271", 0.3))
    )
    store = PoseStore.create(tmp_path / "source", "human36m")
    with store.transaction("Add two trials") as transaction:
        for number, name in enumerate(("Walking", "Walking 1")):
            people = draw_people(np.random.default_rng(number), 11, depth=0.0)
            world = (people[..., [0, 2, 1]] * [1, 1, -1]).astype(np.float32)
            keypoints = [
                project(
                    world_to_camera(world, np.array(camera.rotation), np.array(camera.translation)),
                    camera.intrinsics,
                )
                for camera in cameras
            ]
            transaction.write(
                Trial(
                    key=TrialKey("S1", name),
                    action="Walking",
                    subaction=str(number),
                    fps=50.0,
                    cameras=cameras,
                    positions_world=world,
                    keypoints_2d=np.stack(keypoints).astype(np.float32),
                )
            )
    return store


@pytest.fixture
def target(square_camera, wide_camera, draw_people, make_columns) -> TargetKeypoints:
    rng = np.random.default_rng(5)
    camera = np.repeat([0, 1], 20).astype(np.int32)
    return TargetKeypoints.from_poses(
        make_columns(draw_people(rng, 40, depth=6.0), (square_camera, wide_camera), camera)
    )


def test_clips_stand_where_the_drawn_camera_sees_people(
    make_columns, draw_people, square_camera, wide_camera, distorted_camera
) -> None:
    """Three of four target poses are seen by the first camera, and so are about three of four stagings."""
    camera = np.repeat([0, 1], (60, 20)).astype(np.int32)
    people = draw_people(np.random.default_rng(0), 80, spread=0.8)
    target = TargetKeypoints.from_poses(make_columns(people, (square_camera, wide_camera), camera))
    stage = TargetStage(GlobalPositionConfig(), target, "human36m_17")
    rng = torch.Generator().manual_seed(1)
    clips = torch.as_tensor(draw_people(np.random.default_rng(1), 6))[:, None].expand(6, 3, 17, 3)
    drawn = []
    for _ in range(200):
        staged = stage(clips, distorted_camera, rng)
        number = target.cameras.index(staged.camera)
        drawn.append(number)
        roots = rays_of(staged.positions_camera[:, 1, 0])[:, None]
        distance = (roots - torch.as_tensor(target.rays[target.camera == number, 0])).abs().amax(dim=-1)
        assert float(distance.amin(dim=1).max()) < 1e-5
        relative = [one - one[..., :1, :] for one in (staged.positions_camera, clips)]
        torch.testing.assert_close(*relative, atol=1e-5, rtol=0)
    assert abs(np.mean(drawn) - 0.25) < 0.1


def placed(source: PoseStore, target: TargetKeypoints, **options: int) -> list[Trial]:
    stage = TargetStage(GlobalPositionConfig(), target, source.skeleton)
    return list(synthesise(read_camera_poses(source), None, SynthesisOptions(**options), stage))


def test_every_view_becomes_a_trial_in_front_of_one_target_camera(source, target):
    trials = placed(source, target, seed=0)
    views = read_camera_poses(source, Selection())
    assert [trial.key.trial for trial in trials] == [
        *("Walking.54138969.0", "Walking.55011271.0", "Walking 1.54138969.0", "Walking 1.55011271.0"),
    ]
    assert all(trial.augmentation is None for trial in trials)
    for number, trial in enumerate(trials):
        original = views.positions_camera[11 * number : 11 * (number + 1)]
        moved = trial.positions_world
        assert np.allclose(moved - moved[:, :1], original - original[:, :1], atol=1e-5)
        (camera,) = trial.cameras
        assert camera.rotation == ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
        seen_by = [one.name for one in target.cameras].index(camera.name)
        roots = normalise(trial.keypoints_2d[0], camera.intrinsics)[:, 0]
        allowed = target.rays[target.camera == seen_by, 0]
        assert np.linalg.norm(roots[:, None] - allowed, axis=-1).min(axis=1).max() < 1e-5


def test_segments_share_one_displacement(source, target):
    whole = placed(source, target, seed=0, segment_frames=4)[0]
    views = read_camera_poses(source, Selection())
    shift = whole.positions_world[:, 0] - views.positions_camera[:11, 0]
    segment = np.arange(11) // 4
    for number in range(3):
        own = shift[segment == number]
        assert np.allclose(own, own[0], atol=1e-5)
    assert not np.allclose(shift[0], shift[4], atol=1e-3)


def test_written_store_reads_back_and_says_where_it_comes_from(tmp_path, source, target):
    stage = TargetStage(GlobalPositionConfig(root_form="wide"), target, source.skeleton)

    def write(seed: int) -> PoseStore:
        options = SynthesisOptions(seed)
        return write_augmented_store(
            tmp_path / "adapted", source, None, options, stage=stage, made_by=stage.made_by
        )

    def make(seed: int) -> list[Trial]:
        return list(synthesise(read_camera_poses(source), None, SynthesisOptions(seed), stage))

    store = write(seed=3)
    assert store.dataset == "adapted"
    assert store.attributes.options["source_snapshot"] == source.snapshot
    assert store.attributes.options["root_form"] == "wide"
    expected = {trial.key: trial for trial in make(seed=3)}
    opened = PoseStore.open(tmp_path / "adapted")
    assert set(opened.keys()) == set(expected)
    poses = read_camera_poses(opened, Selection())
    assert len(poses) == 44
    for key, trial in expected.items():
        assert np.array_equal(opened.read(key).positions_world, trial.positions_world)
        assert np.array_equal(opened.read(key).keypoints_2d, trial.keypoints_2d)
    other = make(seed=4)[0]
    assert not np.array_equal(other.positions_world, expected[other.key].positions_world)
    assert write(seed=3).snapshot == opened.snapshot
    with pytest.raises(StoreError, match="choose another place"):
        write(seed=4)


def test_another_target_gives_another_digest(target):
    stages = [
        TargetStage(GlobalPositionConfig(), seen, target.skeleton)
        for seen in (
            target,
            TargetKeypoints(target.rays + 1, target.camera, target.cameras, target.skeleton, 0),
        )
    ]
    assert stages[0].made_by["target"] != stages[1].made_by["target"]


def test_misuse_is_refused(target):
    other = TargetKeypoints(target.rays, target.camera, target.cameras, "coco_17", 0)
    with pytest.raises(ValueError, match="coco_17"):
        TargetStage(GlobalPositionConfig(), other, "human36m_17")
