"""ROS's camera calibration: the file of `camera_calibration`, or a message of ``sensor_msgs/CameraInfo``.

The file has ``camera_matrix``, ``distortion_model``, ``distortion_coefficients``,
``rectification_matrix`` and ``projection_matrix``; the message K, D, R and P, in small letters in ROS 2.
Lens and matrix are those of the raw image. Neither has extrinsics: rectification and projection are of a
rectified image, and are not read.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

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

logger = logging.getLogger(__name__)

_REMEDY = "Write it with camera_calibration, or one message by `ros2 topic echo --once`."
_OPENCV_LENSES = ("plumb_bob", "rational_polynomial")
_FISHEYES = ("equidistant", "fisheye")


def recognises(path: Path) -> bool:
    """Whether it is YAML with a lens and a projection of ROS's names."""
    text = yaml_text(path)
    projection = re.search(r"^(projection_matrix|rectification_matrix|P|p):", text, re.MULTILINE)
    return projection is not None and re.search(r"^distortion_model:", text, re.MULTILINE) is not None


def read(path: Path) -> Rig:
    """Read the camera of the file, named by ``camera_name`` or after the file."""
    content = read_yaml(path, _REMEDY)

    def value(*keys: str) -> Any:
        return next((content[key] for key in keys if content.get(key) is not None), None)

    matrix = numbers(path, "camera_matrix", value("camera_matrix", "K", "k"), _REMEDY)
    size = numbers(path, "size", [value("image_width", "width"), value("image_height", "height")], _REMEDY)
    if matrix.size != 9 or size.shape != (2,):
        raise _error(path, "no 3x3 camera matrix, or no width and height")
    _require_whole_image(path, content)
    projection = numbers(path, "projection_matrix", value("projection_matrix", "P", "p"), _REMEDY).reshape(-1)
    if projection.size == 12 and projection[3] != 0:
        logger.warning("%s: the offset to another camera of a rectified pair is not read as extrinsics", path)
    lens = numbers(path, "lens", value("distortion_coefficients", "D", "d"), _REMEDY).reshape(-1)
    fx, _, cx, _, fy, cy, *_ = (float(one) for one in matrix.reshape(-1))
    camera = RigCamera(
        name=str(content.get("camera_name") or path.stem),
        size_px=_whole(path, size.tolist()),
        focal_px=(fx, fy),
        centre_px=(cx, cy),
        distortion=_lens(path, str(value("distortion_model")), lens.tolist()),
    )
    return Rig((path,), (camera,), (OPENCV_READING,), metres_per_unit=1.0, world_up="unknown")


def _lens(path: Path, model: str, coefficients: list[float]) -> Distortion:
    if not any(coefficients):
        return Distortion()
    if model in _OPENCV_LENSES:
        return opencv_distortion(path, coefficients)
    if model in _FISHEYES:
        return fisheye_distortion(path, coefficients)
    raise _error(path, f"the lens model {model!r}")


def _require_whole_image(path: Path, content: Any) -> None:
    """Refuse a message of a part of the image, or of one with joined pixels: its matrix is of the whole."""
    region = content.get("roi")
    part = isinstance(region, dict) and any(region.get(key) for key in ("x_offset", "y_offset"))
    if part or any(content.get(key, 0) not in (0, 1) for key in ("binning_x", "binning_y")):
        raise _error(path, "a region of interest, or binning")


def _whole(path: Path, size: list[float]) -> tuple[int, int]:
    try:
        return round(size[0]), round(size[1])
    except (ValueError, OverflowError) as error:
        raise _error(path, f"an image of {size}") from error


def _error(path: Path, found: str) -> RawDataError:
    return RawDataError(
        path,
        found=found,
        expected="ROS's calibration of a whole image, of plumb_bob, rational_polynomial or equidistant lens",
        remedy=_REMEDY,
    )


ROS = CalibrationFormat("ros", "ROS's camera_info YAML, one camera per file", recognises, read)
