"""``camera.calibration``: the text in which every training sequence keeps its fourteen cameras.

A Skeletool file: one header line, then seven lines per camera. The 3DHP world (y up, millimetres) is turned
into the project's while reading and back while writing. Test sequences use another format, see
:mod:`.captury`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from poseshift.geometry.camera import Camera
from poseshift.geometry.rotation import is_rotation
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.mpi_inf_3dhp import layout
from poseshift.preprocessing.mpi_inf_3dhp.world import Float64, camera_from_3dhp, extrinsics_to_3dhp
from poseshift.storage.text import TextEncodingError, read_text

HEADER = "Skeletool Camera Calibration File V1.0"

_FIELDS = ("name", "sensor", "size", "animated", "intrinsic", "extrinsic", "radial")
_ORTHONORMAL_TOLERANCE = 1e-4  # the originals keep seven digits and are orthonormal to 1.4e-7
_REMEDY = (
    "Restore the original file, or remove it to use the built-in calibration (all originals carry the same)."
)


def read_calibration(path: Path) -> tuple[Camera, ...]:
    """Read the fourteen cameras of a training sequence.

    Returns
    -------
    Cameras "0" to "13" in order; pinhole, metres, extrinsics in the project's world (z up).

    Raises
    ------
    RawDataError
        When the text departs from the layout: header, order of fields and cameras, number of values,
        rotations that are none, lens distortion (the original has none).
    """
    try:
        text = read_text(path, otherwise="ascii")
    except TextEncodingError as error:
        raise _error(path, "bytes that are not ASCII text", "a calibration text") from error
    return parse_calibration(text, path)


def parse_calibration(text: str, path: Path) -> tuple[Camera, ...]:
    """Parse the text of ``camera.calibration``; ``path`` is named in errors. See :func:`read_calibration`."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if not lines or lines[0] != HEADER.split():
        raise _error(path, f"first line {' '.join(lines[0]) if lines else ''!r}", repr(HEADER))
    body = lines[1:]
    wanted = layout.CAMERAS * len(_FIELDS)
    if len(body) != wanted:
        expected = f"{wanted} ({layout.CAMERAS} cameras of {len(_FIELDS)})"
        raise _error(path, f"{len(body)} lines after the header", expected)
    return tuple(
        _parse_camera(body[index * len(_FIELDS) : (index + 1) * len(_FIELDS)], index, path)
        for index in range(layout.CAMERAS)
    )


def format_calibration(cameras: Sequence[Camera]) -> str:
    """Text of ``camera.calibration`` for pinhole cameras, in the original's layout down to trailing spaces.

    Numbers keep seven significant digits, as in the original, so that its text is reproduced exactly.
    """
    lines = [HEADER]
    for camera in cameras:
        (fx, fy), (cx, cy) = camera.focal_px, camera.centre_px
        rotation, translation_mm = extrinsics_to_3dhp(camera)
        intrinsic = np.array([[fx, 0, cx, 0], [0, fy, cy, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        extrinsic = np.eye(4)
        extrinsic[:3, :3], extrinsic[:3, 3] = rotation, translation_mm
        lines += [
            f"name          {camera.name}",
            "  sensor      10 10",
            f"  size        {camera.size_px[0]} {camera.size_px[1]}",
            "  animated    0",
            f"  intrinsic   {_row_major(intrinsic)} ",
            f"  extrinsic   {_row_major(extrinsic)} ",
            "  radial      0",
        ]
    return "\n".join(lines) + "\n"


def _row_major(matrix: Float64) -> str:
    return " ".join(f"{value + 0.0:.7g}" for value in matrix.ravel())


def _parse_camera(block: Sequence[Sequence[str]], index: int, path: Path) -> Camera:
    fields: dict[str, Sequence[str]] = {}
    for line, field in zip(block, _FIELDS, strict=True):
        if line[0] != field:
            raise _error(path, f"'{line[0]}' in camera {index}", f"'{field}' (order: {', '.join(_FIELDS)})")
        fields[field] = line[1:]
    if fields["name"] != [str(index)]:
        raise _error(path, f"camera name '{' '.join(fields['name'])}' at place {index}", f"'{index}'")
    width, height = _numbers(fields, "size", 2, index, path)
    if width < 1 or height < 1 or width % 1 or height % 1:
        raise _error(path, f"size {width:g} x {height:g} of camera {index}", "whole numbers of pixels")
    if any(_numbers(fields, "radial", 1, index, path)):
        raise _error(path, f"radial distortion in camera {index}", "radial 0: the original has no distortion")
    intrinsic = _numbers(fields, "intrinsic", 16, index, path).reshape(4, 4)
    focal, centre = intrinsic[[0, 1], [0, 1]], intrinsic[:2, 2]
    if not (focal > 0).all() or intrinsic[0, 1] != 0 or intrinsic[1, 0] != 0:
        raise _error(
            path,
            f"an intrinsic matrix of camera {index} that is no pinhole",
            "positive focal lengths, no skew",
        )
    extrinsic = _numbers(fields, "extrinsic", 16, index, path).reshape(4, 4)
    rotation = extrinsic[:3, :3]
    if not is_rotation(rotation, _ORTHONORMAL_TOLERANCE):
        departure = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
        found = f"an extrinsic matrix of camera {index} without a rotation (off by {departure:.2g})"
        raise _error(path, found, "orthonormal rows, determinant +1")
    tx, ty, tz = (float(value) for value in extrinsic[:3, 3])
    return camera_from_3dhp(
        name=str(index),
        size_px=(int(width), int(height)),
        focal_px=(float(focal[0]), float(focal[1])),
        centre_px=(float(centre[0]), float(centre[1])),
        rotation=rotation,
        translation_mm=(tx, ty, tz),
    )


def _numbers(fields: Mapping[str, Sequence[str]], field: str, count: int, index: int, path: Path) -> Float64:
    """Convert the words of one line to finite numbers."""
    try:
        values = np.array([float(word) for word in fields[field]], dtype=np.float64)
    except ValueError as error:
        raise _error(path, f"'{field}' of camera {index}: {error}", f"{count} numbers") from error
    if values.size != count or not np.isfinite(values).all():
        raise _error(
            path, f"'{field}' of camera {index} with {values.size} values", f"{count} finite numbers"
        )
    return values


def _error(path: Path, found: str, expected: str) -> RawDataError:
    return RawDataError(path, found=found, expected=expected, remedy=_REMEDY)
