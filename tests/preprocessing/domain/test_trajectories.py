"""Trajectories of cameras that move: three layouts of the same poses, and what contradicts a clip."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from poseshift.geometry.camera_path import CameraPath
from poseshift.preprocessing.domain.moving import TrajectoryOptions, TrajectorySource, moving_cameras
from poseshift.preprocessing.domain.trajectories.registry import read_trajectory
from poseshift.preprocessing.errors import RawDataError

FRAMES = 8
FPS = 25.0


@pytest.fixture
def path() -> CameraPath:
    """Random poses, world to camera."""
    rotation = Rotation.random(FRAMES, rng=3).as_matrix()
    return CameraPath(rotation, np.random.default_rng(4).normal(size=(FRAMES, 3)))


def tum(path: CameraPath, first_s: float = 0.0) -> str:
    """By TUM's own description: the camera's place, and the quaternion of its axes in the world."""
    lines = ["# timestamp tx ty tz qx qy qz qw"]
    for frame, (turn, shift) in enumerate(zip(path.rotation, path.translation, strict=True)):
        place, quaternion = -turn.T @ shift, Rotation.from_matrix(turn.T).as_quat()
        lines.append(f"{first_s + frame / FPS:.6f} " + " ".join(f"{x:.12f}" for x in (*place, *quaternion)))
    return "\n".join(lines) + "\n"


def colmap(path: CameraPath, first: int = 0, folder: str = "") -> str:
    """By COLMAP's own description: world to camera, scalar first, and a line of points behind each."""
    lines = ["# Image list with two lines of data per image:"]
    for frame, (turn, shift) in enumerate(zip(path.rotation, path.translation, strict=True)):
        w, x, y, z = Rotation.from_matrix(turn).as_quat(scalar_first=True)
        pose = " ".join(f"{one:.12f}" for one in (w, x, y, z, *shift))
        points = "" if frame == 2 else "10.5 20.5 7 1.0 2.0 -1"
        lines += [f"{frame + 1} {pose} 1 {folder}frame_{first + frame:06d}.png", points]
    return "\n".join(lines) + "\n"


def write(layout: str, path: CameraPath, folder: Path) -> Path:
    file = folder / {"tum": "a.txt", "colmap": "images.txt"}.get(layout, f"{layout}.npz")
    if layout == "tum":
        file.write_text(tum(path))
    elif layout == "colmap":
        file.write_text(colmap(path))
    elif layout == "world_to_camera":
        np.savez(file, world_to_camera=path.extrinsics)
    else:
        whole = np.concatenate([path.extrinsics, np.tile([[[0.0, 0.0, 0.0, 1.0]]], (FRAMES, 1, 1))], axis=1)
        np.savez(file, camera_to_world=np.linalg.inv(whole))
    return file


@pytest.mark.parametrize("layout", ["tum", "colmap", "world_to_camera", "camera_to_world"])
def test_every_layout_says_the_same_poses(layout: str, path: CameraPath, tmp_path: Path) -> None:
    found = read_trajectory(write(layout, path, tmp_path), "phone")
    np.testing.assert_allclose(found.path.extrinsics, path.extrinsics, atol=1e-9)
    per_frame = 1 / FPS if layout == "tum" else 1.0
    np.testing.assert_allclose(found.numbers, np.arange(FRAMES) * per_frame, atol=1e-6)
    assert found.times == ("seconds" if layout == "tum" else "frames")


def placed(file: Path, frames: np.ndarray, **options: object) -> tuple[CameraPath, str]:
    """Find the poses of a clip's frames, in metres, and what is said of them."""
    said = TrajectoryOptions.model_validate({"metres_per_unit": 1.0, **options})
    found = moving_cameras((TrajectorySource(path=file),), said, ("phone",), frames, FPS)
    return found.paths["phone"], " ".join(found.told)


def test_frames_without_a_pose_are_counted_and_short_gaps_filled(path: CameraPath, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    lines = tum(path).splitlines()
    far = f"{2.0:.6f} " + lines[-1].split(maxsplit=1)[1]  # the next pose after a second and a half
    file.write_text("\n".join([*lines[:4], *lines[6:], far]))
    found, told = placed(file, np.arange(12))
    assert found.known.tolist() == [True] * 8 + [False] * 4
    np.testing.assert_allclose(found[[0, 2, 7]].extrinsics, path[[0, 2, 7]].extrinsics, atol=1e-9)
    between = path.centre[2] + (path.centre[5] - path.centre[2]) / 3
    np.testing.assert_allclose(found.centre[3], between, atol=1e-9)
    assert "12 frames, 6 with a pose of their own, 2 between two poses" in told
    assert "4 without any, which count as showing nobody" in told


def test_a_world_with_another_axis_up_and_another_unit_is_stood_up(path: CameraPath, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text(tum(path))
    found, _ = placed(file, np.arange(FRAMES), metres_per_unit=0.01, world_up="-y")
    np.testing.assert_allclose(found.rotation[..., 2], -path.rotation[..., 1], atol=1e-9)
    heights = found.centre[:, 2]
    np.testing.assert_allclose(heights, -0.01 * path.centre[:, 1], atol=1e-9)
    alone, told = placed(file, np.arange(FRAMES), metres_per_unit=None)
    assert not alone.translation.any()
    assert "rotations alone" in told
    assert "--world-up" in told


def test_numbers_that_begin_elsewhere_are_asked_for(path: CameraPath, tmp_path: Path) -> None:
    file, images = tmp_path / "a.txt", tmp_path / "images.txt"
    file.write_text(tum(path, first_s=1305031102.175))
    images.write_text(colmap(path, first=1))
    for refused in (file, images):
        with pytest.raises(RawDataError, match=r"expected poses that begin at 0.*--trajectory-start"):
            placed(refused, np.arange(FRAMES))
    by_time, _ = placed(file, np.arange(FRAMES), start=1305031102.175)
    by_name, _ = placed(images, np.arange(1, FRAMES), start=1)
    np.testing.assert_allclose(by_time.extrinsics, path.extrinsics, atol=1e-3)  # microseconds
    np.testing.assert_allclose(by_name.extrinsics, path.extrinsics[1:], atol=1e-9)


def test_poses_of_other_moments_are_refused(path: CameraPath, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    lines = tum(path).splitlines()
    file.write_text("\n".join(f"{n} " + line.split(maxsplit=1)[1] for n, line in enumerate(lines[1:])))
    with pytest.raises(RawDataError, match=r"of 1 of 8 frames.*--trajectory-times"):
        placed(file, np.arange(FRAMES))
    found, _ = placed(file, np.arange(FRAMES), times="frames")
    np.testing.assert_allclose(found.extrinsics, path.extrinsics, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "0.0 1 2 3 0 0 0 2\n", "a quaternion of length 2"),
        ("a.txt", "0.0 1 2 3 0 0 0 1\n0.0 1 2 3 0 0 0 1\n", "two poses at 0"),
        ("a.txt", "0.0 1 2 3 0 0 0 1\n0.1 1 2\n", "'0.1 1 2' as pose 2"),
        ("a.txt", "1 2 3 4 5 6 7 8 9 10 11 12\n", "evo_traj"),
        ("a.txt", "0.0 1 2 nan 0 0 0 1\n", "not finite"),
        ("images.txt", "1 1 0 0 0 0 0 0 1 first.png\n\n", "an image first.png without a number"),
        ("images.txt", "1 1 0 0 0 0 0 0 1 a/1.png\n\n2 1 0 0 0 0 0 0 1 b/1.png\n\n", "folders a, b"),
    ],
)
def test_files_that_are_no_trajectory_are_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RawDataError, match=message):
        read_trajectory(tmp_path / name, "phone")


def test_images_of_several_cameras_are_told_apart_by_folders(path: CameraPath, tmp_path: Path) -> None:
    other = CameraPath(path.rotation, path.translation + 1)
    own, others = colmap(path, folder="left/"), colmap(other, folder="right/")
    (tmp_path / "images.txt").write_text(own + others)
    found = read_trajectory(tmp_path / "images.txt", "right")
    np.testing.assert_allclose(found.path.translation, other.translation, atol=1e-9)


def test_each_camera_needs_its_trajectory(tmp_path: Path) -> None:
    source = TrajectorySource(path=tmp_path / "a.txt", camera="left")
    with pytest.raises(RawDataError, match=r"trajectories of left; expected one for each.*left, right"):
        moving_cameras((source,), TrajectoryOptions(), ("left", "right"), np.arange(3), FPS)


@pytest.mark.parametrize("layout", ["tum", "colmap", "world_to_camera"])
def test_damage_is_raw_data_and_nothing_else(layout: str, path: CameraPath, tmp_path: Path) -> None:
    file = write(layout, path, tmp_path)
    whole, rng = file.read_bytes(), np.random.default_rng(17)
    refused = 0
    for _ in range(100):
        data = bytearray(whole)
        at = int(rng.integers(len(data)))
        data[at : at + int(rng.integers(1, 4))] = rng.bytes(int(rng.integers(0, 3)))
        file.write_bytes(bytes(data))
        try:
            read_trajectory(file, "phone")
        except RawDataError as error:
            refused += error.path == file
    assert refused > 10
