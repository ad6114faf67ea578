"""Where up is, found by people: the sphere's arithmetic, the shipped finder, what recipes make of it."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from poseshift.adaptation.config import GlobalPositionAdaptation
from poseshift.adaptation.found_viewpoint import known_gravity_of, possible_directions
from poseshift.adaptation.gravity import FoundGravity
from poseshift.adaptation.methods import METHODS
from poseshift.adaptation.orientation import angles_from_up
from poseshift.adaptation.plan import needs_learned_gravity, plan
from poseshift.adaptation.vertical.axes import measure_angles
from poseshift.adaptation.vertical.calibration import conformal_factor
from poseshift.adaptation.vertical.finder import Finder, camera_tracks, shipped_finder
from poseshift.adaptation.vertical.learning import LearningConfig, divide, train_estimator
from poseshift.adaptation.vertical.motions import Motions
from poseshift.adaptation.vertical.posterior import (
    Tempering,
    angles_degrees,
    middle_of,
    rig_density,
    sphere_grid,
)
from poseshift.adaptation.vertical.scenes import POSES, draw_attitudes, draw_rotations
from poseshift.adaptation.viewpoint import FoundViewpoint
from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project
from poseshift.preprocessing.human36m.layout import CAMERA_IDS
from poseshift.preprocessing.human36m.layout import camera as human36m_camera
from poseshift.preprocessing.motion.procedural import generate
from poseshift.preprocessing.restaging.placement import draw_placement, ring_stage, to_camera
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.pose_runs import PoseRun, columns_of
from poseshift.storage.schema import TrialKey, Vertical
from poseshift.training.batches import DevicePoses

CAMERAS = tuple(human36m_camera("S1", name) for name in CAMERA_IDS)


@pytest.fixture(scope="module")
def seen() -> CameraPoses:
    """Three people of the procedural generator before the four cameras of Human3.6M."""
    stage = ring_stage(CAMERAS, 1.0)
    rng = np.random.default_rng(0)
    runs = []
    for motion in generate(seed=3)[::9][:3]:
        placement = draw_placement(motion.positions, stage, rng)
        assert placement is not None
        placed = placement.apply(motion.positions)
        info = TrialInfo(TrialKey(motion.subject, motion.name.replace("/", "-")), "", "1", motion.fps)
        runs += [run(info, to_camera(placed, camera), camera) for camera in CAMERAS]
    return columns_of(runs, "human36m_17", "")


def run(info: TrialInfo, positions: np.ndarray, camera: Camera) -> PoseRun:
    return PoseRun(
        info=info,
        camera=camera,
        positions_camera=positions.astype(np.float32),
        keypoints_px=np.asarray(project(positions, camera.intrinsics), dtype=np.float32),
        frames=np.arange(len(positions)),
        activity=np.zeros(len(positions), dtype=np.int8),
    )


@pytest.mark.parametrize("concentration", [8.0, 60.0, 400.0])
def test_the_cone_of_a_fisher_distribution_holds_nine_tenths_of_it(concentration: float) -> None:
    """By the distribution's own integral: P(angle < a) = (1 - exp(k (cos a - 1))) / (1 - exp(-2 k))."""
    truth = torch.nn.functional.normalize(torch.tensor([0.2, -0.9, -0.35]), dim=0)
    grid = sphere_grid()
    middle = middle_of(concentration * (grid @ truth), grid)
    held = 1 - math.exp(concentration * (math.cos(math.radians(middle.radius_degrees)) - 1))
    assert held / (1 - math.exp(-2 * concentration)) == pytest.approx(0.9, abs=0.03)
    assert float(angles_degrees(middle.up, truth)) < 0.5


def test_an_axis_is_as_sure_as_the_angles_that_were_measured() -> None:
    """Axes anywhere on the sphere: nine tenths of it are a cone of arccos(-0.8)."""
    rng = np.random.default_rng(0)
    anywhere = np.degrees(np.arccos(rng.uniform(-1, 1, 20_000)))
    flat = torch.zeros(len(sphere_grid()))
    axis = torch.tensor([0.0, -1.0, 0.0])
    told = measure_angles(anywhere.tolist(), rng.uniform(0, 40, 20_000).tolist(), "none")
    assert told.interval(axis, 12.0, flat) == pytest.approx(math.degrees(math.acos(-0.8)), abs=2)
    near = measure_angles([2.0] * 400, [4.0] * 399 + [5.0], "none")
    assert near.interval(axis, 4.0, flat) < 30
    level = 60 * (sphere_grid() @ axis)  # cameras that are held level
    assert told.interval(axis, 12.0, level) < 25
    assert told.interval(torch.tensor([1.0, 0.0, 0.0]), 12.0, level) > 80


def test_tracks_add_what_their_exponent_says_and_the_prior_counts_once_per_camera() -> None:
    gains = torch.tensor([[1.0, 3.0], [3.0, 5.0], [10.0, 0.0]])
    prior = torch.tensor([[0.5, 0.25]])
    none = Tempering(tracks=0, people=0, cameras=0)
    full = Tempering(tracks=1, people=1, cameras=1)
    # Two tracks of one person and one of another: means of means, or sums.
    assert rig_density([gains], prior, [(0, 0, 1)], none).tolist() == [6.5, 2.25]
    assert rig_density([gains], prior, [(0, 0, 1)], full).tolist() == [14.5, 8.25]
    both = rig_density([gains, gains], torch.cat([prior, prior]), [(0, 0, 1)] * 2, full)
    assert both.tolist() == [29.0, 16.5]


def test_up_is_found_within_its_interval(seen: CameraPoses) -> None:
    found = shipped_finder().find(seen)
    for one, camera in zip(found, seen.cameras, strict=True):
        assert one.kind == "learned"
        assert one.poses == int((seen.camera == list(seen.cameras).index(camera)).sum())
        away = math.degrees(math.acos(np.dot(one.up, camera.up)))
        assert away < one.interval_degrees < 45
        assert away < 12


def test_a_rig_has_one_vertical(seen: CameraPoses) -> None:
    rotations = {row: camera.rotation for row, camera in enumerate(seen.cameras)}
    found = shipped_finder().find(seen, rotations)
    in_world = np.array([np.asarray(c.rotation).T @ f.up for f, c in zip(found, seen.cameras, strict=True)])
    np.testing.assert_allclose(in_world, np.broadcast_to(in_world[0], in_world.shape), atol=1e-4)
    assert {one.kind for one in found} == {"rig"}
    assert math.degrees(math.acos(in_world[0, 2])) < found[0].interval_degrees < 20


def test_how_a_rig_stands_in_its_own_world_does_not_matter(seen: CameraPoses) -> None:
    turn = draw_rotations(
        draw_attitudes(1, torch.Generator().manual_seed(1)), torch.Generator().manual_seed(2)
    )
    plain = {row: camera.rotation for row, camera in enumerate(seen.cameras)}
    turned = {
        row: tuple(map(tuple, (np.asarray(rotation) @ turn[0].numpy()).tolist()))
        for row, rotation in plain.items()
    }
    for one, other in zip(
        shipped_finder().find(seen, plain), shipped_finder().find(seen, turned), strict=True
    ):
        assert math.degrees(math.acos(min(1.0, np.dot(one.up, other.up)))) < 1.0, "but for the grid"


def test_tracks_are_of_one_person_and_ten_seconds(seen: CameraPoses) -> None:
    fewer = replace(seen, keypoints_px=seen.keypoints_px.copy())
    gone = fewer.camera == 1
    fewer.keypoints_px[gone, 3] = np.nan
    tracks = camera_tracks(fewer)
    assert tracks[1].person == ()
    assert tracks[1].poses == 0
    assert shipped_finder().find(fewer)[1].up is None
    expected = 0
    for trial in range(len(seen.trials)):
        frames = seen.frame[(seen.trial == trial) & (seen.camera == 0)]
        expected += int(frames.max() / (10 * seen.trials[trial].fps)) + 1
    assert len(tracks[0].person) == expected
    assert tracks[0].rays.shape[1:] == (POSES, 17, 2)
    assert set(tracks[0].person) == set(range(len({trial.key.subject for trial in seen.trials})))


def test_a_finder_is_kept_and_read_again(tmp_path: Path, seen: CameraPoses) -> None:
    shipped_finder().save(tmp_path / "finder")
    again = Finder.load(tmp_path / "finder")
    assert again.fitted == shipped_finder().fitted
    assert again.find(seen) == shipped_finder().find(seen)


def test_an_estimator_is_learned_alike_from_one_seed() -> None:
    recordings = generate(seed=0, subjects=6, clips_per_subject=1)
    people = divide(recordings)
    together = [name for names in people.values() for name in names]
    assert sorted(together) == sorted({one.subject for one in recordings}), "everybody, and nobody twice"
    motions = Motions.of(recordings, people["learned"])
    assert len(motions.positions) == 130 * len(people["learned"]), "thinned from 50 to 25 Hz"
    config = LearningConfig(steps=3, batch_size=8, width=16)
    first, second = (train_estimator(motions, config).state_dict() for _ in range(2))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    other = train_estimator(motions, config.model_copy(update={"seed": 1})).state_dict()
    assert not torch.equal(first["nothing"], other["nothing"])


def test_cones_are_widened_for_the_posture_that_needs_it_most() -> None:
    """Of 19 cases, 18 are to be held: the second largest ratio, of the worst posture."""
    upright = [("as they are", one / 19) for one in range(19)]
    leaning = [("leaning", 2 * one / 19) for one in range(19)]
    lying = [("lying", 0.5)] * 19
    assert conformal_factor([*upright, *leaning, *lying, ("anyhow", 9.0)]) == pytest.approx(2 * 17 / 19)
    assert conformal_factor([*upright, *lying, ("leaning", 0.1), *[("leaning", 0.2)] * 18]) == 1.0
    with pytest.raises(ValueError, match="8 cases of people who are 'leaning'"):
        conformal_factor([*upright, *lying, *[("leaning", 0.2)] * 8])


def found(up: tuple[float, float, float] | None, interval: float | None) -> FoundGravity:
    return FoundGravity(camera="c", up=up, poses=1, spread_degrees=None, interval_degrees=interval)


possible = partial(
    possible_directions, widest_degrees=25.0, pitch_degrees=(-20.0, 80.0), roll_degrees=(-20.0, 20.0)
)


def test_a_known_vertical_is_taken_as_sure_as_it_is() -> None:
    up = torch.tensor([0.0, -0.96, -0.28])
    drawn = possible(found(tuple(up.tolist()), 10.0), torch.Generator())
    held = (angles_degrees(drawn, up) <= 10.0).float().mean()
    assert 0.86 < float(held) < 0.94


def test_a_tilt_is_added_to_what_is_known() -> None:
    up = torch.tensor([0.0, -0.96, -0.28])
    drawn = possible(found(tuple(up.tolist()), 10.0), torch.Generator(), jitter_degrees=12.0)
    away = math.sqrt(float(angles_degrees(drawn, up).square().mean()))
    on_two_axes = math.sqrt(2) * math.hypot(10.0 / 2.146, 12.0)  # 90 % of a Rayleigh's draws: 2.146
    assert away == pytest.approx(on_two_axes, rel=0.08)


def test_found_and_known_viewpoints_of_a_calibrated_target_are_alike(seen: CameraPoses) -> None:
    poses = DevicePoses.from_columns(seen, "cpu", frames=1)
    from_up = {}
    for name in ("diverse_known_viewpoint", "diverse_found_viewpoint"):
        viewpoint = METHODS[name].adaptation.viewpoint
        one = GlobalPositionAdaptation(viewpoint=viewpoint)
        (turning,) = plan(one, seen, seen.unlabelled(), seed=0, device=torch.device("cpu")).transforms
        batch = turning(poses.batch(torch.arange(400).repeat(5)), torch.Generator().manual_seed(0))
        ups = torch.tensor([camera.up for camera in seen.cameras])
        from_up[name] = torch.stack([angles_degrees(batch.up_camera, up) for up in ups]).amin(dim=0)
    known, drawn = (one.quantile(torch.tensor([0.25, 0.5, 0.75])) for one in from_up.values())
    torch.testing.assert_close(drawn, known, rtol=0.1, atol=0.3)


def test_where_content_cannot_tell_viewpoints_are_random_within_what_is_possible() -> None:
    up = (0.0, -0.5, -math.sqrt(0.75))  # looks down by 60 degrees
    drawn = possible(found(up, 50.0), torch.Generator())
    pitch, roll = (torch.rad2deg(one) for one in angles_from_up(drawn))
    assert float(angles_degrees(drawn, torch.tensor(up)).max()) <= 50.1
    assert float(pitch.min()) > 5
    assert float(pitch.max()) <= 80.1
    assert float(roll.abs().max()) <= 20.1
    anything = possible(found(None, None), torch.Generator())
    assert float(angles_from_up(anything)[0].min()) < math.radians(-15)


def test_what_was_stated_comes_before_what_is_learned(seen: CameraPoses) -> None:
    first, *others = seen.cameras
    partly = replace(
        seen,
        cameras=(first, *(camera.unplaced for camera in others)),
        verticals=(Vertical("attitude", 3.5), *(None for _ in others)),
        rig=(None, *(camera.rotation for camera in others)),
    )
    gravity = known_gravity_of(partly, ("given", "learned"), pool_rigs=True)
    assert [one.kind for one in gravity.cameras] == ["given", "rig", "rig", "rig"]
    assert gravity.cameras[0].up == first.up
    assert gravity.cameras[0].interval_degrees == 3.5
    apart = known_gravity_of(partly, ("learned",), pool_rigs=False)
    assert {one.kind for one in apart.cameras} == {"learned"}
    calibrated = known_gravity_of(seen, ("learned",), pool_rigs=True)
    rotations = {row: camera.rotation for row, camera in enumerate(seen.cameras)}
    assert calibrated.cameras == shipped_finder().find(seen, rotations), "a rig whose up is not asked for"
    given = known_gravity_of(partly, ("given",), pool_rigs=True)
    assert [one.up is None for one in given.cameras] == [False, True, True, True]


def test_a_recipe_turns_poses_to_where_up_was_found(seen: CameraPoses) -> None:
    adaptation = GlobalPositionAdaptation(viewpoint=FoundViewpoint(gravity=("learned",)))
    assert needs_learned_gravity(adaptation)
    target = replace(seen, cameras=tuple(camera.unplaced for camera in seen.cameras)).unlabelled()
    made = plan(adaptation, seen, target, seed=0, device=torch.device("cpu"))
    assert made.gravity is not None
    assert made.gravity.cameras == shipped_finder().find(target)
    (alignment,) = made.transforms
    poses = DevicePoses.from_columns(seen, "cpu", frames=1)
    turned = alignment(poses.batch(torch.arange(400)), torch.Generator().manual_seed(0))
    away = torch.stack([angles_degrees(turned.up_camera, up) for up in made.gravity.up]).amin(dim=0)
    assert float(away.quantile(0.9)) < max(one.interval_degrees for one in made.gravity.cameras)
    assert METHODS["diverse_found_viewpoint"].parts.viewpoint.startswith(
        "within the interval of given or learned"
    )
