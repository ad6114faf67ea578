"""``.calib``: the calibration files of the test set, in Captury's format "tc camera calibration v0.3".

Cameras are described by their physics: sensor and focal length in millimetres, a pixel aspect, an offset of
the principal point, and a place in the 3DHP world (y up). The distortion in these files is read but never
applied: the annotations of all six test sequences are pinhole projections.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from poseshift.geometry.camera import Camera
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.mpi_inf_3dhp.world import camera_from_3dhp
from poseshift.storage.text import TextEncodingError, read_text

HEADER = "tc camera calibration v0.3"

_REMEDY = "Restore the original file, or remove it: intrinsics are then fitted to the annotations."


@dataclass(frozen=True)
class CapturyCamera:
    """One camera of a ``.calib`` file, in the file's own terms.

    Attributes
    ----------
    sensor_size_mm : tuple[float, float]
        (width, height) of the sensor.
    focal_length_mm : float
        Focal length.
    pixel_aspect : float
        Height over width of a pixel's angle, ``fy / fx``.
    centre_offset_mm : tuple[float, float]
        Principal point from the sensor's middle, right and down.
    distortion : tuple[float, ...]
        OpenCV's k1 k2 p1 p2 k3.
    origin_mm : tuple[float, float, float]
        Camera centre in the 3DHP world.
    up, right : tuple[float, float, float]
        Directions in the 3DHP world, unit vectors.
    """

    sensor_size_mm: tuple[float, float]
    focal_length_mm: float
    pixel_aspect: float
    centre_offset_mm: tuple[float, float]
    distortion: tuple[float, ...]
    origin_mm: tuple[float, float, float]
    up: tuple[float, float, float]
    right: tuple[float, float, float]

    def pinhole(self, name: str, size_px: tuple[int, int]) -> Camera:
        """Project camera without distortion for an image of ``size_px``.

        ``fx = W f / sx``, ``fy = fx aspect``, ``c = size (1/2 + offset / sensor)``; the pixel aspect does not
        enter the principal point. The rows of R are right, down and forward.
        """
        focal_x = size_px[0] / self.sensor_size_mm[0] * self.focal_length_mm
        centre_x, centre_y = (
            size * (0.5 + offset / sensor)
            for size, offset, sensor in zip(size_px, self.centre_offset_mm, self.sensor_size_mm, strict=True)
        )
        right, down = np.asarray(self.right), -np.asarray(self.up)
        rotation = np.stack([right, down, np.cross(right, down)])
        translation = -rotation @ np.asarray(self.origin_mm)
        return camera_from_3dhp(
            name=name,
            size_px=size_px,
            focal_px=(focal_x, focal_x * self.pixel_aspect),
            centre_px=(centre_x, centre_y),
            rotation=rotation,
            translation_mm=(float(translation[0]), float(translation[1]), float(translation[2])),
        )


TEST_CALIBRATIONS: Mapping[str, CapturyCamera] = MappingProxyType(
    {
        "ts1-4cameras": CapturyCamera(
            sensor_size_mm=(10.0, 10.0),
            focal_length_mm=7.32506,
            pixel_aspect=1.00044,
            centre_offset_mm=(-0.0322884, 0.0929296),
            distortion=(0.0, 0.0, 0.0, 0.0, 0.0),
            origin_mm=(3427.28, 1387.86, 309.42),
            up=(-0.2082146, 0.9762325, 0.06013997),
            right=(0.000575281, 0.06160985, -0.9981001),
        ),
        "ts5-6cameras": CapturyCamera(
            sensor_size_mm=(10.0, 5.625),
            focal_length_mm=8.770747185,
            pixel_aspect=0.993236423,
            centre_offset_mm=(-0.104908645, 0.104899704),
            distortion=(-0.276859611, 0.131125256, -0.000360494, -0.001149441, -0.049318332),
            origin_mm=(-2104.3074, 1038.6707, -4596.6367),
            up=(0.025272345, 0.995038509, 0.096227370),
            right=(-0.939647257, -0.009210289, 0.342020929),
        ),
    }
)
"""The cameras of the two original files, by file stem; the first is training camera 8."""


def read_captury(path: Path) -> tuple[CapturyCamera, ...]:
    """Read the cameras of a ``.calib`` file.

    Raises
    ------
    RawDataError
        When the header, a field or a number is missing or malformed, or a camera changes over time.
    """
    try:
        text = read_text(path)
    except TextEncodingError as error:
        raise _error(path, "bytes that are not text", HEADER) from error
    return parse_captury(text, path)


def parse_captury(text: str, path: Path) -> tuple[CapturyCamera, ...]:
    """Parse the text of a ``.calib`` file; ``path`` is named in errors. See :func:`read_captury`."""
    lines = [words for line in text.splitlines() if (words := line.partition("#")[0].split())]
    if not lines or lines[0] != HEADER.split():
        raise _error(path, f"first line {' '.join(lines[0]) if lines else ''!r}", repr(HEADER))
    blocks: list[dict[str, list[str]]] = []
    for field, *values in lines[1:]:
        if field == "camera":
            blocks.append({})
        elif not blocks:
            raise _error(path, f"'{field}' before the first camera", "'camera'")
        elif field in blocks[-1]:
            raise _error(path, f"a second '{field}' in camera {len(blocks) - 1}", "one frame per camera")
        blocks[-1][field] = values
    if not blocks:
        raise _error(path, "no camera", "at least one")
    return tuple(_parse_camera(fields, index, path) for index, fields in enumerate(blocks))


def format_captury(cameras: Sequence[CapturyCamera]) -> str:
    """Text of a ``.calib`` file; :func:`parse_captury` reads it back without loss."""
    lines = [HEADER]
    for index, camera in enumerate(cameras):
        lines += [
            f"camera\t{index}\tcam_{index}",
            "\tframe\t0",
            f"\t\tsensorSize\t{_words(camera.sensor_size_mm)}\t# in mm",
            f"\t\tfocalLength\t{camera.focal_length_mm!r}\t# in mm",
            f"\t\tpixelAspect\t{camera.pixel_aspect!r}",
            f"\t\tcenterOffset\t{_words(camera.centre_offset_mm)}\t# in mm (positive: right and down)",
            "\t\tdistortionModel\tOpenCV",
            f"\t\tdistortion\t{_words(camera.distortion)}",
            f"\t\torigin\t{_words(camera.origin_mm)}\t# in mm",
            f"\t\tup\t{_words(camera.up)}",
            f"\t\tright\t{_words(camera.right)}",
        ]
    return "\n".join(lines) + "\n"


def _words(values: Sequence[float]) -> str:
    return " ".join(repr(value) for value in values)


def _parse_camera(fields: Mapping[str, list[str]], index: int, path: Path) -> CapturyCamera:
    def numbers(field: str, count: int) -> tuple[float, ...]:
        if field not in fields:
            raise _error(path, f"no '{field}' in camera {index}", f"'{field}' with {count} numbers")
        try:
            values = tuple(float(word) for word in fields[field])
        except ValueError as error:
            raise _error(path, f"'{field}' of camera {index}: {error}", f"{count} numbers") from error
        if len(values) != count or not np.isfinite(values).all():
            raise _error(
                path, f"{len(values)} values in '{field}' of camera {index}", f"{count} finite numbers"
            )
        return values

    def positive(field: str, count: int) -> tuple[float, ...]:
        values = numbers(field, count)
        if min(values) <= 0:
            raise _error(path, f"'{field}' {_words(values)} in camera {index}", "positive numbers")
        return values

    width, height = positive("sensorSize", 2)
    offset_x, offset_y = numbers("centerOffset", 2)
    x, y, z = numbers("origin", 3)
    up_x, up_y, up_z = numbers("up", 3)
    right_x, right_y, right_z = numbers("right", 3)
    return CapturyCamera(
        sensor_size_mm=(width, height),
        focal_length_mm=positive("focalLength", 1)[0],
        pixel_aspect=positive("pixelAspect", 1)[0],
        centre_offset_mm=(offset_x, offset_y),
        distortion=numbers("distortion", 5) if "distortion" in fields else (0.0,) * 5,
        origin_mm=(x, y, z),
        up=(up_x, up_y, up_z),
        right=(right_x, right_y, right_z),
    )


def _error(path: Path, found: str, expected: str) -> RawDataError:
    return RawDataError(path, found=found, expected=expected, remedy=_REMEDY)
