"""Settling how a calibration is to be read: by which reading the views of one person meet.

No reading is trusted because a format is known for it. The one with the least re-projection error is kept,
its error is told, and the calibration is refused when the best is not clearly the best, or is bad itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.preprocessing.domain.rig import EVERY_READING, Reading, Rig
from poseshift.preprocessing.domain.tracks import person_size
from poseshift.preprocessing.domain.views import meet, some_frames
from poseshift.preprocessing.errors import RawDataError

Float64 = NDArray[np.float64]

CLEARLY = 2.0
"""The second best reading must have at least this many times the best one's error."""

LARGEST_SHARE = 0.05
"""The best reading's error may be so much of the person's size in the image: 85 mm of a person of 1.7 m.
Detectors err by less than that at the median joint."""

_LEGS = (("hip", "knee"), ("knee", "ankle"))
_LEG_M = (0.55, 1.15)
"""Thigh and shank together, of children from six years on and of tall adults."""

_UNITS_M = (1.0, 0.01, 0.001)


@dataclass(frozen=True)
class Settled:
    """How a calibration is read.

    Attributes
    ----------
    reading : Reading
        The reading.
    metres_per_unit : float
        Of its vectors.
    error_px : float or None
        Median re-projection error; None where it could not be measured and the user said the reading.
    tried : tuple[tuple[Reading, float], ...]
        Every reading with its error, the best first.
    """

    reading: Reading
    metres_per_unit: float
    error_px: float | None
    tried: tuple[tuple[Reading, float], ...] = ()

    def __str__(self) -> str:
        if self.error_px is None:
            return f"extrinsics read as {self.reading}, as stated; not tested, for want of a second view"
        told = f"extrinsics read as {self.reading}: re-projection {self.error_px:.1f} px (median)"
        others = [error for reading, error in self.tried if reading != self.reading]
        return told + (f", the next of {len(self.tried)} readings {_px(others[0])}" if others else "")


def settle(
    rig: Rig,
    seen: Sequence[tuple[Sequence[str], Float64]],
    sizes: Mapping[str, tuple[int, int]],
    stated: Reading | None = None,
    metres_per_unit: float | None = None,
) -> Settled:
    """Find how a rig's extrinsics are meant.

    Parameters
    ----------
    rig : Rig
        As read; all of its seen cameras have extrinsics.
    seen : sequence of (names of cameras, array (cameras, frames, joints, 2))
        Keypoints of each person on Human3.6M's joints, NaN where not seen.
    sizes : mapping
        Image size of each camera.
    stated : Reading or None
        What the user says; then only that one is tried.
    metres_per_unit : float or None
        What the user says.

    Raises
    ------
    RawDataError
        There is nothing to tell the readings apart by, none is clearly the best, or the best is bad.
    """
    candidates = (stated,) if stated is not None else rig.readings
    together = [(names, keypoints) for names, keypoints in seen if len(names) > 1]
    if not together:
        return _untested(rig, candidates, metres_per_unit)
    errors = {reading: _error(rig, reading, together, sizes) for reading in candidates}
    order = sorted(candidates, key=lambda reading: _sortable(errors[reading]))
    tried = tuple((reading, errors[reading]) for reading in order)
    best, error = tried[0]
    size = typical_size([view for _, keypoints in together for view in keypoints])
    table = "; ".join(f"{reading} {_px(value)}" for reading, value in tried)
    if not error <= LARGEST_SHARE * size:
        raise RawDataError(
            rig.files[0],
            found=f"no reading by which the views meet (re-projection: {table})",
            expected=f"at most {LARGEST_SHARE * size:.0f} px, {LARGEST_SHARE:.0%} of the person's size",
            remedy="Check that calibration, images and keypoints are of the same cameras and moments, that "
            "track ids are the same in all views, and that no video was scaled or turned after calibration."
            + _other_reading(rig, candidates, together, sizes, LARGEST_SHARE * size),
        )
    if len(tried) > 1 and not tried[1][1] >= CLEARLY * error:
        raise RawDataError(
            rig.files[0],
            found=f"readings that are about as good as each other (re-projection: {table})",
            expected=f"one that is {CLEARLY:g} times better than the next",
            remedy="State the right one with --reading, or add a clip in which the person moves about more.",
        )
    unit = metres_per_unit or rig.metres_per_unit
    return Settled(best, unit or _unit(rig, best, together, sizes), error, tried)


def _untested(rig: Rig, candidates: Sequence[Reading], metres_per_unit: float | None) -> Settled:
    unit = metres_per_unit or rig.metres_per_unit
    if len(candidates) > 1 or unit is None:
        raise RawDataError(
            rig.files[0],
            found="extrinsics that may be meant in several ways, and no person seen by two cameras at once",
            expected="two views of one person, by which readings and units can be told apart",
            remedy="State --reading and --length-unit, or leave the extrinsics out of the file.",
        )
    return Settled(candidates[0], unit, None)


def _other_reading(
    rig: Rig,
    tried: Sequence[Reading],
    seen: Sequence[tuple[Sequence[str], Float64]],
    sizes: Mapping[str, tuple[int, int]],
    limit_px: float,
) -> str:
    """Name a reading that the format does not have and by which the views would meet; nothing without one."""
    others = {reading: _error(rig, reading, seen, sizes) for reading in EVERY_READING if reading not in tried}
    best = min(others, key=lambda reading: _sortable(others[reading]), default=None)
    if best is None or not others[best] <= limit_px:
        return ""
    return f" They would meet by {best} ({_px(others[best])}): if the file means that, say --reading {best}."


def _error(
    rig: Rig,
    reading: Reading,
    seen: Sequence[tuple[Sequence[str], Float64]],
    sizes: Mapping[str, tuple[int, int]],
) -> float:
    """Median over people of the re-projection error by one reading; infinite where nothing can be said."""
    errors = []
    for names, keypoints in seen:
        cameras = [rig.camera(name).placed(reading, sizes[name], 1.0) for name in names]
        errors.append(meet(keypoints[:, some_frames(keypoints.shape[1])], cameras).median_px)
    known = [error for error in errors if not math.isnan(error)]
    return float(np.median(known)) if known else math.inf


def _unit(
    rig: Rig,
    reading: Reading,
    seen: Sequence[tuple[Sequence[str], Float64]],
    sizes: Mapping[str, tuple[int, int]],
) -> float:
    """Find the unit of length by which legs have the length of legs."""
    lengths = []
    for names, keypoints in seen:
        cameras = [rig.camera(name).placed(reading, sizes[name], 1.0) for name in names]
        lengths.append(leg_length(meet(keypoints[:, some_frames(keypoints.shape[1])], cameras).points))
    median = float(np.nanmedian(lengths))
    fitting = [unit for unit in _UNITS_M if _LEG_M[0] <= unit * median <= _LEG_M[1]]
    if len(fitting) != 1:
        raise RawDataError(
            rig.files[0],
            found=f"legs of {median:.3g} units",
            expected=f"legs of {_LEG_M[0]} to {_LEG_M[1]} m in metres, centimetres or millimetres",
            remedy="State the unit of the calibration with --length-unit.",
        )
    return fitting[0]


def typical_size(views: Sequence[Float64]) -> float:
    """Median size in pixels of a person over views (frames, joints, 2)."""
    return float(np.nanmedian([person_size(view) for view in views]))


def leg_length(points: Float64) -> float:
    """Median length of thigh and shank together of (frames, 17, 3) points, in their unit."""
    index = HUMAN36M_17.joint_names.index
    sides = [
        sum(
            np.linalg.norm(points[:, index(f"{side}_{lower}")] - points[:, index(f"{side}_{upper}")], axis=-1)
            for upper, lower in _LEGS
        )
        for side in ("left", "right")
    ]
    return float(np.nanmedian(np.stack(sides)))


def _sortable(error: float) -> float:
    return math.inf if math.isnan(error) else error


def _px(error: float) -> str:
    return f"{error:.1f} px" if math.isfinite(error) else "behind the cameras"
