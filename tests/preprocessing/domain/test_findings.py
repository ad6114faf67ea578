"""What a look at a domain finds: one fault at a time, put into a clip that has none."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.preprocessing.domain.assemble import ClipRequest, KeypointSource, assemble
from poseshift.preprocessing.domain.examine import examine
from poseshift.preprocessing.domain.findings import Finding
from poseshift.preprocessing.domain.mending import mended
from poseshift.storage.schema import Trial

if TYPE_CHECKING:
    from tests.conftest import OwnRig


@pytest.fixture(scope="module")
def sound(own_rig: "OwnRig", tmp_path_factory: pytest.TempPathFactory) -> Trial:
    folder = tmp_path_factory.mktemp("sound")
    clip = assemble(
        ClipRequest(
            keypoints=(KeypointSource(path=own_rig.write_mediapipe(folder / "walk.npz")),),
            cameras=(own_rig.write_qualisys(folder / "rig.qca.txt"),),
            fps=60.0,
        )
    )
    return clip.trials[0]


def with_keypoints(trial: Trial, keypoints: np.ndarray) -> Trial:
    return replace(trial, detections={"detected": keypoints.astype(np.float32)})


def found(trial: Trial, check: str) -> list[Finding]:
    return [one for one in examine(trial, "detected") if one.check == check]


def test_a_sound_clip_has_a_note_on_its_views_alone(sound: Trial) -> None:
    (only,) = examine(sound, "detected")
    assert (only.level, only.check) == ("note", "views")


def test_frames_without_anybody(sound: Trial) -> None:
    keypoints = sound.detections["detected"].copy()
    keypoints[1, 10:14] = 0
    keypoints[1, 40, 3] = 0
    nobody, partly = found(with_keypoints(sound, keypoints), "unseen")
    assert (nobody.level, nobody.camera, nobody.count) == ("warning", "cam02", 4)
    assert "10-13" in nobody.text
    assert (partly.count, "right_ankle" in partly.text) == (1, True)
    keypoints[1, :40] = 0
    assert found(with_keypoints(sound, keypoints), "unseen")[0].level == "problem"


def test_identities_that_jump(sound: Trial) -> None:
    keypoints = sound.detections["detected"].copy()
    keypoints[2, 25:, :, 0] += 500
    (jump,) = found(with_keypoints(sound, keypoints), "jumps")
    assert (jump.level, jump.camera, jump.count) == ("problem", "cam03", 1)
    assert "frame 25" in jump.text


def test_sides_that_swap_are_mended_and_the_mending_is_kept(sound: Trial) -> None:
    index = HUMAN36M_17.joint_names.index
    left, right = (
        [index(f"{side}_{joint}") for joint in ("hip", "knee", "ankle")] for side in ("left", "right")
    )
    keypoints = sound.detections["detected"].copy()
    apart = np.linalg.norm(keypoints[:, :, 3, :2] - keypoints[:, :, 6, :2], axis=-1).min(axis=1)
    camera = int(apart.argmax())
    keypoints[camera, 20:30, left], keypoints[camera, 20:30, right] = (
        keypoints[camera, 20:30, right].copy(),
        keypoints[camera, 20:30, left].copy(),
    )
    trial = with_keypoints(sound, keypoints)
    (swap,) = found(trial, "swapped sides")
    name = sound.cameras[camera].name
    assert (swap.level, swap.camera, swap.count) == ("problem", name, 10)
    after = mended(trial, "detected")
    np.testing.assert_array_equal(after.detections["detected"], sound.detections["detected"])
    assert after.options[f"mended_swaps.{name}"] == "legs:20-29"
    assert found(after, "swapped sides") == []
    assert mended(after, "detected") is after


def test_joints_outside_the_image(sound: Trial) -> None:
    keypoints = sound.detections["detected"].copy()
    keypoints[0, :, 16, 0] = -30
    (outside,) = found(with_keypoints(sound, keypoints), "outside")
    assert (outside.level, outside.camera, outside.count) == ("warning", "cam01", 60)


def test_keypoints_of_another_resolution(sound: Trial) -> None:
    small = replace(
        sound,
        cameras=tuple(replace(one, size_px=(540, 960)) for one in sound.cameras),
        detections={"detected": sound.detections["detected"] * np.float32([0.5, 0.5, 1])},
    )
    assert [one.level for one in found(small, "resolution")] == ["problem"] * 4
    assert "calibrated for images of 1080x1920, keypoints of 540x960" in found(small, "resolution")[0].text
    assert [one.level for one in found(small, "principal point")] == ["problem"] * 4
    assert [one.level for one in found(small, "views")] == ["problem"]
    padded = replace(sound, cameras=(replace(sound.cameras[0], size_px=(1088, 1920)), *sound.cameras[1:]))
    assert [one.level for one in found(padded, "resolution")] == ["warning"]
    assert [one.level for one in found(padded, "image sizes")] == ["note"]


def test_a_camera_that_was_moved_after_calibration(sound: Trial) -> None:
    x, y, z = sound.cameras[3].translation
    moved = replace(
        sound, cameras=(*sound.cameras[:3], replace(sound.cameras[3], translation=(x + 0.05, y, z)))
    )
    views = found(moved, "views")
    assert [(one.level, one.camera) for one in views] == [("note", None), ("warning", "cam04")]


def test_assumed_intrinsics_and_an_unknown_up_are_told(own_rig: "OwnRig", tmp_path: Path) -> None:
    source = KeypointSource(path=own_rig.write_mediapipe(tmp_path / "walk.npz"))
    (trial,) = assemble(ClipRequest(keypoints=(source,), fps=60.0)).trials
    levels = {one.check: one.level for one in examine(trial, "detected")}
    assert levels == {"intrinsics": "warning", "up": "note"}


def test_a_view_whose_left_is_the_others_right(sound: Trial) -> None:
    keypoints = sound.detections["detected"].copy()
    keypoints[2] = keypoints[2][:, HUMAN36M_17.mirrored]
    (mirrored,) = found(with_keypoints(sound, keypoints), "mirrored view")
    assert (mirrored.level, mirrored.camera) == ("problem", "cam03")
    assert found(with_keypoints(sound, keypoints), "swapped sides") == []  # which its own motion cannot show
