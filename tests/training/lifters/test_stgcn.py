import numpy as np
import pytest
import torch

from poseshift.geometry.skeleton import skeleton
from poseshift.training.lifters.graph import adjacency_groups, distances_to_centre
from poseshift.training.lifters.registry import build, preset
from poseshift.training.lifters.stgcn import BODY_PARTS, STGCNConfig

BODY = skeleton("human36m_17")
RELEASED = 3_627_847
"""Parameters of the authors' single-frame network, counted from their layers (17 joints)."""


def test_size_is_that_of_the_release_but_for_the_biases() -> None:
    ours = sum(p.numel() for p in build(preset("st-gcn"), 2).parameters())
    # The release has a bias for each of four groups of neighbours, this one a single bias per convolution.
    biases = 3 * (128 + 128 + 256 + 512 + 512)
    assert ours + biases == RELEASED


@pytest.mark.parametrize(("width", "part"), [(128, 512), (6, 10)])
def test_size_follows_the_layers(width, part) -> None:
    def linear(a: int, b: int) -> int:
        return a * b + b

    def normed(a: int, b: int) -> int:
        return linear(a, b) + 2 * b

    def unit(a: int, b: int) -> int:
        return 4 * a * b + b + 2 * b + normed(b, b)

    joints = 2 * 34 + unit(2, width) + unit(width, width) + unit(width, 2 * width) + normed(width, 2 * width)
    parts = unit(2 * width, part) + normed(2 * width, part) + unit(part, part)
    whole = normed(part, part) + normed(2 * part, 2 * width)
    non_local = 3 * linear(4 * width, 2 * width) + normed(2 * width, 4 * width)
    expected = joints + parts + whole + non_local + linear(4 * width, 3)
    lifter = build(STGCNConfig(width=width, part_width=part), 2)
    assert sum(p.numel() for p in lifter.parameters()) == expected


def test_graph_of_the_parts_by_hand() -> None:
    assert distances_to_centre(BODY_PARTS).tolist() == [0, 1, 1, 1, 1]
    own, nearer, farther, mirrored = adjacency_groups(BODY_PARTS, "by-distance-symmetric", "random-walk")
    # the trunk has five neighbours with itself, a limb three: itself, the trunk, its mirror image
    third, fifth = 1 / 3, 1 / 5
    np.testing.assert_allclose(own, np.diag([fifth, third, third, third, third]))
    np.testing.assert_allclose(nearer, [[0] * 5] + 4 * [[third, 0, 0, 0, 0]])
    np.testing.assert_allclose(farther, [[0, fifth, fifth, fifth, fifth]] + 4 * [[0] * 5])
    by_hand = np.zeros((5, 5))
    by_hand[1, 2] = by_hand[2, 1] = by_hand[3, 4] = by_hand[4, 3] = third
    np.testing.assert_allclose(mirrored, by_hand)


def test_graph_of_the_joints_at_the_left_knee_by_hand() -> None:
    own, nearer, farther, mirrored = adjacency_groups(BODY, "by-distance-symmetric", "random-walk")
    names = BODY.joint_names
    for group, sender in (
        (own, "left_knee"),
        (nearer, "left_hip"),
        (farther, "left_ankle"),
        (mirrored, "right_knee"),
    ):
        row = group[names.index("left_knee")]
        assert {names[j]: w for j, w in enumerate(row) if w} == {sender: 1 / 4}


def _influence(network, x: torch.Tensor) -> torch.Tensor:
    """Which joint (column) moves which joint's output (row), for x (joints, channels)."""
    jacobian = torch.autograd.functional.jacobian(lambda v: network(v[None])[0].sum(-1), x)
    return jacobian.abs().sum(-1) > 0


def test_a_unit_sees_bones_and_mirror_images_and_the_lifter_everything() -> None:
    linked = np.eye(17, dtype=bool)
    for a, b in (*BODY.bones, *zip(BODY.left, BODY.right, strict=True)):
        linked[a, b] = linked[b, a] = True
    lifter = build(preset("st-gcn-small"), 2).eval()
    x = torch.randn(17, 32, generator=torch.Generator().manual_seed(0))
    unit = lifter.joint_units[1]
    assert torch.equal(_influence(unit.inside, x), torch.from_numpy(linked))
    seen = _influence(lambda v: lifter.lift(v[:, None])[:, 0], x[:, :2])
    assert not torch.equal(seen, torch.from_numpy(linked))
    assert seen.float().mean() > 0.9  # through parts and whole, but for maxima that a joint does not attain


def test_joints_of_a_part_receive_the_same_features_of_their_part() -> None:
    lifter = build(preset("st-gcn-small"), 2)
    part_of_joint = lifter.part_of_joint.tolist()
    names = [BODY_PARTS.joint_names[part] for part in part_of_joint]
    for joint, part in zip(BODY.joint_names, names, strict=True):
        side, _, limb = joint.partition("_")
        arm, leg = {"shoulder", "elbow", "wrist"}, {"hip", "knee", "ankle"}
        assert part == (f"{side}_arm" if limb in arm else f"{side}_leg" if limb in leg else "trunk")
