"""A detector's errors on projected keypoints: how much of each, and that nothing else changes."""

import math

import numpy as np
import pytest
import torch

from poseshift.augmentation.detector_noise import (
    TRUNK_OF_LIMBS,
    ConfidenceLevel,
    DetectedKeypoints,
    DetectorErrors,
    JointErrors,
    NoiseFixed,
    Swaps,
    runs_of,
)
from poseshift.geometry.camera import stack_intrinsics
from poseshift.geometry.detectors import DETECTORS_TO_HUMAN36M_17
from poseshift.geometry.joint_set import Skeleton
from poseshift.geometry.skeleton import HUMAN36M_17, skeleton
from poseshift.training.batches import Batch

NAMES = HUMAN36M_17.joint_names


@pytest.fixture
def batch(draw_people, make_columns, square_camera) -> Batch:
    """600 clips of three frames."""
    positions = draw_people(np.random.default_rng(0), 1800)
    columns = make_columns(positions, (square_camera,), np.zeros(1800, dtype=np.int32))
    camera = stack_intrinsics((square_camera,)).map(lambda field: torch.as_tensor(field, dtype=torch.float32))
    return Batch(
        positions_camera=torch.from_numpy(positions).view(600, 3, 17, 3),
        keypoints_px=torch.from_numpy(columns.keypoints_px).view(600, 3, 17, 2),
        intrinsics=camera[torch.zeros(600, dtype=torch.int64)],
        up_camera=torch.tensor([[0.0, -1.0, 0.0]]).expand(600, 3),
    )


def seen(batch: Batch, errors: DetectorErrors, missing="filled", joint_set: Skeleton = HUMAN36M_17) -> Batch:
    return DetectedKeypoints(errors, joint_set, missing)(batch, torch.Generator().manual_seed(3))


def all_joints(**errors: float) -> dict[str, JointErrors]:
    return dict.fromkeys(NAMES, JointErrors(**errors))


def size_of(batch: Batch) -> torch.Tensor:
    box = batch.keypoints_px.amax(dim=2) - batch.keypoints_px.amin(dim=2)
    return box.amax(dim=-1)[..., None, None]


def test_without_errors_every_keypoint_stays(batch) -> None:
    out = seen(batch, DetectorErrors(joints=all_joints()))
    assert torch.equal(out.keypoints_px, batch.keypoints_px)


def test_spread_is_a_share_of_the_persons_size_joint_by_joint(batch) -> None:
    joints = {"left_wrist": JointErrors(spread=0.04), "nose": JointErrors(spread=0.01)}
    moved = (seen(batch, DetectorErrors(joints=joints)).keypoints_px - batch.keypoints_px) / size_of(batch)
    deviation = moved.std(dim=(0, 1, 3))
    for joint, name in enumerate(NAMES):
        wanted = joints.get(name, JointErrors()).spread
        assert float(deviation[joint]) == pytest.approx(wanted, rel=0.06, abs=1e-9), name


def test_spread_is_drawn_by_confidence_as_often_as_each_level_is(batch) -> None:
    levels = (ConfidenceLevel(up_to=0.5, factor=4.0), ConfidenceLevel(up_to=1.0, factor=1.0))
    joints = {
        "left_wrist": JointErrors(spread=0.01, level_shares=(0.25, 0.75)),
        "nose": JointErrors(spread=0.01, level_shares=(0.0, 1.0)),
    }
    errors = DetectorErrors(joints=joints, levels=levels)
    moved = (seen(batch, errors).keypoints_px - batch.keypoints_px) / size_of(batch)
    wrist, nose = (moved[:, :, NAMES.index(name)] for name in joints)
    assert float(nose.std()) == pytest.approx(0.01, rel=0.06)
    assert float(wrist.std()) == pytest.approx(0.01 * math.sqrt(0.25 * 16 + 0.75), rel=0.08)
    of_clip = wrist.square().mean(dim=(1, 2)).sqrt()  # one confidence over the frames of a clip
    assert float((of_clip > 0.02).float().mean()) == pytest.approx(0.25, abs=0.05)


def test_3d_cameras_and_gravity_are_left_alone(batch) -> None:
    out = seen(batch, NoiseFixed().errors)
    assert out.positions_camera is batch.positions_camera
    assert out.intrinsics is batch.intrinsics
    assert out.up_camera is batch.up_camera
    assert not torch.equal(out.keypoints_px, batch.keypoints_px)


def test_outliers_are_in_the_persons_box_at_their_rate(batch) -> None:
    out = seen(batch, DetectorErrors(joints=all_joints(outliers=0.1))).keypoints_px
    moved = (out != batch.keypoints_px).any(dim=-1)
    assert float(moved.float().mean()) == pytest.approx(0.1, abs=0.01)
    low, high = batch.keypoints_px.amin(dim=2, keepdim=True), batch.keypoints_px.amax(dim=2, keepdim=True)
    assert bool(((out >= low - 1e-3) & (out <= high + 1e-3)).all())


@pytest.mark.parametrize("limbs", ["body", "legs", "arms"])
def test_sides_are_exchanged_together(batch, limbs) -> None:
    out = seen(batch, DetectorErrors(joints=all_joints(), swaps=Swaps(**{limbs: 0.2}))).keypoints_px
    moved = (out != batch.keypoints_px).any(dim=-1)
    ends = {"legs": ("hip", "knee", "ankle"), "arms": ("shoulder", "elbow", "wrist")}
    changing = [joint for limb in ends if limbs in ("body", limb) for joint in ends[limb]]
    paired = [NAMES.index(f"{side}_{joint}") for joint in changing for side in ("left", "right")]
    frames = moved.any(dim=-1)
    assert float(frames.float().mean()) == pytest.approx(0.2, abs=0.03)
    assert bool(moved[frames][:, paired].all())
    assert int(moved.sum()) == int(frames.sum()) * len(paired)
    left, right = paired[0], paired[1]
    assert torch.equal(out[frames][:, left], batch.keypoints_px[frames][:, right])


def test_what_is_not_seen_is_nan_or_filled_in(batch) -> None:
    errors = DetectorErrors(joints=all_joints(dropped=0.2, filled_spread=0.03), dropped_frames=2.0)
    gaps = torch.isnan(seen(batch, errors, "nan").keypoints_px).all(dim=-1)
    assert float(gaps.float().mean()) == pytest.approx(0.2, abs=0.01)
    filled = seen(batch, errors, "filled").keypoints_px
    moved = (filled != batch.keypoints_px).any(dim=-1)
    assert torch.equal(moved, gaps)
    away = ((filled - batch.keypoints_px) / size_of(batch))[moved]
    assert float(away.std()) == pytest.approx(0.03, rel=0.05)


def test_what_is_outside_the_image_is_not_seen(batch) -> None:
    shifted = Batch(
        batch.positions_camera, batch.keypoints_px - torch.tensor([1030.0, 0.0]), batch.intrinsics, None
    )
    outside = (shifted.keypoints_px < 0).any(dim=-1)
    assert 0.2 < float(outside.float().mean()) < 0.8
    errors = DetectorErrors(joints=all_joints(), truncated=True)
    assert torch.equal(torch.isnan(seen(shifted, errors, "nan").keypoints_px).any(dim=-1), outside)
    held = seen(shifted, errors, "filled").keypoints_px
    assert torch.equal(held[~outside], shifted.keypoints_px[~outside])
    assert float(held[outside][:, 0].abs().max()) == 0.0


def test_computed_joints_are_made_of_erroneous_ones_and_are_missing_with_them(batch) -> None:
    errors = DetectorErrors(
        joints=all_joints(spread=0.05, dropped=0.1),
        assembled={name: dict(of) for name, of in TRUNK_OF_LIMBS.items()},
    )
    out = seen(batch, errors, "nan").keypoints_px
    hips = [NAMES.index("left_hip"), NAMES.index("right_hip")]
    torch.testing.assert_close(out[:, :, 0], out[:, :, hips].mean(dim=2), equal_nan=True)


def test_trunk_is_made_as_that_of_coco_is_on_the_target() -> None:
    coco = ["left_shoulder", "right_shoulder", "left_hip", "right_hip"]
    number = dict(zip((5, 6, 11, 12), coco, strict=True))
    for name, of in TRUNK_OF_LIMBS.items():
        weights = DETECTORS_TO_HUMAN36M_17["coco_17"][NAMES.index(name)]
        assert {number[joint]: weight for joint, weight in weights} == of


def test_joints_of_other_sets_are_found_by_name(batch) -> None:
    short = skeleton("poseaug_16")
    clips = Batch(batch.positions_camera[:, :, :16], batch.keypoints_px[:, :, :16], batch.intrinsics, None)
    out = seen(clips, DetectorErrors(joints={"left_ankle": JointErrors(spread=0.1)}), joint_set=short)
    moved = (out.keypoints_px != clips.keypoints_px).any(dim=-1).any(dim=0).any(dim=0)
    assert moved.nonzero().flatten().tolist() == [short.joint_names.index("left_ankle")]


@pytest.mark.parametrize(("rate", "mean"), [(0.1, 1.2), (0.1, 5.0), (0.4, 3.0)])
def test_runs_have_their_share_and_their_mean_length(rate, mean) -> None:
    like = torch.zeros(1)
    marks = runs_of(
        torch.tensor([rate]), mean, torch.Size((400, 500)), like, torch.Generator().manual_seed(1)
    )
    assert float(marks.float().mean()) == pytest.approx(rate, rel=0.05)
    begins = marks[:, 1:] & ~marks[:, :-1]
    lengths = float(marks[:, 1:-1].sum()) / float(begins.sum())
    assert lengths == pytest.approx(mean, rel=0.06)


def test_the_same_seed_draws_the_same_errors(batch) -> None:
    first, second = (seen(batch, NoiseFixed(dropped=0.1).errors).keypoints_px for _ in range(2))
    assert torch.equal(first, second)
    assert math.isfinite(float(first.sum()))
