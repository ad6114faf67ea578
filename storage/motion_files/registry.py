"""Motion formats by name: how a motion becomes a file.

A user's own format is one more call of ``MOTION_FORMATS.add``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from poseshift.storage.motion_files import arrays, bvh, c3d, gltf, netcdf, parquet, rrd, table, trc
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
    MotionFormat("npz", ".npz", "NumPy arrays; metres, z up; nothing is lost.", arrays.encode),
    MotionFormat(
        "csv",
        ".csv",
        "A table of positions and errors; metres, z up; without the joints' tree.",
        table.encode,
    ),
    MotionFormat(
        "trc", ".trc", "OpenSim's markers; millimetres, y up; without errors and marks of gaps.", trc.encode
    ),
    MotionFormat(
        "c3d",
        ".c3d",
        "Laboratories' markers; millimetres, z up; without errors and marks of gaps.",
        c3d.encode,
        c3d.require,
    ),
    MotionFormat("bvh", ".bvh", "Joint rotations; centimetres, y up; bones keep one length.", bvh.encode),
    MotionFormat("gltf", ".glb", "An animated skeleton; metres, y up; bones keep one length.", gltf.encode),
    MotionFormat(
        "parquet",
        ".parquet",
        "The table of csv, typed; metres, z up; the joints' tree in its metadata.",
        parquet.encode,
        parquet.require,
    ),
    MotionFormat(
        "movement",
        ".nc",
        "A poses data set of the library movement; metres, z up; without the joints' tree.",
        netcdf.encode,
    ),
    MotionFormat(
        "rrd",
        ".rrd",
        "A recording of the viewer Rerun; metres, z up; without errors and marks of gaps.",
        rrd.encode,
        rrd.require,
    ),
):
    MOTION_FORMATS.add(_format.name, _format)
