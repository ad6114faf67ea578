from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from poseshift.geometry.skeleton import SKELETONS, JointMapping, Skeleton, mapping, skeleton

PAIRS = (
    ("human36m_32", "human36m_17"),
    ("human36m_32", "poseaug_16"),
    ("human36m_17", "poseaug_16"),
    ("human36m_17", "mpi_inf_3dhp_17"),
    ("mpi_inf_3dhp_28", "human36m_17"),
    ("mpi_inf_3dhp_28", "mpi_inf_3dhp_17"),
    ("mpi_inf_3dhp_28", "poseaug_16"),
    ("mpi_inf_3dhp_17", "human36m_17"),
    ("mpi_inf_3dhp_17", "poseaug_16"),
    ("coco_17", "human36m_17"),
)


def plain(name: str) -> str:
    """A joint's name in one vocabulary, for the joints that the data sets name differently."""
    human36m = {
        "Hips": "pelvis",
        "Spine1": "spine",
        "Neck": "thorax",
        "Head": "nose",
        "HeadSite": "head",
        **{f"{side}UpLeg": f"{side.lower()}_hip" for side in ("Left", "Right")},
        **{f"{side}Leg": f"{side.lower()}_knee" for side in ("Left", "Right")},
        **{f"{side}Foot": f"{side.lower()}_ankle" for side in ("Left", "Right")},
        **{f"{side}Arm": f"{side.lower()}_shoulder" for side in ("Left", "Right")},
        **{f"{side}ForeArm": f"{side.lower()}_elbow" for side in ("Left", "Right")},
        **{f"{side}Hand": f"{side.lower()}_wrist" for side in ("Left", "Right")},
    }
    return human36m.get(name, name)


TRUNK_OF_3DHP = {"neck": "thorax", "head": "nose", "head_top": "head"}


def source_names(chosen: JointMapping) -> list[str]:
    """Name of the one source joint behind every target joint."""
    assert all(len(parts) == 1 and parts[0][1] == 1 for parts in chosen.weights)
    return [chosen.source.joint_names[parts[0][0]] for parts in chosen.weights]


@pytest.fixture(scope="module", params=sorted(SKELETONS))
def each(request: pytest.FixtureRequest) -> Skeleton:
    return skeleton(request.param)


class TestEverySkeleton:
    def test_is_one_tree(self, each: Skeleton) -> None:
        assert len(each.parents) == each.joints == len(set(each.joint_names))
        for joint in range(each.joints):
            steps = 0
            while each.parents[joint] >= 0:
                joint = each.parents[joint]
                steps += 1
                assert steps < each.joints, "a cycle"
            assert joint == each.root
        assert len(each.bones) == each.joints - 1

    def test_left_mirrors_right_by_name(self, each: Skeleton) -> None:
        for left, right in zip(each.left, each.right, strict=True):
            left_name, right_name = each.joint_names[left], each.joint_names[right]
            assert left_name.lower().startswith("left")
            assert right_name == left_name.replace("left", "right").replace("Left", "Right")
        sided = [name for name in each.joint_names if name.lower().startswith(("left", "right"))]
        assert len(sided) == 2 * len(each.left)

    def test_mirroring_keeps_the_tree(self, each: Skeleton) -> None:
        """The mirror image of a bone is a bone, and mirroring twice changes nothing."""
        order = each.mirrored
        assert [order[joint] for joint in order] == list(range(each.joints))
        mirrored_bones = {(order[parent], order[child]) for parent, child in each.bones}
        differing = mirrored_bones ^ set(each.bones)
        assert not differing


class TestPublishedTables:
    def test_human36m_17(self) -> None:
        """Parents and sides as VideoPose3D and its successors print them."""
        joints = skeleton("human36m_17")
        assert joints.parents == (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
        assert joints.left == (4, 5, 6, 11, 12, 13)
        assert joints.right == (1, 2, 3, 14, 15, 16)

    def test_human36m_32_parents(self) -> None:
        """The tree of the toolkit as the forward kinematics of motion-prediction codes list it (from one)."""
        published = [0, 1, 2, 3, 4, 5, 1, 7, 8, 9, 10, 1, 12, 13, 14, 15, 13, 17, 18, 19, 20, 21, 20, 23]
        published += [13, 25, 26, 27, 28, 29, 28, 31]
        assert skeleton("human36m_32").parents == tuple(parent - 1 for parent in published)

    def test_relevant_joints_of_3dhp(self) -> None:
        """``mpii_get_joint_set('relevant')``, MATLAB indices from one."""
        matlab = (8, 6, 15, 16, 17, 10, 11, 12, 24, 25, 26, 19, 20, 21, 5, 4, 7)
        chosen = mapping("mpi_inf_3dhp_28", "mpi_inf_3dhp_17")
        assert tuple(parts[0][0] + 1 for parts in chosen.weights) == matlab
        assert source_names(chosen) == list(chosen.target.joint_names)

    def test_pelvis_of_the_test_files(self) -> None:
        assert skeleton("mpi_inf_3dhp_17").root == 14
        assert skeleton("mpi_inf_3dhp_28").root == 4


class TestMappings:
    @pytest.mark.parametrize("source", ["human36m_32", "mpi_inf_3dhp_28", "mpi_inf_3dhp_17"])
    @pytest.mark.parametrize("target", ["human36m_17", "poseaug_16"])
    def test_joints_are_chosen_by_name(self, source: str, target: str) -> None:
        chosen = mapping(source, target)
        rename = TRUNK_OF_3DHP if source.startswith("mpi") else {}
        names = [rename.get(name, plain(name)) for name in source_names(chosen)]
        assert names == list(chosen.target.joint_names)

    @pytest.mark.parametrize(("source", "target"), PAIRS)
    def test_shapes_sides_and_weights(self, source: str, target: str) -> None:
        """Mapping then mirroring is mirroring then mapping, and constants stay."""
        chosen = mapping(source, target)
        points = np.random.default_rng(0).normal(size=(2, 3, chosen.source.joints, 3))
        mapped = chosen.apply(points)
        assert mapped.shape == (2, 3, chosen.target.joints, 3)
        mirrored = chosen.apply(points[..., list(chosen.source.mirrored), :])
        np.testing.assert_allclose(mirrored, mapped[..., list(chosen.target.mirrored), :], atol=1e-15)
        np.testing.assert_allclose(chosen.apply(np.ones((chosen.source.joints, 1))), 1, atol=1e-15)
        np.testing.assert_array_equal(chosen.apply(torch.from_numpy(points)).numpy(), mapped)

    @given(seed=st.integers(0, 2**32 - 1))
    def test_3dhp_order_and_back(self, seed: int) -> None:
        points = np.random.default_rng(seed).normal(size=(4, 17, 2))
        there = mapping("mpi_inf_3dhp_17", "human36m_17").apply(points)
        np.testing.assert_array_equal(mapping("human36m_17", "mpi_inf_3dhp_17").apply(there), points)

    def test_both_ways_from_28(self) -> None:
        points = np.random.default_rng(1).normal(size=(28, 3))
        over_test_order = mapping("mpi_inf_3dhp_17", "human36m_17").apply(
            mapping("mpi_inf_3dhp_28", "mpi_inf_3dhp_17").apply(points)
        )
        np.testing.assert_array_equal(
            mapping("mpi_inf_3dhp_28", "human36m_17").apply(points), over_test_order
        )

    def test_poseaug_drops_the_nose(self) -> None:
        points = np.random.default_rng(2).normal(size=(17, 3))
        np.testing.assert_array_equal(
            mapping("human36m_17", "poseaug_16").apply(points), np.delete(points, 9, axis=0)
        )

    def test_coco_middles(self) -> None:
        names = skeleton("coco_17").joint_names
        points = np.arange(34.0).reshape(17, 2) ** 2
        at = {name: points[index] for index, name in enumerate(names)}
        mapped = dict(
            zip(
                skeleton("human36m_17").joint_names,
                mapping("coco_17", "human36m_17").apply(points),
                strict=True,
            )
        )
        hips = (at["left_hip"] + at["right_hip"]) / 2
        shoulders = (at["left_shoulder"] + at["right_shoulder"]) / 2
        np.testing.assert_allclose(mapped["pelvis"], hips)
        np.testing.assert_allclose(mapped["thorax"], shoulders)
        np.testing.assert_allclose(mapped["spine"], (hips + shoulders) / 2)
        np.testing.assert_allclose(mapped["head"], (at["left_eye"] + at["right_eye"]) / 2)
        for name in set(mapped) & set(names):
            np.testing.assert_array_equal(mapped[name], at[name])

    def test_missing_joints_stay_where_they_are(self) -> None:
        points = np.zeros((17, 2))
        points[15] = np.nan  # COCO's left ankle
        mapped = mapping("coco_17", "human36m_17").apply(points)
        assert np.isnan(mapped).any(axis=-1).nonzero()[0].tolist() == [6]

    @pytest.mark.parametrize("name", sorted(SKELETONS))
    def test_identity(self, name: str) -> None:
        points = np.random.default_rng(3).normal(size=(skeleton(name).joints, 3))
        np.testing.assert_array_equal(mapping(name, name).apply(points), points)


class TestErrors:
    def test_unknown_skeleton(self) -> None:
        with pytest.raises(LookupError, match=r"'openpose_25'.*coco_17"):
            skeleton("openpose_25")

    def test_unknown_mapping(self) -> None:
        with pytest.raises(LookupError, match="no mapping from human36m_17 to coco_17"):
            mapping("human36m_17", "coco_17")

    def test_wrong_number_of_joints(self) -> None:
        with pytest.raises(ValueError, match=r"\(3, 17, 3\) cannot be human36m_32"):
            mapping("human36m_32", "human36m_17").apply(np.zeros((3, 17, 3)))


def test_a_joint_between_others_is_as_sure_as_the_least_sure_of_them() -> None:
    coco, ours = skeleton("coco_17"), skeleton("human36m_17")
    sure = np.linspace(0.1, 0.9, coco.joints, dtype=np.float32)[None].repeat(2, axis=0)
    least = mapping("coco_17", "human36m_17").least(sure)
    assert least.shape == (2, ours.joints)
    hips = [coco.joint_names.index(f"{side}_hip") for side in ("left", "right")]
    assert least[0, ours.root] == sure[0, hips].min()
    left_knee = ours.joint_names.index("left_knee")
    assert least[1, left_knee] == sure[1, coco.joint_names.index("left_knee")]
