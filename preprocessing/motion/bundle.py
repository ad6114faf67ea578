"""Reads a bundle of motions: an ``.npz`` with one array per clip and an optional ``.json`` beside it.

Keys are ``subject/description/trial``, arrays (frames, 17, 3) metres in Human3.6M-17 order with z up, as in
the bundle made from the CMU Graphics Lab Motion Capture Database. Pickled arrays are refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.motion.motion import FRAME_RATE_HZ, Motion
from poseshift.storage.exchange.npz import ExchangeError, read_npz
from poseshift.storage.text import read_text


def read_bundle(path: Path) -> tuple[Motion, ...]:
    """Read every clip of a bundle.

    Parameters
    ----------
    path : Path
        The ``.npz`` file; a ``.json`` of the same name beside it may give ``fps`` (50 otherwise).

    Returns
    -------
    motions : in the order of the keys in the file.

    Raises
    ------
    RawDataError : when the file is missing or not an npz, a key is not ``subject/description/trial``, or an
        array is not (frames, 17, 3) finite numbers.
    """
    description = _description(path)
    try:
        fps = float(description.get("fps", FRAME_RATE_HZ))
    except (TypeError, ValueError):
        raise RawDataError(
            path.with_suffix(".json"),
            found=f"fps {description['fps']!r}",
            expected="a number of frames per second",
            remedy="Mend the description or remove it.",
        ) from None
    try:
        arrays = read_npz(path)
    except (OSError, ExchangeError) as error:
        raise RawDataError(
            path,
            found=error.problem if isinstance(error, ExchangeError) else str(error),
            expected="an .npz archive of plain arrays",
            remedy="Save it with numpy.savez_compressed and without Python objects.",
        ) from error
    motions = tuple(_motion(path, key, positions, fps) for key, positions in arrays.items())
    if not motions:
        raise RawDataError(
            path, found="no arrays", expected="at least one clip", remedy="Download the bundle again."
        )
    return motions


def title(path: Path) -> str:
    """Give the bundle's own title, or its file name when it has no description."""
    return str(_description(path).get("title", path.name))


def _motion(path: Path, key: str, positions: np.ndarray[Any, Any], fps: float) -> Motion:
    subject, _, rest = key.partition("/")
    description, _, trial = rest.partition("/")
    if not (subject and description and trial):
        raise RawDataError(
            path, found=f"key {key!r}", expected="subject/description/trial", remedy="Rename the array."
        )
    if not np.issubdtype(positions.dtype, np.floating):
        raise RawDataError(
            path, found=f"{key}: {positions.dtype}", expected="floating-point metres", remedy="Convert it."
        )
    try:
        return Motion(key, subject, description, fps, positions.astype(np.float32, copy=False))
    except ValueError as error:
        raise RawDataError(
            path,
            found=str(error),
            expected="finite positions (frames, 17, 3) in metres",
            remedy="Make the bundle again.",
        ) from error


def _description(path: Path) -> dict[str, Any]:
    beside = path.with_suffix(".json")
    if not beside.exists():
        return {}
    try:
        content = json.loads(read_text(beside))
    except (OSError, ValueError) as error:
        raise RawDataError(
            beside, found=str(error), expected="a JSON object", remedy="Mend the description or remove it."
        ) from error
    if not isinstance(content, dict):
        raise RawDataError(
            beside,
            found=type(content).__name__,
            expected="a JSON object",
            remedy="Mend the description or remove it.",
        )
    return content
