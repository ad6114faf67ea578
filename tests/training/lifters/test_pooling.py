import pytest
import torch

from poseshift.geometry.skeleton import Skeleton, skeleton
from poseshift.training.lifters import semgcn, stgcn
from poseshift.training.lifters.pooling import group_members, group_of_joint, max_pool

CHAIN = Skeleton("chain", ("a", "b", "c"), (-1, 0, 1), (), ())


def test_pooling_by_hand() -> None:
    members = group_members(CHAIN, [("c",), ("absent", "b", "a")])
    assert members.tolist() == [[2, 2], [1, 0]]
    assert group_of_joint(members, 3).tolist() == [1, 1, 0]
    x = torch.tensor([[[1.0, -5.0], [3.0, -7.0], [-2.0, -1.0]]])
    assert max_pool(x, members).tolist() == [[[-2.0, -1.0], [3.0, -5.0]]]


@pytest.mark.parametrize(
    "groups", [[("a", "b")], [("a", "b"), ("b", "c")], [("a", "b", "c"), ("absent",)]], ids=str
)
def test_groups_that_do_not_divide_the_joints_are_refused(groups) -> None:
    with pytest.raises(ValueError, match="do not divide the joints of chain"):
        group_members(CHAIN, groups)


@pytest.mark.parametrize("name", ["human36m_17", "poseaug_16"])
@pytest.mark.parametrize("groups", [semgcn.GROUPS, stgcn.PARTS], ids=["semgcn", "st-gcn"])
def test_groups_of_the_body_mirror_onto_groups(groups, name) -> None:
    body = skeleton(name)
    sets = {frozenset(row) for row in group_members(body, groups).tolist()}
    assert {frozenset(body.mirrored[joint] for joint in group) for group in sets} == sets


def test_groups_are_those_of_the_releases() -> None:
    # SemGCN pools eight pairs of its 16 joints
    pairs = [[2, 3], [5, 6], [1, 4], [0, 7], [8, 9], [14, 15], [11, 12], [10, 13]]
    assert group_members(skeleton("poseaug_16"), semgcn.GROUPS).sort(dim=1).values.tolist() == pairs
    # Cai et al.: left arm, right arm, left leg, right leg, trunk of 17 joints
    parts = {(11, 12, 13), (14, 15, 16), (4, 5, 6), (1, 2, 3), (0, 7, 8, 9, 10)}
    members = group_members(skeleton("human36m_17"), stgcn.PARTS)
    assert {tuple(sorted(set(row))) for row in members.tolist()} == parts
