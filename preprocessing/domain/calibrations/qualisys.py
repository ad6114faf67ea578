"""Qualisys Track Manager's calibration: ``*.qca.txt``, which is XML.

Lengths are millimetres, intrinsics are in 1/64 px, and the world's z points up. The file does not say how
its rotations are meant, and programs that write it differ, so every reading of them is tried.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np

from poseshift.geometry.camera import Distortion
from poseshift.preprocessing.domain.rig import EVERY_READING, CalibrationFormat, Rig, RigCamera
from poseshift.preprocessing.errors import RawDataError

_SUBPIXELS = 64


def recognises(path: Path) -> bool:
    """Whether it is XML with a root ``calibration``."""
    with path.open("rb") as file:
        return re.search(rb"<calibration[\s>]", file.read(2000)) is not None


def read(path: Path) -> Rig:
    """Read all cameras of the file."""
    text = path.read_bytes()
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise _error(path, "declarations of entities", "a calibration as Qualisys writes it")
    try:
        root = Xml.fromstring(text)  # noqa: S314 - of no great size, and without entities
    except Xml.ParseError as error:
        raise _error(path, f"damaged XML ({error})", "a calibration as Qualisys writes it") from error
    cameras = tuple(_camera(path, element) for element in root.iter("camera"))
    if not cameras:
        raise _error(path, "no cameras", "at least one element 'camera'")
    return Rig((path,), cameras, EVERY_READING, metres_per_unit=0.001, world_up="z")


def _camera(path: Path, element: Xml.Element) -> RigCamera:
    name = element.get("serial", "")
    view = element.find("fov_video")
    view = element.find("fov_marker") if view is None else view
    transform, intrinsic = element.find("transform"), element.find("intrinsic")
    if not name or view is None or transform is None or intrinsic is None:
        raise _error(path, f"camera {name!r} lacks a part", "serial, fov_video, transform and intrinsic")
    if element.get("viewrotation", "0") != "0":
        raise _error(path, f"camera {name} with a turned view", "viewrotation 0: the video as calibrated")

    def number(part: Xml.Element, attribute: str) -> float:
        try:
            return float(part.attrib[attribute])
        except (KeyError, ValueError) as error:
            raise _error(path, f"no number {attribute} of camera {name}", "a number") from error

    left, top, right, bottom = (number(view, side) for side in ("left", "top", "right", "bottom"))
    scaled = {
        key: number(intrinsic, key) / _SUBPIXELS
        for key in ("focalLengthU", "focalLengthV", "centerPointU", "centerPointV")
    }
    radial = tuple(number(intrinsic, f"radialDistortion{i}") for i in (1, 2, 3))
    tangential = tuple(number(intrinsic, f"tangentalDistortion{i}") for i in (1, 2))
    lens = Distortion("opencv", radial, tangential) if any(radial + tangential) else Distortion()
    return RigCamera(
        name=name,
        size_px=(round(right - left) + 1, round(bottom - top) + 1),
        focal_px=(scaled["focalLengthU"], scaled["focalLengthV"]),
        centre_px=(scaled["centerPointU"] - left, scaled["centerPointV"] - top),
        distortion=lens,
        matrix=np.array([[number(transform, f"r{i}{j}") for j in (1, 2, 3)] for i in (1, 2, 3)]),
        vector=np.array([number(transform, axis) for axis in ("x", "y", "z")]),
    )


def _error(path: Path, found: str, expected: str) -> RawDataError:
    return RawDataError(
        path, found=found, expected=expected, remedy="Export the calibration from the program again."
    )


QUALISYS = CalibrationFormat("qualisys", "Qualisys's .qca.txt", recognises, read)
