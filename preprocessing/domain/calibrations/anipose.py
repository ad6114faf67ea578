"""aniposelib's TOML (also of Anipose, freemocap and Pose2Sim): a table ``cam_<n>`` per camera.

Each has ``name``, ``size``, ``matrix``, ``distortions``, ``rotation`` (axis times angle) and ``translation``,
world to camera, and may have ``fisheye``. The unit and the world's axes are those of whoever calibrated.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from poseshift.geometry.rotation import axis_angle_to_matrix
from poseshift.preprocessing.domain.calibrations import caliscope
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


class _Camera(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str
    size: tuple[float, float]
    matrix: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
    distortions: list[float] = Field(default_factory=list)
    rotation: tuple[float, float, float]
    translation: tuple[float, float, float]
    fisheye: bool = False


def recognises(path: Path) -> bool:
    """Whether it is a TOML file, and not Caliscope's."""
    return path.suffix == ".toml" and not caliscope.recognises(path)


def read(path: Path) -> Rig:
    """Read all cameras of the file."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _error(path, f"another layout ({str(error).splitlines()[0]})") from error
    tables = {name: table for name, table in content.items() if isinstance(table, dict) and "matrix" in table}
    for name, table in tables.items():
        refuse_moving(path, str(table.get("name", name)), table.get("translation"))
    try:
        found = [_Camera.model_validate(table) for table in tables.values()]
    except ValidationError as error:
        raise _error(path, f"another layout ({str(error).splitlines()[0]})") from error
    if not found:
        raise _error(path, "no table with a camera matrix")
    cameras = tuple(_rig_camera(path, one) for one in found)
    return Rig((path,), cameras, (OPENCV_READING,), metres_per_unit=None, world_up="unknown")


def _rig_camera(path: Path, one: _Camera) -> RigCamera:
    (fx, _, cx), (_, fy, cy), _ = one.matrix
    width, height = one.size
    # Anipose writes [k1, 0, 0, 0, 0] for lenses that it does not call fisheyes.
    lens = (fisheye_distortion if one.fisheye else opencv_distortion)(path, one.distortions)
    return RigCamera(
        name=one.name,
        size_px=(round(width), round(height)),
        focal_px=(fx, fy),
        centre_px=(cx, cy),
        distortion=lens,
        matrix=np.asarray(axis_angle_to_matrix(np.array(one.rotation))),
        vector=np.array(one.translation),
    )


def _error(path: Path, found: str) -> RawDataError:
    return RawDataError(
        path,
        found=found,
        expected="tables with name, size, matrix, distortions, rotation and translation",
        remedy="Write it with aniposelib's CameraGroup.dump.",
    )


ANIPOSE = CalibrationFormat("anipose", "aniposelib's TOML, also Pose2Sim's", recognises, read)
