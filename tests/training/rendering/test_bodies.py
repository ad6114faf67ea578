"""Body models: capsules on any skeleton, and SMPL-X where the user has brought it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from poseshift.geometry.rotation import axis_angle_to_matrix
from poseshift.geometry.skeleton import SKELETONS, Skeleton
from poseshift.training.rendering.body_model import PARTS
from poseshift.training.rendering.capsule_body import RADII_M, CapsuleBody
from poseshift.training.rendering.smplx_body import MODEL_FILE, PART_OF_JOINT, SmplxBody


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_every_skeleton_has_a_body_with_two_sides(skeleton: Skeleton) -> None:
    body = CapsuleBody(skeleton, torch.randn(skeleton.joints, 3, generator=torch.Generator().manual_seed(0)))
    posed = body.on_joints(body.rest[None], torch.ones(1, body.bones))
    assert posed.vertices.isfinite().all()
    assert body.faces.max() < posed.vertices.shape[1]
    assert len(body.priors) == len(body.faces)
    assert set(body.bone_parts) == set(PARTS)
    swapped = {"left": "right", "right": "left"}
    part_of = dict(zip((child for _, child in skeleton.bones), body.bone_parts, strict=True))
    for left, right in zip(skeleton.left, skeleton.right, strict=True):
        if left in part_of and right in part_of:
            side, _, limb = part_of[left].partition("_")
            expected = f"{swapped[side]}_{limb}" if limb else side
            assert part_of[right] == expected


def test_a_capsule_is_as_far_from_its_bone_as_its_radius_says(body: CapsuleBody) -> None:
    girths = torch.linspace(0.5, 2.0, body.bones)[None]
    vertices = body.on_joints(body.rest[None], girths).vertices[0].view(body.bones, -1, 3)
    for bone, (parent, child) in enumerate(body.skeleton.bones):
        start, end = body.rest[parent], body.rest[child]
        share = ((vertices[bone] - start) @ (end - start) / (end - start).square().sum()).clamp(0, 1)
        distance = (vertices[bone] - start - share[:, None] * (end - start)).norm(dim=-1)
        part = body.bone_parts[bone]
        radius = RADII_M[part] if part in RADII_M else RADII_M[part.split("_", 1)[1]]
        torch.testing.assert_close(distance, radius * girths[0, bone].expand_as(distance))


def test_girths_times_the_size_scale_a_body_with_its_joints(body: CapsuleBody) -> None:
    joints = torch.stack([body.rest, 0.5 * body.rest])
    size = body.size(joints)[:, None]
    whole, small = body.on_joints(joints, size.expand(-1, body.bones)).vertices
    torch.testing.assert_close(small, 0.5 * whole)
    assert float(size[0]) == pytest.approx(1, abs=0.15)


def test_faces_look_outwards(body: CapsuleBody) -> None:
    vertices = body.on_joints(body.rest[None], torch.ones(1, body.bones)).vertices[0]
    a, b, c = vertices[body.faces].unbind(dim=1)
    volumes = (torch.linalg.cross(b - a, c - a) * a).sum(dim=1).view(body.bones, -1).sum(dim=1) / 6
    assert (volumes > 0).all()


def test_a_pose_turns_what_hangs_on_a_joint_and_lengths_are_factors(body: CapsuleBody) -> None:
    shape = torch.ones(1, 2 * body.bones)
    still = body.pose(torch.zeros(1, 17, 3), shape, body.rest[:1])
    torch.testing.assert_close(still.joints[0], body.rest)
    torch.testing.assert_close(
        still.vertices, body.on_joints(body.rest[None], shape[:, : body.bones]).vertices
    )
    bent = torch.zeros(1, 17, 3)
    bent[0, 1] = torch.tensor([0.4, -0.2, 0.9])
    turn = axis_angle_to_matrix(bent[0, 1])
    shape[0, body.bones + 1] = 1.5  # the right upper leg
    joints = body.pose(bent, shape, body.rest[:1]).joints[0]
    knee = body.rest[1] + 1.5 * turn @ (body.rest[2] - body.rest[1])
    torch.testing.assert_close(joints[2], knee)
    torch.testing.assert_close(joints[3], knee + turn @ (body.rest[3] - body.rest[2]))
    torch.testing.assert_close(joints[4:], body.rest[4:])


def test_bones_without_length_are_balls_with_finite_gradients(body: CapsuleBody) -> None:
    joints = body.rest[None].clone()
    joints[0, 3] = joints[0, 2]
    joints.requires_grad_()
    body.on_joints(joints, torch.ones(1, body.bones)).vertices.square().sum().backward()
    assert joints.grad is not None
    assert joints.grad.isfinite().all()


def model_file(folder: Path, **changed: NDArray[np.generic]) -> Path:
    """A tiny SMPL-X of the layout that is handed out: one tetrahedron per joint."""
    rng = np.random.default_rng(2)
    joints, vertices = len(PART_OF_JOINT), 4 * len(PART_OF_JOINT)
    parents = np.array([2**32 - 1, *(max(0, joint - 3) for joint in range(1, joints))], dtype=np.uint32)
    owner = np.repeat(np.arange(joints), 4)
    arrays: Mapping[str, NDArray[np.generic]] = {
        "v_template": rng.normal(size=(vertices, 3)),
        "shapedirs": rng.normal(scale=0.1, size=(vertices, 3, 400)),
        "posedirs": np.zeros((vertices, 3, 9 * (joints - 1))),
        "J_regressor": np.eye(joints)[owner].T / 4,
        "weights": np.eye(joints)[owner],
        "kintree_table": np.stack([parents, np.arange(joints, dtype=np.uint32)]),
        "f": np.arange(vertices, dtype=np.uint32).reshape(-1, 4)[:, :3],
        "joint2num": np.array({"an": "object"}, dtype=object),
        **changed,
    }
    np.savez(folder / MODEL_FILE, **arrays, allow_pickle=True)
    return folder


def skin(
    betas: torch.Tensor,
    pose: torch.Tensor,
    template: torch.Tensor,
    shapedirs: torch.Tensor,
    *rest: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Linear blend skinning of bodies whose vertices each belong to one joint, joint by joint."""
    _, regressor, parents, weights = rest
    shaped = template + torch.einsum("bs,vcs->bvc", betas, shapedirs)
    at_rest = torch.einsum("jv,bvc->bjc", regressor, shaped)
    turns = axis_angle_to_matrix(pose.view(len(pose), -1, 3))
    world, joints = [turns[:, 0]], [at_rest[:, 0]]
    for joint in range(1, len(parents)):
        parent = int(parents[joint])
        joints.append(
            joints[parent] + (world[parent] @ (at_rest[:, joint] - at_rest[:, parent])[..., None])[..., 0]
        )
        world.append(world[parent] @ turns[:, joint])
    owner = weights[0].argmax(dim=-1) if weights.ndim == 3 else weights.argmax(dim=-1)
    placed = torch.stack(joints, dim=1)
    turned = torch.stack(world, dim=1)[:, owner] @ (shaped - at_rest[:, owner])[..., None]
    return turned[..., 0] + placed[:, owner], placed


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one function of the package that is called, by a text of the tests' own."""
    monkeypatch.setitem(sys.modules, "smplx", ModuleType("smplx"))
    inside = ModuleType("smplx.lbs")
    inside.lbs = skin  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "smplx.lbs", inside)


@pytest.mark.usefixtures("package")
def test_smplx_is_read_without_its_objects_and_knows_its_parts(tmp_path: Path) -> None:
    body = SmplxBody(model_file(tmp_path))
    still = body.pose(torch.zeros(2, 55, 3), torch.zeros(2, 10), torch.tensor([[0.0] * 3, [1.0, 2.0, 3.0]]))
    with np.load(tmp_path / MODEL_FILE) as held:
        np.testing.assert_allclose(still.vertices[0], held["v_template"], atol=1e-5)
    torch.testing.assert_close(
        still.vertices[1] - still.vertices[0], torch.tensor([1.0, 2.0, 3.0]).expand(220, 3)
    )
    assert [PARTS[one] for one in body.priors.argmax(dim=1)] == list(PART_OF_JOINT)
    assert body.priors.sum(dim=1).allclose(torch.ones(55))
    shaped = body.pose(torch.zeros(1, 55, 3), torch.eye(10)[:1], torch.zeros(1, 3))
    assert not shaped.vertices.allclose(still.vertices[:1])


@pytest.mark.usefixtures("package")
def test_a_file_that_is_missing_or_another_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"SMPLX_NEUTRAL.npz is missing.*Register.*CapsuleBody"):
        SmplxBody(tmp_path)
    with pytest.raises(ValueError, match=r"weights of shape \(220, 24\); expected \(220, 55\)"):
        SmplxBody(model_file(tmp_path, weights=np.ones((220, 24))))
    with pytest.raises(ValueError, match="is not SMPL-X's model as npz"):
        SmplxBody(model_file(tmp_path, weights=np.array([{}], dtype=object)))
    (tmp_path / MODEL_FILE).write_bytes(b"no archive")
    with pytest.raises(ValueError, match="download it again"):
        SmplxBody(tmp_path)


def test_a_missing_package_is_told_with_what_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "smplx.lbs", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'poseshift\[smplx\]'.*CapsuleBody"):
        SmplxBody(model_file(tmp_path))
