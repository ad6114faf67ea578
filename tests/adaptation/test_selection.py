import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from poseshift.adaptation.candidates import CandidateRecorder, candidates, restore, restore_chosen
from poseshift.adaptation.selection import (
    Criteria,
    SelectionConfig,
    asymmetry,
    choose,
    combined_rank,
    length_error,
    lift_turned,
    measure,
    rank_correlation,
    reprojection_error,
)
from poseshift.geometry.bones import bone_statistics
from poseshift.geometry.rotation import axis_angle_to_matrix, rotate
from poseshift.geometry.skeleton import skeleton
from poseshift.training.batches import DevicePoses
from poseshift.training.encoding import RayEncoding
from poseshift.training.fit import EpochLog
from poseshift.training.lifters.lifter import Lifter

SKELETON = skeleton("human36m_17")
FIELDS = ("reprojection", "symmetry", "bone_lengths", "flip_mm", "turn_mm")


class Knowing(Lifter):
    """Answers with poses that it was told, for the keypoints that it was told them for, plus an error.

    Keypoints that it does not know (mirrored, turned) are looked up among those of all views it was told.
    """

    def __init__(self, rays: Tensor, poses: Tensor, noise_m: float = 0.0) -> None:
        super().__init__(frames=1, output="all", channels=2, skeleton="human36m_17")
        self.known, self.poses, self.noise_m = rays.flatten(1), poses, noise_m
        self.scale = nn.Parameter(torch.ones(1))
        self.calls = 0

    def lift(self, keypoints: Tensor) -> Tensor:
        rows = torch.cdist(keypoints.flatten(1), self.known).argmin(dim=1)
        self.calls += 1
        noise = torch.randn(len(rows), 17, 3, generator=torch.Generator().manual_seed(self.calls))
        return self.scale * (self.poses[rows] + self.noise_m * noise)[:, None]


class KnowingCentres(Lifter):
    """A lifter of clips of three frames that answers for the middle one what the other lifter says."""

    def __init__(self, single: Knowing) -> None:
        super().__init__(frames=3, output="centre", channels=2, skeleton="human36m_17")
        self.single = single

    def lift(self, keypoints: Tensor) -> Tensor:
        return self.single.lift(keypoints[:, 1:2])


class Flat(Lifter):
    """Answers with the rays themselves at a depth of zero: one metre for a unit of the image plane."""

    def __init__(self) -> None:
        super().__init__(frames=1, output="all", channels=2, skeleton="human36m_17")
        self.weight = nn.Parameter(torch.ones(1))
        self.dropout = nn.Dropout(0.5)

    def lift(self, keypoints: Tensor) -> Tensor:
        relative = keypoints - keypoints[..., :1, :]
        return self.dropout(self.weight * torch.cat([relative, torch.zeros_like(relative[..., :1])], dim=-1))


@pytest.fixture
def target(draw_people, make_columns, square_camera) -> DevicePoses:
    camera = replace(square_camera, centre_px=(1024.0, 1024.0))  # so that mirroring keeps it
    poses = make_columns(draw_people(np.random.default_rng(0), 40), [camera], np.zeros(40, dtype=np.int32))
    return DevicePoses.from_columns(poses, "cpu", 1)


@pytest.fixture
def bones(target):
    return bone_statistics(target.positions_camera.double().numpy(), SKELETON)


def knowing(target: DevicePoses, noise_m: float) -> Knowing:
    batch = target.batch(torch.arange(len(target)))
    rays = RayEncoding().encode(batch.keypoints_px, batch.intrinsics).inputs
    return Knowing(rays, batch.root_relative(SKELETON)[:, 0], noise_m)


def criteria(**values: float) -> Criteria:
    return Criteria(**{name: values.get(name, 0.0) for name in FIELDS})


def test_the_true_pose_reprojects_exactly_from_its_closed_form_root(target):
    batch = target.batch(torch.arange(40))
    rays = RayEncoding().encode(batch.keypoints_px.double(), batch.intrinsics.map(Tensor.double)).inputs
    error = reprojection_error(batch.root_relative(SKELETON).double(), rays)
    assert error.max() < 1e-5


def test_reprojection_of_a_worked_example():
    # Four joints on a square of side 2 in the plane of the root, seen at a depth of 4: rays +-0.25, size 0.5.
    relative = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], dtype=torch.float64)
    rays = relative[:, :2] / 4
    assert reprojection_error(relative, rays) == pytest.approx(0, abs=1e-12)
    # One ray 0.1 to the right. The best root moves, to the least-squares solution.
    moved = rays.clone()
    moved[2, 0] += 0.1
    rows, right = [], []
    for (x, y), (a, b, c) in zip(moved.tolist(), relative.tolist(), strict=True):
        rows += [[1, 0, -x], [0, 1, -y]]
        right += [x * c - a, y * c - b]
    root = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0]
    absolute = relative.numpy() + root
    distance = np.linalg.norm(absolute[:, :2] / absolute[:, 2:] - moved.numpy(), axis=1)
    assert reprojection_error(relative, moved) == pytest.approx(distance.mean() / 0.6)


def test_a_pose_behind_its_camera_is_an_error_of_one():
    relative = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    assert reprojection_error(relative, -relative[:, :2] / 4) == 1.0


def test_asymmetry_of_a_worked_example():
    pose = torch.zeros(17, 3)
    pose[1, 0], pose[4, 0] = 0.1, -0.1  # hips
    pose[2], pose[5] = torch.tensor([0.1, 0.5, 0]), torch.tensor([-0.1, 0.4, 0])  # thighs of 0.5 and 0.4 m
    pose[3], pose[6] = torch.tensor([0.1, 0.9, 0]), torch.tensor([-0.1, 0.8, 0])
    pose[11, 0], pose[14, 0] = -0.2, 0.2
    pose[12, 0], pose[15, 0] = -0.5, 0.5
    pose[13, 0], pose[16, 0] = -0.7, 0.7
    # Of six pairs one differs, by 0.1 of a mean of 0.45.
    assert asymmetry(pose, SKELETON) == pytest.approx(0.1 / 0.45 / 6)
    assert asymmetry(torch.zeros(17, 3), SKELETON) == 0, "a point is no error of division"


def test_length_error_of_scaled_people(target, bones):
    one = target.positions_camera[:1]
    statistics = bone_statistics(one.double().numpy(), SKELETON)
    assert length_error(one, statistics)[0] == pytest.approx(0, abs=1e-5)
    assert length_error(1.2 * one, statistics)[0] == pytest.approx(0.2, abs=1e-5)
    assert length_error(0.7 * one, statistics)[0] == pytest.approx(0.3, abs=1e-5)


def test_a_lifter_that_answers_with_flat_poses_agrees_with_its_mirror_image_and_not_with_its_turned_self(
    target, bones
):
    found = measure(Flat(), RayEncoding(), target, bones, SelectionConfig(clips=40, turn_degrees=20))
    assert found.flip_mm == pytest.approx(0, abs=1e-3)
    assert found.reprojection == pytest.approx(0, abs=1e-4), "flat people of that size do explain the picture"
    assert found.turn_mm > 5
    assert found.bone_lengths > 0.5


def test_turning_the_camera_turns_the_view(target):
    batch = target.batch(torch.arange(40))
    turn = axis_angle_to_matrix(0.1 * torch.randn(40, 3, generator=torch.Generator().manual_seed(0)))
    seen: list[Tensor] = []

    class Watching(RayEncoding):
        def encode(self, keypoints_px, intrinsics, generator=None):
            encoded = super().encode(keypoints_px, intrinsics, generator)
            seen.append(encoded.inputs)
            return encoded

    lifter = Flat().eval()
    answer = lift_turned(lifter, Watching(), batch.keypoints_px, batch.intrinsics, turn)
    turned = rotate(batch.positions_camera, turn)
    assert torch.allclose(seen[0], turned[..., :2] / turned[..., 2:], atol=1e-5)
    expected = rotate(lifter(seen[0]), turn.mT)
    assert torch.allclose(answer, expected, atol=1e-6)


def test_every_criterion_rises_with_the_noise_of_the_answers(target, bones):
    config = SelectionConfig(clips=40, turn_degrees=1e-6)
    rising = [
        measure(knowing(target, noise), RayEncoding(), target, bones, config)
        for noise in (0, 0.02, 0.06, 0.2)
    ]
    for name in ("reprojection", "symmetry", "bone_lengths", "turn_mm"):
        values = [getattr(one, name) for one in rising]
        assert values == sorted(values), name
        assert values[-1] > 1.1 * values[0] + 1e-3, name  # the people themselves are neither even nor alike
    # Two independent errors of deviation s differ by sqrt(2) s a coordinate; the root has none.
    expected = 60 * math.sqrt(2) * math.sqrt(8 / math.pi) * 16 / 17
    assert rising[2].turn_mm == pytest.approx(expected, rel=0.05)


def test_a_lifter_of_clips_is_measured_at_its_middle_frame(target, bones):
    """So its criteria are those of the single-frame lifter that it asks."""
    config = SelectionConfig(clips=40, turn_degrees=1e-6)
    single = knowing(target, 0.0)
    seen = measure(KnowingCentres(single), RayEncoding(), replace(target, frames=3), bones, config)
    alone = measure(single, RayEncoding(), target, bones, config)
    for name in FIELDS:
        assert getattr(seen, name) == pytest.approx(getattr(alone, name), abs=1e-5), name


def test_no_target_3d_is_read_and_the_lifters_mode_stays(target, bones):
    lifter = Flat()
    assert lifter.training
    hidden = replace(target, positions_camera=torch.full_like(target.positions_camera, torch.nan))
    config = SelectionConfig(clips=30)
    state = torch.get_rng_state()
    seen = measure(lifter, RayEncoding(), hidden, bones, config)
    assert seen == measure(lifter, RayEncoding(), target, bones, config), "and dropout is off"
    assert lifter.training
    assert torch.equal(torch.get_rng_state(), state)
    assert seen != measure(lifter, RayEncoding(), hidden, bones, replace_seed(config, 1))


def replace_seed(config: SelectionConfig, seed: int) -> SelectionConfig:
    return config.model_copy(update={"seed": seed})


def test_clips_without_keypoints_are_left_out_and_none_left_is_an_error(target, bones):
    keypoints = target.keypoints_px.clone()
    keypoints[:10, 3] = torch.nan
    config = SelectionConfig(clips=40)
    found = measure(Flat(), RayEncoding(), replace(target, keypoints_px=keypoints), bones, config)
    assert all(math.isfinite(value) for value in found.values.values())
    nothing = replace(target, keypoints_px=torch.full_like(keypoints, torch.nan))
    with pytest.raises(ValueError, match="keypoints"):
        measure(Flat(), RayEncoding(), nothing, bones, config)


def test_ranks_are_averaged_over_the_criteria():
    table = [
        criteria(reprojection=1, symmetry=3, bone_lengths=1, flip_mm=100, turn_mm=7),
        criteria(reprojection=2, symmetry=1, bone_lengths=1, flip_mm=10, turn_mm=9),
        criteria(reprojection=3, symmetry=2, bone_lengths=2, flip_mm=90, turn_mm=8),
    ]
    # Ranks: (1, 3, 1.5, 3, 1), (2, 1, 1.5, 1, 3), (3, 2, 3, 2, 2).
    assert combined_rank(table) == pytest.approx([9.5 / 5, 8.5 / 5, 12 / 5])
    assert choose(table) == 1
    assert choose([table[0], table[0]]) == 1, "of equals the latest"
    with pytest.raises(ValueError, match="no checkpoint"):
        choose([])


def test_rank_correlation_with_true_errors():
    table = [
        criteria(reprojection=a, symmetry=b, turn_mm=c)
        for a, b, c in ((1, 9, 1), (2, 8, 3), (3, 7, 2), (4, 6, 4))
    ]
    found = rank_correlation(table, [10.0, 20.0, 30.0, 40.0])
    by_name = dict(found.criteria)
    assert by_name["reprojection"] == pytest.approx(1)
    assert by_name["symmetry"] == pytest.approx(-1)
    # 1 - 6 sum d^2 / (n (n^2 - 1)) with d = (0, 1, -1, 0).
    assert by_name["turn_mm"] == pytest.approx(1 - 6 * 2 / (4 * 15))
    assert math.isnan(by_name["flip_mm"])
    assert found.checkpoints == 4
    with pytest.raises(ValueError, match="three"):
        rank_correlation(table, [1.0])


def log(epoch: int) -> EpochLog:
    return EpochLog(
        epoch=epoch, step=epoch, loss=0.0, learning_rate=1e-3, seconds=1.0, samples_per_second=1.0
    )


def test_the_recorder_keeps_weights_and_criteria_of_every_epoch(tmp_path, target, bones):
    lifter = Flat()
    measured = partial(
        measure, encoding=RayEncoding(), target=target, source_bones=bones, config=SelectionConfig(clips=40)
    )
    recorder = CandidateRecorder(lifter, measured, tmp_path / "candidates")
    assert candidates(tmp_path / "candidates") == ()
    # Flat people of weight 1 are too small by the depth, of weight 30 too large.
    for epoch, weight in ((1, 1.0), (2, 4.5), (3, 30.0)):
        lifter.weight.data.fill_(weight)
        recorder(log(epoch))
    recorded = candidates(tmp_path / "candidates")
    assert [one.epoch for one in recorded] == [1, 2, 3]
    assert recorded[1].criteria.bone_lengths < min(
        recorded[0].criteria.bone_lengths, recorded[2].criteria.bone_lengths
    )
    restore(lifter, tmp_path / "candidates", recorded[0])
    assert lifter.weight.item() == 1.0
    chosen = restore_chosen(lifter, tmp_path / "candidates")
    assert chosen == recorded[choose([one.criteria for one in recorded])]
    assert lifter.weight.item() == {1: 1.0, 2: 4.5, 3: 30.0}[chosen.epoch]


def test_a_run_that_goes_back_records_its_epochs_again(tmp_path, target, bones):
    lifter = Flat()
    values = iter([criteria(symmetry=float(n)) for n in range(4)])
    recorder = CandidateRecorder(lifter, lambda one: next(values), tmp_path)
    for epoch in (1, 2, 3, 2):
        recorder(log(epoch))
    assert [(one.epoch, one.criteria.symmetry) for one in candidates(tmp_path)] == [(1, 0.0), (2, 3.0)]
