"""Calibrations of ROS, Kalibr, Caliscope and Pose2Sim, in the layouts that their documentation prints."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from poseshift.geometry.camera import Distortion
from poseshift.preprocessing.domain.assemble import ClipRequest, KeypointSource, assemble
from poseshift.preprocessing.domain.calibrations.registry import read_rig
from poseshift.preprocessing.domain.rig import OPENCV_READING
from poseshift.preprocessing.errors import RawDataError

if TYPE_CHECKING:
    from tests.conftest import OwnRig


def four_coefficients(rig: "OwnRig") -> "OwnRig":
    """The same rig with a lens that Kalibr and Pose2Sim can describe."""
    return replace(rig, lens=(*rig.lens[:4], 0.0))


def matrix(rig: "OwnRig") -> list[list[float]]:
    return [[rig.focal, 0.0, rig.centre[0]], [0.0, rig.focal, rig.centre[1]], [0.0, 0.0, 1.0]]


def write_ros(rig: "OwnRig", path: Path, **changes: object) -> Path:
    """What camera_calibration writes."""
    flat = [one for row in matrix(rig) for one in row]
    content = {
        "image_width": rig.size[0],
        "image_height": rig.size[1],
        "camera_name": "head",
        "camera_matrix": {"rows": 3, "cols": 3, "data": flat},
        "distortion_model": "plumb_bob",
        "distortion_coefficients": {"rows": 1, "cols": 5, "data": list(rig.lens)},
        "rectification_matrix": {"rows": 3, "cols": 3, "data": [1, 0, 0, 0, 1, 0, 0, 0, 1]},
        "projection_matrix": {"rows": 3, "cols": 4, "data": [9, 0, 1, 0, 0, 9, 1, 0, 0, 0, 1, 0]},
        **changes,
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def write_ros_message(rig: "OwnRig", path: Path, **changes: object) -> Path:
    """What `ros2 topic echo` prints of a message."""
    content = {
        "header": {"stamp": {"sec": 1, "nanosec": 2}, "frame_id": "head_optical"},
        "height": rig.size[1],
        "width": rig.size[0],
        "distortion_model": "rational_polynomial",
        "d": [*rig.lens, 0.0, 0.0, 0.0],
        "k": [one for row in matrix(rig) for one in row],
        "r": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        "p": [9.0, 0.0, 1.0, 0.0, 0.0, 9.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        "binning_x": 0,
        "binning_y": 0,
        "roi": {"x_offset": 0, "y_offset": 0, "height": 0, "width": 0, "do_rectify": False},
        **changes,
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False) + "---\n")
    return path


def write_kalibr(rig: "OwnRig", path: Path, first: dict[str, object] | None = None) -> Path:
    """A chain as the wiki of Kalibr prints it; metres, the first camera is the world."""
    chain = {}
    before = np.eye(4)
    for number in range(len(rig.names)):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rig.rotations[number], rig.translations[number] / 1000
        camera: dict[str, object] = {
            "cam_overlaps": [],
            "camera_model": "pinhole",
            "intrinsics": [rig.focal, rig.focal, *rig.centre],
            "distortion_model": "radtan",
            "distortion_coeffs": list(rig.lens[:4]),
            "resolution": list(rig.size),
            "rostopic": f"/cam{number}/image_raw",
        }
        if number:
            camera["T_cn_cnm1"] = (pose @ np.linalg.inv(before)).tolist()
        before = pose
        chain[f"cam{number}"] = {**camera, **(first or {} if number == 0 else {})}
    path.write_text(yaml.safe_dump(chain, sort_keys=False, default_flow_style=None))
    return path


def write_caliscope(rig: "OwnRig", path: Path, matrices: bool = False) -> Path:
    """Metres; rotations by vectors, or by matrices as older versions write them."""
    text = ""
    for number in range(len(rig.names)):
        turn = rig.rotations[number]
        rotation = turn.tolist() if matrices else Rotation.from_matrix(turn).as_rotvec().tolist()
        text += (
            f"[cameras.{number}]\ncam_id = {number}\nsize = [{rig.size[0]}, {rig.size[1]}]\n"
            f"rotation_count = 0\nerror = 0.19\nmatrix = {matrix(rig)}\ndistortions = {list(rig.lens)}\n"
            f'exposure = "null"\ngrid_count = 24\nignore = false\nrotation = {rotation}\n'
            f"translation = {(rig.translations[number] / 1000).tolist()}\nfisheye = false\n\n"
        )
    path.write_text(text)
    return path


def write_pose2sim(rig: "OwnRig", path: Path) -> Path:
    """Metres; Pose2Sim's Calib.toml."""
    text = ""
    for number, name in enumerate(rig.names):
        turn = Rotation.from_matrix(rig.rotations[number]).as_rotvec().tolist()
        text += (
            f'[{name}]\nname = "{name}"\nsize = [ {rig.size[0]:.1f}, {rig.size[1]:.1f}]\n'
            f"matrix = {matrix(rig)}\ndistortions = {list(rig.lens[:4])}\nrotation = {turn}\n"
            f"translation = {(rig.translations[number] / 1000).tolist()}\nfisheye = false\n\n"
        )
    path.write_text(text + "[metadata]\nadjusted = false\nerror = 0.0\n")
    return path


def expected_lens(rig: "OwnRig") -> Distortion:
    k1, k2, p1, p2, k3 = rig.lens
    return Distortion("opencv", (k1, k2, k3), (p1, p2))


def test_ros_gives_the_raw_image_and_no_extrinsics(own_rig: "OwnRig", tmp_path: Path) -> None:
    (file,) = read_rig(write_ros(own_rig, tmp_path / "ost.yaml")).cameras
    (message,) = read_rig(write_ros_message(own_rig, tmp_path / "info.yaml")).cameras
    assert (file.name, message.name) == ("head", "info")
    for camera in (file, message):
        assert camera.size_px == own_rig.size
        assert camera.focal_px == (own_rig.focal, own_rig.focal)
        np.testing.assert_allclose(camera.centre_px, own_rig.centre)
        assert camera.matrix is None
        seen = camera.distortion
        assert (seen.radial[:3], seen.tangential) == (expected_lens(own_rig).radial, own_rig.lens[2:4])


def test_opencvs_xml_is_its_yaml(own_rig: "OwnRig", tmp_path: Path) -> None:
    def matrix_of(name: str, rows: int, columns: int, values: np.ndarray) -> str:
        data = " ".join(repr(float(one)) for one in np.ravel(values))
        return (
            f'<{name} type_id="opencv-matrix">\n  <rows>{rows}</rows>\n  <cols>{columns}</cols>\n'
            f"  <dt>d</dt>\n  <data>\n    {data}</data></{name}>\n"
        )

    path = tmp_path / "left.xml"
    path.write_text(
        '<?xml version="1.0"?>\n<opencv_storage>\n<calibration_time>"today"</calibration_time>\n'
        f"<image_width>{own_rig.size[0]}</image_width>\n<image_height>{own_rig.size[1]}</image_height>\n"
        + matrix_of("camera_matrix", 3, 3, np.array(matrix(own_rig)))
        + matrix_of("distortion_coefficients", 5, 1, np.array(own_rig.lens))
        + matrix_of("R", 3, 3, own_rig.rotations[1])
        + matrix_of("T", 3, 1, own_rig.translations[1])
        + "</opencv_storage>\n"
    )
    (one,) = read_rig(path).cameras
    camera = one.placed(OPENCV_READING, own_rig.size, 0.001)
    assert (one.name, one.size_px, camera.distortion) == ("left", own_rig.size, expected_lens(own_rig))
    np.testing.assert_allclose(camera.rotation, own_rig.rotations[1])
    np.testing.assert_allclose(camera.translation, own_rig.translations[1] / 1000)
    path.write_text("<!DOCTYPE a [<!ENTITY b 'c'>]><opencv_storage></opencv_storage>")
    with pytest.raises(RawDataError, match="entities"):
        read_rig(path)
    path.write_text("<opencv_storage><camera_matrix><data>1 x</data></camera_matrix></opencv_storage>")
    with pytest.raises(RawDataError, match="damaged XML"):
        read_rig(path)


@pytest.mark.parametrize("matrices", [False, True])
def test_caliscope_and_pose2sim_are_opencvs(own_rig: "OwnRig", tmp_path: Path, matrices: bool) -> None:
    caliscope = read_rig(write_caliscope(own_rig, tmp_path / "camera_array.toml", matrices))
    assert [one.name for one in caliscope.cameras] == ["cam_0", "cam_1", "cam_2", "cam_3"]
    rig = four_coefficients(own_rig)
    pose2sim = read_rig(write_pose2sim(rig, tmp_path / "Calib.toml"))
    assert [one.name for one in pose2sim.cameras] == list(own_rig.names)
    for found, lens in ((caliscope, expected_lens(own_rig)), (pose2sim, expected_lens(rig))):
        for number, one in enumerate(found.cameras):
            camera = one.placed(OPENCV_READING, own_rig.size, 1.0)
            np.testing.assert_allclose(camera.rotation, own_rig.rotations[number], atol=1e-9)
            np.testing.assert_allclose(camera.translation, own_rig.translations[number] / 1000, atol=1e-9)
            assert (camera.distortion, one.size_px) == (lens, own_rig.size)


def test_cameras_of_caliscope_without_calibration_are_left_out(own_rig: "OwnRig", tmp_path: Path) -> None:
    path = write_caliscope(own_rig, tmp_path / "camera_array.toml")
    path.write_text(
        path.read_text() + '[cameras.7]\ncam_id = 7\nsize = [640, 480]\nmatrix = "null"\nrotation = "null"\n'
    )
    assert [one.name for one in read_rig(path).cameras] == ["cam_0", "cam_1", "cam_2", "cam_3"]


def test_a_chain_of_kalibr_has_the_first_camera_as_its_world(own_rig: "OwnRig", tmp_path: Path) -> None:
    rig = four_coefficients(own_rig)
    found = read_rig(write_kalibr(rig, tmp_path / "camchain.yaml"))
    first, origin = rig.rotations[0], rig.translations[0] / 1000
    for number, one in enumerate(found.cameras):
        camera = one.placed(OPENCV_READING, rig.size, 1.0)
        turned = rig.rotations[number] @ first.T
        np.testing.assert_allclose(camera.rotation, turned, atol=1e-9)
        np.testing.assert_allclose(
            camera.translation, rig.translations[number] / 1000 - turned @ origin, atol=1e-9
        )
        assert camera.distortion == expected_lens(rig)


def test_equidistant_lenses_of_kalibr_are_fisheyes(own_rig: "OwnRig", tmp_path: Path) -> None:
    path = write_kalibr(own_rig, tmp_path / "camchain.yaml", {"distortion_model": "equidistant"})
    assert read_rig(path).cameras[0].distortion == Distortion("fisheye", own_rig.lens[:4], ())


@pytest.mark.parametrize("layout", ["kalibr", "caliscope", "pose2sim"])
def test_views_of_one_person_test_them_and_find_the_unit(
    layout: str, own_rig: "OwnRig", tmp_path: Path
) -> None:
    names = {"kalibr": "cam{}", "caliscope": "cam_{}", "pose2sim": "view{}"}[layout]
    rig = replace(four_coefficients(own_rig), names=tuple(names.format(number) for number in range(4)))
    write = {"kalibr": write_kalibr, "caliscope": write_caliscope, "pose2sim": write_pose2sim}[layout]
    calibration = write(rig, tmp_path / ("c.yaml" if layout == "kalibr" else "c.toml"))
    clip = assemble(
        ClipRequest(
            keypoints=(KeypointSource(path=rig.write_mediapipe(tmp_path / "people.npz")),),
            cameras=(calibration,),
            fps=30.0,
        )
    )
    (trial,) = clip.trials
    assert trial.options["metres_per_unit"] == "1"
    assert trial.options["reading"] == str(OPENCV_READING)
    assert trial.quality["extrinsics_reprojection_median_px"] < 3
    assert trial.up == "unknown"
    centres = [-np.asarray(c.rotation).T @ np.asarray(c.translation) for c in trial.cameras]
    true = [-r.T @ t / 1000 for r, t in zip(rig.rotations, rig.translations, strict=True)]
    for number in (1, 2, 3):
        apart = np.linalg.norm(centres[number] - centres[0])
        np.testing.assert_allclose(apart, np.linalg.norm(true[number] - true[0]))


def test_a_chain_the_wrong_way_round_is_refused_by_its_views(own_rig: "OwnRig", tmp_path: Path) -> None:
    """T_cn_cnm1 inverted, a common mistake: every camera behind its back."""
    rig = replace(four_coefficients(own_rig), names=("cam0", "cam1", "cam2", "cam3"))
    path = write_kalibr(rig, tmp_path / "c.yaml")
    content = yaml.safe_load(path.read_text())
    for one in list(content.values())[1:]:
        one["T_cn_cnm1"] = np.linalg.inv(one["T_cn_cnm1"]).tolist()
    path.write_text(yaml.safe_dump(content))
    people = KeypointSource(path=rig.write_mediapipe(tmp_path / "people.npz"))
    with pytest.raises(RawDataError, match="no reading by which the views meet"):
        assemble(ClipRequest(keypoints=(people,), cameras=(path,), fps=30.0))


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (
            {"camera_model": "omni", "intrinsics": [0.8, 800, 800, 300, 200]},
            "the camera model 'omni' of cam0",
        ),
        ({"camera_model": "ds"}, "the camera model 'ds' of cam0"),
        ({"distortion_model": "fov"}, "the lens model 'fov' of cam0"),
        ({"intrinsics": [1, 2, 3]}, "other intrinsics or resolution of cam0"),
    ],
)
def test_models_of_kalibr_that_are_none_of_ours_are_refused_by_name(
    first: dict[str, object], message: str, own_rig: "OwnRig", tmp_path: Path
) -> None:
    with pytest.raises(RawDataError, match=message):
        read_rig(write_kalibr(own_rig, tmp_path / "c.yaml", first))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distortion_model": "thin_prism_fisheye"}, "the lens model 'thin_prism_fisheye'"),
        ({"binning_x": 2}, "a region of interest, or binning"),
        ({"roi": {"x_offset": 3}}, "a region of interest, or binning"),
        ({"k": [0.0] * 9}, "focal length"),
    ],
)
def test_ros_messages_of_other_cameras_are_refused(
    changes: dict[str, object], message: str, own_rig: "OwnRig", tmp_path: Path
) -> None:
    with pytest.raises(RawDataError, match=message):
        read_rig(write_ros_message(own_rig, tmp_path / "c.yaml", **changes))
