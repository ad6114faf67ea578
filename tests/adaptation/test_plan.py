"""What an adaptation brings: whose positions, which orientation, and what it must not look at."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from poseshift.adaptation.config import (
    GlobalPositionAdaptation,
    SelfTrainingAdaptation,
    looks_at_target,
)
from poseshift.adaptation.gravity import GravityConfig
from poseshift.adaptation.methods import METHODS
from poseshift.adaptation.plan import plan
from poseshift.adaptation.target_keypoints import TargetKeypoints
from poseshift.adaptation.vertical.posterior import angles_degrees
from poseshift.adaptation.viewpoint import (
    AlignedViewpoint,
    FoundViewpoint,
    JitteredViewpoint,
    KnownViewpoint,
    PseudoLabelledViewpoint,
    RandomTilt,
    RandomViewpoint,
)
from poseshift.augmentation.bodies import BodyDiversity
from poseshift.geometry.bones import bone_lengths
from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.training.batches import Batch, DevicePoses
from poseshift.training.encoding import encoding
from poseshift.training.fit import fit
from poseshift.training.lifters.registry import build
from poseshift.training.lifters.simple_baseline import SimpleBaselineConfig
from poseshift.training.schedule import Schedule
from poseshift.training.transforms import PlacesAnew

BODY = skeleton("human36m_17")


@pytest.fixture
def source(make_columns, draw_people, distorted_camera) -> CameraPoses:
    people = draw_people(np.random.default_rng(0), 300)
    return make_columns(people, (distorted_camera,), np.zeros(300, dtype=np.int32))


@pytest.fixture
def target(make_columns, draw_people, wide_camera) -> CameraPoses:
    people = draw_people(np.random.default_rng(1), 200) + np.array([0.0, 0.0, 12.0])
    return make_columns(people, (wide_camera,), np.zeros(200, dtype=np.int32)).unlabelled()


def moved(adaptation: GlobalPositionAdaptation, source: CameraPoses, target: CameraPoses | None) -> Batch:
    made = plan(adaptation, source, target, seed=0, device=torch.device("cpu"))
    batch = DevicePoses.from_columns(source, "cpu", frames=1).batch(torch.arange(len(source)))
    generator = torch.Generator().manual_seed(0)
    for transform in made.transforms:
        batch = transform(batch, generator)
    return batch


def test_shuffled_positions_need_no_target_and_are_the_sources(source: CameraPoses) -> None:
    adaptation = GlobalPositionAdaptation(positions="source")
    assert not looks_at_target(adaptation)
    batch = moved(adaptation, source, None)
    assert bool((batch.intrinsics.focal_px[:, 0] == source.cameras[0].focal_px[0]).all())
    rays = batch.positions_camera[:, 0, 0, :2] / batch.positions_camera[:, 0, 0, 2:]
    own = source.positions_camera[:, 0, :2] / source.positions_camera[:, 0, 2:]
    nearest = np.abs(rays.numpy()[:, None] - own[None]).max(axis=-1).min(axis=1)
    assert nearest.max() < 1e-3
    assert not np.allclose(rays.numpy(), own, atol=1e-3), "somebody else's"


def test_both_positions_are_half_the_targets(source: CameraPoses, target: CameraPoses) -> None:
    batch = moved(GlobalPositionAdaptation(positions="both"), source, target)
    there = batch.intrinsics.focal_px[:, 0] == target.cameras[0].focal_px[0]
    assert 0.35 < float(there.float().mean()) < 0.65
    depth = batch.positions_camera[:, 0, 0, 2]
    assert float(depth[there].mean()) > float(depth[~there].mean()) + 5


def test_keypoints_are_collected_once_however_often_they_are_needed(
    source: CameraPoses, target: CameraPoses, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected: list[int] = []
    from_poses = TargetKeypoints.from_poses.__func__  # type: ignore[attr-defined]  # of a class method

    def counted(kind: type[TargetKeypoints], poses: CameraPoses, hz: float | None = None) -> TargetKeypoints:
        collected.append(len(poses))
        made: TargetKeypoints = from_poses(kind, poses, hz)
        return made

    monkeypatch.setattr(TargetKeypoints, "from_poses", classmethod(counted))
    learned = AlignedViewpoint(gravity=GravityConfig(steps=2, batch_size=16, width=8))
    both = GlobalPositionAdaptation(positions="both", viewpoint=learned)
    for adaptation in (both, SelfTrainingAdaptation(alignment=both)):
        collected.clear()
        plan(adaptation, source, target, seed=0, device=torch.device("cpu"))
        assert sorted(collected) == [len(target), len(source)]
    collected.clear()
    plan(SelfTrainingAdaptation(), source, target, seed=0, device=torch.device("cpu"))
    assert collected == [len(target)]


def test_the_fewer_keypoints_are_repeated(source: CameraPoses, target: CameraPoses) -> None:
    few = TargetKeypoints.from_poses(target.take(np.arange(len(target)) < 70))
    many = TargetKeypoints.from_poses(source)
    again = np.arange(len(many)) % 70
    for first, second, both in ((few, many, few.joined(many)), (many, few, many.joined(few))):
        rows = [again if one is few else slice(None) for one in (first, second)]
        expected = np.concatenate([first.rays[rows[0]], second.rays[rows[1]]])
        np.testing.assert_array_equal(both.rays, expected)
        cameras = [both.cameras[number] for number in both.camera]
        assert cameras == [first.cameras[0]] * len(many) + [second.cameras[0]] * len(many)
        assert (both.rays.dtype, both.camera.dtype) == (many.rays.dtype, many.camera.dtype)


def test_what_says_that_it_places_clips_anew_uses_no_ray_of_theirs(
    source: CameraPoses, target: CameraPoses
) -> None:
    down = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
    above: Camera = replace(target.cameras[0], rotation=down, translation=(0.0, 1.0, 3.0))
    seen = replace(target, cameras=(above,))
    told = {
        type(one): one
        for viewpoint in (KnownViewpoint(), FoundViewpoint(gravity=("given",)), RandomViewpoint())
        for one in plan(
            GlobalPositionAdaptation(viewpoint=viewpoint, bodies=BodyDiversity()),
            source,
            seen,
            seed=0,
            device=torch.device("cpu"),
        ).transforms
        if isinstance(one, PlacesAnew)
    }
    told[RandomTilt] = RandomTilt(JitteredViewpoint(), BODY.root)
    assert {kind.__name__ for kind in told} == {
        *("DiverseBodies", "GlobalPositionAlignment", "ViewpointAlignment", "FoundAlignment"),
        *("RandomTurn", "RandomTilt"),
    }
    batch = DevicePoses.from_columns(source, "cpu", frames=1).batch(torch.arange(len(source)))
    unusable = batch.with_rays(torch.full_like(batch.keypoints_px, math.nan))
    for kind, one in told.items():
        rays = one(unusable, torch.Generator().manual_seed(0)).rays
        assert rays is not None, kind
        assert bool(rays.isfinite().all()), kind


@pytest.mark.parametrize(("placed", "removals"), [(True, 0), (False, 1)])
def test_lenses_are_left_on_keypoints_that_nobody_sees(
    source: CameraPoses,
    target: CameraPoses,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    placed: bool,
    removals: int,
) -> None:
    removed: list[int] = []
    with_rays = DevicePoses.with_rays
    monkeypatch.setattr(DevicePoses, "with_rays", lambda poses: removed.append(1) or with_rays(poses))
    made = plan(GlobalPositionAdaptation(), source, target, seed=0, device=torch.device("cpu"))
    seen = encoding("perspective")
    fit(
        build(SimpleBaselineConfig(width=8, blocks=1), seen.channels),
        seen,
        DevicePoses.from_columns(source, "cpu", frames=1),
        Schedule(epochs=1, steps_per_epoch=1, batch_size=8),
        run_dir=tmp_path,
        seed=0,
        transforms=made.transforms if placed else (),
    )
    assert len(removed) == removals


def test_a_missing_target_is_named(source: CameraPoses) -> None:
    with pytest.raises(ValueError, match="needs a target"):
        moved(GlobalPositionAdaptation(), source, None)


def test_gravity_of_the_target_goes_with_its_positions_alone() -> None:
    for viewpoint in (AlignedViewpoint(), KnownViewpoint(), FoundViewpoint(), PseudoLabelledViewpoint()):
        with pytest.raises(ValidationError, match="positions: target"):
            GlobalPositionAdaptation(positions="source", viewpoint=viewpoint)
    with pytest.raises(ValidationError, match="answers are for the target's keypoints"):
        GlobalPositionAdaptation(positions="both", viewpoint=PseudoLabelledViewpoint())


def test_both_positions_have_the_up_of_their_own_cameras(source: CameraPoses, target: CameraPoses) -> None:
    down = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
    above: Camera = replace(target.cameras[0], rotation=down, translation=(0.0, 1.0, 3.0))
    seen = replace(target, cameras=(above,))
    known = KnownViewpoint(jitter_degrees=0)
    learned = AlignedViewpoint(gravity=GravityConfig(steps=2, batch_size=16, width=8), jitter_degrees=0)
    for viewpoint in (known, FoundViewpoint(gravity=("given",)), learned):
        adaptation = GlobalPositionAdaptation(positions="both", viewpoint=viewpoint)
        made = plan(adaptation, source, seen, seed=0, device=torch.device("cpu"))
        batch = moved(adaptation, source, seen)
        assert batch.up_camera is not None
        there = batch.intrinsics.focal_px[:, 0] == above.focal_px[0]
        own = above.up if made.gravity is None else made.gravity.cameras[0].up
        for rows, up in ((there, own), (~there, source.cameras[0].up)):
            angles = angles_degrees(batch.up_camera[rows], torch.tensor(up))
            assert float(angles.max()) < 5, viewpoint.kind
        assert made.gravity is None or len(made.gravity.cameras) == 1, "the target's alone is recorded"


def test_bodies_come_first_and_keypoints_are_seen_where_they_stand(
    source: CameraPoses, target: CameraPoses
) -> None:
    batch = moved(GlobalPositionAdaptation(bodies=BodyDiversity()), source, target)
    torch.testing.assert_close(batch.keypoints_px, project(batch.positions_camera, batch.intrinsics))
    before = bone_lengths(torch.from_numpy(source.positions_camera), BODY).sum(dim=-1)
    after = bone_lengths(batch.positions_camera[:, 0], BODY).sum(dim=-1)
    assert float((after / before).log().std()) > 0.04


def test_tilts_are_as_large_as_asked(source: CameraPoses, target: CameraPoses) -> None:
    still = moved(GlobalPositionAdaptation(), source, target)
    tilted = moved(GlobalPositionAdaptation(viewpoint=JitteredViewpoint(deviation_degrees=8)), source, target)
    long_bone = [6, 10]  # from the left ankle to the head
    directions = [
        torch.nn.functional.normalize(
            one.positions_camera[:, 0, long_bone[1]] - one.positions_camera[:, 0, long_bone[0]], dim=-1
        )
        for one in (still, tilted)
    ]
    angles = (directions[0] * directions[1]).sum(dim=-1).clamp(-1, 1).acos()
    assert math.degrees(float(angles.square().mean().sqrt())) == pytest.approx(8 * math.sqrt(2), rel=0.2)


def test_known_gravity_is_the_calibrations(source: CameraPoses, target: CameraPoses) -> None:
    down = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
    looking: Camera = replace(target.cameras[0], rotation=down, translation=(0.0, 1.0, 3.0))
    level = replace(target, cameras=(looking,))
    adaptation = GlobalPositionAdaptation(viewpoint=KnownViewpoint(jitter_degrees=0))
    batch = moved(adaptation, source, level)
    assert batch.up_camera is not None
    torch.testing.assert_close(batch.up_camera, torch.tensor(looking.up).expand(len(batch), 3))
    nowhere = replace(
        target, cameras=(replace(looking, rotation=Camera.rotation, translation=Camera.translation),)
    )
    with pytest.raises(ValueError, match="extrinsics"):
        moved(adaptation, source, nowhere)


def test_baselines_without_a_target_are_no_adaptations() -> None:
    for name in ("positions_shuffled", "bodies", "no_target"):
        assert METHODS[name].role == "baseline"
        assert not METHODS[name].needs_target
    for name in ("gpa", "diverse", "diverse_both"):
        assert METHODS[name].role == "adapted"
