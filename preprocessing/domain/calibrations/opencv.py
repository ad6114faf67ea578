"""OpenCV's YAML (``cv::FileStorage``): one camera per file, or EasyMocap's pair of many.

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

import numpy as np
import yaml
from numpy.typing import NDArray

from poseshift.geometry.camera import Distortion
from poseshift.geometry.rotation import axis_angle_to_matrix
from poseshift.preprocessing.domain.rig import (
    OPENCV_READING,
    CalibrationFormat,
    Rig,
    RigCamera,
    fisheye_distortion,
    opencv_distortion,
)
from poseshift.preprocessing.errors import RawDataError

_FISHEYES = ("fisheye", "equidistant")


class _Loader(yaml.SafeLoader):
    """Plain YAML and OpenCV's matrices; no aliases, of which a short file can be made endless."""

    def compose_node(self, parent: yaml.nodes.Node | None, index: int) -> yaml.nodes.Node | None:
        """Compose one node, or refuse it."""
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "an alias")
        node: yaml.nodes.Node | None = super().compose_node(parent, index)
        return node


def _matrix(loader: yaml.SafeLoader, node: yaml.nodes.Node) -> Any:
    if not isinstance(node, yaml.nodes.MappingNode):
        raise yaml.constructor.ConstructorError(None, None, "a matrix that is no mapping", node.start_mark)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:opencv-matrix", _matrix)


def recognises(path: Path) -> bool:
    """Whether it is YAML with a camera matrix, or with names and their matrices."""
    if path.suffix not in (".yml", ".yaml"):
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    return any(word in text for word in ("camera_matrix", "K:", "K_"))


def read(path: Path) -> Rig:
    """Read one camera, or all of EasyMocap's."""
    content = _content(path)
    files: tuple[Path, ...] = (path,)
    beside = path.with_name("extri.yml")
    if path.name == "intri.yml" and beside.is_file():  # EasyMocap's pair
        content, files = {**content, **_content(beside)}, (path, beside)
    if "names" in content:
        cameras = tuple(_camera(path, content, str(name), f"_{name}") for name in content["names"])
    else:
        name = content.get("camera_name", path.stem)
        cameras = (_camera(path, content, str(name), ""),)
    return Rig(files, cameras, (OPENCV_READING,), metres_per_unit=None, world_up="unknown")


def _content(path: Path) -> Mapping[str, Any]:
    text = path.read_text(encoding="utf-8", errors="replace")
    if text.startswith("%YAML:1.0"):  # OpenCV's way to write the directive, which is not YAML's
        text = text.split("\n", 1)[1]
    try:
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader with one more tag
    except yaml.YAMLError as error:
        raise _error(path, f"damaged YAML ({error})", "what cv::FileStorage writes") from error
    if not isinstance(content, dict):
        raise _error(path, type(content).__name__, "a mapping of names to matrices")
    return content


def _camera(path: Path, content: Mapping[str, Any], name: str, suffix: str) -> RigCamera:
    def found(*keys: str) -> NDArray[np.float64] | None:
        for key in keys:
            if key + suffix in content:
                return _numbers(path, key + suffix, content[key + suffix])
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


def _numbers(path: Path, key: str, value: Any) -> NDArray[np.float64]:
    data = value.get("data") if isinstance(value, dict) else value
    try:
        return np.asarray(data, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise _error(path, f"no numbers under {key!r}", "a matrix or a number") from error


def _error(path: Path, found: str, expected: str) -> RawDataError:
    return RawDataError(
        path, found=found, expected=expected, remedy="Write it with cv::FileStorage, or correct it by hand."
    )


OPENCV = CalibrationFormat(
    "opencv", "OpenCV's YAML with camera_matrix, or EasyMocap's with names", recognises, read
)
