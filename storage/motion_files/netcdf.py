"""netCDF 4 of the Python library `movement`: its poses data set, in three dimensions and one individual.

``position`` (time, space, keypoints, individuals) in metres and the axes of the motion, ``confidence`` 0
where a joint is interpolated in time and 1 elsewhere, and, beside what the library has itself, ``error``
in metres. Attributes say the library's ``ds_type``, ``fps`` and ``time_unit``, and axes, camera and error
kind. The file is HDF5 with netCDF's conventions on dimensions, which h5py writes.
"""

from __future__ import annotations

import io

import h5py
import numpy as np

from poseshift.storage.motion_files.motion import Motion

_AXES = ("time", "space", "keypoints", "individuals")


def encode(motion: Motion) -> bytes:
    """Write a motion as netCDF."""
    content = io.BytesIO()
    with h5py.File(content, "w", track_order=True) as file:
        scales = {
            "time": motion.seconds,
            "space": _texts(("x", "y", "z")),
            "keypoints": _texts(motion.skeleton.joint_names),
            "individuals": _texts((motion.key.subject,)),
        }
        for number, axis in enumerate(_AXES):
            file.create_dataset(axis, data=scales[axis])
            file[axis].make_scale(axis)
            file[axis].attrs["_Netcdf4Dimid"] = np.int32(number)
        _add(file, "position", motion.positions.swapaxes(1, 2)[..., None], _AXES)
        seen = np.where(motion.interpolated, np.float32(0), np.float32(1))
        without_space = ("time", "keypoints", "individuals")
        _add(file, "confidence", seen[..., None], without_space)
        _add(file, "error", motion.error_m[..., None], without_space)
        for variable in ("position", "error"):
            file[variable].attrs["units"] = "m"
        attributes = {
            "source_software": "PoseShift",
            "ds_type": "poses",
            "fps": float(motion.fps),
            "time_unit": "seconds",
            "axes": motion.axes,
            "trial": motion.key.path,
            "camera": motion.camera,
            "error_kind": motion.error_kind,
        }
        file.attrs.update(attributes)
    return content.getvalue()


def _add(file: h5py.File, name: str, values: np.ndarray, axes: tuple[str, ...]) -> None:
    variable = file.create_dataset(name, data=values)
    variable.attrs["_Netcdf4Coordinates"] = np.array([_AXES.index(axis) for axis in axes], dtype=np.int32)
    for place, axis in enumerate(axes):
        variable.dims[place].attach_scale(file[axis])


def _texts(values: tuple[str, ...]) -> np.ndarray:
    return np.array(values, dtype=h5py.string_dtype())
