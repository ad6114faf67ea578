"""Calibration of the four cameras of Human3.6M, from the toolkit's vector ``w0``.

``calibration.json`` holds the values of the toolkit's ``metadata.xml``, which a tree need not contain; a
tree that has its own is read with that one (:mod:`poseshift.preprocessing.human36m.metadata`). Both take the
same path: a vector of 300 numbers, decoded by :func:`poseshift.geometry.toolkit_calibration.decode_w0`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.toolkit_calibration import W0_LENGTH, decode_w0, extrinsics_start, intrinsics_start

Size = tuple[int, int]


@dataclass(frozen=True)
class Calibration:
    """Four calibrated cameras for every subject.

    Attributes
    ----------
    source : str
        ``"built-in"`` or ``"metadata.xml"``.
    cameras : Mapping[str, tuple[Camera, ...]]
        Subject (``"S1"``) to its cameras, in the order of the data set.
    """

    source: str
    cameras: Mapping[str, tuple[Camera, ...]]

    def camera(self, subject: str, camera_id: str) -> Camera:
        """One subject's camera by its id, for example ``camera("S7", "55011271")``.

        Raises
        ------
        KeyError : no such subject or camera.
        """
        for camera in self.cameras.get(subject, ()):
            if camera.name == camera_id:
                return camera
        raise KeyError(f"Human3.6M has no camera {camera_id!r} of subject {subject!r}")


def calibration_from_w0(
    w0: NDArray[np.float64], camera_ids: Sequence[str], sizes_px: Mapping[str, Sequence[Size]], source: str
) -> Calibration:
    """Cameras of all subjects from ``w0`` (300,), in the layout of the toolkit.

    Parameters
    ----------
    w0 : array of float64 of shape (300,)
        Extrinsics (rx ry rz Tx Ty Tz, rad and mm) by camera and subject, then intrinsics by camera.
    camera_ids : Sequence[str]
        Names of the cameras.
    sizes_px : Mapping[str, Sequence[Size]]
        Subject ``"S<n>"`` to the (width, height) of each camera.
    source : str
        Recorded in the result.
    """
    return Calibration(
        source=source,
        cameras={
            subject: tuple(
                decode_w0(w0, index, int(subject[1:]) - 1).camera(name, sizes[index])
                for index, name in enumerate(camera_ids)
            )
            for subject, sizes in sizes_px.items()
        },
    )


@cache
def builtin_calibration() -> Calibration:
    """Return the toolkit's calibration of all eleven subjects."""
    table = _table()
    sizes = {
        subject: [(int(entry["size_px"][0]), int(entry["size_px"][1])) for entry in cameras.values()]
        for subject, cameras in table["subjects"].items()
    }
    return calibration_from_w0(builtin_w0(), camera_ids(), sizes, "built-in")


def builtin_w0() -> NDArray[np.float64]:
    """Return the toolkit's calibration as its vector ``w0``, shape (300,)."""
    table = _table()
    w0 = np.empty(W0_LENGTH)
    for index, name in enumerate(camera_ids()):
        for row, cameras in enumerate(table["subjects"].values()):
            start = extrinsics_start(index, row)
            w0[start : start + 6] = cameras[name]["angles"] + cameras[name]["centre_mm"]
        lens = table["intrinsics"][name]
        start = intrinsics_start(index)
        w0[start : start + 9] = lens["focal_px"] + lens["centre_px"] + lens["radial"] + lens["tangential"]
    return w0


@cache
def camera_ids() -> tuple[str, ...]:
    """Return the four cameras' ids, in the order of the data set."""
    return tuple(_table()["intrinsics"])


@cache
def _table() -> Any:
    return json.loads(files(__package__).joinpath("calibration.json").read_text(encoding="utf-8"))
