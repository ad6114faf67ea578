"""Motion formats by name: how a motion becomes a file.

A user's own format is one more call of ``MOTION_FORMATS.add``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from poseshift.storage.motion_files import arrays, trc
from poseshift.storage.motion_files.motion import Motion
from poseshift.storage.registry import Registry


def _always() -> None:
    """Need nothing."""


@dataclass(frozen=True)
class MotionFormat:
    """One layout of files.

    Attributes
    ----------
    name : str
        As commands call it.
    suffix : str
        Of its files, with the dot.
    description : str
        One sentence: axes, units, and what is lost.
    encode : callable
        Gives the content of a motion's file.
    require : callable
        Raises ModuleNotFoundError, with what to install, where a library that it needs is missing.
    """

    name: str
    suffix: str
    description: str
    encode: Callable[[Motion], bytes]
    require: Callable[[], None] = _always


MOTION_FORMATS = Registry[MotionFormat]("motion format")
"""Every motion format by name."""

for _format in (
    MotionFormat("npz", ".npz", "NumPy arrays, metres, z up; nothing is lost.", arrays.encode),
    MotionFormat(
        "trc", ".trc", "OpenSim's markers, millimetres, y up; without errors and marks of gaps.", trc.encode
    ),
):
    MOTION_FORMATS.add(_format.name, _format)
