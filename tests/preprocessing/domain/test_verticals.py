"""Where up is, as stated: against projected horizons, plain rotations and a rig of known rotations."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from poseshift.geometry.camera import Camera, Distortion, stand_apart
from poseshift.geometry.lens import px_of_points
from poseshift.preprocessing.domain.assemble import CameraVertical, ClipRequest, KeypointSource, assemble
from poseshift.preprocessing.domain.verticals import StatedVertical, angle_degrees, stand, upright
from poseshift.preprocessing.errors import RawDataError

if TYPE_CHECKING:
    from tests.conftest import OwnRig

LENS = Distortion(model="opencv", radial=(-0.12, 0.05, 0.0), tangential=(0.001, -0.002))
CAMERA = Camera("c", (1920, 1080), (1400.0, 1420.0), (950.0, 530.0), LENS)


@given(pitch=st.floats(-60, 60), roll=st.floats(-80, 80))
def test_attitudes_are_turns_of_a_level_camera(pitch: float, roll: float) -> None:
    """Looking down is a turn about x; the scene's up leans right when the camera is turned left about z."""
    looking_down = Rotation.from_euler("x", pitch, degrees=True).apply([0.0, -1.0, 0.0])
    expected = Rotation.from_euler("z", roll, degrees=True).apply(looking_down)
    found = StatedVertical.parse(f"attitude:{pitch},{roll}").direction(CAMERA)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(("pitch", "roll"), [(0.0, 0.0), (12.0, 3.0), (-8.0, -6.0), (15.0, 14.0)])
def test_a_horizon_in_the_image_gives_up(pitch: float, roll: float) -> None:
    """Two points of the level plane through the camera, infinitely far, as the lens shows them."""
    up = StatedVertical.parse(f"attitude:{pitch},{roll}").direction(CAMERA)
    level = upright(CAMERA, up)
    to_camera = np.asarray(level.rotation)
    ahead = np.array([[-0.25, 1.0, 0.0], [0.25, 1.0, 0.0]]) @ to_camera.T
    (x1, y1), (x2, y2) = px_of_points(ahead, CAMERA)
    stated = StatedVertical.parse(f"horizon:{x1},{y1},{x2},{y2}")
    assert angle_degrees(stated.direction(CAMERA), up) < 0.01
    assert 0.1 < stated.interval(CAMERA) < 2.0
    again = StatedVertical.parse(f"horizon:{x2},{y2},{x1},{y1}")
    assert angle_degrees(again.direction(CAMERA), up) < 0.01


def test_up_and_down_are_opposite_and_need_no_length() -> None:
    up = StatedVertical.parse("up:0.3,-9.7,-1.1~1.5")
    down = StatedVertical.parse("down:-0.03,0.97,0.11")
    np.testing.assert_allclose(up.direction(CAMERA), down.direction(CAMERA), atol=1e-12)
    assert up.interval(CAMERA) == 1.5
    np.testing.assert_allclose(upright(CAMERA, up.direction(CAMERA)).up, up.direction(CAMERA), atol=1e-12)


@pytest.mark.parametrize(
    "text",
    ["level", "attitude:3", "up:1,2", "up:a,b,c", "horizon:1,2,3,nan", "attitude:3,4~0", "up:0,-1,0~x"],
)
def test_what_is_no_statement_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(ValueError, match="give attitude:PITCH,ROLL"):
        StatedVertical.parse(text)


def test_two_points_in_one_place_are_no_horizon() -> None:
    with pytest.raises(ValueError, match=r"camera c: horizon .* is no direction"):
        StatedVertical.parse("horizon:5,5,5,5").direction(CAMERA)


def statement(camera: str | None, up: np.ndarray, interval: float = 2.0) -> CameraVertical:
    numbers = tuple(float(one) for one in up)
    return CameraVertical(
        camera=camera, vertical=StatedVertical(kind="up", numbers=numbers, interval_degrees=interval)
    )


def request(rig: "OwnRig", folder: Path, *up: CameraVertical, **settings: object) -> ClipRequest:
    keypoints = (KeypointSource(path=rig.write_mediapipe(folder / "walk.npz")),)
    return ClipRequest.model_validate({"keypoints": keypoints, "fps": 60.0, "up": up, **settings})


def test_what_is_stated_of_one_camera_stands_a_whole_rig_upright(own_rig: "OwnRig", tmp_path: Path) -> None:
    file = own_rig.write_qualisys(tmp_path / "rig.qca.txt")
    rig = {"cameras": (file,), "world_up": "unknown"}
    truth = own_rig.rotations[1][:, 2]
    (trial,) = assemble(request(own_rig, tmp_path, statement("cam02", truth), **rig)).trials
    assert trial.up == "z"
    for number, camera in enumerate(trial.cameras):
        np.testing.assert_allclose(camera.up, own_rig.rotations[number][:, 2], atol=1e-6)
        np.testing.assert_allclose(camera.translation, own_rig.translations[number] / 1000, atol=1e-9)
        relative = np.asarray(camera.rotation) @ np.asarray(trial.cameras[0].rotation).T
        np.testing.assert_allclose(relative, own_rig.rotations[number] @ own_rig.rotations[0].T, atol=1e-6)
    assert {name: one.kind for name, one in trial.verticals.items()} == {
        camera.name: "up" if camera.name == "cam02" else "rig" for camera in trial.cameras
    }


def test_statements_that_contradict_a_rig_are_refused(own_rig: "OwnRig", tmp_path: Path) -> None:
    cameras = {
        name: Camera(
            name, (10, 10), (1.0, 1.0), (0.0, 0.0), rotation=tuple(map(tuple, own_rig.rotations[number]))
        )
        for number, name in enumerate(own_rig.names)
    }
    first, second = own_rig.names[:2]
    right, wrong = own_rig.rotations[0][:, 2], -own_rig.rotations[1][:, 1]
    stated = {first: statement(None, right).vertical, second: statement(None, wrong).vertical}
    with pytest.raises(ValueError, match="degrees from what is stated of all cameras"):
        stand(cameras, stated, rig=True)
    file = own_rig.write_qualisys(tmp_path / "rig.qca.txt")
    with pytest.raises(RawDataError, match="a calibration whose world says where up is"):
        assemble(request(own_rig, tmp_path, statement(None, right), cameras=(file,)))
    with pytest.raises(RawDataError, match="up stated of cam99"):
        assemble(request(own_rig, tmp_path, statement("cam99", right)))


def test_cameras_without_extrinsics_stand_each_in_a_world_of_its_own(
    own_rig: "OwnRig", tmp_path: Path
) -> None:
    up = StatedVertical.parse("attitude:10,2")
    (trial,) = assemble(request(own_rig, tmp_path, CameraVertical(vertical=up, camera="cam01"))).trials
    first, *others = trial.cameras
    np.testing.assert_allclose(first.up, up.direction(first), atol=1e-12)
    assert all(camera.up is None for camera in others)
    assert set(trial.verticals) == {"cam01"}
    assert not stand_apart(trial.cameras), "nothing is known of where they stand"
