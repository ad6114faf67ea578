"""OpenCV's YAML or XML (``cv::FileStorage``): one camera per file, or EasyMocap's pair of many.

One camera: ``camera_matrix`` (or ``K``), ``distortion_coefficients`` (or ``dist``), ``image_width`` and
``image_height``, and where there are any ``R`` (or ``rvec``) and ``T`` (or ``tvec``), world to camera. Named
after the file. ``distortion_model: fisheye`` (or ``equidistant``) says that the lens is a fisheye's.

Many: ``intri.yml``, with ``extri.yml`` beside it where there is one: ``names`` and ``K_<name>``,
``dist_<name>``, ``H_<name>``, ``W_<name>``, ``Rot_<name>`` or ``R_<name>``, ``T_<name>``.

The unit of T and the world's axes are those of whoever calibrated.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Distortion
from poseshift.geometry.rotation import axis_angle_to_matrix
from poseshift.preprocessing.domain.calibrations import ros
from poseshift.preprocessing.domain.calibrations.plain_yaml import numbers, read_yaml, yaml_text
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

_FISHEYES = ("fisheye", "equidistant")


_REMEDY = "Write it with cv::FileStorage, or correct it by hand."


def recognises(path: Path) -> bool:
    """Whether it is OpenCV's XML, or YAML with a camera matrix, or with names and their matrices."""
    if path.suffix == ".xml":
        with path.open("rb") as file:
            return b"<opencv_storage" in file.read(2000)
    text = yaml_text(path)
    return any(word in text for word in ("camera_matrix", "K:", "K_")) and not ros.recognises(path)


def read(path: Path) -> Rig:
    """Read one camera, or all of EasyMocap's."""
    content = _read_xml(path) if path.suffix == ".xml" else read_yaml(path, _REMEDY)
    files: tuple[Path, ...] = (path,)
    beside = path.with_name("extri.yml")
    if path.name == "intri.yml" and beside.is_file():  # EasyMocap's pair
        content, files = {**content, **read_yaml(beside, _REMEDY)}, (path, beside)
    if "names" in content:
        cameras = tuple(_camera(path, content, str(name), f"_{name}") for name in content["names"])
    else:
        name = content.get("camera_name", path.stem)
        cameras = (_camera(path, content, str(name), ""),)
    return Rig(files, cameras, (OPENCV_READING,), metres_per_unit=None, world_up="unknown")


def _read_xml(path: Path) -> Mapping[str, Any]:
    """Read the numbers and matrices of a file, and its texts as they are."""
    text = path.read_bytes()
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise _error(path, "declarations of entities", "XML as cv::FileStorage writes it")
    try:
        root = Xml.fromstring(text)  # noqa: S314 - of no great size, and without entities
        return {one.tag: _xml_value(one) for one in root}
    except (Xml.ParseError, ValueError) as error:
        raise _error(path, f"damaged XML ({error})", "XML as cv::FileStorage writes it") from error


def _xml_value(element: Xml.Element) -> Any:
    data = element.find("data")
    if data is not None:
        return {"data": [float(one) for one in (data.text or "").split()]}
    return (element.text or "").strip().strip('"')


def _camera(path: Path, content: Mapping[str, Any], name: str, suffix: str) -> RigCamera:
    def found(*keys: str) -> NDArray[np.float64] | None:
        for key in keys:
            if key + suffix in content:
                return numbers(path, key + suffix, content[key + suffix], _REMEDY)
        return None

    matrix = found("camera_matrix", "K")
    if matrix is None or matrix.size != 9:
        raise _error(path, f"no 3x3 camera matrix of camera {name}", "camera_matrix or K")
    intrinsic = matrix.reshape(3, 3)
    coefficients = found("distortion_coefficients", "dist", "D")
    listed = [] if coefficients is None else [float(one) for one in coefficients.reshape(-1)]
    model = str(content.get("distortion_model", content.get("camera_model", "")))
    width, height = found("image_width", "W", "width"), found("image_height", "H", "height")
    rotation = found("Rot", "R", "rotation_matrix")
    turn = found("rvec") if rotation is None or rotation.size == 9 else rotation
    if turn is not None and turn.size == 3:
        rotation = np.asarray(axis_angle_to_matrix(turn.reshape(3)))
    vector = found("T", "tvec", "t", "translation_vector")
    refuse_moving(path, name, vector)
    if rotation is not None and (rotation.size != 9 or vector is None or vector.size != 3):
        raise _error(path, f"a rotation of camera {name} without its vector", "R (or rvec) and T (or tvec)")
    return RigCamera(
        name=name,
        size_px=None if width is None or height is None else (round(width.item()), round(height.item())),
        focal_px=(float(intrinsic[0, 0]), float(intrinsic[1, 1])),
        centre_px=(float(intrinsic[0, 2]), float(intrinsic[1, 2])),
        distortion=_distortion(path, model, listed),
        matrix=None if rotation is None else rotation.reshape(3, 3),
        vector=None if rotation is None or vector is None else vector.reshape(3),
    )


def _distortion(path: Path, model: str, coefficients: list[float]) -> Distortion:
    if any(word in model.lower() for word in _FISHEYES):
        return fisheye_distortion(path, coefficients)
    return opencv_distortion(path, coefficients)


def _error(path: Path, found: str, expected: str) -> RawDataError:
    return RawDataError(path, found=found, expected=expected, remedy=_REMEDY)


OPENCV = CalibrationFormat(
    "opencv", "OpenCV's YAML or XML with camera_matrix, or EasyMocap's with names", recognises, read
)
