from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.human36m.calibration import builtin_w0
from poseshift.preprocessing.human36m.metadata import MAX_BYTES, builtin_metadata, read_metadata
from poseshift.preprocessing.human36m.write import write_metadata


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    read = read_metadata(write_metadata(tmp_path, {("S9", "WalkDog"): 1234}))
    built_in = builtin_metadata()
    assert read.calibration.cameras == built_in.calibration.cameras
    changed = [
        (s.subject, s.stem, s.rows) for s in read.sequences if s != built_in.sequences.find(s.subject, s.stem)
    ]
    assert changed == [("S9", "WalkDog", 1234)]
    assert len(read.sequences) == len(built_in.sequences) == 352
    assert read.sequences.actions == built_in.sequences.actions


def test_the_file_has_the_toolkits_shape(tmp_path: Path) -> None:
    text = write_metadata(tmp_path, {}).read_text(encoding="utf-8")
    mapping = re.findall("<tr>.*?</tr>", text.split("<mapping>")[1].split("</mapping>")[0])
    frames = re.findall("<tr>.*?</tr>", text.split("<frames>")[1].split("</frames>")[0])
    assert len(mapping) == 35
    assert {row.count("<td>") for row in mapping} == {13}
    assert len(frames) == 11
    assert {row.count("<td>") for row in frames} == {33}
    assert "[1002 1000;1000 1000;1000 1000;1002 1000]" in mapping[34]
    numbers = text.split("<w0>[")[1].split("]</w0>")[0].split(" ")
    np.testing.assert_array_equal(np.array(numbers, float), builtin_w0())


def test_sequences_of_the_release_only(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'Photo' of S1"):
        write_metadata(tmp_path, {("S1", "Photo"): 10})


def test_another_calibration_is_taken_from_the_file(tmp_path: Path) -> None:
    path = write_metadata(tmp_path, {})
    text = path.read_text(encoding="utf-8").replace("1145.04940458804", "1200.5")
    path.write_text(text.replace("[1002 1000;1000 1000;", "[902 800;1000 1000;"), encoding="utf-8")
    camera = read_metadata(path).calibration.camera("S1", "54138969")
    assert camera.focal_px[0] == 1200.5
    assert camera.size_px == (800, 902)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("<metadata>", "<metadata", "no XML"),
        ('encoding="utf-8"', 'encoding="utf-x"', "no XML"),
        ("</metadata>", "", "no XML"),
        ("<w0>[-1.38", "<w0>[nan -1.38", "w0|nan"),
        ("<w0>[", "<w0>[1.0 ", "301 numbers"),
        ("<w0>[", "<w0>[x ", "'.x"),
        ("w0>", "w1>", "no element w0"),
        ("<td>54138969</td>\n", "", "camera ids"),
        ("[1002 1000;", "[1002;", "no row of resolutions"),
        ("<td>S4</td>", "<td>Q4</td>", "columns"),
        ("<frames>", "<frames><tr><td></td></tr>", "frames of 12 rows"),
        ("[1384 1387 1387 1384 5535]", "[1384 5535]", r"frame counts .* S1 'Directions 1'"),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, old: str, new: str, found: str) -> None:
    path = write_metadata(tmp_path, {})
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(RawDataError, match=found):
        read_metadata(path)


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE m [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>',
        '<!DOCTYPE m [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE m [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>',
    ],
)
def test_entities_are_refused(tmp_path: Path, declaration: str) -> None:
    path = write_metadata(tmp_path, {})
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("<metadata>", declaration + "<metadata>"), encoding="utf-8")
    with pytest.raises(RawDataError, match="entity 'a'"):
        read_metadata(path)


def test_absurd_sizes_and_missing_files(tmp_path: Path) -> None:
    path = tmp_path / "metadata.xml"
    with pytest.raises(RawDataError, match="no readable file"):
        read_metadata(path)
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(RawDataError, match="at most"):
        read_metadata(path)
