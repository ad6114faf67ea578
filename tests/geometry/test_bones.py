from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from poseshift.geometry.bones import (
    bone_directions,
    bone_lengths,
    bone_statistics,
    bone_vectors,
    from_bones,
    root_first,
)
from poseshift.geometry.rotation import axis_angle_to_matrix, rotate
from poseshift.geometry.skeleton import SKELETONS, Skeleton, skeleton

# S1, Directions 1, first frame of D3_Positions, millimetres.
HIPS, RIGHT_UP_LEG, RIGHT_LEG, RIGHT_FOOT, SPINE = (
    (-91.679, 154.404, 907.261),
    (-223.23566, 163.80551, 890.5342),
    (-188.4703, 14.077106, 475.1688),
    (-261.84055, 186.55286, 61.438915),
    (-91.69202, 154.39796, 907.36),
)


@pytest.fixture(scope="module", params=sorted(SKELETONS))
def each(request: pytest.FixtureRequest) -> Skeleton:
    return skeleton(request.param)


class TestRealBones:
    def test_right_leg_of_s1(self) -> None:
        """The lengths of S1's skeleton as forward-kinematics codes print them, millimetres."""
        leg = Skeleton("leg", ("hips", "hip", "knee", "foot"), (-1, 0, 1, 2), (), ())
        found = bone_lengths(np.array([HIPS, RIGHT_UP_LEG, RIGHT_LEG, RIGHT_FOOT]), leg)
        np.testing.assert_allclose(found, (132.948591, 442.894612, 454.206447), atol=2e-4)

    def test_spine_stands_a_tenth_of_a_millimetre_above_the_hips(self) -> None:
        pair = Skeleton("pair", ("hips", "spine"), (-1, 0), (), ())
        assert bone_lengths(np.array([HIPS, SPINE]), pair)[0] == pytest.approx(0.1, abs=1e-4)


class TestRoundTrip:
    @given(seed=st.integers(0, 10**6))
    @settings(deadline=None, max_examples=15)
    def test_pose_to_bones_and_back(self, each: Skeleton, seed: int) -> None:
        """Also where a parent comes after its child in storage order (3DHP)."""
        pose = np.random.default_rng(seed).normal(size=(2, 3, each.joints, 3))
        directions, lengths = bone_directions(pose, each), bone_lengths(pose, each)
        np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1, atol=1e-12)
        np.testing.assert_allclose(
            from_bones(pose[..., each.root, :], directions, lengths, each), pose, atol=1e-12
        )

    def test_root_first(self, each: Skeleton) -> None:
        order = root_first(each)
        assert sorted(order) == list(range(each.joints))
        assert order[0] == each.root
        for joint in order[1:]:
            assert order.index(each.parents[joint]) < order.index(joint)

    def test_bones_are_ordered_by_child(self) -> None:
        joints = skeleton("mpi_inf_3dhp_17")
        pose = np.random.default_rng(0).normal(size=(17, 3))
        found = bone_vectors(pose, joints)
        np.testing.assert_array_equal(found[0], pose[0] - pose[16])
        np.testing.assert_array_equal(found[14], pose[15] - pose[14])
        np.testing.assert_array_equal(found[15], pose[16] - pose[1])

    def test_lengths_of_another_person(self) -> None:
        """Lengths broadcast over frames: the directions stay, the new lengths appear."""
        joints = skeleton("human36m_17")
        generator = np.random.default_rng(1)
        pose, lengths = generator.normal(size=(5, 17, 3)), generator.uniform(0.1, 0.5, 16)
        moved = from_bones(pose[:, 0], bone_directions(pose, joints), lengths, joints)
        np.testing.assert_allclose(bone_lengths(moved, joints), np.broadcast_to(lengths, (5, 16)), atol=1e-12)
        np.testing.assert_allclose(bone_directions(moved, joints), bone_directions(pose, joints), atol=1e-12)


class TestInvariance:
    @given(seed=st.integers(0, 10**6))
    @settings(deadline=None, max_examples=15)
    def test_lengths_do_not_move_with_the_body(self, seed: int) -> None:
        joints = skeleton("human36m_17")
        generator = np.random.default_rng(seed)
        pose = generator.normal(size=(17, 3))
        moved = rotate(pose, axis_angle_to_matrix(generator.normal(size=3))) + generator.normal(size=3)
        np.testing.assert_allclose(bone_lengths(moved, joints), bone_lengths(pose, joints), atol=1e-12)


class TestCollapsedBone:
    def test_no_nan_forward_or_backward(self) -> None:
        """Joints 13, 16 and 24 of Human3.6M coincide: their bones have length zero."""
        joints = skeleton("human36m_32")
        pose = torch.zeros(32, 3, dtype=torch.float64, requires_grad=True)
        directions = bone_directions(pose, joints)
        assert torch.equal(directions, torch.zeros(31, 3, dtype=torch.float64))
        (bone_lengths(pose, joints).sum() + directions.sum()).backward()
        assert pose.grad is not None
        assert torch.isfinite(pose.grad).all()


class TestStatistics:
    def test_by_hand(self) -> None:
        """Two poses of three joints in a row: lengths 1 and 3 (mean 2, deviation 1), and 2 and 2."""
        row = Skeleton("row", ("left", "middle", "right"), (1, -1, 1), (0,), (2,))
        poses = np.array([[[-1.0, 0, 0], [0, 0, 0], [2, 0, 0]], [[-3.0, 0, 0], [0, 0, 0], [0, 2, 0]]])
        found = bone_statistics(poses, row)
        assert found.poses == 2
        np.testing.assert_allclose(found.mean, [2, 2])
        np.testing.assert_allclose(found.deviation, [1, 0])
        np.testing.assert_allclose(found.variation, [0.5, 0])
        np.testing.assert_allclose(found.asymmetry, [0])

    def test_asymmetry_is_relative(self) -> None:
        row = Skeleton("row", ("left", "middle", "right"), (1, -1, 1), (0,), (2,))
        found = bone_statistics(np.array([[[-1.1, 0, 0], [0, 0, 0], [0.9, 0, 0]]]), row)
        np.testing.assert_allclose(found.asymmetry, [0.2], atol=1e-12)

    def test_no_pose(self) -> None:
        with pytest.raises(ValueError, match="at least one"):
            bone_statistics(np.zeros((0, 17, 3)), skeleton("human36m_17"))

    def test_wrong_skeleton(self) -> None:
        with pytest.raises(ValueError, match=r"\(5, 16, 3\) cannot be human36m_17"):
            bone_vectors(np.zeros((5, 16, 3)), skeleton("human36m_17"))
