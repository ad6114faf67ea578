"""Kalibr's ``camchain.yaml``: pinhole cameras with radial-tangential or equidistant lenses, in a chain.

``T_cn_cnm1`` (4, 4) turns points of the camera before into those of this one, in metres; the first camera is
the world. Where the IMU is and where it is in time is not read. Models of omnidirectional cameras are refused
by name: they have no focal length that a lifter could be told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Distortion
from poseshift.preprocessing.domain.calibrations.plain_yaml import numbers, read_yaml, yaml_text
from poseshift.preprocessing.domain.rig import (
    OPENCV_READING,
    CalibrationFormat,
    Rig,
    RigCamera,
    fisheye_distortion,
    opencv_distortion,
)
from poseshift.preprocessing.errors import RawDataError

_REMEDY = "Calibrate with kalibr_calibrate_cameras --models pinhole-radtan or pinhole-equi."


def recognises(path: Path) -> bool:
    """Whether it is YAML with models and intrinsics of cameras that are numbered."""
    text = yaml_text(path)
    return all(re.search(rf"^\s+{word}:", text, re.MULTILINE) for word in ("camera_model", "intrinsics"))


def read(path: Path) -> Rig:
    """Read all cameras of the chain."""
    content = read_yaml(path, _REMEDY)
    chain = {
        int(name[3:]): one
        for name, one in content.items()
        if re.fullmatch(r"cam\d{1,4}", str(name)) and isinstance(one, dict)
    }
    if sorted(chain) != list(range(len(chain))) or not chain:
        raise _error(path, f"cameras {', '.join(map(str, content))}", "cam0, cam1, ... in a chain")
    pose = np.eye(4)
    cameras = []
    for number in sorted(chain):
        if number > 0:
            pose = _step(path, number, chain[number]) @ pose
        cameras.append(_camera(path, f"cam{number}", chain[number], pose if len(chain) > 1 else None))
    return Rig((path,), tuple(cameras), (OPENCV_READING,), metres_per_unit=1.0, world_up="unknown")


def _step(path: Path, number: int, one: Mapping[str, Any]) -> NDArray[np.float64]:
    step = numbers(path, "T_cn_cnm1", one.get("T_cn_cnm1"), _REMEDY)
    if step.shape != (4, 4):
        raise _error(path, f"no T_cn_cnm1 of cam{number}", "a matrix of 4x4, from the camera before")
    return step


def _camera(path: Path, name: str, one: Mapping[str, Any], pose: NDArray[np.float64] | None) -> RigCamera:
    if one.get("camera_model") != "pinhole":
        raise _error(path, f"the camera model {one.get('camera_model')!r} of {name}", "pinhole")
    intrinsics = numbers(path, "intrinsics", one.get("intrinsics"), _REMEDY)
    size = numbers(path, "resolution", one.get("resolution"), _REMEDY)
    if intrinsics.shape != (4,) or size.shape != (2,) or not np.isfinite(size).all():
        raise _error(path, f"other intrinsics or resolution of {name}", "fu fv pu pv, and width and height")
    fx, fy, cx, cy = (float(value) for value in intrinsics)
    return RigCamera(
        name=name,
        size_px=(round(float(size[0])), round(float(size[1]))),
        focal_px=(fx, fy),
        centre_px=(cx, cy),
        distortion=_lens(path, name, one),
        matrix=None if pose is None else pose[:3, :3],
        vector=None if pose is None else pose[:3, 3],
    )


def _lens(path: Path, name: str, one: Mapping[str, Any]) -> Distortion:
    model = one.get("distortion_model")
    coefficients = numbers(path, "lens", one.get("distortion_coeffs", []), _REMEDY).reshape(-1).tolist()
    if model == "none":
        return Distortion()
    if model == "radtan":
        return opencv_distortion(path, coefficients)
    if model == "equidistant":
        return fisheye_distortion(path, coefficients)
    raise _error(path, f"the lens model {model!r} of {name}", "radtan, equidistant or none")


def _error(path: Path, found: str, expected: str) -> RawDataError:
    return RawDataError(path, found=found, expected=expected, remedy=_REMEDY)


KALIBR = CalibrationFormat("kalibr", "Kalibr's camchain YAML of pinhole cameras", recognises, read)
