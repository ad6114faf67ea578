"""Files of restaged own cameras: read as a user's are, and off the truth by what is said of them."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks.own_cameras.runs import LINES, OwnLine
from benchmarks.own_cameras.scene import (
    DETECTORS,
    DROPPED,
    JOINTS,
    Clip,
    at_30_hz,
    calibration,
    coco_joints,
    person,
    telephones,
    write_clip,
)
from benchmarks.own_cameras.tables import table
from benchmarks.recorded import read_lines

from poseshift.geometry.camera import Camera
from poseshift.geometry.detectors import COCO_17
from poseshift.preprocessing.domain.calibrations.anipose import read as read_calibration
from poseshift.preprocessing.domain.keypoints.coco import read as read_keypoints
from poseshift.preprocessing.motion.motion import Motion
from poseshift.preprocessing.motion.procedural import generate


@pytest.fixture(scope="module")
def cameras() -> tuple[Camera, ...]:
    return telephones(np.random.default_rng(3))


@pytest.fixture(scope="module")
def clip(cameras: tuple[Camera, ...], tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Two people of procedural motion for a second and a half."""
    first, second, *_ = generate(seed=2, clips_per_subject=1, frames_per_clip=75)
    people = (
        Motion("cmu7/walk/1", "cmu7", "walk", 50.0, first.positions),
        Motion("cmu12/walk/1", "cmu12", "walk", 50.0, second.positions),
    )
    folder = tmp_path_factory.mktemp("own")
    return write_clip("clip1", people, cameras, DETECTORS["even"], folder, np.random.default_rng(4))


def seen(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Pixels of world points by OpenCV's formulae as its manual prints them."""
    x, y, z = np.moveaxis(points @ np.array(camera.rotation).T + camera.translation, -1, 0)
    x, y = x / z, y / z
    (k1, k2, k3), (p1, p2) = camera.distortion.radial, camera.distortion.tangential
    r2 = x**2 + y**2
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    v = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    return np.stack([u, v], axis=-1) * camera.focal_px + camera.centre_px


def test_keypoints_have_the_errors_that_are_said(clip: Clip, cameras: tuple[Camera, ...]) -> None:
    apart, found = [], []
    with np.load(clip.truth) as truth:
        assert sorted(truth.files) == ["person-12", "person-12_inside", "person-7", "person-7_inside"]
        for number, camera in enumerate(cameras):
            (view,) = read_keypoints(clip.keypoints[camera.name], "tracked")
            assert view.skeleton == "coco_17"
            assert {one.person for one in view.tracks} == {"7", "12"}
            for one in view.tracks:
                name, track = f"person-{one.person}", one.keypoints
                there = track[..., 2] > 0
                apart.append((track[..., :2] - seen(coco_joints(truth[name]), camera))[there])
                found.append(there[truth[f"{name}_inside"][number]])
                assert set(np.unique(track[..., 2])) == {0.0, np.float32(0.9)}
    assert np.concatenate(apart).std() == pytest.approx(5.0, rel=0.05)
    assert 1 - np.concatenate(found).mean() == pytest.approx(DROPPED, abs=0.015)


def test_a_telling_detector_is_sure_of_what_it_places_well() -> None:
    sure, deviation_px = DETECTORS["telling"].draw(3000, 17, np.random.default_rng(5))
    assert sure.min() == pytest.approx(0.2, abs=0.01)
    assert sure.max() == pytest.approx(1.0, abs=0.01)
    np.testing.assert_allclose(deviation_px, 1 + 10 * (1 - sure) / 0.8)
    assert (sure[:10] == sure[0]).all()
    assert not np.allclose(sure[10], sure[9])


def test_documents_show_the_recorded_runs() -> None:
    text = (Path(__file__).parents[2] / "docs/domains.md").read_text(encoding="utf-8")
    assert table(read_lines(LINES, OwnLine)) in text, "run: python -m benchmarks.own_cameras table --document"


def test_cameras_are_those_of_the_calibration(cameras: tuple[Camera, ...], tmp_path: Path) -> None:
    path = tmp_path / "rig.toml"
    path.write_text(calibration(cameras))
    for camera, one in zip(cameras, read_calibration(path).cameras, strict=True):
        assert (camera.name, camera.size_px) == (one.name, one.size_px) == (camera.name, (1080, 1920))
        np.testing.assert_allclose(one.matrix, camera.rotation, atol=1e-12)
        np.testing.assert_allclose(one.vector, camera.translation)
        assert one.distortion == camera.distortion
        down = np.array(camera.rotation)[1, 2]
        assert down < -0.85, "the image's y points down: an upright image"


def test_thirty_frames_a_second_and_the_detectors_joints() -> None:
    time = np.arange(51) / 50
    positions = np.broadcast_to(time[:, None, None], (51, 17, 3)).astype(np.float32)
    resampled = at_30_hz(Motion("cmu7/walk/1", "cmu7", "walk", 50.0, positions))
    np.testing.assert_allclose(resampled[:, 0, 0], np.arange(31) / 30, atol=1e-6)

    world = np.random.default_rng(0).normal(size=(2, 17, 3))
    made = coco_joints(world)
    for name in ("left_knee", "right_wrist", "nose"):
        np.testing.assert_array_equal(made[:, COCO_17.joint_names.index(name)], world[:, JOINTS.index(name)])
    assert person("cmu104") == "person-104"
