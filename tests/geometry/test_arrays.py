"""One mathematics: the same functions on NumPy and torch, in both precisions, on the input's device."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from poseshift.geometry import alignment, bones, perspective, projection, rotation
from poseshift.geometry.arrays import align_leading, like, norm
from poseshift.geometry.camera import Camera, Distortion, stack_intrinsics
from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.skeleton import mapping, skeleton

JOINTS = skeleton("human36m_17")
GENERATOR = np.random.default_rng(0)
POINTS = GENERATOR.uniform((-1, -1, 3), (1, 1, 6), (2, 3, 17, 3))
OTHER = GENERATOR.uniform((-1, -1, 3), (1, 1, 6), (2, 3, 17, 3))
PIXELS = GENERATOR.uniform(100, 900, (2, 3, 17, 2))
RAYS = GENERATOR.uniform(-0.4, 0.4, (2, 3, 17, 2))
VECTORS = GENERATOR.uniform(-2, 2, (2, 3, 3))
ROTATIONS = np.linalg.qr(GENERATOR.normal(size=(2, 3, 3)))[0]
ROTATIONS *= np.linalg.det(ROTATIONS)[:, None, None]
WEIGHTS = GENERATOR.uniform(0.1, 1, (2, 3, 17))
SIX = GENERATOR.normal(size=(2, 6))
LENS = Distortion("human36m", (-0.2, 0.24, -0.003), (-0.0014, -0.00098))
CAMERAS = (
    Camera("a", (1000, 1002), (1145.0, 1143.8), (512.5, 515.5), LENS),
    Camera("b", (2048, 2048), (1497.7, 1497.1), (1024.7, 1051.4)),
)
ROWS = stack_intrinsics(CAMERAS)

FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "norm": (norm, (POINTS,)),
    "rotate": (rotation.rotate, (POINTS, ROTATIONS)),
    "rotate_back": (rotation.rotate_back, (POINTS, ROTATIONS)),
    "compose": (rotation.compose, (ROTATIONS, ROTATIONS)),
    "axis_angle_to_matrix": (rotation.axis_angle_to_matrix, (VECTORS,)),
    "matrix_to_axis_angle": (rotation.matrix_to_axis_angle, (ROTATIONS,)),
    "matrix_from_6d": (rotation.matrix_from_6d, (SIX,)),
    "minimal_rotation": (rotation.minimal_rotation, (VECTORS, POINTS[..., 0, :])),
    "euler_xyz": (rotation.euler_xyz, (VECTORS,)),
    "world_to_camera": (projection.world_to_camera, (POINTS, ROTATIONS, VECTORS[:, 0])),
    "camera_to_world": (projection.camera_to_world, (POINTS, ROTATIONS, VECTORS[:, 0])),
    "project": (lambda points: projection.project(points, ROWS), (POINTS,)),
    "normalise": (lambda pixels: projection.normalise(pixels, ROWS), (PIXELS,)),
    "undistort_px": (lambda pixels: projection.undistort_px(pixels, ROWS), (PIXELS,)),
    "unproject": (lambda pixels, depth: projection.unproject(pixels, depth, ROWS), (PIXELS, POINTS[..., 2])),
    "to_screen": (lambda pixels: projection.to_screen(pixels, ROWS.size_px), (PIXELS,)),
    "from_screen": (lambda screen: projection.from_screen(screen, (1000, 1002)), (RAYS,)),
    "mapping": (mapping("human36m_17", "poseaug_16").apply, (POINTS,)),
    "mapping_weighted": (mapping("coco_17", "human36m_17").apply, (PIXELS,)),
    "bone_lengths": (lambda points: bones.bone_lengths(points, JOINTS), (POINTS,)),
    "bone_directions": (lambda points: bones.bone_directions(points, JOINTS), (POINTS,)),
    "from_bones": (
        lambda root, directions, lengths: bones.from_bones(root, directions, lengths, JOINTS),
        (VECTORS, POINTS[..., :16, :], WEIGHTS[..., :16]),
    ),
    "bone_mean": (lambda points: bones.bone_statistics(points, JOINTS).mean, (POINTS,)),
    "bone_deviation": (lambda points: bones.bone_statistics(points, JOINTS).deviation, (POINTS,)),
    "bone_asymmetry": (lambda points: bones.bone_statistics(points, JOINTS).asymmetry, (POINTS,)),
    "root_relative": (lambda points: alignment.root_relative(points, 0), (POINTS,)),
    "similarity_align": (alignment.similarity_align, (POINTS, OTHER)),
    "rigid_align": (alignment.rigid_align, (POINTS, OTHER)),
    "scale_align": (alignment.scale_align, (POINTS, OTHER)),
    "root_from_keypoints": (alignment.root_from_keypoints, (POINTS, RAYS, WEIGHTS)),
    "box_centre": (perspective.box_centre, (RAYS,)),
    "clip_centre": (perspective.clip_centre, (RAYS,)),
    "perspective_rotation": (perspective.perspective_rotation, (RAYS[..., 0, :],)),
    "rotate_rays": (
        lambda rays, centre: perspective.rotate_rays(rays, perspective.perspective_rotation(centre)),
        (RAYS, RAYS[:, 0, 0]),
    ),
    "extent": (perspective.extent, (RAYS,)),
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
class TestBackends:
    def test_torch_agrees_with_numpy(self, name: str) -> None:
        function, arguments = FUNCTIONS[name]
        expected = function(*arguments)
        found = function(*(torch.from_numpy(argument.copy()) for argument in arguments))
        assert isinstance(expected, np.ndarray)
        assert isinstance(found, torch.Tensor)
        assert found.dtype == torch.float64
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-9)

    def test_single_precision_stays_single(self, name: str) -> None:
        function, arguments = FUNCTIONS[name]
        expected = function(*arguments)
        for convert in (lambda array: array, torch.from_numpy):
            found = function(*(convert(argument.astype(np.float32)) for argument in arguments))
            assert str(found.dtype).endswith("float32")
            scale = np.abs(expected).max()
            np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-3, atol=2e-5 * scale)

    def test_creates_nothing_on_another_device(self, name: str) -> None:
        """On torch's shape-only device any constant left on the CPU is an error, as it would be on a GPU."""
        function, arguments = FUNCTIONS[name]
        expected = function(*arguments)
        found = function(*(torch.from_numpy(argument.copy()).to("meta") for argument in arguments))
        assert found.device.type == "meta"
        assert tuple(found.shape) == expected.shape

    def test_gradients_are_finite(self, name: str) -> None:
        function, arguments = FUNCTIONS[name]
        tensors = [torch.from_numpy(argument.copy()).requires_grad_() for argument in arguments]
        function(*tensors).sum().backward()
        grads = [tensor.grad for tensor in tensors if tensor.grad is not None]
        assert grads
        assert all(torch.isfinite(grad).all() for grad in grads)


class TestLike:
    def test_keeps_the_graph_of_an_own_tensor(self) -> None:
        single = torch.ones(3, requires_grad=True)
        like(single, torch.zeros(1, dtype=torch.float64)).sum().backward()
        assert single.grad is not None

    def test_numpy_and_tuples_become_tensors(self) -> None:
        reference = torch.zeros(1)
        for values in ((1.0, 2.0), np.array([1.0, 2.0]), np.array([1, 2])):
            found = like(values, reference)
            assert isinstance(found, torch.Tensor)
            assert found.dtype == torch.float32
            assert found.tolist() == [1.0, 2.0]


class TestAlignLeading:
    def test_rows_meet_the_first_axis(self) -> None:
        assert align_leading(np.zeros((5, 2)), 4, trailing=1).shape == (5, 1, 1, 2)
        assert align_leading(np.zeros((5, 7, 3, 3)), 5, trailing=2).shape == (5, 7, 1, 3, 3)
        assert align_leading(np.zeros(2), 4, trailing=1).shape == (2,)

    def test_too_many_rows(self) -> None:
        with pytest.raises(
            ValueError, match=r"\(5, 7, 2\) have 2 leading dimensions, but the points have only 1"
        ):
            align_leading(np.zeros((5, 7, 2)), 2, trailing=1)

    def test_rows_are_not_confused_with_joints(self) -> None:
        """Seventeen cameras, clips of seventeen joints: NumPy's own rule would mix them up silently."""
        rows = Intrinsics(
            focal_px=np.arange(1.0, 18.0)[:, None] * np.ones(2),
            centre_px=np.zeros((17, 2)),
            size_px=np.ones((17, 2)),
            radial=np.zeros((17, 3)),
            tangential=np.zeros((17, 2)),
        )
        pixels = projection.project(np.ones((17, 4, 17, 3)), rows)
        np.testing.assert_array_equal(pixels[:, 2, 5, 0], np.arange(1.0, 18.0))


def test_geometry_does_not_import_torch() -> None:
    modules = "alignment, arrays, bones, camera, intrinsics, perspective, projection, rotation, skeleton"
    program = (
        f"import sys, numpy; from poseshift.geometry import {modules}\n"
        "similar = alignment.similarity_align(numpy.eye(3)[None] + 1, numpy.eye(3)[None])\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
