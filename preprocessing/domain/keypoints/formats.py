"""Layouts of keypoint files by name; a user's own is one more call of ``KEYPOINT_FORMATS.add``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from poseshift.preprocessing.domain.tracks import View
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.registry import Registry

People = Literal["tracked", "most-certain"]
"""Whom to read: everybody by track id, or the person with the highest score of each image."""


@dataclass(frozen=True)
class KeypointFormat:
    """One layout of keypoints.

    Attributes
    ----------
    name : str
        As commands call it.
    description : str
        One sentence.
    recognises : callable
        Whether a file or folder looks like it, at a glance.
    read : callable
        Reads a file or folder; raises RawDataError.
    """

    name: str
    description: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, People], tuple[View, ...]]


KEYPOINT_FORMATS = Registry[KeypointFormat]("keypoint format")
"""Every layout of keypoints by name."""


def recognise(path: Path) -> KeypointFormat:
    """Find the layout of a file or folder; RawDataError when none, or more than one, fits."""
    if not path.exists():
        raise RawDataError(
            path, found="nothing", expected="a file or folder of keypoints", remedy="Correct the path."
        )
    fitting = [one for one in KEYPOINT_FORMATS.values() if one.recognises(path)]
    if len(fitting) != 1:
        known = "; ".join(f"{one.name}: {one.description}" for one in KEYPOINT_FORMATS.values())
        raise RawDataError(
            path,
            found="no layout of keypoints that is known"
            if not fitting
            else f"what may be {' or '.join(one.name for one in fitting)}",
            expected=f"one of these: {known}",
            remedy="Name the layout with --format, or add yours as a plugin (docs/extending.md).",
        )
    return fitting[0]


def read_json(path: Path) -> Any:
    """Read a JSON file; RawDataError when it is none."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RawDataError(
            path,
            found=f"no readable JSON ({error})",
            expected="keypoints as JSON",
            remedy="Check that the detector has finished writing it.",
        ) from error


def frame_number(path: Path, name: int | str) -> int:
    """Find the number of an image: itself, or the last digits of its file's name."""
    if isinstance(name, int):
        return name
    digits = re.search(r"(\d+)(?:_keypoints)?(?:\.\w+)?$", name)
    if digits is None:
        raise RawDataError(
            path,
            found=f"image {name!r}",
            expected="a frame number, or a file name that ends in one",
            remedy="Number the images.",
        )
    return int(digits.group(1))
