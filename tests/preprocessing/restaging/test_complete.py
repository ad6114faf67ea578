"""Completed joint sets keep the seventeen and the exact repeats of the originals."""

import numpy as np
import pytest

from poseshift.geometry.skeleton import mapping, skeleton
from poseshift.preprocessing.human36m.layout import COINCIDING_JOINTS
from poseshift.preprocessing.motion import procedural
from poseshift.preprocessing.restaging.complete import to_human36m_32, to_mpi_inf_3dhp_17, to_mpi_inf_3dhp_28


@pytest.fixture(scope="module")
def joints():
    clips = procedural.generate(5, subjects=1, clips_per_subject=4, frames_per_clip=60)
    return np.concatenate([clip.positions for clip in clips]).astype(np.float64)


@pytest.mark.parametrize(
    ("name", "complete"),
    [
        ("human36m_32", to_human36m_32),
        ("mpi_inf_3dhp_28", to_mpi_inf_3dhp_28),
        ("mpi_inf_3dhp_17", to_mpi_inf_3dhp_17),
    ],
)
def test_the_seventeen_survive(joints, name, complete):
    full = complete(joints)
    assert full.shape == (len(joints), skeleton(name).joints, 3)
    assert np.isfinite(full).all()
    np.testing.assert_array_equal(mapping(name, "human36m_17").apply(full), joints)


def test_repeats_of_human36m_are_exact_and_its_spine_is_a_tenth_of_a_millimetre_from_the_hips(joints):
    full = to_human36m_32(joints)
    for first, second in COINCIDING_JOINTS:
        np.testing.assert_array_equal(full[:, first], full[:, second])
    np.testing.assert_allclose(np.linalg.norm(full[:, 11] - full[:, 0], axis=-1), 1e-4, rtol=1e-6)


@pytest.mark.parametrize(
    ("complete", "name", "ankle", "toe"),
    [
        (to_human36m_32, "human36m_32", "LeftFoot", "LeftToeSite"),
        (to_mpi_inf_3dhp_28, "mpi_inf_3dhp_28", "left_ankle", "left_toe"),
    ],
)
def test_toes_point_ahead_above_the_floor(joints, complete, name, ankle, toe):
    names = skeleton(name).joint_names
    full = complete(joints)
    foot = full[:, names.index(toe)] - full[:, names.index(ankle)]
    ahead = np.cross(joints[:, 4] - joints[:, 1], [0.0, 0.0, 1.0])
    assert ((foot * ahead).sum(-1) > 0).mean() > 0.95
    assert full[..., 2].min() >= 0.0
    assert 0.05 < np.linalg.norm(foot, axis=-1).mean() < 0.25
