"""Calibrated cameras as files give them, before it is settled how their extrinsics are to be read.

Calibration programs store a rotation by rows or by columns, let cameras look along +z or -z, and give the
camera's centre or the world's origin in camera axes. A :class:`Reading` is one such choice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera, Distortion
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.registry import Registry

Float64 = NDArray[np.float64]
WorldUp = Literal["x", "-x", "y", "-y", "z", "-z", "unknown"]
"""The axis of a calibration's world that points up."""

_BACKWARDS = np.diag([1.0, -1.0, -1.0])
"""From axes that look along -z, y up, to x right, y down, z forward."""


@dataclass(frozen=True)
class Reading:
    """One way to read extrinsics.

    Attributes
    ----------
    matrix : {rows, columns}
        Whether the file's matrix turns world to camera as it stands, or transposed.
    looking : {+z, -z}
        Along which of its axes a camera looks.
    vector : {translation, centre}
        Whether the vector is ``t`` of ``X_camera = R X + t`` or the camera's place in the world.
    """

    matrix: Literal["rows", "columns"]
    looking: Literal["+z", "-z"]
    vector: Literal["translation", "centre"]

    def __str__(self) -> str:
        return f"{self.matrix},{self.looking},{self.vector}"

    def extrinsics(self, matrix: Float64, vector: Float64) -> tuple[Float64, Float64]:
        """Turn a file's (3, 3) matrix and (3,) vector into ``R`` and ``t``, in the unit of the vector."""
        given = matrix if self.matrix == "rows" else matrix.T
        turned = _BACKWARDS if self.looking == "-z" else np.eye(3)
        rotation = turned @ given
        return rotation, -rotation @ vector if self.vector == "centre" else turned @ vector


EVERY_READING = tuple(
    Reading(matrix, looking, vector)
    for matrix in ("rows", "columns")
    for looking in ("+z", "-z")
    for vector in ("translation", "centre")
)

OPENCV_READING = Reading("rows", "+z", "translation")
"""What OpenCV's documentation says, and aniposelib's."""


def reading_named(text: str) -> Reading:
    """Find a reading by its text, such as ``columns,-z,centre``; ValueError lists them."""
    for reading in EVERY_READING:
        if str(reading) == text.replace(" ", ""):
            return reading
    raise ValueError(f"no reading {text!r}; there are {'; '.join(map(str, EVERY_READING))}")


@dataclass(frozen=True)
class RigCamera:
    """One camera as its file has it.

    Attributes
    ----------
    name : str
        As the file calls it.
    size_px : tuple[int, int] or None
        Width and height of the image that it was calibrated for, where the file says it.
    focal_px, centre_px : tuple[float, float]
        Focal length and principal point.
    distortion : Distortion
        Lens model.
    matrix : array of shape (3, 3), or None
        The file's rotation; None where it has no extrinsics.
    vector : array of shape (3,), or None
        The file's vector.
    """

    name: str
    size_px: tuple[int, int] | None
    focal_px: tuple[float, float]
    centre_px: tuple[float, float]
    distortion: Distortion
    matrix: Float64 | None = None
    vector: Float64 | None = None

    def placed(self, reading: Reading | None, size_px: tuple[int, int], metres_per_unit: float) -> Camera:
        """Make the camera of a store; its own world without a reading or extrinsics."""
        camera = Camera(self.name, size_px, self.focal_px, self.centre_px, self.distortion)
        if reading is None or self.matrix is None or self.vector is None:
            return camera
        rotation, translation = reading.extrinsics(self.matrix, self.vector)
        return moved(camera, rotation, metres_per_unit * translation)


def moved(camera: Camera, rotation: Float64, translation: Float64) -> Camera:
    """Place a camera by (3, 3) ``R`` and (3,) ``t`` in metres."""
    first, second, third = (tuple(float(one) for one in row) for row in rotation)
    x, y, z = (float(one) for one in translation)
    return replace(
        camera,
        rotation=((*first,), (*second,), (*third,)),  # type: ignore[arg-type]
        translation=(x, y, z),
    )


def refuse_moving(path: Path, name: str, vector: object) -> None:
    """Refuse a camera that has a place for every frame, RawDataError; other layouts are left to their reader.

    Parameters
    ----------
    path : Path
        The calibration.
    name : str
        The camera's.
    vector : object
        What the file has as its translation.
    """
    try:
        poses, odd = divmod(np.asarray(vector, dtype=np.float64).size, 3)
    except (TypeError, ValueError):
        return
    if odd or poses < 2:
        return
    raise RawDataError(
        path,
        found=f"{poses} places of camera {name}, as of a camera that moves",
        expected="intrinsics, and for a camera that stands still one rotation and one translation",
        remedy="Give intrinsics alone (--camera-matrix, or OpenCV's YAML without R and T), and the poses as "
        "--trajectory: TUM's text, COLMAP's images.txt, or an npz of matrices.",
    )


def from_z_up(up: WorldUp) -> Float64:
    """Rotation (3, 3) from a world with z up to one in which another axis points up."""
    if up in ("z", "unknown"):
        return np.eye(3)
    axis = "xyz".index(up[-1])
    z = np.zeros(3)
    z[axis] = -1.0 if up.startswith("-") else 1.0
    x = np.eye(3)[(axis + 1) % 3]
    return np.stack([x, np.cross(z, x), z], axis=1)


@dataclass(frozen=True)
class Rig:
    """Everything that a calibration file says.

    Attributes
    ----------
    files : tuple[Path, ...]
        The file, and others that belong to it.
    cameras : tuple[RigCamera, ...]
        Its cameras.
    readings : tuple[Reading, ...]
        How its extrinsics may be meant; one where its format says so.
    metres_per_unit : float or None
        Of its vectors; None where the format does not say.
    world_up : WorldUp
        The axis of its world that points up, where the format says so.
    """

    files: tuple[Path, ...]
    cameras: tuple[RigCamera, ...]
    readings: tuple[Reading, ...]
    metres_per_unit: float | None
    world_up: WorldUp

    def camera(self, name: str) -> RigCamera:
        """Find a camera by its name; RawDataError lists those there are."""
        for one in self.cameras:
            if one.name == name:
                return one
        raise RawDataError(
            self.files[0],
            found=f"cameras {', '.join(one.name for one in self.cameras)}",
            expected=f"a camera {name!r}, which has keypoints",
            remedy="Give keypoints as CAMERA=PATH with the calibration's name of the camera.",
        )


@dataclass(frozen=True)
class CalibrationFormat:
    """One layout of calibrations.

    Attributes
    ----------
    name : str
        As messages call it.
    description : str
        One sentence.
    recognises : callable
        Whether a file looks like it.
    read : callable
        Reads a file; raises RawDataError.
    """

    name: str
    description: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Rig]


CALIBRATION_FORMATS = Registry[CalibrationFormat]("calibration format")
"""Every layout of calibrations by name; a user's own is one more call of ``add``."""


_MOST_BYTES = 10_000_000


def read_rig(path: Path) -> Rig:
    """Read a calibration file of any known layout.

    Raises
    ------
    RawDataError
        No layout, or more than one, fits; or the file is not what it looks like.
    """
    if not path.is_file():
        raise RawDataError(
            path, found="no file", expected="a calibration of the cameras", remedy="Correct the path."
        )
    if path.stat().st_size > _MOST_BYTES:
        raise RawDataError(
            path,
            found=f"{path.stat().st_size:,} bytes",
            expected=f"at most {_MOST_BYTES:,} in a calibration",
            remedy="Give the calibration alone, without images or points.",
        )
    fitting = [one for one in CALIBRATION_FORMATS.values() if one.recognises(path)]
    if len(fitting) != 1:
        known = "; ".join(f"{one.name}: {one.description}" for one in CALIBRATION_FORMATS.values())
        raise RawDataError(
            path,
            found="no layout of calibrations that is known",
            expected=f"one of these: {known}",
            remedy="Write it as one of these, or state --camera-matrix or --fov.",
        )
    rig = fitting[0].read(path)
    for camera in rig.cameras:
        _require_sound(path, camera)
    return rig


def _require_sound(path: Path, camera: RigCamera) -> None:
    """Refuse numbers that no camera has, which would pass on as places and sizes of people."""
    numbers = np.array([*camera.focal_px, *camera.centre_px, *(camera.size_px or (1, 1))])
    lens = np.array([*camera.distortion.radial, *camera.distortion.tangential])
    if not (
        np.isfinite(numbers).all() and np.isfinite(lens).all() and (np.delete(numbers, [2, 3]) > 0).all()
    ):
        raise RawDataError(
            path,
            found=f"focal length {camera.focal_px}, principal point {camera.centre_px}, image "
            f"{camera.size_px} of camera {camera.name}",
            expected="finite numbers, focal lengths and sizes above 0",
            remedy="Correct the calibration.",
        )
    placed = [part for part in (camera.matrix, camera.vector) if part is not None]
    turned = np.eye(3) if camera.matrix is None else camera.matrix
    if (
        not all(np.isfinite(part).all() for part in placed)
        or np.abs(turned @ turned.T - np.eye(3)).max() > 0.01
    ):
        raise RawDataError(
            path,
            found=f"a rotation or vector of camera {camera.name} that is none",
            expected="a matrix of orthogonal rows of length 1, and finite numbers",
            remedy="Correct the extrinsics, or leave them out.",
        )


def opencv_distortion(path: Path, coefficients: list[float]) -> Distortion:
    """Make the lens model of OpenCV's coefficients: k1 k2 p1 p2 [k3 [k4 k5 k6 [s1 s2 s3 s4]]]."""
    count = len(coefficients)
    if count in (0, 1, 2, 4, 5, 8, 12):
        k1, k2, p1, p2, k3 = (*coefficients[:5], *(0.0,) * (5 - min(count, 5)))
        radial, tangential = (k1, k2, k3, *coefficients[5:8]), (p1, p2, *coefficients[8:12])
        return Distortion("opencv", radial, tangential) if any(coefficients) else Distortion()
    raise RawDataError(
        path,
        found=f"{count} distortion coefficients",
        expected="4, 5, 8 or 12 of OpenCV's (k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4)",
        remedy="Calibrate without the tilted sensor (CALIB_TILTED_MODEL).",
    )


def fisheye_distortion(path: Path, coefficients: list[float]) -> Distortion:
    """Make the lens model of OpenCV's fisheye coefficients: k1 k2 k3 k4."""
    if len(coefficients) != 4:
        raise RawDataError(
            path,
            found=f"{len(coefficients)} coefficients of a fisheye lens",
            expected="four (k1 k2 k3 k4)",
            remedy="Write those of cv2.fisheye.calibrate.",
        )
    return Distortion("fisheye", tuple(coefficients), ())
