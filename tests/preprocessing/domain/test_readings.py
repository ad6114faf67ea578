"""Which reading of a calibration is right, found by the views of a person and not by trust."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from poseshift.preprocessing.domain.assemble import ClipRequest, KeypointSource, assemble
from poseshift.preprocessing.errors import RawDataError

if TYPE_CHECKING:
    from tests.conftest import OwnRig


def request(rig: "OwnRig", folder: Path, calibration: Path, **settings: object) -> ClipRequest:
    return ClipRequest.model_validate(
        {
            "keypoints": (KeypointSource(path=rig.write_mediapipe(folder / "walk.npz")),),
            "cameras": (calibration,),
            "fps": 60.0,
            **settings,
        }
    )


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("centre", [False, True])
def test_every_way_of_writing_extrinsics_is_read_right(
    transposed: bool, backwards: bool, centre: bool, own_rig: "OwnRig", tmp_path: Path
) -> None:
    file = own_rig.write_qualisys(
        tmp_path / "rig.qca.txt", transposed=transposed, backwards=backwards, centre=centre
    )
    clip = assemble(request(own_rig, tmp_path, file))
    (trial,) = clip.trials
    for number, camera in enumerate(trial.cameras):
        np.testing.assert_allclose(camera.rotation, own_rig.rotations[number], atol=1e-9)
        np.testing.assert_allclose(camera.translation, own_rig.translations[number] / 1000, atol=1e-9)
    assert 0.5 < trial.quality["extrinsics_reprojection_median_px"] < 3.0  # the detector's noise is 1 px
    assert any("the next of 8 readings" in sentence for sentence in clip.told)
    assert trial.up == "z"
    assert trial.positions_world is None
    assert trial.positions_kind is None


def test_a_calibration_of_other_cameras_is_refused_with_every_error(
    own_rig: "OwnRig", tmp_path: Path
) -> None:
    file = own_rig.write_qualisys(tmp_path / "rig.qca.txt")
    text = file.read_text()
    for old, new in (("cam01", "camXX"), ("cam03", "cam01"), ("camXX", "cam03")):
        text = text.replace(f'serial="{old}"', f'serial="{new}"')
    file.write_text(text)
    with pytest.raises(RawDataError, match=r"no reading by which the views meet .*rows,-z,centre") as error:
        assemble(request(own_rig, tmp_path, file))
    assert "Check that calibration, images and keypoints are of the same cameras" in error.value.remedy


def test_without_a_second_view_nothing_is_guessed(own_rig: "OwnRig", tmp_path: Path) -> None:
    file = own_rig.write_qualisys(tmp_path / "rig.qca.txt")
    one = tmp_path / "one.npz"
    content = np.load(own_rig.write_mediapipe(tmp_path / "all.npz"))
    np.savez(one, cam02=content["cam02"], cam02_size=content["cam02_size"])
    alone = {"keypoints": (KeypointSource(path=one),)}
    with pytest.raises(RawDataError, match="no person seen by two cameras at once"):
        assemble(request(own_rig, tmp_path, file, **alone))
    clip = assemble(request(own_rig, tmp_path, file, reading="rows,-z,centre", **alone))
    np.testing.assert_allclose(clip.trials[0].cameras[0].rotation, own_rig.rotations[1], atol=1e-9)
    assert any("not tested" in sentence for sentence in clip.told)


@pytest.mark.parametrize(("unit", "metres"), [(1.0, 0.001), (0.1, 0.01), (0.001, 1.0)])
def test_units_are_found_by_the_length_of_legs(
    unit: float, metres: float, own_rig: "OwnRig", tmp_path: Path
) -> None:
    """aniposelib's files do not say whether a board was measured in metres or millimetres."""
    text = ""
    for number, name in enumerate(own_rig.names):
        from scipy.spatial.transform import Rotation

        turn = Rotation.from_matrix(own_rig.rotations[number]).as_rotvec().tolist()
        k = [
            [own_rig.focal, 0.0, own_rig.centre[0]],
            [0.0, own_rig.focal, own_rig.centre[1]],
            [0.0, 0.0, 1.0],
        ]
        text += (
            f'[cam_{number}]\nname = "{name}"\nsize = {list(own_rig.size)}\nmatrix = {k}\n'
            f"distortions = {list(own_rig.lens)}\nrotation = {turn}\n"
            f"translation = {(unit * own_rig.translations[number]).tolist()}\n"
        )
    file = tmp_path / "rig.toml"
    file.write_text(text)
    clip = assemble(request(own_rig, tmp_path, file))
    (trial,) = clip.trials
    assert trial.options["metres_per_unit"] == f"{metres:g}"
    np.testing.assert_allclose(trial.cameras[0].translation, own_rig.translations[0] / 1000, atol=1e-9)
    assert trial.up == "unknown"
    turned = assemble(request(own_rig, tmp_path, file, world_up="-y")).trials[0]
    up = np.array(turned.cameras[0].up)
    np.testing.assert_allclose(up, -own_rig.rotations[0][:, 1], atol=1e-9)  # the file's -y, before the camera
    assert turned.up == "z"


def test_a_file_that_is_not_what_its_format_says_is_refused_with_what_it_may_mean(
    own_rig: "OwnRig", tmp_path: Path
) -> None:
    """Camera-to-world poses in OpenCV's layout, a common mistake: nothing is guessed, a way out is named."""
    text = "%YAML:1.0\n---\nnames:\n" + "".join(f'  - "{name}"\n' for name in own_rig.names)
    for number, name in enumerate(own_rig.names):
        k = [own_rig.focal, 0.0, own_rig.centre[0], 0.0, own_rig.focal, own_rig.centre[1], 0.0, 0.0, 1.0]
        turned, place = (
            own_rig.rotations[number].T,
            -own_rig.rotations[number].T @ own_rig.translations[number],
        )
        for key, values in (("K", k), ("dist", own_rig.lens), ("Rot", turned.ravel()), ("T", place)):
            text += f"{key}_{name}:\n  data: {[float(one) for one in values]}\n"
    file = tmp_path / "rig.yml"
    file.write_text(text)
    with pytest.raises(RawDataError, match="no reading by which the views meet") as error:
        assemble(request(own_rig, tmp_path, file))
    assert "say --reading columns,+z,centre" in error.value.remedy
    trial = assemble(request(own_rig, tmp_path, file, reading="columns,+z,centre")).trials[0]
    np.testing.assert_allclose(trial.cameras[2].rotation, own_rig.rotations[2], atol=1e-9)
