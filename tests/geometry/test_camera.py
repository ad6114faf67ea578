from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from poseshift.geometry.camera import AssumedCamera, Camera, Distortion, stack_intrinsics
from poseshift.geometry.intrinsics import Intrinsics, pinhole_of_view
from poseshift.geometry.projection import (
    camera_to_world,
    distort,
    from_screen,
    normalise,
    project,
    project_apart,
    rays_to_px,
    to_screen,
    undistort,
    undistort_px,
    unproject,
    world_to_camera,
)
from poseshift.geometry.toolkit_calibration import decode_w0

IDS = ("54138969", "55011271", "58860488", "60457274")


def points_before_camera(*shape: int) -> st.SearchStrategy[np.ndarray]:
    """Points 1 to 10 m in front of a camera, inside Human3.6M's field of view (about 48 degrees)."""

    def place(unit: np.ndarray) -> np.ndarray:
        depth = 5.5 + 4.5 * unit[..., 2:]
        return np.concatenate([0.42 * unit[..., :2] * depth, depth], axis=-1)

    return arrays(np.float64, (*shape, 3), elements=st.floats(-1, 1)).map(place)


@pytest.fixture(scope="module")
def cameras(w0: np.ndarray) -> tuple[Camera, ...]:
    return tuple(decode_w0(w0, index, 0).camera(name, (1000, 1002)) for index, name in enumerate(IDS))


@pytest.fixture(scope="module")
def rows(cameras: tuple[Camera, ...]) -> Intrinsics:
    return stack_intrinsics(cameras)


def quaternion_matrix(w: float, x: float, y: float, z: float) -> np.ndarray:
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


class TestWorldAndCamera:
    @pytest.mark.parametrize(
        ("index", "expected_mm"),
        [(0, (-1286.56, 212.391, 1197.07)), (1, (-444.164, 164.796, 2126.44))],
    )
    def test_3dhp_world_point_in_both_cameras(
        self, cameras_3dhp: tuple[Camera, ...], index: int, expected_mm: tuple[float, ...]
    ) -> None:
        """A world point and its annotation in two cameras, to the six digits that the annotations carry."""
        world = np.array([[-1389.21, 1274.61, 2329.62]]) / 1000
        camera = cameras_3dhp[index]
        found = world_to_camera(world, camera.rotation, camera.translation)[0] * 1000
        np.testing.assert_allclose(found, expected_mm, atol=0.01)

    @pytest.mark.parametrize(("index", "centre"), [(0, (-461, 1535, 3814)), (1, (-2706, 1994, 3909))])
    def test_camera_centre_3dhp(
        self, cameras_3dhp: tuple[Camera, ...], index: int, centre: tuple[float, ...]
    ) -> None:
        np.testing.assert_allclose(np.array(cameras_3dhp[index].centre) * 1000, centre, atol=0.51)

    @given(points=points_before_camera(2, 4, 3))
    @settings(max_examples=20, deadline=None)
    def test_round_trip_with_one_row_per_pose(self, points: np.ndarray) -> None:
        rotation = np.stack([quaternion_matrix(0.5, 0.5, -0.5, 0.5), quaternion_matrix(0.6, 0, 0.8, 0)])
        translation = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, 7.0]])
        there = world_to_camera(points, rotation, translation)
        np.testing.assert_allclose(there[1, 3, 2], rotation[1] @ points[1, 3, 2] + translation[1], atol=1e-12)
        np.testing.assert_allclose(camera_to_world(there, rotation, translation), points, atol=1e-12)


class TestW0:
    @pytest.mark.parametrize(
        ("camera", "quaternion", "position"),
        [
            (
                0,
                (0.1407056450843811, -0.1500701755285263, -0.755240797996521, 0.6223280429840088),
                (1841.1070556640625, 4955.28466796875, 1563.4454345703125),
            ),
            (
                1,
                (0.6157187819480896, -0.764836311340332, -0.14833825826644897, 0.11794740706682205),
                (1761.278564453125, -5078.0068359375, 1606.2650146484375),
            ),
        ],
    )
    def test_agrees_with_videopose3d(
        self, w0: np.ndarray, camera: int, quaternion: tuple[float, ...], position: tuple[float, ...]
    ) -> None:
        """VideoPose3D prints S1's cameras as float32 quaternions of R^T and positions in millimetres."""
        decoded = decode_w0(w0, camera, 0)
        np.testing.assert_allclose(np.array(decoded.rotation).T, quaternion_matrix(*quaternion), atol=3e-7)
        centre = decoded.camera(IDS[camera], (1000, 1002)).centre
        np.testing.assert_allclose(np.array(centre) * 1000, position, atol=2.5e-4)

    def test_subject_and_camera_strides(self, w0: np.ndarray) -> None:
        """The last extrinsics of the table (camera 4, S11) sit where the layout says."""
        centre = decode_w0(w0, 3, 10).camera(IDS[3], (1000, 1002)).centre
        np.testing.assert_allclose(
            np.array(centre) * 1000, (-1590.73799072229, -3854.16900368964, 1578.01760714384), atol=1e-9
        )

    def test_rotation_is_proper(self, w0: np.ndarray) -> None:
        rotation = np.array(decode_w0(w0, 1, 0).rotation)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-14)
        assert np.linalg.det(rotation) == pytest.approx(1)

    def test_intrinsics_in_order(self, w0: np.ndarray) -> None:
        decoded = decode_w0(w0, 1, 0)
        assert decoded.focal_px == (1149.67569986785, 1147.59161666764)
        assert decoded.centre_px == (508.848621645943, 508.064917088557)
        assert decoded.radial == (-0.194213629607385, 0.240408539138292, 0.00681997559022603)
        assert decoded.tangential == (-0.0027408943961907, -0.001619026613787)

    def test_floor_and_ceiling_project_the_right_way_up(self, cameras: tuple[Camera, ...]) -> None:
        """World z is up and pixels go down: a real hip lies above a real foot in every image."""
        world = np.array([[-91.679, 154.404, 907.261], [-261.84055, 186.55286, 61.438915]]) / 1000
        for camera in cameras[:2]:
            pixels = project(world_to_camera(world, camera.rotation, camera.translation), camera.intrinsics)
            assert np.all((pixels > 0) & (pixels < 1000))
            assert pixels[0, 1] < pixels[1, 1]

    def test_wrong_length(self) -> None:
        with pytest.raises(ValueError, match=r"\(299,\).*\(300,\)"):
            decode_w0(np.zeros(299), 0, 0)

    @pytest.mark.parametrize(("camera", "subject"), [(4, 0), (0, 11), (-1, 0)])
    def test_index_out_of_range(self, w0: np.ndarray, camera: int, subject: int) -> None:
        with pytest.raises(IndexError, match=f"camera {camera} of subject {subject}"):
            decode_w0(w0, camera, subject)


class TestProjection:
    def test_3dhp_training_annotation(self, cameras_3dhp: tuple[Camera, ...]) -> None:
        """S1/Seq1, camera 0, frame 100, joint 0: annot3 projects to annot2 within their six digits."""
        pixels = project(np.array([[-18.0923, 102.071, 3726.17]]) / 1000, cameras_3dhp[0].intrinsics)
        np.testing.assert_allclose(pixels[0], (1017.43, 1092.4), atol=0.006)

    def test_3dhp_test_annotation_ts5(self) -> None:
        """TS5, row 0, head top, with the outdoor calibration as a pinhole."""
        camera = Camera("TS5", (1920, 1080), (1683.98346, 1672.59371), (939.85754, 560.14074))
        pixels = project(np.array([[-156.831, -867.95, 3667.55]]) / 1000, camera.intrinsics)
        np.testing.assert_allclose(pixels[0], (867.847, 164.31), atol=0.008)

    def test_distortion_by_hand(self) -> None:
        """The toolkit's formula at one ray, worked out by hand: r2 = 0.25, tan = 0.008 + 0.003."""
        camera = Camera(
            "x", (1, 1), (1.0, 1.0), (0.0, 0.0), Distortion("human36m", (0.1, 0.2, 0.4), (0.02, 0.01))
        )
        scale = 1 + 0.1 * 0.25 + 0.2 * 0.0625 + 0.4 * 0.015625 + 0.011
        found = distort(np.array([[0.3, 0.4]]), camera.intrinsics)
        np.testing.assert_allclose(found, [[0.3 * scale + 0.0025, 0.4 * scale + 0.005]], rtol=1e-15)

    def test_differs_from_opencv_as_documented(self, cameras: tuple[Camera, ...]) -> None:
        """Where people stand (the middle of the image) the two models differ by some 0.05 to 0.2 px."""
        grid = np.linspace(-0.2, 0.2, 9)
        x, y = (axis.ravel() for axis in np.meshgrid(grid, grid))
        r2 = x * x + y * y
        for camera in cameras:
            k1, k2, k3 = camera.distortion.radial
            p1, p2 = camera.distortion.tangential
            radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
            opencv = np.stack(
                [
                    x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                    y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
                ],
                axis=-1,
            )
            ours = distort(np.stack([x, y], axis=-1), camera.intrinsics)
            gap_px = np.abs(opencv - ours).max() * camera.focal_px[0]
            assert 0.05 < gap_px < 0.25

    def test_swapped_tangential_convention_is_the_same_function(self, cameras: tuple[Camera, ...]) -> None:
        """VideoPose3D writes tangential = (p2, p1) and adds ``t r2``: the same pixels."""
        rays = np.random.default_rng(0).uniform(-0.4, 0.4, (50, 2))
        for camera in cameras:
            k, (p1, p2) = np.array(camera.distortion.radial), camera.distortion.tangential
            swapped = np.array([p2, p1])
            r2 = np.sum(rays**2, axis=-1, keepdims=True)
            radial = 1 + np.sum(k * np.concatenate([r2, r2**2, r2**3], axis=-1), axis=-1, keepdims=True)
            tangential = np.sum(swapped * rays, axis=-1, keepdims=True)
            expected = rays * (radial + tangential) + swapped * r2
            np.testing.assert_allclose(distort(rays, camera.intrinsics), expected, atol=1e-15)

    @given(rays=arrays(np.float64, (4, 17, 2), elements=st.floats(-0.9, 0.9)))
    @settings(max_examples=30, deadline=None)
    def test_undistort_inverts_distort(self, rows: Intrinsics, rays: np.ndarray) -> None:
        np.testing.assert_allclose(undistort(distort(rays, rows), rows), rays, atol=1e-9)
        np.testing.assert_allclose(distort(undistort(rays, rows), rows), rays, atol=1e-9)

    def test_without_coefficients_rays_stay_as_with_zeros(self, rows: Intrinsics) -> None:
        rays = np.random.default_rng(0).uniform(-0.9, 0.9, size=(len(rows.focal_px), 17, 2))
        zeros = replace(rows, radial=np.zeros_like(rows.radial), tangential=np.zeros_like(rows.tangential))
        none = replace(rows, radial=rows.radial[:, :0], tangential=rows.tangential[:, :0])
        for change in (distort, undistort):
            np.testing.assert_array_equal(change(rays, none), rays)
            np.testing.assert_array_equal(change(rays, zeros), rays)

    @given(points=points_before_camera(4, 3, 17))
    @settings(max_examples=30, deadline=None)
    def test_unproject_inverts_project(self, rows: Intrinsics, points: np.ndarray) -> None:
        """One camera per row, against clips: rows align with the first axis, not with the joints."""
        keypoints = project(points, rows)
        np.testing.assert_allclose(unproject(keypoints, points[..., 2], rows), points, atol=1e-8)
        np.testing.assert_allclose(keypoints[2], project(points[2], rows[2]), atol=1e-9)

    @given(points=points_before_camera(4, 17))
    @settings(max_examples=20, deadline=None)
    def test_undistorted_pixels_are_pinhole_pixels(self, rows: Intrinsics, points: np.ndarray) -> None:
        pinhole = rays_to_px(points[..., :2] / points[..., 2:], rows)
        np.testing.assert_allclose(undistort_px(project(points, rows), rows), pinhole, atol=1e-6)

    def test_zero_coefficients_are_a_pinhole(self, cameras_3dhp: tuple[Camera, ...]) -> None:
        point = np.array([[0.4, -0.3, 2.0]])
        fx, fy = cameras_3dhp[0].focal_px
        cx, cy = cameras_3dhp[0].centre_px
        expected = [[fx * 0.4 / 2 + cx, fy * -0.3 / 2 + cy]]
        np.testing.assert_allclose(project(point, cameras_3dhp[0].intrinsics), expected, rtol=1e-15)

    def test_distortion_is_worth_more_than_a_pixel(self, cameras: tuple[Camera, ...]) -> None:
        """Against leaving the distortion out by mistake: it is 1.2 to 2.4 px on real poses."""
        point = np.array([[0.9, 0.7, 5.0]])
        intrinsics = cameras[0].intrinsics
        gap = project(point, intrinsics) - rays_to_px(point[:, :2] / point[:, 2:], intrinsics)
        assert np.linalg.norm(gap) > 1

    def test_more_rows_than_the_points_have(self, rows: Intrinsics) -> None:
        with pytest.raises(ValueError, match="leading dimensions"):
            project(np.ones((3,)), rows)


class TestScreen:
    def test_by_hand(self) -> None:
        """Corners of a 1000 x 1002 image, normalised by the width alone."""
        corners = np.array([[0.0, 0.0], [1000.0, 1002.0], [500.0, 501.0]])
        expected = [[-1, -1.002], [1, 1.002], [0, 0]]
        np.testing.assert_allclose(to_screen(corners, (1000, 1002)), expected, atol=1e-15)

    @given(keypoints=arrays(np.float64, (2, 5, 17, 2), elements=st.floats(-500, 3000)))
    @settings(max_examples=20, deadline=None)
    def test_round_trip_per_row(self, keypoints: np.ndarray) -> None:
        size = np.array([[1000.0, 1002.0], [1920.0, 1080.0]])
        there = to_screen(keypoints, size)
        np.testing.assert_allclose(
            there[1, 0, 0, 1], 2 * keypoints[1, 0, 0, 1] / 1920 - 1080 / 1920, atol=1e-12
        )
        np.testing.assert_allclose(from_screen(there, size), keypoints, atol=1e-9)


class TestIntrinsics:
    def test_stack_and_select(self, cameras: tuple[Camera, ...], rows: Intrinsics) -> None:
        chosen = rows[np.array([3, 0, 3])]
        assert chosen.focal_px.shape == (3, 2)
        assert tuple(chosen.radial[0]) == cameras[3].distortion.radial
        assert tuple(chosen.tangential[1]) == cameras[0].distortion.tangential

    def test_stack_of_nothing(self) -> None:
        with pytest.raises(ValueError, match="no cameras"):
            stack_intrinsics([])

    def test_map_moves_every_field(self, rows: Intrinsics) -> None:
        moved = rows.map(lambda field: torch.as_tensor(field, dtype=torch.float32))
        for name in ("focal_px", "centre_px", "size_px", "radial", "tangential"):
            field = getattr(moved, name)
            assert field.dtype == torch.float32
            np.testing.assert_allclose(field.numpy(), getattr(rows, name), rtol=1e-6)


class TestGradients:
    def test_projection_in_points_and_intrinsics(self, rows: Intrinsics) -> None:
        tensors = rows.map(torch.as_tensor)
        generator = torch.Generator().manual_seed(0)
        points = torch.rand(4, 3, 3, dtype=torch.float64, generator=generator) + torch.tensor(
            [-0.5, -0.5, 3.0]
        )

        def pixels(
            points: torch.Tensor, focal: torch.Tensor, radial: torch.Tensor, tangential: torch.Tensor
        ) -> torch.Tensor:
            return project(points, Intrinsics(focal, tensors.centre_px, tensors.size_px, radial, tangential))

        inputs = (points, tensors.focal_px, tensors.radial, tensors.tangential)
        assert torch.autograd.gradcheck(pixels, tuple(value.requires_grad_() for value in inputs), atol=1e-4)

    def test_undistortion(self, rows: Intrinsics) -> None:
        """Differentiating the fixed number of Newton steps gives the derivative of the inverse."""
        tensors = rows.map(torch.as_tensor)
        generator = torch.Generator().manual_seed(1)
        keypoints = (
            torch.rand(4, 3, 2, dtype=torch.float64, generator=generator) * 900 + 50
        ).requires_grad_()
        assert torch.autograd.gradcheck(lambda pixels: normalise(pixels, tensors) * 1000, (keypoints,))

    def test_float32_pixels_agree_with_float64(self, rows: Intrinsics) -> None:
        points = np.random.default_rng(2).uniform((-1, -1, 3), (1, 1, 6), (4, 17, 3))
        single = project(points.astype(np.float32), rows)
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, project(points, rows), atol=1e-3)


class TestUp:
    def test_it_is_known_of_calibrated_cameras(self, cameras_3dhp: tuple[Camera, ...]) -> None:
        """A metre higher in the world is a metre along up in camera axes."""
        for camera in cameras_3dhp:
            points = np.array([[0.3, 1.0, 0.5], [0.3, 1.0, 1.5]])
            low, high = world_to_camera(points, camera.rotation, camera.translation)
            assert camera.placed
            assert camera.up == pytest.approx(high - low)

    def test_it_is_unknown_of_a_camera_that_is_its_own_world(self, cameras_3dhp: tuple[Camera, ...]) -> None:
        """The optical axis, which the identity would give, is nowhere near up."""
        for placed in cameras_3dhp:
            camera = Camera(placed.name, placed.size_px, placed.focal_px, placed.centre_px)
            assert not camera.placed
            assert camera.up is None

    def test_a_camera_that_looks_straight_up_is_told_by_where_it_is(self) -> None:
        above = replace(Camera("c", (1, 1), (1.0, 1.0), (0.0, 0.0)), translation=(0.0, 0.0, -0.5))
        assert above.placed
        assert above.up == (0.0, 0.0, 1.0)


def test_intrinsics_say_which_cameras_are_assumed_through_all_that_is_done_to_rows(
    cameras: tuple[Camera, ...], rows: Intrinsics
) -> None:
    assert rows.known is None
    assert Intrinsics.unpacked(rows.packed).known is None
    assumed = AssumedCamera.of(cameras[1])
    assert not assumed.pinhole.unplaced.intrinsics_known
    assert assumed != cameras[1]
    mixed = stack_intrinsics([cameras[0], assumed])
    np.testing.assert_array_equal(mixed.told, [[1], [0]])
    np.testing.assert_array_equal(mixed.focal_px, rows.focal_px[:2])
    for same in (mixed[np.array([0, 1])], Intrinsics.unpacked(mixed.packed), mixed.map(np.copy)):
        np.testing.assert_array_equal(same.told, mixed.told)
    np.testing.assert_array_equal(rows[:1].joined(mixed).told, [[1], [1], [0]])
    chosen = mixed.where(np.array([False, True]), rows[2:4])
    np.testing.assert_array_equal(chosen.told, [[1], [0]])
    np.testing.assert_array_equal(chosen.focal_px, np.stack([rows.focal_px[2], rows.focal_px[1]]))


def test_pinholes_without_coefficients_stand_beside_lenses(rows: Intrinsics) -> None:
    pinholes = pinhole_of_view(rows.size_px, 1.0)
    for one, other in ((rows, pinholes), (pinholes, rows)):
        chosen = one.where(np.array([True, False, True, False]), other)
        lens = np.where([[one is rows], [other is rows]] * 2, rows.radial, 0)
        np.testing.assert_array_equal(chosen.radial, lens)


@pytest.mark.parametrize("index", range(4))
@given(points=points_before_camera(3, 17))
@settings(max_examples=20)
def test_coordinates_that_lie_apart_are_projected_to_the_same_bits(
    cameras: tuple[Camera, ...], index: int, points: np.ndarray
) -> None:
    camera = cameras[index]
    world = camera_to_world(points, camera.rotation, camera.translation)
    together = project(world_to_camera(world, camera.rotation, camera.translation), camera.intrinsics)
    apart = project_apart(np.moveaxis(world, -1, 0), camera)
    np.testing.assert_array_equal(np.stack(apart, axis=-1), together)
