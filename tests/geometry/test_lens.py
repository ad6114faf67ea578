"""OpenCV's lens models against formulae written from its manual and inverted by a solver of SciPy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import fsolve

from poseshift.geometry.camera import Camera, Distortion, stack_intrinsics
from poseshift.geometry.lens import (
    distort_rays,
    pinhole_px,
    px_of_points,
    rays_of_px,
    undistort_rays,
)

FIVE = (-0.28, 0.11, 0.0007, -0.0004, -0.02)
EIGHT = (*FIVE, 0.05, -0.02, 0.003)
TWELVE = (*EIGHT, 0.0011, -0.0002, 0.0008, 0.0003)
FISHEYE = (-0.02, 0.006, -0.003, 0.0005)


def lens(coefficients: tuple[float, ...]) -> Distortion:
    k1, k2, p1, p2, k3, *rest = coefficients
    return Distortion("opencv", (k1, k2, k3, *rest[:3]), (p1, p2, *rest[3:]))


def camera(distortion: Distortion) -> Camera:
    return Camera("own", (1920, 1080), (1400.0, 1410.0), (950.0, 545.0), distortion)


def manual(coefficients: tuple[float, ...], x: float, y: float) -> np.ndarray:
    """Camera Calibration and 3D Reconstruction, detailed description."""
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = (*coefficients, *(0.0,) * (12 - len(coefficients)))
    r = np.hypot(x, y)
    factor = (1 + k1 * r**2 + k2 * r**4 + k3 * r**6) / (1 + k4 * r**2 + k5 * r**4 + k6 * r**6)
    return np.array(
        [
            x * factor + 2 * p1 * x * y + p2 * (r**2 + 2 * x**2) + s1 * r**2 + s2 * r**4,
            y * factor + p1 * (r**2 + 2 * y**2) + 2 * p2 * x * y + s3 * r**2 + s4 * r**4,
        ]
    )


def manual_fisheye(coefficients: tuple[float, ...], x: float, y: float) -> np.ndarray:
    """Fisheye camera model, detailed description."""
    r = np.hypot(x, y)
    theta = np.arctan(r)
    bent = theta + sum(k * theta ** (2 * i + 3) for i, k in enumerate(coefficients))
    return np.array([x, y]) * (bent / r if r else 1.0)


OPENCV = [FIVE, EIGHT, TWELVE]
RAY = st.tuples(st.floats(-0.6, 0.6), st.floats(-0.35, 0.35))


@pytest.mark.parametrize("coefficients", OPENCV, ids=["5", "8", "12"])
@given(ray=RAY)
@settings(max_examples=25, deadline=None)
def test_opencv_model_is_the_manuals_and_its_inverse_a_solvers(
    coefficients: tuple[float, ...], ray: tuple[float, float]
) -> None:
    own = camera(lens(coefficients))
    bent = manual(coefficients, *ray)
    np.testing.assert_allclose(distort_rays(np.array(ray), own), bent, atol=1e-14)
    solved: Any = fsolve(lambda at: manual(coefficients, *at) - bent, bent, xtol=1e-13)
    np.testing.assert_allclose(undistort_rays(bent, own), solved, atol=1e-9)


@given(ray=st.tuples(st.floats(-2.5, 2.5), st.floats(-2.5, 2.5)))
@settings(max_examples=40, deadline=None)
def test_fisheye_is_the_manuals_far_from_the_axis_too(ray: tuple[float, float]) -> None:
    own = camera(Distortion("fisheye", FISHEYE, ()))
    bent = manual_fisheye(FISHEYE, *ray)
    np.testing.assert_allclose(distort_rays(np.array(ray), own), bent, atol=1e-12)
    np.testing.assert_allclose(undistort_rays(bent, own), ray, atol=1e-6)


def test_pixels_that_no_ray_reaches_are_missing() -> None:
    """This barrel's polynomial turns back at a radius of about 0.9, and bends nothing further out."""
    own = camera(Distortion("opencv", (-0.4, 0.0, 0.0), (0.0, 0.0)))
    found = rays_of_px(np.array([[950.0, 545.0], [9000.0, 545.0], [np.nan, 2.0]]), own)
    np.testing.assert_allclose(found[0], 0.0, atol=1e-12)
    assert np.isnan(found[1:]).all()


def test_points_behind_a_camera_have_no_pixels() -> None:
    own = camera(lens(FIVE))
    assert np.isfinite(px_of_points(np.array([0.1, 0.2, 3.0]), own)).all()
    assert np.isnan(px_of_points(np.array([0.1, 0.2, -3.0]), own)).all()


def test_a_pinhole_sees_what_the_ray_says() -> None:
    own = camera(lens(EIGHT))
    point = np.array([0.8, -0.5, 3.0])
    expected = [1400.0 * 0.8 / 3 + 950, 1410.0 * -0.5 / 3 + 545]
    np.testing.assert_allclose(pinhole_px(px_of_points(point, own), own), expected, atol=1e-6)


def test_batches_refuse_lenses_that_they_would_leave_in() -> None:
    own = camera(Distortion("fisheye", FISHEYE, ()))
    with pytest.raises(ValueError, match=r"camera own has the lens model 'fisheye'.*removes the lens"):
        stack_intrinsics([own])
    assert stack_intrinsics([own.pinhole]).focal_px.shape == (1, 2)


@pytest.mark.parametrize(
    ("model", "radial", "tangential"), [("fisheye", (0.1,), ()), ("opencv", (0.0,) * 4, (0.0,) * 2)]
)
def test_a_wrong_number_of_coefficients_is_refused(
    model: Any, radial: tuple[float, ...], tangential: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match=f"lens model '{model}' with {len(radial)} radial"):
        Distortion(model, radial, tangential)
