import pytest

from poseshift.augmentation.anatomy import anatomy
from poseshift.geometry.skeleton import COCO_17, HUMAN36M_17, POSEAUG_16, SKELETONS


def test_parts_of_the_16_joints_are_those_of_poseaug() -> None:
    """PoseAug's code lists its parts as bone numbers; our sides are named, so compare as a set."""
    left_arm, right_arm = {7, 9, 10, 11}, {7, 12, 13, 14}
    legs = [{0, 1, 2, 3, 6}, {0, 3, 4, 5, 6}]
    torso = {0, 3, 6, 7, 8, 9, 12}
    assert [set(part) for part in anatomy(POSEAUG_16).parts] == [*legs, left_arm, right_arm, torso]


def test_mirrored_groups_of_the_16_joints_are_those_of_poseaug() -> None:
    """Nine: hip, thigh, shin, three of the trunk and head, shoulder, upper arm, forearm; 7-8 is kept."""
    body = anatomy(POSEAUG_16)
    assert body.groups == 9
    assert body.length_groups == (0, 1, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 6, 7, 8)
    assert POSEAUG_16.bones[body.trunk[-1]] == (7, 8)
    assert body.kept_length == 4


def test_the_17_joints_add_the_nose() -> None:
    body = anatomy(HUMAN36M_17)
    names = [HUMAN36M_17.joint_names[child] for _, child in HUMAN36M_17.bones]
    assert [names[bone] for bone in body.trunk] == ["spine", "thorax"]
    parts = [{names[bone] for bone in part} for part in body.parts]
    assert parts == [
        {"right_hip", "right_knee", "right_ankle", "left_hip", "spine"},
        {"left_hip", "left_knee", "left_ankle", "right_hip", "spine"},
        {"left_shoulder", "left_elbow", "left_wrist", "thorax"},
        {"right_shoulder", "right_elbow", "right_wrist", "thorax"},
        {"right_hip", "left_hip", "spine", "thorax", "nose", "head", "left_shoulder", "right_shoulder"},
    ]
    assert body.groups == 10


@pytest.mark.parametrize("name", sorted(SKELETONS))
def test_every_skeleton_has_an_anatomy(name: str) -> None:
    skeleton = SKELETONS[name]
    body = anatomy(skeleton)
    mirror = skeleton.mirrored
    group_of = {child: body.length_groups[bone] for bone, (_, child) in enumerate(skeleton.bones)}
    for child, group in group_of.items():
        assert group_of.get(mirror[child], group) == group
    assert set().union(*body.parts) == set(range(len(skeleton.bones)))


def test_a_skeleton_without_trunk_keeps_no_length() -> None:
    """COCO's tree hangs on the nose and marks no spine."""
    body = anatomy(COCO_17)
    assert body.trunk == ()
    assert body.kept_length is None
