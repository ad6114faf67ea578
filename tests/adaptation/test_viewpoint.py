import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from tests.training.mirroring import mirror
from torch import Tensor

from poseshift.adaptation.global_position import GlobalPositionAlignment, GlobalPositionConfig
from poseshift.adaptation.gravity import (
    CameraGravity,
    GravityConfig,
    SphereMixture,
    learn_camera_gravity,
    pooled_direction,
)
from poseshift.adaptation.orientation import (
    angles_from_up,
    jitter_directions,
    rotation_between,
    turn_upright,
    up_from_angles,
)
from poseshift.adaptation.pseudo_labels import PseudoLabelAlignment, PseudoLabelConfig
from poseshift.adaptation.target_keypoints import TargetKeypoints
from poseshift.adaptation.vertical.axes import long_axes, pooled_axis
from poseshift.adaptation.viewpoint import (
    AlignedViewpoint,
    NoViewpoint,
    PseudoLabelledViewpoint,
    RandomTurn,
    RandomViewpoint,
    Viewpoint,
    ViewpointAlignment,
    viewpoint_transforms,
)
from poseshift.geometry.bones import bone_lengths
from poseshift.geometry.camera import Camera, stack_intrinsics
from poseshift.geometry.projection import normalise, project
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.schema import TrialKey
from poseshift.training.batches import Batch, DevicePoses
from poseshift.training.encoding import encoding
from poseshift.training.fit import fit
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.registry import build
from poseshift.training.lifters.simple_baseline import SimpleBaselineConfig
from poseshift.training.schedule import Schedule
from poseshift.training.transforms import StatefulTransform, TrainingRun

ROOT = 0
SKELETON = skeleton("human36m_17")
angle = st.floats(-3.1, 3.1)
unit = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normalised(vector):
    return torch.nn.functional.normalize(torch.tensor(vector, dtype=torch.float64), dim=-1)


def looking(name: str, pitch_degrees: float, roll_degrees: float = 0.0, size: int = 2048) -> Camera:
    """A camera whose rotation takes the world's z to the up of its pitch and roll; headings are arbitrary."""
    up = up_from_angles(
        *(torch.tensor([math.radians(a)], dtype=torch.float64) for a in (pitch_degrees, roll_degrees))
    )
    z = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    rotation = rotation_between(z, up, torch.zeros(1, dtype=torch.float64))[0]
    return Camera(
        name=name,
        size_px=(size, size),
        focal_px=(1500.0, 1500.0),
        centre_px=(size / 2, size / 2),
        rotation=tuple(tuple(row) for row in rotation.tolist()),
    )


def walkers(rng: np.random.Generator, n: int) -> np.ndarray:
    """People in a z-up world, (n, 17, 3), root at the origin: upright, of any heading, knees bent one way.

    Front and back differ (knees, elbows, head), or no picture could tell above from below.
    """
    side = np.array([0, 0.1, 0.1, 0.1, -0.1, -0.1, -0.1, 0, 0, 0, 0, -0.2, -0.2, -0.2, 0.2, 0.2, 0.2])
    joints = np.zeros((n, 17, 3))
    joints[:, :, 0] = side
    for hip, sign in ((1, 1.0), (4, -1.0)):
        swing = sign * rng.uniform(-0.4, 0.4, n)
        bend = rng.uniform(0.1, 1.0, n)
        joints[:, hip + 1] = joints[:, hip] + 0.45 * np.stack(
            [0 * swing, np.sin(swing + bend / 2), -np.cos(swing + bend / 2)], -1
        )
        joints[:, hip + 2] = joints[:, hip + 1] + 0.45 * np.stack(
            [0 * swing, np.sin(swing - bend / 2), -np.cos(swing - bend / 2)], -1
        )
    lean = rng.uniform(-0.05, 0.3, n)
    spine = np.stack([0 * lean, np.sin(lean), np.cos(lean)], -1)
    for joint, height in ((7, 0.25), (8, 0.5), (10, 0.75)):
        joints[:, joint] = height * spine
    joints[:, 9] = 0.62 * spine + [0, 0.1, 0]
    for shoulder in (11, 14):
        joints[:, shoulder, 1:] += 0.48 * spine[:, 1:]
        raise_ = rng.uniform(-0.3, 1.2, n)
        joints[:, shoulder + 1] = joints[:, shoulder] + 0.3 * np.stack(
            [0 * raise_, np.sin(raise_), -np.cos(raise_)], -1
        )
        bend = raise_ + rng.uniform(0.1, 1.2, n)
        joints[:, shoulder + 2] = joints[:, shoulder + 1] + 0.27 * np.stack(
            [0 * bend, np.sin(bend), -np.cos(bend)], -1
        )
    heading = rng.uniform(0, 2 * np.pi, n)
    c, s, o, i = np.cos(heading), np.sin(heading), 0 * heading, np.ones(n)
    turn = np.stack([np.stack([c, -s, o], -1), np.stack([s, c, o], -1), np.stack([o, o, i], -1)], -2)
    return np.einsum("nab,njb->nja", turn, joints)


def columns(rng: np.random.Generator, cameras: list[Camera], each: int) -> CameraPoses:
    """Walkers some metres in front of each camera."""
    positions = []
    for camera in cameras:
        people = walkers(rng, each) @ np.array(camera.rotation).T
        root = np.stack(
            [rng.uniform(-1, 1, each), rng.uniform(-0.5, 0.5, each), rng.uniform(3.5, 5, each)], -1
        )
        positions.append(people + root[:, None])
    stacked = np.concatenate(positions).astype(np.float32)
    row = np.repeat(np.arange(len(cameras), dtype=np.int32), each)
    return CameraPoses(
        positions_camera=stacked,
        keypoints_px=project(stacked, stack_intrinsics(cameras)[row]).astype(np.float32),
        camera=row,
        trial=row,
        frame=np.tile(np.arange(each, dtype=np.int32), len(cameras)),
        activity=np.zeros(len(row), dtype=np.int8),
        cameras=tuple(cameras),
        trials=tuple(TrialInfo(TrialKey("S1", camera.name), "Walking", "1", 50.0) for camera in cameras),
        skeleton="human36m_17",
        snapshot="made",
    )


@pytest.fixture
def batch(draw_people, distorted_camera) -> Batch:
    """Clips of three frames, float64, in front of a distorting camera that is not quite level."""
    positions = torch.as_tensor(
        draw_people(np.random.default_rng(0), 24).reshape(8, 3, 17, 3), dtype=torch.float64
    )
    intrinsics = stack_intrinsics([distorted_camera] * 8).map(torch.as_tensor)
    up = normalised([[0.02, -0.98, -0.19]] * 8)
    return Batch(positions, project(positions, intrinsics), intrinsics, up)


@settings(max_examples=50, deadline=None)
@given(unit, unit, angle)
def test_the_rotation_turns_one_up_into_the_other_whatever_they_are(first, second, heading):
    a, b = normalised([first]), normalised([second])
    rotation = rotation_between(a, b, torch.tensor([heading], dtype=torch.float64))[0]
    assert torch.allclose(rotation @ a[0], b[0], atol=1e-12)
    assert torch.allclose(rotation @ rotation.T, torch.eye(3, dtype=torch.float64), atol=1e-12)
    assert torch.linalg.det(rotation) == pytest.approx(1)


def test_a_heading_turns_about_up_by_its_own_angle():
    up = normalised([[0.3, -0.9, -0.2]])
    plain, turned = (rotation_between(up, up, torch.tensor([a], dtype=torch.float64))[0] for a in (0.0, 0.7))
    assert torch.allclose(plain, torch.eye(3, dtype=torch.float64), atol=1e-12)
    assert math.acos((turned.trace().item() - 1) / 2) == pytest.approx(0.7)


def test_opposite_directions_are_no_special_case():
    up = normalised([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [0.3, 0.4, 0.5]])
    rotation = rotation_between(up, -up, torch.zeros(3, dtype=torch.float64))
    assert torch.allclose(torch.einsum("nab,nb->na", rotation, up), -up, atol=1e-12)


def test_turning_keeps_roots_bones_and_motion_and_puts_up_where_it_is_asked_to_be(batch):
    # The up of a person is marked by two more points: the thorax and one half a metre higher.
    wanted = up_from_angles(torch.full((8,), 0.9), torch.linspace(-3, 3, 8)).double()
    marker = batch.up_camera[:, None] * 0.5
    positions = batch.positions_camera.clone()
    positions[:, 1, 8] = positions[:, 1, 0] + marker[:, 0]
    marked = Batch(positions, batch.keypoints_px, batch.intrinsics, batch.up_camera)
    turned = turn_upright(marked, wanted, ROOT, seeded(1))
    new = turned.positions_camera
    assert torch.allclose(new[:, 1, 8] - new[:, 1, 0], 0.5 * wanted, atol=1e-12)
    assert torch.equal(turned.up_camera, wanted)
    assert torch.allclose(new[:, 1, ROOT], positions[:, 1, ROOT], atol=1e-12)
    assert torch.allclose(bone_lengths(new, SKELETON), bone_lengths(positions, SKELETON), atol=1e-12)
    steps = [(p[:, 1:] - p[:, :-1]).norm(dim=-1) for p in (new, positions)]
    assert torch.allclose(*steps, atol=1e-12)
    between = [torch.cdist(p.reshape(8, 51, 3), p.reshape(8, 51, 3)) for p in (new, positions)]
    assert torch.allclose(*between, atol=1e-6), "a clip turns as one body"
    assert torch.allclose(turned.keypoints_px, project(new, batch.intrinsics))


def test_headings_fill_the_full_turn(batch):
    up = normalised([[0.0, -1.0, 0.0]]).repeat(8, 1)
    angles = []
    for seed in range(40):
        turned = turn_upright(batch, up, ROOT, seeded(seed))
        arm = turned.positions_camera[:, 1, 13] - turned.positions_camera[:, 1, ROOT]
        angles.extend(torch.atan2(arm[:, 0], arm[:, 2]).tolist())
    counts, _ = np.histogram(angles, bins=8, range=(-math.pi, math.pi))
    assert counts.min() > 20  # 40 are expected in each


def test_turning_needs_to_know_up(batch):
    with pytest.raises(ValueError, match="up_camera is None"):
        turn_upright(
            Batch(batch.positions_camera, batch.keypoints_px, batch.intrinsics), batch.up_camera, 0, seeded(0)
        )


@settings(max_examples=50, deadline=None)
@given(st.floats(-1.5, 1.5), angle)
def test_angles_and_directions_are_inverse(pitch, roll):
    up = up_from_angles(torch.tensor(pitch, dtype=torch.float64), torch.tensor(roll, dtype=torch.float64))
    assert up.norm() == pytest.approx(1)
    found = angles_from_up(up)
    assert found[0] == pytest.approx(pitch, abs=1e-6)
    assert found[1] == pytest.approx(roll, abs=1e-6)


@pytest.mark.parametrize(
    ("pitch", "roll", "up"),
    [
        (0, 0, (0, -1, 0)),  # level: up is up in the image, where y points down
        (90, 0, (0, 0, -1)),  # straight from above: up points at the camera
        (0, 90, (1, 0, 0)),
        (0, 180, (0, 1, 0)),
        (30, 0, (0, -math.sqrt(3) / 2, -0.5)),
    ],
)
def test_directions_of_known_attitudes(pitch, roll, up):
    found = up_from_angles(np.radians(pitch), np.radians(roll))
    assert found == pytest.approx(np.array(up), abs=1e-12)


def test_jitter_has_the_deviation_that_is_asked_for():
    up = normalised([[0.2, -0.9, -0.3]]).repeat(20000, 1)
    tilted = jitter_directions(up, math.radians(5), seeded(0))
    assert torch.allclose(tilted.norm(dim=-1), torch.ones(20000, dtype=torch.float64))
    away = torch.rad2deg(torch.acos((tilted * up).sum(-1)))
    # The length of two independent normal draws: sqrt(pi / 2) times their deviation.
    assert away.mean() == pytest.approx(5 * math.sqrt(math.pi / 2), rel=0.02)
    assert torch.allclose(jitter_directions(up, 0.0, seeded(0)), up, atol=1e-15)


def test_device_poses_know_the_up_of_their_cameras_and_mirroring_mirrors_it():
    poses = columns(np.random.default_rng(3), [looking("a", 20), looking("b", 50, 160)], 4)
    taken = DevicePoses.from_columns(poses, "cpu", 1).batch(torch.tensor([0, 7]))
    pitch, roll = (torch.rad2deg(a).tolist() for a in angles_from_up(taken.up_camera))
    assert pitch == pytest.approx([20, 50], abs=1e-3)
    assert roll == pytest.approx([0, 160], abs=1e-3)
    mirrored = mirror(taken, SKELETON)
    assert torch.rad2deg(angles_from_up(mirrored.up_camera)[1]).tolist() == pytest.approx([0, -160], abs=1e-3)
    assert torch.equal(mirror(mirrored, SKELETON).up_camera, taken.up_camera)


def test_the_control_draws_from_its_ranges_and_repeats_by_seed(batch):
    turn = RandomTurn(RandomViewpoint(pitch_degrees=(10, 30), roll_degrees=(-5, 5)), ROOT)
    drawn = [angles_from_up(turn(batch, seeded(seed)).up_camera) for seed in range(30)]
    pitch, roll = (torch.rad2deg(torch.cat(angles)) for angles in zip(*drawn, strict=True))
    assert 10 <= pitch.min() < 12
    assert 28 < pitch.max() <= 30
    assert -5 <= roll.min() < -4
    assert 4 < roll.max() <= 5
    assert torch.equal(turn(batch, seeded(4)).positions_camera, turn(batch, seeded(4)).positions_camera)


def test_alignment_takes_position_and_gravity_from_the_same_target_pose():
    rng = np.random.default_rng(5)
    cameras = [looking("low", 0), looking("ceiling", 60, 170)]
    target = columns(rng, cameras, 40)
    target.positions_camera[:] = np.nan  # nothing may look at it
    keypoints = TargetKeypoints.from_poses(target)
    source = DevicePoses.from_columns(columns(rng, [looking("source", 10, size=1000)], 64), "cpu", 1)
    up = torch.tensor([camera.up for camera in cameras])
    position = GlobalPositionAlignment(GlobalPositionConfig(), keypoints)
    aligned = ViewpointAlignment(0.0, position, up)
    batch = source.batch(torch.arange(64))
    moved = aligned(batch, seeded(0))
    rows = [
        int(((keypoints.rays[:, ROOT] - ray) ** 2).sum(-1).argmin())
        for ray in (moved.positions_camera[:, 0, ROOT, :2] / moved.positions_camera[:, 0, ROOT, 2:]).numpy()
    ]
    assert torch.allclose(moved.up_camera, up[torch.as_tensor(target.camera[rows], dtype=torch.int64)])
    assert torch.allclose(
        bone_lengths(moved.positions_camera, SKELETON),
        bone_lengths(batch.positions_camera, SKELETON),
        atol=1e-5,
    )
    again = aligned(batch, seeded(0))
    assert torch.equal(again.positions_camera, moved.positions_camera)
    assert not torch.equal(aligned(batch, seeded(1)).positions_camera, moved.positions_camera)


def test_pooling_finds_the_common_direction_among_outliers():
    truth = normalised([0.1, -0.8, -0.6])
    rng = seeded(2)
    answers = torch.nn.functional.normalize(
        truth + 0.15 * torch.randn(60, 3, generator=rng, dtype=torch.float64), dim=-1
    )
    answers[:15] = normalised(
        [0.9, 0.1, 0.4]
    )  # a quarter of the poses agree on something else, with confidence
    mixture = SphereMixture(
        mean=answers[:, None],
        concentration=torch.full((60, 1), 40.0, dtype=torch.float64),
        log_weight=torch.zeros(60, 1, dtype=torch.float64),
    )
    found = pooled_direction(mixture, 0.1)
    assert math.degrees(math.acos(float((found * truth).sum()))) < 4
    mean = torch.nn.functional.normalize(answers.mean(0), dim=0)
    assert math.degrees(math.acos(float((mean * truth).sum()))) > 10, "the mean would not have found it"


def test_the_density_of_a_mixture_is_one_over_the_sphere():
    mixture = SphereMixture(
        mean=normalised([[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]]),
        concentration=torch.tensor([[3.0, 30.0]], dtype=torch.float64),
        log_weight=torch.tensor([[0.3, 0.7]], dtype=torch.float64).log(),
    )
    directions = torch.nn.functional.normalize(
        torch.randn(200000, 3, generator=seeded(0), dtype=torch.float64), dim=-1
    )
    density = mixture.log_density(directions).exp()
    assert density.mean() * 4 * math.pi == pytest.approx(1, rel=0.03)
    one = directions[:1]
    assert mixture.log_density_at(one) == pytest.approx(mixture.log_density(one)[:, 0])


@pytest.fixture(scope="module")
def found() -> tuple[CameraGravity, tuple[Camera, ...]]:
    """Gravity learned from walkers, for cameras that are level, high, and upside down on the ceiling."""
    rng = np.random.default_rng(11)
    source = DevicePoses.from_columns(columns(rng, [looking("source", 10, size=1000)], 3000), "cpu", 1)
    cameras = (looking("level", 0), looking("high", 35, 5), looking("ceiling", 60, 165))
    target = columns(rng, list(cameras), 150)
    target.positions_camera[:] = np.nan
    config = GravityConfig(steps=800, batch_size=256, width=128, learning_rate=2e-3)
    return learn_camera_gravity(source, TargetKeypoints.from_poses(target), config, seed=0), cameras


def test_gravity_is_found_from_keypoints_alone(found):
    gravity, cameras = found
    for one, camera in zip(gravity.cameras, cameras, strict=True):
        away = math.degrees(math.acos(min(1.0, float(np.dot(one.up, camera.up)))))
        assert away < 10, f"{camera.name}: {one}"
        assert away < one.spread_degrees, "pooled poses know more than one"
        assert one.poses == 150


def test_what_was_found_survives_its_file_and_cameras_without_poses_are_told(found):
    gravity, _ = found
    assert CameraGravity.model_validate_json(gravity.model_dump_json()) == gravity
    empty = gravity.cameras[0].model_copy(update={"up": None, "poses": 0, "spread_degrees": None})
    partly = CameraGravity(cameras=(empty, gravity.cameras[1]))
    assert partly.up[0].isnan().all()
    assert partly.up[1].tolist() == pytest.approx(gravity.cameras[1].up)
    assert CameraGravity.model_validate_json(partly.model_dump_json()) == partly


def test_the_estimate_repeats_by_seed():
    rng = np.random.default_rng(1)
    source = DevicePoses.from_columns(columns(rng, [looking("source", 10)], 50), "cpu", 1)
    target = TargetKeypoints.from_poses(columns(rng, [looking("t", 30)], 20))
    config = GravityConfig(steps=3, batch_size=16, width=16)
    state = torch.get_rng_state()
    first, same, other = (learn_camera_gravity(source, target, config, seed) for seed in (0, 0, 1))
    assert first == same
    assert first != other
    assert torch.equal(torch.get_rng_state(), state), "torch's own generator is left alone"


def test_a_viewpoint_may_be_named_or_written_out():
    adapter = TypeAdapter(Viewpoint)
    assert adapter.validate_python("none") == NoViewpoint()
    assert adapter.validate_python({"kind": "random", "pitch_degrees": [0, 90]}) == RandomViewpoint(
        pitch_degrees=(0, 90)
    )
    assert adapter.validate_python("aligned") == AlignedViewpoint()
    with pytest.raises(ValidationError, match="sideways"):
        adapter.validate_python("sideways")


def test_transforms_of_each_kind(found):
    gravity, _ = found
    target = TargetKeypoints.from_poses(columns(np.random.default_rng(1), [looking("t", 30)], 5))
    position = GlobalPositionAlignment(GlobalPositionConfig(), target)
    assert viewpoint_transforms(NoViewpoint(), position, None) == (position,)
    turn, last = viewpoint_transforms(RandomViewpoint(), position, None)
    assert isinstance(turn, RandomTurn)
    assert last is position
    (aligned,) = viewpoint_transforms(AlignedViewpoint(), position, gravity)
    assert isinstance(aligned, ViewpointAlignment)
    with pytest.raises(ValueError, match="gravity"):
        viewpoint_transforms(AlignedViewpoint(), position, None)


PSEUDO = PseudoLabelConfig(first=0.4, every=3, poses_per_camera=50)


class Knows(Lifter):
    """Answers the true pose of the known keypoints that are nearest to those it is shown."""

    def __init__(self, rays: Tensor, poses: Tensor) -> None:
        super().__init__(frames=1, output="all", channels=2, skeleton="human36m_17")
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.rays, self.poses = rays.flatten(1), poses

    def lift(self, keypoints: Tensor) -> Tensor:
        nearest = torch.cdist(keypoints.flatten(1), self.rays).argmin(dim=1)
        return self.poses[nearest][:, None] + 0 * self.weight


@pytest.fixture
def cameras():
    return [looking("level", 5.0), looking("ceiling", 65.0, 20.0)]


@pytest.fixture
def target(cameras):
    return columns(np.random.default_rng(3), cameras, 80)


@pytest.fixture
def position(target):
    return GlobalPositionAlignment(GlobalPositionConfig(), TargetKeypoints.from_poses(target))


@pytest.fixture
def source():
    poses = columns(np.random.default_rng(4), [looking("source", 10.0)], 64)
    return DevicePoses.from_columns(poses, "cpu", 1)


def learning(position, config: PseudoLabelConfig = PSEUDO) -> PseudoLabelAlignment:
    (transform,) = viewpoint_transforms(
        PseudoLabelledViewpoint(labels=config, jitter_degrees=0.0), position, None
    )
    assert isinstance(transform, PseudoLabelAlignment)
    assert isinstance(transform, StatefulTransform)
    return transform


def test_true_answers_give_the_cameras_their_up(cameras, target, position) -> None:
    intrinsics = DevicePoses.from_columns(target, "cpu", 1)
    rays = normalise(intrinsics.keypoints_px, intrinsics.intrinsics[intrinsics.camera])
    relative = intrinsics.positions_camera - intrinsics.positions_camera[:, :1]
    transform = learning(position)
    transform.attach(TrainingRun(Knows(rays, relative), encoding("ray"), 10))
    found = transform.gravity(("level", "ceiling"))
    assert [one.camera for one in found.cameras] == ["level", "ceiling"]
    for one, camera in zip(found.cameras, cameras, strict=True):
        angle = math.degrees(math.acos(min(1.0, float(np.dot(one.up, camera.up)))))
        assert angle < 6, "people who lean to all sides stand upright together"
        assert one.poses == 50
        assert one.kind == "pseudo-labels"
        assert one.interval_degrees is not None
        assert angle < one.interval_degrees, "which is wide: people may lean alike"
        assert one.spread_degrees is not None
        assert one.spread_degrees < 30


def test_a_run_begins_at_random_and_turns_by_answers_afterwards(position, source) -> None:
    """Of ten steps four are random; the six others take one of two directions, renewed every third step."""
    transform = learning(position)
    lifter = build(SimpleBaselineConfig(width=16, blocks=1), 2, seed=0)
    transform.attach(TrainingRun(lifter, encoding("screen"), 10))
    generator = torch.Generator().manual_seed(0)
    directions = []
    for step in range(10):
        with torch.no_grad():
            lifter.head.bias += 0.5 * torch.randn(51, generator=torch.Generator().manual_seed(step))
        up = transform(source.batch(torch.arange(64)), generator).up_camera
        assert up is not None
        directions.append({tuple(one) for one in np.round(up.numpy().astype(np.float64), 4)})
    assert all(len(one) == 64 for one in directions[:4])
    assert all(len(one) == 2 for one in directions[4:])
    assert directions[4] == directions[5] == directions[6]
    assert directions[6] != directions[7]
    assert directions[7] == directions[8] == directions[9]


def test_known_gravity_takes_the_place_of_answers(position, source) -> None:
    transform = learning(position)
    lifter = build(SimpleBaselineConfig(width=16, blocks=1), 2, seed=0)
    transform.attach(TrainingRun(lifter, encoding("screen"), 10))
    found = transform.gravity(("level", "ceiling"))
    (fixed,) = viewpoint_transforms(PseudoLabelledViewpoint(), position, found)
    assert isinstance(fixed, ViewpointAlignment)


def test_without_a_run_there_are_no_answers(position, source) -> None:
    with pytest.raises(RuntimeError, match="lifter in training"):
        learning(position)(source.batch(torch.arange(8)), torch.Generator())


def test_a_resumed_run_ends_like_an_undisturbed_one(position, source, tmp_path) -> None:
    """Bit for bit: lifter, teacher and what it said."""
    schedule = Schedule(epochs=4, steps_per_epoch=3, batch_size=16)

    class InterruptionError(Exception):
        pass

    def stop(log) -> None:
        if log.epoch == 3:
            raise InterruptionError

    def train(folder, on_epoch=None):
        transform = learning(position)
        lifter = build(SimpleBaselineConfig(width=16, blocks=1), 2, seed=0)
        result = fit(
            lifter,
            encoding("screen"),
            source,
            schedule,
            run_dir=folder,
            seed=1,
            transforms=(transform,),
            on_epoch=on_epoch,
        )
        return result.lifter.state_dict(), transform.state_dict()

    whole = train(tmp_path / "whole")
    with pytest.raises(InterruptionError):
        train(tmp_path / "broken", stop)
    resumed = train(tmp_path / "broken")
    assert all(torch.equal(resumed[0][name], value) for name, value in whole[0].items())
    assert resumed[1]["step"] == whole[1]["step"] == 12
    assert torch.equal(resumed[1]["up"], whole[1]["up"])
    for name, value in whole[1]["teacher"].items():
        assert torch.equal(resumed[1]["teacher"][name], value), name


def test_axes_point_from_the_ankles_to_the_head() -> None:
    pose = torch.zeros(1, 17, 3)
    pose[0, 10] = torch.tensor([0.0, -0.7, 0.0])
    pose[0, 3] = torch.tensor([0.1, 0.9, 0.0])
    pose[0, 6] = torch.tensor([-0.1, 0.9, 0.0])
    torch.testing.assert_close(long_axes(pose, SKELETON), torch.tensor([[0.0, -1.0, 0.0]]))
    with pytest.raises(ValueError, match="has no"):
        long_axes(torch.zeros(1, 17, 3), skeleton("coco_17"))


def test_a_third_of_lying_bodies_hardly_moves_the_pooled_axis() -> None:
    rng = torch.Generator().manual_seed(0)
    truth = up_from_angles(torch.tensor(0.3), torch.tensor(0.1))
    axes = torch.nn.functional.normalize(truth + 0.1 * torch.randn(60, 3, generator=rng), dim=-1)
    lying = axes.clone()
    lying[:20] = torch.tensor([1.0, 0.0, 0.0])
    for answers, limit in ((axes, 3.5), (lying, 8.0)):
        found = pooled_axis(answers)
        assert float(found.norm()) == pytest.approx(1)
        assert math.degrees(math.acos(float(found @ truth))) < limit
    mean = torch.nn.functional.normalize(lying.mean(dim=0), dim=0)
    assert math.degrees(math.acos(float(mean @ truth))) > 15
