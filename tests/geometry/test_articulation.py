"""Rotations of a jointed skeleton give back the positions that they were made of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseshift.geometry.articulation import articulate, joint_positions
from poseshift.geometry.bones import bone_directions, bone_lengths, from_bones
from poseshift.geometry.skeleton import HUMAN36M_17, MPI_INF_3DHP_17, POSEAUG_16, Skeleton

SKELETONS = (HUMAN36M_17, POSEAUG_16, MPI_INF_3DHP_17)


def poses(skeleton: Skeleton, seed: int, frames: int = 4) -> np.ndarray:
    """Bones of one length each that point anywhere."""
    random = np.random.default_rng(seed)
    directions = random.normal(size=(frames, len(skeleton.bones), 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    lengths = random.uniform(0.1, 0.5, size=len(skeleton.bones))
    return np.asarray(from_bones(random.normal(size=(frames, 3)), directions, lengths, skeleton))


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
@given(seed=st.integers(0, 10_000))
def test_rigid_bones_come_back(skeleton: Skeleton, seed: int) -> None:
    positions = poses(skeleton, seed)
    moved = articulate(positions, skeleton)
    np.testing.assert_allclose(joint_positions(moved, skeleton), positions, atol=1e-6)
    turns = moved.rotations
    np.testing.assert_allclose(
        turns @ turns.swapaxes(-1, -2), np.broadcast_to(np.eye(3), turns.shape), atol=1e-6
    )
    np.testing.assert_allclose(np.linalg.det(turns), 1, atol=1e-6)


@given(seed=st.integers(0, 10_000))
def test_bones_that_change_keep_their_directions_and_their_median(seed: int) -> None:
    positions = np.random.default_rng(seed).normal(size=(5, 17, 3))
    found = joint_positions(articulate(positions, HUMAN36M_17), HUMAN36M_17)
    np.testing.assert_allclose(
        bone_directions(found, HUMAN36M_17), bone_directions(positions, HUMAN36M_17), atol=1e-5
    )
    median = np.median(bone_lengths(positions, HUMAN36M_17), axis=0)
    np.testing.assert_allclose(bone_lengths(found, HUMAN36M_17), np.tile(median, (5, 1)), atol=1e-9)


def test_a_knee_that_is_bent_right_back_and_a_body_turned_upside_down() -> None:
    """Half turns have no shortest way; one must be found, and it must be a rotation."""
    pose = at_rest()
    knee, ankle = (HUMAN36M_17.joint_names.index(f"right_{name}") for name in ("knee", "ankle"))
    folded = pose.copy()
    folded[0, ankle] = folded[0, knee] + [0, 0.4, 0]
    both = np.concatenate([folded, pose * [1, -1, -1], pose * [-1, -1, 1]])
    found = articulate(both, HUMAN36M_17)
    np.testing.assert_allclose(joint_positions(found, HUMAN36M_17), both, atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(found.rotations), 1, atol=1e-9)


def test_all_joints_in_one_place_are_no_rotation() -> None:
    found = articulate(np.zeros((2, 17, 3)), HUMAN36M_17)
    np.testing.assert_array_equal(found.rotations, np.broadcast_to(np.eye(3), found.rotations.shape))


def test_the_rest_pose_is_no_rotation() -> None:
    found = articulate(at_rest(), HUMAN36M_17)
    np.testing.assert_allclose(found.rotations, np.broadcast_to(np.eye(3), found.rotations.shape), atol=1e-9)
    place_of = {node.name: place for node, place in zip(found.nodes, found.rest, strict=True)}
    for joint, name in enumerate(HUMAN36M_17.joint_names):
        np.testing.assert_allclose(place_of[name], at_rest()[0, joint], atol=1e-9)


def at_rest() -> np.ndarray:
    """A T, looking along z, left at x, (1, 17, 3)."""
    pose = np.zeros((17, 3))
    for name, place in {
        "spine": (0, 0.25, 0),
        "thorax": (0, 0.5, 0),
        "nose": (0, 0.6, 0),
        "head": (0, 0.7, 0),
        **{f"{side}_hip": (sign * 0.13, 0, 0) for side, sign in SIDES},
        **{f"{side}_knee": (sign * 0.13, -0.45, 0) for side, sign in SIDES},
        **{f"{side}_ankle": (sign * 0.13, -0.85, 0) for side, sign in SIDES},
        **{f"{side}_shoulder": (sign * 0.15, 0.5, 0) for side, sign in SIDES},
        **{f"{side}_elbow": (sign * 0.4, 0.5, 0) for side, sign in SIDES},
        **{f"{side}_wrist": (sign * 0.65, 0.5, 0) for side, sign in SIDES},
    }.items():
        pose[HUMAN36M_17.joint_names.index(name)] = place
    return pose[None]


SIDES = (("left", 1.0), ("right", -1.0))
