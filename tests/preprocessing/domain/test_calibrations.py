"""Calibration files of every layout, written here as their programs write them, against their rig."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from poseshift.geometry.camera import Distortion
from poseshift.preprocessing.domain.calibrations.registry import read_rig
from poseshift.preprocessing.domain.rig import OPENCV_READING, reading_named
from poseshift.preprocessing.errors import RawDataError

if TYPE_CHECKING:
    from tests.conftest import OwnRig


def matrix(rows: int, columns: int, values: np.ndarray) -> str:
    """A matrix as cv::FileStorage writes it."""
    data = ", ".join(repr(float(one)) for one in np.ravel(values))
    return f"!!opencv-matrix\n   rows: {rows}\n   cols: {columns}\n   dt: d\n   data: [ {data} ]"


def intrinsic(rig: "OwnRig") -> np.ndarray:
    return np.array([[rig.focal, 0, rig.centre[0]], [0, rig.focal, rig.centre[1]], [0, 0, 1]])


def write_opencv(rig: "OwnRig", number: int, path: Path, extra: str = "") -> Path:
    path.write_text(
        f"%YAML:1.0\n---\nimage_width: {rig.size[0]}\nimage_height: {rig.size[1]}\n"
        f"camera_matrix: {matrix(3, 3, intrinsic(rig))}\n"
        f"distortion_coefficients: {matrix(1, 5, np.array(rig.lens))}\n"
        f"R: {matrix(3, 3, rig.rotations[number])}\nT: {matrix(3, 1, rig.translations[number])}\n{extra}"
    )
    return path


def write_easymocap(rig: "OwnRig", folder: Path) -> Path:
    names = "names:\n" + "".join(f'  - "{name}"\n' for name in rig.names)
    inside, outside = ["%YAML:1.0\n---\n" + names], ["%YAML:1.0\n---\n" + names]
    for number, name in enumerate(rig.names):
        inside.append(
            f"K_{name}: {matrix(3, 3, intrinsic(rig))}\ndist_{name}: {matrix(1, 5, np.array(rig.lens))}\n"
        )
        turn = Rotation.from_matrix(rig.rotations[number]).as_rotvec()
        outside.append(
            f"R_{name}: {matrix(3, 1, turn)}\nRot_{name}: {matrix(3, 3, rig.rotations[number])}\n"
            f"T_{name}: {matrix(3, 1, rig.translations[number])}\n"
        )
    (folder / "extri.yml").write_text("".join(outside))
    (folder / "intri.yml").write_text("".join(inside))
    return folder / "intri.yml"


def write_anipose(rig: "OwnRig", path: Path, fisheye: bool = False) -> Path:
    text = ""
    lens = [0.01, -0.002, 0.0003, 0.0001] if fisheye else list(rig.lens)
    for number, name in enumerate(rig.names):
        turn = Rotation.from_matrix(rig.rotations[number]).as_rotvec().tolist()
        text += (
            f'[cam_{number}]\nname = "{name}"\nsize = [ {rig.size[0]}, {rig.size[1]},]\n'
            f"matrix = {intrinsic(rig).tolist()}\ndistortions = {lens}\nrotation = {turn}\n"
            f"translation = {rig.translations[number].tolist()}\nfisheye = {str(fisheye).lower()}\n\n"
        )
    path.write_text(text + "[metadata]\nadjusted = false\nerror = 0.4\n")
    return path


WRITERS: dict[str, Callable[["OwnRig", Path], Path]] = {
    "easymocap": write_easymocap,
    "anipose": lambda rig, folder: write_anipose(rig, folder / "calibration.toml"),
    "qualisys": lambda rig, folder: rig.write_qualisys(folder / "rig.qca.txt"),
}


@pytest.mark.parametrize("layout", WRITERS)
def test_every_layout_gives_the_same_cameras(layout: str, own_rig: "OwnRig", tmp_path: Path) -> None:
    rig = read_rig(WRITERS[layout](own_rig, tmp_path))
    reading = reading_named("rows,-z,centre") if layout == "qualisys" else OPENCV_READING
    assert [one.name for one in rig.cameras] == list(own_rig.names)
    k1, k2, p1, p2, k3 = own_rig.lens
    for number, one in enumerate(rig.cameras):
        camera = one.placed(reading, own_rig.size, 0.001)
        np.testing.assert_allclose(camera.rotation, own_rig.rotations[number], atol=1e-9)
        np.testing.assert_allclose(camera.translation, own_rig.translations[number] / 1000, atol=1e-9)
        np.testing.assert_allclose(camera.focal_px, own_rig.focal)
        np.testing.assert_allclose(camera.centre_px, own_rig.centre)
        assert camera.distortion == Distortion("opencv", (k1, k2, k3), (p1, p2))
    if layout != "easymocap":
        assert {one.size_px for one in rig.cameras} == {own_rig.size}
    assert len(rig.files) == (2 if layout == "easymocap" else 1)


def test_one_file_of_opencv_is_one_camera_of_its_name(own_rig: "OwnRig", tmp_path: Path) -> None:
    rig = read_rig(write_opencv(own_rig, 2, tmp_path / "cam03.yml"))
    (camera,) = rig.cameras
    assert camera.name == "cam03"
    assert camera.size_px == own_rig.size
    np.testing.assert_allclose(
        camera.placed(OPENCV_READING, own_rig.size, 1.0).rotation, own_rig.rotations[2]
    )


def test_fisheyes_are_told_from_other_lenses(own_rig: "OwnRig", tmp_path: Path) -> None:
    rig = read_rig(write_anipose(own_rig, tmp_path / "c.toml", fisheye=True))
    assert {one.distortion for one in rig.cameras} == {
        Distortion("fisheye", (0.01, -0.002, 0.0003, 0.0001), ())
    }
    five = write_opencv(own_rig, 0, tmp_path / "a.yml", "distortion_model: equidistant\n")
    with pytest.raises(RawDataError, match=r"a\.yml: found 5 coefficients of a fisheye lens; expected four"):
        read_rig(five)


PER_FRAME = np.arange(150.0).reshape(50, 3)


@pytest.mark.parametrize(
    ("name", "text", "camera"),
    [
        (
            "a.yml",
            f"camera_matrix: {matrix(3, 3, np.diag([9.0, 9, 1]))}\nR: {matrix(150, 3, np.zeros(450))}\n"
            f"T: {matrix(50, 3, PER_FRAME)}\n",
            "a",
        ),
        ("a.toml", f"[cam_0]\nname = 'left'\nmatrix = 3\ntranslation = {PER_FRAME.tolist()}\n", "left"),
        ("a.toml", f"[cameras.0]\nsize = [4, 3]\ntranslation = {PER_FRAME.tolist()}\n", "cam_0"),
    ],
)
def test_cameras_that_move_are_refused_with_what_can_be_done(
    name: str, text: str, camera: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(
        RawDataError, match=rf"50 places of camera {camera}, as of a camera that moves.*--trajectory"
    ):
        read_rig(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yml", "%YAML:1.0\n---\ncamera_matrix: [1, 2]\n", "no 3x3 camera matrix of camera a"),
        ("a.yml", "camera_matrix: [1, 2", "damaged YAML"),
        ("a.yml", "camera_matrix: !!python/object/apply:os.system ['true']\n", "damaged YAML"),
        ("a.yml", "a: &a [1, 2]\ncamera_matrix: [*a, *a]\n", "damaged YAML"),
        ("a.toml", "[cam_0]\nmatrix = 3\n", "another layout"),
        ("a.toml", "title = 'nothing'\n", "no table with a camera matrix"),
        ("a.qca.txt", "<calibration><cameras></cameras></calibration>", "no cameras"),
        ("a.qca.txt", "<calibration><cameras>", "damaged XML"),
        ("a.qca.txt", "<!DOCTYPE a [<!ENTITY b 'c'>]><calibration></calibration>", "entities"),
        ("a.yml", "camera_matrix: [0, 0, 320, 0, 600, 240, 0, 0, 1]\n", "focal lengths and sizes above 0"),
        (
            "a.yml",
            "K: [9, 0, 3, 0, 9, 2, 0, 0, 1]\nR: [1, 1, 0, 0, 1, 0, 0, 0, 1]\nT: [0, 0, 0]\n",
            "a rotation or vector of camera a that is none",
        ),
        ("a.txt", "fx 1000", "no layout of calibrations that is known"),
    ],
)
def test_bad_files_are_refused_by_name_with_a_remedy(
    name: str, text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RawDataError, match=message) as error:
        read_rig(tmp_path / name)
    assert error.value.path == tmp_path / name
    assert error.value.remedy
