"""Caliscope's ``camera_array.toml``: a table ``cameras.<number>`` per camera.

A camera is called ``cam_<number>``. Rotation is axis times angle, or a matrix in older files, and
translation, both world to camera; either may be missing, which is written as the text ``null``. Unit and
axes of the world are those of whoever calibrated. Cameras that were not calibrated are left out.
``rotation_count`` turns pictures on the screen alone.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from poseshift.geometry.rotation import axis_angle_to_matrix
from poseshift.preprocessing.domain.rig import (
    OPENCV_READING,
    CalibrationFormat,
    Rig,
    RigCamera,
    fisheye_distortion,
    opencv_distortion,
    refuse_moving,
)
from poseshift.preprocessing.errors import RawDataError

Three = tuple[float, float, float]


def _or_none(value: Any) -> Any:
    return None if value == "null" else value


class _Camera(BaseModel):
    model_config = ConfigDict(extra="ignore")

    size: tuple[float, float]
    matrix: Annotated[tuple[Three, Three, Three] | None, BeforeValidator(_or_none)] = None
    distortions: Annotated[list[float] | None, BeforeValidator(_or_none)] = None
    rotation: Annotated[Three | tuple[Three, Three, Three] | None, BeforeValidator(_or_none)] = None
    translation: Annotated[Three | None, BeforeValidator(_or_none)] = None
    fisheye: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    cameras: dict[str, _Camera] = Field(min_length=1)


def recognises(path: Path) -> bool:
    """Whether it is a TOML file with a table of cameras."""
    if path.suffix != ".toml":
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    return re.search(r"^\s*\[cameras\b", text, re.MULTILINE) is not None


def read(path: Path) -> Rig:
    """Read all calibrated cameras of the file."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _error(path, f"another layout ({str(error).splitlines()[0]})") from error
    found = tables.get("cameras")
    for number, table in found.items() if isinstance(found, dict) else ():
        if isinstance(table, dict):
            refuse_moving(path, f"cam_{number}", table.get("translation"))
    try:
        content = _File.model_validate(tables)
    except ValidationError as error:
        raise _error(path, f"another layout ({str(error).splitlines()[0]})") from error
    cameras = tuple(
        _rig_camera(path, f"cam_{number}", one)
        for number, one in content.cameras.items()
        if one.matrix is not None
    )
    if not cameras:
        raise _error(path, "no camera with a matrix")
    return Rig((path,), cameras, (OPENCV_READING,), metres_per_unit=None, world_up="unknown")


def _rig_camera(path: Path, name: str, one: _Camera) -> RigCamera:
    if one.matrix is None:
        raise _error(path, f"no matrix of {name}")
    (fx, _, cx), (_, fy, cy), _ = one.matrix
    placed = one.rotation is not None and one.translation is not None
    turn = np.array(one.rotation if placed else np.zeros(3), dtype=np.float64)
    lens = fisheye_distortion if one.fisheye else opencv_distortion
    return RigCamera(
        name=name,
        size_px=(round(one.size[0]), round(one.size[1])),
        focal_px=(fx, fy),
        centre_px=(cx, cy),
        distortion=lens(path, one.distortions or ([0.0] * 4)),
        matrix=(np.asarray(axis_angle_to_matrix(turn)) if turn.shape == (3,) else turn) if placed else None,
        vector=np.array(one.translation, dtype=np.float64) if placed else None,
    )


def _error(path: Path, found: str) -> RawDataError:
    return RawDataError(
        path,
        found=found,
        expected="tables cameras.<number> with size, matrix, distortions, rotation and translation",
        remedy="Write it with Caliscope.",
    )


CALISCOPE = CalibrationFormat("caliscope", "Caliscope's camera_array TOML", recognises, read)
