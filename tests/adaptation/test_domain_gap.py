import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from poseshift.adaptation.domain_gap import (
    GapConfig,
    KeypointStage,
    Step,
    keypoint_gap,
    labelled_gap,
    line_of_sight_pitch,
)
from poseshift.adaptation.global_position import GlobalPositionAlignment, GlobalPositionConfig
from poseshift.adaptation.orientation import up_from_angles
from poseshift.adaptation.target_keypoints import TargetKeypoints
from poseshift.adaptation.two_sample import two_sample
from poseshift.geometry.camera import Camera, stack_intrinsics
from poseshift.training.batches import Batch, DevicePoses

ROOT = 0
CONFIG = GapConfig(poses=300, bins=10)


def groups(n: int, size: int = 5) -> np.ndarray:
    return np.arange(n) // size


def normal(seed: int, n: int = 600, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1.0, size=(n, 3))


def test_samples_of_one_distribution_are_not_told_apart():
    found = two_sample(normal(1), normal(2), groups(600), groups(600), seed=0)
    assert found.proxy_a_distance < 0.2
    assert found.error == pytest.approx(0.5, abs=0.06)
    assert found.p_value > 0.001
    assert found.rows == 1200


def test_separable_samples_are_at_the_largest_distance():
    found = two_sample(normal(1), normal(2, mean=30.0), groups(600), groups(600), seed=0)
    assert found.error == 0
    assert found.proxy_a_distance == 2
    assert found.p_value < 1e-100


def test_the_distance_of_two_normals_is_near_that_of_the_best_classifier():
    # One coordinate differs by two deviations: the best classifier errs in Phi(-1) = 0.159 of the cases.
    second = normal(2, n=2000)
    second[:, 0] += 2
    found = two_sample(normal(1, n=2000), second, groups(2000), groups(2000), seed=0)
    assert found.error == pytest.approx(0.159, abs=0.03)
    assert found.proxy_a_distance == pytest.approx(2 * (1 - 2 * found.error))


def test_repeats_within_a_sequence_do_not_count_as_a_difference_of_domains():
    """Thirty sequences a domain, of one distribution: frames of a sequence are all but equal."""
    first, second = (np.repeat(normal(seed, 30), 20, axis=0) for seed in (1, 2))
    first, second = (sample + 1e-3 * normal(seed + 2) for seed, sample in ((1, first), (2, second)))
    held_out = two_sample(first, second, groups(600, 20), groups(600, 20), seed=0)
    by_heart = two_sample(first, second, np.arange(600), np.arange(600), seed=0)
    assert by_heart.proxy_a_distance > 1.9
    assert held_out.proxy_a_distance < 0.8


def test_too_few_sequences_are_an_error():
    with pytest.raises(ValueError, match="second sample has 2 groups"):
        two_sample(normal(1, 10), normal(2, 10), groups(10, 2), groups(10, 5), seed=0)


def test_the_larger_sample_is_thinned_and_the_seed_decides():
    first, second = normal(1, 900), normal(2, 300)
    found = [two_sample(first, second, groups(900), groups(300), seed) for seed in (0, 0, 1)]
    assert found[0] == found[1]
    assert found[0] != found[2]
    assert found[0].rows == 600


@pytest.fixture
def domains(draw_people, make_columns, square_camera, distorted_camera) -> tuple[DevicePoses, DevicePoses]:
    """A source in front of a distorting camera, and a target farther away in front of another."""
    rng = np.random.default_rng(0)

    def poses(camera: Camera, depth: float, spread: float) -> DevicePoses:
        upright = replace(camera, rotation=((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)))
        columns = make_columns(draw_people(rng, 300, depth, spread), [upright], np.zeros(300, dtype=np.int32))
        runs = replace(columns, trial=(np.arange(300) // 10).astype(np.int32))  # thirty sequences
        return DevicePoses.from_columns(runs, "cpu", 1)

    return poses(distorted_camera, 4.5, 0.2), poses(square_camera, 6.0, 0.5)


def gpa(target: DevicePoses, camera: Camera) -> Step:
    batch = target.batch(torch.arange(len(target)))
    rays = (batch.positions_camera[..., :2] / batch.positions_camera[..., 2:])[:, 0].numpy()
    keypoints = TargetKeypoints(rays, np.zeros(len(rays), dtype=np.int32), (camera,), target.skeleton, 0)
    return Step("gpa", GlobalPositionAlignment(GlobalPositionConfig(), keypoints))


def test_alignment_closes_the_gap_of_positions_and_leaves_bones(domains, square_camera):
    source, target = domains
    steps = [gpa(target, square_camera)]
    hidden = replace(target, positions_camera=torch.full_like(target.positions_camera, torch.nan))
    before, after = keypoint_gap(source, hidden, steps, CONFIG)
    assert (before.step, after.step) == ("source", "gpa")
    assert before.gap.position_distance.proxy_a_distance > 1
    assert after.gap.position_distance.proxy_a_distance < 0.5
    for figure in ("root_x", "root_y", "scale"):
        differences = [
            abs(getattr(s.gap, figure).source.mean - getattr(s.gap, figure).target.mean)
            for s in (before, after)
        ]
        assert differences[1] < 0.06, figure
    first, last = labelled_gap(source, target, steps, CONFIG)
    assert first.gap.depth.source.mean == pytest.approx(4.5, abs=0.1)
    assert first.gap.depth.target.mean == pytest.approx(6.0, abs=0.2)
    assert last.gap.depth.source.mean == pytest.approx(6.0, abs=0.5)
    assert [b.source.mean for b in last.gap.bones] == pytest.approx([b.source.mean for b in first.gap.bones])
    assert len(first.gap.bones) == 16


def test_figures_against_numbers_computed_apart(domains):
    source, target = domains
    (stage,) = keypoint_gap(source, target, [], CONFIG)
    pixels = target.keypoints_px.double().numpy()
    x = pixels[:, ROOT, 0] * 2 / 2048 - 1
    sizes = np.ptp(pixels, axis=1).mean(axis=1) * 2 / 2048
    assert stage.gap.root_x.target.mean == pytest.approx(x.mean(), abs=1e-5)
    assert stage.gap.root_x.target.deviation == pytest.approx(x.std(), abs=1e-5)
    assert stage.gap.scale.target.mean == pytest.approx(sizes.mean(), abs=1e-5)
    counts, _ = np.histogram(x, stage.gap.root_x.edges)
    assert np.abs(np.array(stage.gap.root_x.target.counts) - counts).max() <= 1  # single precision at an edge
    assert len(stage.gap.root_x.edges) == CONFIG.bins + 1


def test_labels_are_needed_for_labelled_figures_alone(domains):
    source, target = domains
    hidden = replace(target, positions_camera=torch.full_like(target.positions_camera, torch.nan))
    assert keypoint_gap(source, hidden, [], CONFIG) == keypoint_gap(source, target, [], CONFIG)
    with pytest.raises(ValueError, match="keypoint_gap"):
        labelled_gap(source, hidden, [], CONFIG)
    with pytest.raises(ValueError, match="up_camera"):
        labelled_gap(replace(source, up_camera=None), target, [], CONFIG)


def test_pitch_of_the_line_of_sight():
    """A person on the optical axis is seen at the camera's own pitch, one below it more steeply."""
    camera = Camera(name="c", size_px=(1000, 1000), focal_px=(1000.0, 1000.0), centre_px=(500.0, 500.0))
    positions = torch.zeros(2, 1, 17, 3, dtype=torch.float64)
    positions[0, ..., 2] = 3.0
    positions[1, ..., 1:] = torch.tensor([3 * np.tan(np.radians(12)), 3.0])  # y points down
    up = up_from_angles(
        torch.full((2,), np.radians(20.0), dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    )
    batch = Batch(positions, positions[..., :2], stack_intrinsics([camera] * 2).map(torch.as_tensor), up)
    assert np.degrees(line_of_sight_pitch(batch, ROOT)) == pytest.approx([20, 32])


def test_the_figures_repeat_and_survive_json(domains, square_camera):
    source, target = domains
    steps = [gpa(target, square_camera)]
    first, again = (keypoint_gap(source, target, steps, CONFIG) for _ in range(2))
    assert first == again
    for stage in first:
        assert KeypointStage.model_validate(json.loads(stage.model_dump_json())) == stage
