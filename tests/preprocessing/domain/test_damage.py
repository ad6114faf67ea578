"""Damaged files from outside: refused as raw data, by name, whatever has happened to their bytes."""

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from poseshift.preprocessing.domain.calibrations.registry import read_rig
from poseshift.preprocessing.domain.keypoints.registry import recognise
from poseshift.preprocessing.errors import RawDataError

if TYPE_CHECKING:
    from tests.conftest import OwnRig

MUTATIONS = 150

OPENCV = """%YAML:1.0
---
image_width: 640
image_height: 480
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 600., 0., 320., 0., 600., 240., 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: [ 0.1, -0.2, 0., 0., 0.05 ]
rvec: [ 0.1, 0.2, 0.3 ]
tvec: [ 1., 2., 3. ]
"""
ANIPOSE = """[cam_0]
name = "a"
size = [ 640, 480,]
matrix = [ [ 600.0, 0.0, 320.0,], [ 0.0, 600.0, 240.0,], [ 0.0, 0.0, 1.0,],]
distortions = [ 0.1, 0.0, 0.0, 0.0, 0.0,]
rotation = [ 0.1, 0.2, 0.3,]
translation = [ 1.0, 2.0, 3.0,]
"""
ROS = """image_width: 640
image_height: 480
camera_name: head
camera_matrix:
  rows: 3
  cols: 3
  data: [600.0, 0.0, 320.0, 0.0, 600.0, 240.0, 0.0, 0.0, 1.0]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [0.1, -0.2, 0.0, 0.0, 0.05]
projection_matrix:
  data: [600.0, 0.0, 320.0, 0.0, 0.0, 600.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0]
"""
KALIBR = """cam0:
  camera_model: pinhole
  intrinsics: [461.6, 460.1, 362.6, 246.0]
  distortion_model: radtan
  distortion_coeffs: [-0.27, 0.06, 0.0008, 0.0001]
  resolution: [752, 480]
cam1:
  camera_model: pinhole
  intrinsics: [461.6, 460.1, 362.6, 246.0]
  distortion_model: equidistant
  distortion_coeffs: [-0.01, 0.05, -0.04, 0.01]
  T_cn_cnm1:
  - [1.0, 0.0, 0.0, -0.11]
  - [0.0, 1.0, 0.0, 0.0]
  - [0.0, 0.0, 1.0, 0.0]
  - [0.0, 0.0, 0.0, 1.0]
  resolution: [752, 480]
"""
CALISCOPE = """[cameras.0]
cam_id = 0
size = [1280, 720]
matrix = [[894.5, 0.0, 624.0], [0.0, 896.8, 361.2], [0.0, 0.0, 1.0]]
distortions = [-0.33, 0.09, -0.001, 0.003, -0.003]
translation = [-0.64, 0.26, 1.45]
rotation = [0.1, 0.2, 0.3]
"""
COCO = json.dumps([{"image_id": "1.jpg", "keypoints": [1.5] * 51, "score": 0.5, "track_id": 1}] * 1)
MMPOSE = json.dumps(
    [{"frame_id": 1, "instances": [{"keypoints": [[1, 2]] * 17, "keypoint_scores": [1] * 17}]}]
)


def mutated(text: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(text)
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(len(data)))
        how = rng.integers(4)
        if how == 0:
            data[at] = int(rng.integers(256))
        elif how == 1:
            del data[at : at + int(rng.integers(1, 12))]
        elif how == 2:
            data[at:at] = data[: int(rng.integers(1, 12))]
        else:
            data[at] = b'[]{}",:-0e.\n'[int(rng.integers(12))]
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yml", OPENCV),
        ("a.toml", ANIPOSE),
        ("a.qca.txt", None),
        ("r.yaml", ROS),
        ("k.yaml", KALIBR),
        ("c.toml", CALISCOPE),
        ("a.json", COCO),
        ("b.json", MMPOSE),
    ],
)
def test_damage_is_raw_data_and_nothing_else(
    name: str, text: str | None, own_rig: "OwnRig", tmp_path: Path
) -> None:
    path = tmp_path / name
    whole = own_rig.write_qualisys(path).read_bytes() if text is None else text.encode()
    rng = np.random.default_rng(17)
    named = read = 0
    for _ in range(MUTATIONS):
        path.write_bytes(mutated(whole, rng))
        try:
            if path.suffix == ".json":
                recognise(path).read(path, "tracked")
            else:
                read_rig(path)
        except RawDataError as error:
            named += error.path == path
        else:
            named += 1
            read += 1
    assert named == MUTATIONS
    assert 0 < read < MUTATIONS


@pytest.mark.parametrize("name", ["dlc_multi.csv", "sleap.analysis.csv", "dlc_multi_fixed.h5", "movement.nc"])
def test_damage_of_tables_is_raw_data_and_nothing_else(name: str, tmp_path: Path) -> None:
    stored = Path(__file__).parent / "files" / name
    whole = stored.read_bytes() if stored.is_file() else gzip.decompress(Path(f"{stored}.gz").read_bytes())
    path = tmp_path / name
    rng = np.random.default_rng(18)
    named = 0
    for _ in range(MUTATIONS):
        path.write_bytes(mutated(whole, rng))
        try:
            recognise(path).read(path, "tracked")
        except RawDataError as error:
            named += error.path == path
    assert named > 0
