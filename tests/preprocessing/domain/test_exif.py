"""Fields of view by EXIF data that Pillow writes, against arithmetic on the film's size."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import ExifTags, Image

from poseshift.preprocessing.domain.assemble import ClipRequest, KeypointSource, assemble
from poseshift.preprocessing.domain.exif import fov_degrees
from poseshift.preprocessing.domain.stated import StatedIntrinsics
from poseshift.preprocessing.errors import RawDataError

if TYPE_CHECKING:
    from tests.conftest import OwnRig


def picture(path: Path, size: tuple[int, int], **said: float) -> Path:
    exif = Image.Exif()
    for name, value in said.items():
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base[name]] = value
    Image.new("RGB", size).save(path, exif=exif)
    return path


def test_35_mm_of_a_frame_of_film(tmp_path: Path) -> None:
    """A 3:2 picture has the film's own sides: 36 mm at 28 mm are 65.5 degrees."""
    found = fov_degrees(picture(tmp_path / "a.jpg", (300, 200), FocalLengthIn35mmFilm=28))
    assert found == pytest.approx(math.degrees(2 * math.atan(18 / 28)))


def test_portrait_pictures_of_4_to_3(tmp_path: Path) -> None:
    """The film's diagonal, 43.27 mm, of which 4/5 are the longer side."""
    found = fov_degrees(picture(tmp_path / "a.jpg", (300, 400), FocalLengthIn35mmFilm=26))
    assert found == pytest.approx(math.degrees(2 * math.atan(0.8 * math.hypot(24, 36) / 2 / 26)))


@pytest.mark.parametrize(("unit", "per_unit"), [(3, 400.0), (2, 1016.0)])
def test_focal_length_on_a_focal_plane(unit: int, per_unit: float, tmp_path: Path) -> None:
    """300 px at 400 px/cm are 7.5 mm; with 5 mm of focal length 73.7 degrees."""
    path = picture(
        tmp_path / "a.jpg",
        (300, 200),
        FocalLength=5.0,
        FocalPlaneXResolution=per_unit,
        FocalPlaneResolutionUnit=unit,
    )
    assert fov_degrees(path) == pytest.approx(73.74, abs=0.01)


def test_pictures_that_do_not_say_it_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match="found no focal length"):
        fov_degrees(picture(tmp_path / "a.jpg", (300, 200), FocalLength=5.0))
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(RawDataError, match="no picture that can be read"):
        fov_degrees(tmp_path / "b.jpg")


def test_a_clip_takes_its_field_of_view_and_says_so(own_rig: "OwnRig", tmp_path: Path) -> None:
    people = KeypointSource(path=own_rig.write_mediapipe(tmp_path / "people.npz"))
    path = picture(tmp_path / "a.jpg", (300, 200), FocalLengthIn35mmFilm=28)
    clip = assemble(ClipRequest(keypoints=(people,), fps=30.0, exif=path))
    (trial,) = clip.trials
    assert trial.intrinsics == "stated"
    longer = max(own_rig.size)
    assert trial.cameras[0].focal_px[0] == pytest.approx(longer * 28 / 36)
    assert any("by the EXIF data of a.jpg: 65.5 degrees" in sentence for sentence in clip.told)
    assert "a.jpg" in {source.path for source in trial.sources}
    with pytest.raises(ValueError, match="two answers to one question"):
        assemble(
            ClipRequest(keypoints=(people,), fps=30.0, exif=path, stated=StatedIntrinsics(fov_degrees=60.0))
        )


def test_keypoints_are_shifted_where_they_were_seen(own_rig: "OwnRig", tmp_path: Path) -> None:
    people = KeypointSource(path=own_rig.write_mediapipe(tmp_path / "people.npz"))
    content = dict(np.load(people.path))
    content[own_rig.names[0]][3, 25] = 0  # the left knee
    np.savez(people.path, **content)
    plain, shifted = (
        assemble(ClipRequest(keypoints=(people,), fps=30.0, keypoint_shift_px=shift)).trials[0]
        for shift in ((0.0, 0.0), (-0.5, 2.0))
    )
    before, after = plain.detections["detected"], shifted.detections["detected"]
    seen = before[..., 2] > 0
    assert not seen.all()
    np.testing.assert_allclose((after - before)[seen], np.tile([-0.5, 2, 0], (seen.sum(), 1)), atol=1e-3)
    assert not after[~seen].any()
    assert shifted.options["keypoint_shift_px"] == "-0.5,2"
