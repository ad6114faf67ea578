"""The procedural motion keeps what a body has to keep, whatever the seed."""

import numpy as np
import pytest

from poseshift.geometry.skeleton import skeleton
from poseshift.preprocessing.motion import procedural
from poseshift.preprocessing.motion.actions import ACTIONS
from poseshift.preprocessing.motion.body import HINGE_FLEXION_LIMITS_DEG

PARENTS = skeleton("human36m_17").parents
LEFT_ANKLE, RIGHT_ANKLE = 6, 3


@pytest.fixture(scope="module")
def motions():
    """Two subjects who do everything once."""
    return procedural.generate(3, subjects=2, clips_per_subject=len(ACTIONS), frames_per_clip=200)


def angle_deg(first, second):
    cosine = (first * second).sum(-1) / np.linalg.norm(first, axis=-1) / np.linalg.norm(second, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def speeds(motion):
    return np.linalg.norm(np.diff(motion.positions.astype(np.float64), axis=0), axis=-1) * motion.fps


def test_every_action_is_done_once_by_each_subject(motions):
    for subject in ("proc01", "proc02"):
        done = [motion.description for motion in motions if motion.subject == subject]
        assert sorted(done) == sorted(ACTIONS)
    assert len({motion.name for motion in motions}) == len(motions)


def test_a_seed_gives_the_same_bytes_and_another_seed_other_motion():
    first, again, other = (
        procedural.generate(seed, subjects=1, clips_per_subject=2, frames_per_clip=50) for seed in (7, 7, 8)
    )
    assert [motion.positions.tobytes() for motion in first] == [
        motion.positions.tobytes() for motion in again
    ]
    assert not np.array_equal(first[0].positions, other[0].positions)


def test_fewer_subjects_are_the_beginning_of_more():
    one, two = (procedural.generate(1, subjects=n, clips_per_subject=2, frames_per_clip=40) for n in (1, 2))
    assert all(np.array_equal(a.positions, b.positions) for a, b in zip(one, two, strict=False))


def test_the_default_has_the_subjects_and_frames_that_both_data_sets_need():
    motions = procedural.generate(0)
    assert len({motion.subject for motion in motions}) == 21
    assert 25_000 <= sum(motion.frames for motion in motions) <= 40_000


def test_bones_keep_their_length(motions):
    for motion in motions:
        joints = motion.positions.astype(np.float64)
        lengths = np.linalg.norm(joints[:, 1:] - joints[:, list(PARENTS[1:])], axis=-1)
        assert np.ptp(lengths, axis=0).max() < 1e-5, motion.name


def test_pelvis_is_the_middle_of_the_hips(motions):
    for motion in motions:
        np.testing.assert_allclose(
            motion.positions[:, [1, 4]].mean(axis=1), motion.positions[:, 0], atol=1e-6
        )


def test_nothing_is_under_the_floor_and_the_feet_come_down_to_it(motions):
    for motion in motions:
        assert motion.positions[..., 2].min() > 0.0, motion.name
        assert motion.positions[:, [LEFT_ANKLE, RIGHT_ANKLE], 2].min() < 0.12, motion.name


def test_knees_and_elbows_stay_within_their_limits(motions):
    lowest, highest = HINGE_FLEXION_LIMITS_DEG
    for motion in motions:
        joints = motion.positions.astype(np.float64)
        for upper, middle, lower in ((1, 2, 3), (4, 5, 6), (11, 12, 13), (14, 15, 16)):
            flexion = angle_deg(joints[:, middle] - joints[:, upper], joints[:, lower] - joints[:, middle])
            assert lowest - 0.1 < flexion.min(), motion.name
            assert flexion.max() < highest + 0.1, motion.name


def test_knees_bend_forwards_only(motions):
    for motion in motions:
        joints = motion.positions.astype(np.float64)
        to_left = joints[:, 4] - joints[:, 1]
        for hip, knee, ankle in ((1, 2, 3), (4, 5, 6)):
            hinge = np.cross(joints[:, knee] - joints[:, hip], joints[:, ankle] - joints[:, knee])
            assert ((hinge * to_left).sum(-1) > 0).all(), motion.name


def test_joints_do_not_jump(motions):
    for motion in motions:
        assert speeds(motion).max() < 14.0, motion.name


@pytest.mark.parametrize("action", ["walk", "walk_backward_sideways", "walk_carry", "dance", "boxing"])
def test_a_standing_foot_does_not_slide(motions, action):
    for motion in (m for m in motions if m.description == action):
        height = motion.positions[:, [LEFT_ANKLE, RIGHT_ANKLE], 2]
        flat = height < height.min() + 1e-6
        standing = flat[1:] & flat[:-1]
        assert standing.mean() > 0.25
        assert speeds(motion)[:, [LEFT_ANKLE, RIGHT_ANKLE]][standing].max() < 0.05


def test_walking_moves_over_the_floor_and_standing_actions_do_not(motions):
    def distance(action):
        clips = [m.positions[:, 0, :2] for m in motions if m.description == action]
        return max(np.linalg.norm(path[-1] - path[0]) for path in clips)

    assert distance("walk") > 1.0
    assert distance("talk_gesture") < 0.2


def test_poses_vary_in_trunk_arms_knees_and_heading():
    joints = np.concatenate([motion.positions for motion in procedural.generate(0)[::2]]).astype(np.float64)
    up = np.array([0.0, 0.0, 1.0])
    trunk = angle_deg(joints[:, 8] - joints[:, 0], up)
    arm = angle_deg(joints[:, 12] - joints[:, 11], up)
    knee = angle_deg(joints[:, 5] - joints[:, 4], joints[:, 6] - joints[:, 5])
    to_left = joints[:, 4] - joints[:, 1]
    headings = np.histogram(np.arctan2(to_left[:, 1], to_left[:, 0]), bins=8, range=(-np.pi, np.pi))[0]
    assert np.percentile(trunk, 99) > 45
    assert np.percentile(arm, 1) < 60
    assert np.percentile(arm, 99) > 165
    assert np.percentile(knee, 98) > 90
    assert headings.min() > 0.04 * len(joints)


def test_poses_are_not_symmetric(motions):
    for motion in motions:
        joints = motion.positions.astype(np.float64)
        left, right = joints[:, 13] - joints[:, 8], joints[:, 16] - joints[:, 8]
        difference = np.abs(np.linalg.norm(left, axis=-1) - np.linalg.norm(right, axis=-1))
        assert difference.max() > 1e-3, motion.name
