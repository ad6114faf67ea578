from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from poseshift.adaptation import target_keypoints
from poseshift.adaptation.global_position import (
    GlobalPositionAlignment,
    GlobalPositionConfig,
    align,
    depth_by_bones,
    match,
    place,
)
from poseshift.adaptation.target_keypoints import TargetKeypoints
from poseshift.geometry.bones import from_bones
from poseshift.geometry.camera import Camera, Distortion, stack_intrinsics
from poseshift.geometry.projection import normalise, project
from poseshift.geometry.skeleton import skeleton
from poseshift.training.batches import Batch, DevicePoses

ROOT = 0
BODY = skeleton("human36m_17")


def transcribed(source, target_screen, focal, centre, wide):
    """The method pose by pose on screen-normalised numbers, as its description has it.

    Returns the moved pose and its screen coordinates.
    """
    moved, seen = [], []
    for pose, q in zip(source, target_screen, strict=True):
        w = max(q[:, 0]) - min(q[:, 0])
        h = max(q[:, 1]) - min(q[:, 1])
        size = (w + h) / 2
        dx = max(pose[:, 0]) - min(pose[:, 0])
        dy = max(pose[:, 1]) - min(pose[:, 1])
        depth = (focal[0] * dx + focal[1] * dy) / (2 * size)
        u, v = q[ROOT, 0] - centre[0], q[ROOT, 1] - centre[1]
        if not wide:
            u, v = u / focal[0], v / focal[1]
        new = pose - pose[ROOT] + np.array([depth * u, depth * v, depth])
        moved.append(new)
        seen.append([[focal[i] * p[i] / p[2] + centre[i] for i in range(2)] for p in new])
    return np.array(moved), np.array(seen)


def rows(camera: Camera, n: int):
    return stack_intrinsics([camera] * n)


def tensors(batch_positions, camera: Camera) -> Batch:
    """A batch of clips (n, frames, joints, 3) in front of one camera, in float64."""
    positions = torch.as_tensor(batch_positions, dtype=torch.float64)
    intrinsics = rows(camera, len(positions)).map(torch.as_tensor)
    return Batch(positions, project(positions, intrinsics), intrinsics)


@pytest.mark.parametrize("form", ["ray", "wide"])
@pytest.mark.parametrize("camera_name", ["square_camera", "wide_camera"])
def test_pixels_give_what_the_description_gives_on_screen_coordinates(
    form, camera_name, request, draw_people
):
    camera = request.getfixturevalue(camera_name)
    rng = np.random.default_rng(1)
    source = draw_people(rng, 20).astype(float)
    keypoints = project(draw_people(rng, 20, depth=6.0).astype(float), camera.intrinsics)
    width, height = camera.size_px
    # Both axes are divided by the width; only on square images is this also division of each by its own side.
    offset = np.array([1.0, height / width])
    expected, seen = transcribed(
        source,
        keypoints * 2 / width - offset,
        np.array(camera.focal_px) * 2 / width,
        np.array(camera.centre_px) * 2 / width - offset,
        wide=form == "wide",
    )
    moved = align(source, keypoints, rows(camera, 20), root=ROOT, root_form=form)
    assert np.allclose(moved, expected, atol=1e-12)
    assert np.allclose(project(moved, camera.intrinsics) * 2 / width - offset, seen, atol=1e-12)


def test_on_square_images_dividing_each_axis_by_its_own_side_is_the_same(square_camera, draw_people):
    rng = np.random.default_rng(2)
    source = draw_people(rng, 5).astype(float)
    keypoints = project(draw_people(rng, 5).astype(float), square_camera.intrinsics)
    size = np.array(square_camera.size_px, dtype=float)
    expected, _ = transcribed(
        source,
        2 * keypoints / size - 1,
        2 * np.array(square_camera.focal_px) / size,
        2 * np.array(square_camera.centre_px) / size - 1,
        wide=False,
    )
    assert np.allclose(align(source, keypoints, rows(square_camera, 5), root=ROOT), expected, atol=1e-12)


def test_depth_of_a_worked_example():
    # A person 0.8 m wide and 1.6 m high, seen 200 px wide and 400 px high by f = (1000, 1100):
    # depth = (1000 * 0.8 + 1100 * 1.6) / (200 + 400) = 2560 / 600 m.
    source = np.tile([1.0, 0.5, 9.0], (1, 17, 1))
    source[0, 3] += [0.8, 1.6, 0.0]
    camera = Camera(name="c", size_px=(1000, 1000), focal_px=(1000.0, 1100.0), centre_px=(500.0, 500.0))
    keypoints = np.tile([700.0, 390.0], (1, 17, 1))
    keypoints[0, 5] += [-200.0, 400.0]
    rays = normalise(keypoints, camera.intrinsics)
    found = match(source, rays, rows(camera, 1), root=ROOT, root_form="ray")
    depth = 2560 / 600
    assert found.depth[0] == pytest.approx(depth)
    assert found.direction[0] == pytest.approx([0.2, -0.1])
    assert found.root[0] == pytest.approx([0.2 * depth, -0.1 * depth, depth])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_root_lands_on_the_targets_root_even_through_a_distorting_lens(seed):
    camera = Camera(
        name="54138969",
        size_px=(1000, 1002),
        focal_px=(1145.0494, 1143.7811),
        centre_px=(512.5415, 515.4515),
        distortion=Distortion("human36m", (-0.2071, 0.2478, -0.0031), (-0.0014, -0.001)),
    )
    rng = np.random.default_rng(seed)
    source = rng.normal(loc=[0, 0, 9], scale=0.4, size=(6, 17, 3))
    target = rng.normal(loc=[0, 0, 5], scale=0.4, size=(6, 17, 3))
    keypoints = project(target, camera.intrinsics)
    moved = align(source, keypoints, rows(camera, 6), root=ROOT)
    seen = project(moved, camera.intrinsics)
    assert np.allclose(seen[:, ROOT], keypoints[:, ROOT], atol=1e-6)
    assert np.allclose(moved - moved[:, :1], source - source[:, :1], atol=1e-12)


def test_wide_spreads_the_roots_by_the_focal_length(square_camera, draw_people):
    rng = np.random.default_rng(3)
    source, target = draw_people(rng, 30).astype(float), draw_people(rng, 30, depth=6).astype(float)
    keypoints = project(target, square_camera.intrinsics)
    moved = align(source, keypoints, rows(square_camera, 30), root=ROOT, root_form="wide")
    centre = np.array(square_camera.centre_px)
    ratio = (project(moved, square_camera.intrinsics)[:, ROOT] - centre) / (keypoints[:, ROOT] - centre)
    # 1.465: the normalised focal length of this camera.
    assert ratio == pytest.approx(
        np.broadcast_to(2 * np.array(square_camera.focal_px) / 2048, (30, 2)), rel=1e-6
    )
    assert ratio[0, 0] == pytest.approx(1.465, abs=1e-3)


def test_numpy_and_torch_agree(distorted_camera, draw_people):
    rng = np.random.default_rng(4)
    source, target = draw_people(rng, 8).astype(float), draw_people(rng, 8).astype(float)
    keypoints = project(target, distorted_camera.intrinsics)
    intrinsics = rows(distorted_camera, 8)
    expected = align(source, keypoints, intrinsics, root=ROOT)
    found = align(
        torch.as_tensor(source), torch.as_tensor(keypoints), intrinsics.map(torch.as_tensor), root=ROOT
    )
    assert np.allclose(found.numpy(), expected, atol=1e-12)


@pytest.fixture
def target(square_camera, wide_camera, draw_people, make_columns) -> TargetKeypoints:
    rng = np.random.default_rng(5)
    camera = rng.integers(0, 2, size=400).astype(np.int32)
    positions = draw_people(rng, 400, depth=5.5, spread=0.5)
    return TargetKeypoints.from_poses(make_columns(positions, (square_camera, wide_camera), camera))


def test_a_target_is_keypoints_and_cameras_and_nothing_else(square_camera, draw_people, make_columns):
    poses = make_columns(
        draw_people(np.random.default_rng(0), 9), (square_camera,), np.zeros(9, dtype=np.int32)
    )
    blind = replace(poses, positions_camera=np.full_like(poses.positions_camera, np.nan))
    seeing, unseeing = TargetKeypoints.from_poses(poses), TargetKeypoints.from_poses(blind)
    assert np.array_equal(seeing.rays, unseeing.rays)
    assert {field.name for field in fields(TargetKeypoints)} == {
        *("rays", "camera", "cameras", "skeleton", "dropped", "runs", "ups", "turns"),
    }


def test_unusable_target_poses_are_dropped_and_counted(square_camera, draw_people, make_columns, caplog):
    poses = make_columns(
        draw_people(np.random.default_rng(0), 6), (square_camera,), np.zeros(6, dtype=np.int32)
    )
    poses.keypoints_px[1, 4, 0] = np.nan
    poses.keypoints_px[3] = 77.0
    kept = TargetKeypoints.from_poses(poses)
    assert (len(kept), kept.dropped) == (4, 2)
    assert "2 of 6" in caplog.text
    assert np.isfinite(kept.rays).all()
    poses.keypoints_px[:] = np.nan
    with pytest.raises(ValueError, match="none of the 6"):
        TargetKeypoints.from_poses(poses)


def test_blocks_of_target_poses_change_nothing(square_camera, wide_camera, draw_people, make_columns):
    """Rays of 400 poses are those of each pose alone by the formula; the last block is shorter."""
    camera = np.arange(400, dtype=np.int32) % 2
    people = draw_people(np.random.default_rng(1), 400, depth=5.5, spread=0.5)
    poses = make_columns(people, (square_camera, wide_camera), camera)
    poses.keypoints_px[101, 3] = np.nan
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(target_keypoints, "POSES_AT_ONCE", 64)
        found = TargetKeypoints.from_poses(poses)
    whole = np.arange(400) != 101
    expected = normalise(poses.keypoints_px.astype(np.float64), poses.intrinsics[camera]).astype(np.float32)
    np.testing.assert_array_equal(found.rays, expected[whole])
    np.testing.assert_array_equal(found.camera, camera[whole])
    assert found.dropped == 1
    assert found.runs is not None
    for ours, plain in zip((found.runs.first, found.runs.last), poses.take(whole).run_bounds, strict=True):
        np.testing.assert_array_equal(ours, plain)


def source_batch(draw_people, camera, n=64, frames=1, depth=4.0) -> Batch:
    people = draw_people(np.random.default_rng(6), n * frames, depth=depth).astype(float)
    return tensors(people.reshape(n, frames, 17, 3), camera)


def apply(target, batch, seed=0, **options) -> Batch:
    transform = GlobalPositionAlignment(GlobalPositionConfig(**options), target)
    return transform(batch, torch.Generator().manual_seed(seed))


def test_a_batch_keeps_its_poses_and_takes_the_targets_cameras(target, distorted_camera, draw_people):
    batch = source_batch(draw_people, distorted_camera)
    moved = apply(target, batch)
    before = batch.positions_camera - batch.positions_camera[..., :1, :]
    after = moved.positions_camera - moved.positions_camera[..., :1, :]
    assert torch.allclose(before, after, atol=1e-9)
    assert {tuple(size) for size in moved.intrinsics.size_px.tolist()} == {(2048, 2048), (1920, 1080)}
    assert torch.allclose(moved.keypoints_px, project(moved.positions_camera, moved.intrinsics))
    roots = normalise(moved.keypoints_px, moved.intrinsics)[:, 0, 0].numpy()
    distances = np.linalg.norm(roots[:, None] - target.rays[None, :, 0], axis=-1).min(axis=1)
    assert distances.max() < 1e-5


def test_the_same_seed_draws_the_same_targets(target, distorted_camera, draw_people):
    batch = source_batch(draw_people, distorted_camera)
    for copied in ("root_and_scale", "random_uniform"):
        first, again, other = (
            apply(target, batch, seed=s, copied=copied).positions_camera for s in (1, 1, 2)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_projected_roots_are_distributed_as_the_targets_are(target, distorted_camera, draw_people):
    n = 1500
    batch = source_batch(draw_people, distorted_camera, n=n, depth=8.0)
    moved = apply(target, batch)
    roots = normalise(moved.keypoints_px, moved.intrinsics)[:, 0, 0].numpy()
    truth = target.rays[:, 0].astype(float)
    error = truth.std(axis=0) / np.sqrt(n)
    assert (np.abs(roots.mean(axis=0) - truth.mean(axis=0)) < 4 * error).all()
    assert roots.std(axis=0) == pytest.approx(truth.std(axis=0), rel=0.1)
    # Nothing else brings the roots there: the source's own are spread over another range.
    own = normalise(batch.keypoints_px, batch.intrinsics)[:, 0, 0].numpy()
    assert (own.std(axis=0) < 0.6 * truth.std(axis=0)).all()


def test_pairing_each_target_once_copies_all_moments(target, draw_people, distorted_camera):
    clips = torch.as_tensor(draw_people(np.random.default_rng(7), len(target)))[:, None]
    intrinsics = stack_intrinsics(target.cameras)[target.camera].map(
        lambda field: torch.as_tensor(field, dtype=torch.float32)
    )
    moved = place(
        clips, torch.as_tensor(target.rays), intrinsics, GlobalPositionConfig(), BODY, torch.Generator()
    )
    rays = moved[:, 0, 0, :2] / moved[:, 0, 0, 2:]
    assert np.allclose(rays.numpy(), target.rays[:, 0], atol=1e-6)


def test_apparent_size_follows_the_target(target, distorted_camera, draw_people):
    batch = source_batch(draw_people, distorted_camera, n=1500, depth=8.0)
    moved = apply(target, batch)

    def sizes(keypoints):
        return np.ptp(np.asarray(keypoints), axis=-2).sum(axis=-1).ravel()

    target_px = target.rays * stack_intrinsics(target.cameras)[target.camera].focal_px[:, None]
    # Weak perspective: the mean size agrees to a few per cent, and the source's own size does not.
    assert sizes(moved.keypoints_px).mean() == pytest.approx(sizes(target_px).mean(), rel=0.05)
    assert sizes(batch.keypoints_px).mean() != pytest.approx(sizes(target_px).mean(), rel=0.10)


def test_controls_copy_only_what_they_say(target, distorted_camera, draw_people):
    batch = source_batch(draw_people, distorted_camera)
    full = apply(target, batch).positions_camera[:, 0, 0]
    own = batch.positions_camera[:, 0, 0]
    root_only = apply(target, batch, copied="root_only").positions_camera[:, 0, 0]
    scale_only = apply(target, batch, copied="scale_only").positions_camera[:, 0, 0]
    uniform = apply(target, batch, copied="random_uniform").positions_camera[:, 0, 0]
    assert torch.allclose(root_only[:, 2], own[:, 2])
    assert torch.allclose(root_only[:, :2] / root_only[:, 2:], full[:, :2] / full[:, 2:])
    assert torch.allclose(scale_only[:, 2], full[:, 2])
    assert torch.allclose(scale_only[:, :2] / scale_only[:, 2:], own[:, :2] / own[:, 2:])
    for parts in (uniform[:, 2:], uniform[:, :2] / uniform[:, 2:]):
        reference = full[:, 2:] if parts.shape[1] == 1 else full[:, :2] / full[:, 2:]
        assert (parts >= reference.amin(0) - 1e-9).all()
        assert (parts <= reference.amax(0) + 1e-9).all()
        assert not torch.allclose(parts, reference)


def test_a_clip_moves_as_one_and_is_placed_by_its_middle_frame(target, distorted_camera, draw_people):
    batch = source_batch(draw_people, distorted_camera, n=16, frames=5)
    moved = apply(target, batch, trajectory="source").positions_camera
    shift = moved - batch.positions_camera
    assert torch.allclose(shift, shift[:, :1, :1].expand_as(shift))
    alone = Batch(batch.positions_camera[:, 2:3], batch.keypoints_px[:, 2:3], batch.intrinsics)
    assert torch.allclose(moved[:, 2:3], apply(target, alone).positions_camera)


def test_nobody_comes_too_near_and_the_roots_pixel_stays(square_camera):
    # Lying along the optical axis: hardly any extent in x and y, so the matched depth is a few centimetres.
    people = np.tile([0.0, 0.0, 5.0], (3, 1, 17, 1))
    people[..., 1:, 2] += np.linspace(-0.9, 0.9, 16)
    people[..., 1:, :2] += np.linspace(-0.01, 0.01, 16)[:, None]
    keypoints = np.full((3, 17, 2), 900.0)
    keypoints[:, 3] += 500.0
    intrinsics = rows(square_camera, 3)
    rays = normalise(keypoints, intrinsics)
    for form in ("ray", "wide"):
        placed = [
            place(
                torch.as_tensor(people),
                torch.as_tensor(rays),
                intrinsics.map(torch.as_tensor),
                GlobalPositionConfig(root_form=form, nearest_m=nearest),
                BODY,
                torch.Generator(),
            )
            for nearest in (0.5, 1.5)
        ]
        for moved, nearest in zip(placed, (0.5, 1.5), strict=True):
            assert moved[..., 2].amin(dim=(1, 2)).numpy() == pytest.approx(np.full(3, nearest))
        pixels = [project(moved[:, 0], intrinsics.map(torch.as_tensor))[:, ROOT] for moved in placed]
        assert torch.allclose(pixels[0], pixels[1])
        if form == "ray":
            assert pixels[0].numpy() == pytest.approx(keypoints[:, ROOT])


def test_gradients_reach_the_pose_but_not_the_position(target, distorted_camera, draw_people):
    batch = source_batch(draw_people, distorted_camera, n=4)
    positions = batch.positions_camera.clone().requires_grad_()
    moved = apply(target, replace(batch, positions_camera=positions)).positions_camera
    (gradient,) = torch.autograd.grad(moved.sum(), positions)
    # Every joint counts once; the root is subtracted from all 17 and added to itself: 1 - 17.
    assert torch.allclose(gradient[:, :, 1:], torch.ones_like(gradient[:, :, 1:]))
    assert torch.allclose(gradient[:, :, 0], torch.full_like(gradient[:, :, 0], -16.0))


def test_it_takes_batches_of_device_poses(target, distorted_camera, draw_people, make_columns):
    columns = make_columns(
        draw_people(np.random.default_rng(0), 12), (distorted_camera,), np.zeros(12, dtype=np.int32)
    )
    poses = DevicePoses.from_columns(columns, "cpu", frames=3)
    moved = apply(target, poses.batch(torch.arange(12)))
    assert moved.positions_camera.shape == (12, 3, 17, 3)
    assert moved.positions_camera.dtype == torch.float32
    assert moved.keypoints_px.isfinite().all()


@pytest.mark.parametrize("options", [{"root_form": "narrow"}, {"nearest_m": 0.0}, {"copy": "root_only"}])
def test_unknown_options_are_refused(options):
    with pytest.raises(ValueError, match="GlobalPositionConfig"):
        GlobalPositionConfig(**options)


def test_depth_by_bones_does_not_ask_for_the_same_posture() -> None:
    """Another posture of the same body at the same place; the extents of the boxes say something else."""
    body = skeleton("human36m_17")
    rng = np.random.default_rng(0)
    lengths = rng.uniform(0.22, 0.5, size=len(body.bones))

    def postures(count: int) -> np.ndarray:
        directions = rng.normal(size=(count, len(body.bones), 3))
        directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
        each = np.broadcast_to(lengths, directions.shape[:2])
        return from_bones(np.zeros((count, 3)), directions, each, body)

    depth = rng.uniform(3.0, 8.0, size=400)
    target = postures(400) + depth[:, None, None] * [0.0, 0.0, 1.0]
    rays = torch.from_numpy(target[..., :2] / target[..., 2:])
    source = torch.from_numpy(postures(400))
    found = depth_by_bones(source, rays, body).numpy()
    extents = (np.ptp(source.numpy()[..., :2], axis=1) / np.ptp(rays.numpy(), axis=1)).mean(axis=-1)
    assert np.corrcoef(found, depth)[0, 1] > 0.9
    assert np.abs(found - depth).mean() < 0.5 * np.abs(extents - depth).mean()
    # A body twice as large is seen as large from twice as far.
    np.testing.assert_allclose(depth_by_bones(2 * source, rays, body), 2 * found, rtol=1e-9)
