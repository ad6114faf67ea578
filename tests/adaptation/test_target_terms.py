"""Losses on target keypoints: zero for what is right, closed forms, and gradients where joints are seen."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from poseshift.adaptation.target_terms import (
    bone_constancy,
    bone_symmetry,
    depth_spread,
    huber,
    reprojection,
    smoothness,
    view_agreement,
)
from poseshift.geometry.rotation import axis_angle_to_matrix, rotate
from poseshift.geometry.skeleton import skeleton

BODY = skeleton("human36m_17")
AT = 0.05


def person() -> Tensor:
    """A symmetric person at the origin, (17, 3) metres, float64: bent, so that no depth is like another."""
    half = {
        1: (0.13, 0.0, 0.02),
        2: (0.15, 0.44, -0.1),
        3: (0.14, 0.88, 0.06),
        14: (0.15, -0.45, 0.02),
        15: (0.25, -0.2, -0.1),
        16: (0.2, 0.05, -0.3),
    }
    joints = torch.zeros(17, 3, dtype=torch.float64)
    for joint, place in half.items():
        joints[joint] = torch.tensor(place)
        joints[BODY.mirrored[joint]] = torch.tensor(place) * torch.tensor([-1.0, 1.0, 1.0])
    for joint, place in {
        7: (0, -0.23, 0.02),
        8: (0, -0.48, 0),
        9: (0, -0.56, -0.06),
        10: (0, -0.68, 0),
    }.items():
        joints[joint] = torch.tensor(place, dtype=torch.float64)
    return joints


def turned(count: int, seed: int = 0) -> Tensor:
    """The person, turned and bent nowhere: (count, 17, 3)."""
    rng = torch.Generator().manual_seed(seed)
    turns = axis_angle_to_matrix(torch.randn(count, 3, generator=rng, dtype=torch.float64))
    return rotate(person().expand(count, -1, -1), turns)


def rays_from(poses: Tensor, root: tuple[float, float, float] = (0.3, -0.2, 4.0)) -> Tensor:
    absolute = poses + torch.tensor(root, dtype=poses.dtype)
    return absolute[..., :2] / absolute[..., 2:]


def all_of(poses: Tensor) -> Tensor:
    return torch.ones(poses.shape[:-1], dtype=torch.bool)


@given(st.floats(0, 3), st.floats(0.01, 1))
def test_huber_is_scipys_over_the_threshold(error: float, threshold: float) -> None:
    from scipy.special import huber as oracle

    found = float(huber(torch.tensor(error, dtype=torch.float64), threshold))
    assert found == pytest.approx(float(oracle(threshold, error)) / threshold, abs=1e-12)


def test_a_rigid_symmetric_person_costs_nothing() -> None:
    poses = turned(12)
    tracks, seen = poses.view(3, 4, 17, 3), all_of(poses).view(3, 4, 17)
    assert float(reprojection(poses, rays_from(poses), all_of(poses), AT)) < 1e-12
    assert float(bone_constancy(tracks, seen, BODY, AT)) < 1e-12
    assert float(bone_symmetry(tracks, seen, BODY, AT)) < 1e-12
    assert float(view_agreement(poses, poses.clone(), all_of(poses), BODY, AT)) == 0
    still = poses[:4, None].expand(-1, 5, -1, -1)
    steady = still + torch.arange(5, dtype=torch.float64)[:, None, None] * 0.1
    assert float(smoothness(steady, BODY, AT)) < 1e-20


def test_no_term_depends_on_the_size_of_the_answers() -> None:
    """Else answers would shrink, or grow, to please it."""
    rng = torch.Generator().manual_seed(1)
    poses = turned(12) + 0.05 * torch.randn(12, 17, 3, generator=rng, dtype=torch.float64)
    rays = rays_from(poses) + 0.01 * torch.randn(12, 17, 2, generator=rng, dtype=torch.float64)
    seen = all_of(poses)

    def terms(size: float) -> list[float]:
        tracks = (size * poses).view(3, 4, 17, 3)
        return [
            float(reprojection(size * poses, rays, seen, AT)),
            float(bone_constancy(tracks, seen.view(3, 4, 17), BODY, AT)),
            float(bone_symmetry(tracks, seen.view(3, 4, 17), BODY, AT)),
            float(view_agreement(size * poses[:6], size * poses[6:], seen[:6], BODY, AT)),
            float(smoothness(tracks, BODY, AT)),
            float(depth_spread(size * poses, BODY).mean()),
        ]

    assert min(terms(1.0)) > 1e-4
    assert terms(0.7) == pytest.approx(terms(1.0), rel=1e-9)


def test_reprojection_by_hand() -> None:
    """The root by NumPy's least squares; the distance over the larger side of the box, joint by joint."""
    rng = np.random.default_rng(0)
    poses = turned(5).numpy()
    rays = rays_from(torch.from_numpy(poses)).numpy() + 0.02 * rng.standard_normal((5, 17, 2))
    seen = rng.random((5, 17)) < 0.8
    costs = []
    for pose, ray, known in zip(poses, rays, seen, strict=True):
        rows, right = [], []
        for (x, y, z), (u, v) in zip(pose[known], ray[known], strict=True):
            rows += [[1, 0, -u], [0, 1, -v]]
            right += [u * z - x, v * z - y]
        root = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0]
        placed = pose[known] + root
        size = np.ptp(ray[known], axis=0).max()
        error = np.linalg.norm(placed[:, :2] / placed[:, 2:] - ray[known], axis=1) / size
        costs += [e * e / (2 * AT) if e < AT else e - AT / 2 for e in error]
    rays[~seen] = np.nan
    found = reprojection(*(torch.from_numpy(one) for one in (poses, rays, seen)), AT)
    assert float(found) == pytest.approx(np.mean(costs), rel=1e-9)


def test_bones_by_hand() -> None:
    """Two frames, one bone of the second longer: half of the change is each frame's deviation."""
    first, second = person(), person()
    second[3] = second[2] + 1.1 * (second[3] - second[2])  # the right shin
    tracks, seen = torch.stack([first, second])[None], torch.ones(1, 2, 17, dtype=torch.bool)
    shin = float((first[3] - first[2]).norm())
    lengths = [(first[child] - first[parent]).norm() for parent, child in BODY.bones]
    unit = (float(sum(lengths)) + 0.05 * shin) / 16
    deviation = 0.05 * shin / unit
    assert deviation > AT
    cost = deviation - AT / 2
    assert float(bone_constancy(tracks, seen, BODY, AT)) == pytest.approx(2 * cost / 32, rel=1e-9)
    assert float(bone_symmetry(tracks, seen, BODY, AT)) == pytest.approx(cost / 6, rel=1e-9)


def test_views_by_hand() -> None:
    first = turned(3)
    second = first.clone()
    second[1, 16] += torch.tensor([0.0, 0.03, 0.04])
    lengths = torch.stack([(first[1, c] - first[1, p]).norm() for p, c in BODY.bones])
    moved = (second[1, 16] - second[1, 15]).norm()
    unit = (2 * lengths.sum() - lengths[-1] + moved) / 32
    error = float(0.05 / unit)
    expected = (error * error / (2 * AT) if error < AT else error - AT / 2) / (3 * 17)
    assert float(view_agreement(first, second, all_of(first), BODY, AT)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("term", ["reprojection", "bones", "symmetry", "views"])
def test_gradients_are_of_joints_that_were_seen(term: str) -> None:
    rng = torch.Generator().manual_seed(2)
    poses = turned(8) + 0.1 * torch.randn(8, 17, 3, generator=rng, dtype=torch.float64)
    rays = rays_from(poses) + 0.02 * torch.randn(8, 17, 2, generator=rng, dtype=torch.float64)
    poses.requires_grad_()
    seen = all_of(poses)
    seen[:, 13] = False  # the left wrist in every frame
    seen[0, 3] = False  # the right ankle in one
    seen[5] = False  # a whole pose
    rays[~seen] = torch.nan
    tracks, shown = poses.view(2, 4, 17, 3), seen.view(2, 4, 17)
    value = {
        "reprojection": lambda: reprojection(poses, rays, seen, AT),
        "bones": lambda: bone_constancy(tracks, shown, BODY, AT),
        "symmetry": lambda: bone_symmetry(tracks, shown, BODY, AT),
        "views": lambda: view_agreement(poses[:4], poses[4:], seen[:4] & seen[4:], BODY, AT),
    }[term]()
    value.backward()
    assert poses.grad is not None
    assert bool(poses.grad.isfinite().all())
    assert not poses.grad[~seen].any()
    assert bool((poses.grad[2:4, 1:4].abs().sum(dim=-1) > 0).all()), "joints of both kinds of cost"


def test_a_pose_that_cannot_be_placed_costs_nothing_and_has_no_gradient() -> None:
    poses = torch.zeros(2, 17, 3, requires_grad=True)
    seen = torch.zeros(2, 17, dtype=torch.bool)
    seen[:, :3] = True
    value = reprojection(poses, torch.full((2, 17, 2), torch.nan), seen, AT)
    value.backward()
    assert float(value.detach()) == 0
    assert poses.grad is not None
    assert not poses.grad.any()


def test_what_reprojection_cannot_see() -> None:
    """A pose far away pushed along its rays re-projects exactly and has other bones: only those tell."""
    pose = turned(1)
    root = torch.tensor([0.0, 0.0, 4.0], dtype=torch.float64)
    depth = pose[..., 2:] + 4.0
    along = (pose + root) * (1 + 0.3 * (depth - 4.0)) - root
    along = along - along[:, :1]
    assert float(reprojection(along, rays_from(pose, (0.0, 0.0, 4.0)), all_of(pose), AT)) < 1e-12
    tracks = torch.stack([pose, along], dim=1)
    assert float(bone_constancy(tracks, all_of(tracks), BODY, AT)) > 1e-3


def test_flat_poses_have_no_depth() -> None:
    poses = turned(4)
    flat = poses * torch.tensor([1.0, 1.0, 0.0])
    assert bool((depth_spread(poses, BODY) > 0.1).all())
    assert not depth_spread(flat, BODY).any()
