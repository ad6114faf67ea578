"""One body in a view: the truth stays, errors shrink, and the answer is a least-squares optimum."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from poseshift.geometry.bones import bone_directions, bone_lengths, from_bones
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.projection import normalise, project
from poseshift.geometry.skeleton import skeleton
from poseshift.training import one_body
from poseshift.training.answer import RaysBlend, RaysSnap, sighting
from poseshift.training.one_body import (
    BONE_M,
    DEPTH_M,
    Seen,
    settled,
    view_lengths,
    with_one_body,
)

BODY = skeleton("human36m_17")
RIGHT_KNEE = 2


def cameras(frames: int) -> Intrinsics:
    def each(*values: float) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64).expand(frames, -1)

    return Intrinsics(each(1145.0, 1144.0), each(512.0, 515.0), each(1000, 1002), each(0, 0, 0), each(0, 0))


@pytest.fixture
def truth() -> torch.Tensor:
    """Two people who move their limbs: (80, 17, 3), absolute, forty frames of each."""
    draw = torch.Generator().manual_seed(4)
    lengths = torch.full((1, len(BODY.bones)), 0.25, dtype=torch.float64)
    people = []
    for size in (1.0, 1.2):
        directions = torch.randn(40, len(BODY.bones), 3, generator=draw, dtype=torch.float64)
        directions = directions / directions.norm(dim=-1, keepdim=True)
        joints = torch.zeros(40, 17, 3, dtype=torch.float64)
        for bone, (parent, child) in enumerate(BODY.bones):
            joints[:, child] = joints[:, parent] + size * lengths[:, bone, None] * directions[:, bone]
        people.append(joints + torch.tensor([0.2, 0.1, 5.0]))
    return torch.cat(people)


VIEWS = [np.arange(40), np.arange(40, 80)]


def seen_of(truth: torch.Tensor) -> Seen:
    intrinsics = cameras(len(truth))
    return Seen(project(truth, intrinsics), intrinsics)


def relative(joints: torch.Tensor) -> torch.Tensor:
    return joints - joints[:, [BODY.root]]


def disturbed(truth: torch.Tensor) -> torch.Tensor:
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(5), dtype=truth.dtype)
    noise[:, BODY.root] = 0
    return relative(truth) + noise * torch.tensor([0.01, 0.01, 0.05])


def error_mm(answer: torch.Tensor, truth: torch.Tensor) -> float:
    return 1000 * float((answer - relative(truth)).norm(dim=-1).mean())


@pytest.mark.parametrize("rays", [RaysSnap(body="view"), RaysBlend(body="view")])
def test_the_truth_stays_the_truth(truth: torch.Tensor, rays: RaysSnap | RaysBlend) -> None:
    assert error_mm(with_one_body(relative(truth), seen_of(truth), VIEWS, BODY, rays), truth) < 0.1


def test_frames_of_a_view_get_one_body_and_are_nearer_to_the_truth(truth: torch.Tensor) -> None:
    answers = disturbed(truth)
    found = with_one_body(answers, seen_of(truth), VIEWS, BODY, RaysSnap(body="view"))
    placed = sighting(RaysSnap(), answers[:, None], seen_of(truth).keypoints_px[:, None], cameras(80))
    each_by_itself = relative(placed.absolute[:, 0])
    assert error_mm(found, truth) < 0.75 * error_mm(each_by_itself, truth)
    lengths = bone_lengths(found, BODY)
    own = bone_lengths(answers, BODY)
    for rows in VIEWS:
        assert lengths[rows].std(dim=0).mean() < 0.3 * own[rows].std(dim=0).mean()
    # The larger person stays the larger one.
    assert lengths[40:].mean() / lengths[:40].mean() == pytest.approx(1.2, abs=0.05)


def test_lengths_are_medians_and_the_same_on_both_sides(truth: torch.Tensor) -> None:
    answers = relative(truth)
    answers[3] *= 50  # a frame that went wrong does not count
    lengths = view_lengths(answers, VIEWS, BODY)
    torch.testing.assert_close(lengths[:40], torch.full((40, 16), 0.25, dtype=torch.float64))
    answers[:40, [child for _, child in BODY.bones].index(RIGHT_KNEE) + 1] *= 1.1
    lengths = view_lengths(answers, VIEWS, BODY)
    children = [child for _, child in BODY.bones]
    for left, right in zip(BODY.left, BODY.right, strict=True):
        torch.testing.assert_close(lengths[:, children.index(left)], lengths[:, children.index(right)])


def test_it_goes_to_the_optimum_that_a_general_solver_finds(
    truth: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_body, "STEPS", 40)
    rays = RaysBlend(noise_px=3.0, error_m=0.03, body="view")
    frame = slice(6, 7)
    seen = Seen(seen_of(truth).keypoints_px[frame].clone(), cameras(1))
    seen.keypoints_px[0, 5] = math.nan
    lengths = torch.full((1, 16), 0.27, dtype=torch.float64)
    found = settled(disturbed(truth)[frame], lengths, seen, BODY, rays)

    # The same terms, written down again.
    start = from_bones(
        torch.zeros(1, 3, dtype=torch.float64), bone_directions(disturbed(truth)[frame], BODY), lengths, BODY
    )
    placed = (
        sighting(rays, start[:, None], seen.keypoints_px[:, None], seen.intrinsics).absolute[0, 0].numpy()
    )
    at = normalise(seen.keypoints_px, seen.intrinsics)[0].numpy()
    known = np.isfinite(at).all(axis=1)
    noise = 3.0 / 1144.5

    def terms(flat: np.ndarray) -> np.ndarray:
        joints = flat.reshape(17, 3)
        held = ((joints - joints[0]) - (placed - placed[0])) / [0.03, 0.03, DEPTH_M]
        beside = (joints[:, :2] - at * joints[:, 2:])[known] / (noise * placed[known, 2:])
        bones = [np.linalg.norm(joints[child] - joints[parent]) - 0.27 for parent, child in BODY.bones]
        return np.concatenate([held.ravel(), beside.ravel(), np.array(bones) / BONE_M])

    best = least_squares(terms, placed.ravel()).x.reshape(17, 3)
    np.testing.assert_allclose(found[0].numpy(), best - best[0], atol=1e-4)


def test_a_frame_of_which_too_little_was_seen_keeps_its_directions(truth: torch.Tensor) -> None:
    seen = seen_of(truth)
    seen.keypoints_px[7, 3:] = math.nan
    found = with_one_body(relative(truth), seen, VIEWS, BODY, RaysSnap(body="view"))
    assert bool(found.isfinite().all())
    assert error_mm(found, truth) < 0.1


def test_doubtful_keypoints_count_less(truth: torch.Tensor) -> None:
    seen = seen_of(truth)
    wrong = seen.keypoints_px.clone()
    wrong[:, 13] += 60
    sure = torch.ones(wrong.shape[:2], dtype=torch.float64)
    sure[:, 13] = 0.01
    rays = RaysBlend(body="view", confidence_power=1.0)
    told = with_one_body(relative(truth), Seen(wrong, seen.intrinsics, sure), VIEWS, BODY, rays)
    untold = with_one_body(relative(truth), Seen(wrong, seen.intrinsics), VIEWS, BODY, rays)
    assert error_mm(told, truth) < 0.5 * error_mm(untold, truth)


def test_no_frames_give_no_answers() -> None:
    nothing = torch.zeros(0, 17, 3)
    seen = Seen(torch.zeros(0, 17, 2), cameras(0))
    assert with_one_body(nothing, seen, [], BODY, RaysSnap(body="view")).shape == (0, 17, 3)
