"""The poses data sets of the Python library `movement`, as netCDF 4 (which is HDF5), one video per file.

``position`` (time, space, keypoints, individuals), ``confidence`` without space, and coordinates that name
keypoints and individuals. Axes are found by the names of their scales, in singular or plural, as versions of
the library differ. Time is in seconds where the attribute ``fps`` says how many frames one has, otherwise in
frames. 3D positions are refused: they are no keypoints.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from poseshift.preprocessing.domain.keypoints.formats import KeypointFormat, People
from poseshift.preprocessing.domain.keypoints.named import arrange
from poseshift.preprocessing.domain.tracks import Sighting, View, collect, most_certain
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.hdf5 import is_hdf5, names, numbers, own_array, read_hdf5, text

_EXPECTED = "a poses data set of `movement`: position (time, space x y, keypoints, individuals), netCDF 4"
_REMEDY = "Save it with Dataset.to_netcdf(PATH, engine='h5netcdf')."
_CLASSIC = b"CDF"
_AXES = ("time", "keypoint", "individual", "space")


def recognises(path: Path) -> bool:
    """Whether it is netCDF."""
    if path.suffix != ".nc" or not path.is_file():
        return False
    with path.open("rb") as file:
        return is_hdf5(path) or file.read(3) == _CLASSIC


def read(path: Path, people: People) -> tuple[View, ...]:
    """Read the people of one video."""
    if not is_hdf5(path):
        raise RawDataError(path, found="netCDF 3", expected=_EXPECTED, remedy=_REMEDY)
    points, frames, parts, individuals = read_hdf5(path, _content, _EXPECTED, _REMEDY)
    arrangement = arrange(path, parts)
    sightings = []
    for number, person in enumerate(individuals):
        for frame, seen in zip(frames, arrangement.place(points[:, :, number]), strict=True):
            known = np.isfinite(seen).all(axis=-1) & (seen[:, 2] > 0)
            if known.any():
                sightings.append(
                    Sighting(int(frame), person, seen, float(np.where(known, seen[:, 2], 0).mean()))
                )
    chosen = most_certain(sightings) if people == "most-certain" else sightings
    return (collect(path, chosen, arrangement.joint_set),)


def _content(
    file: h5py.File,
) -> tuple[NDArray[np.float64], NDArray[np.int64], tuple[str, ...], tuple[str, ...]]:
    """Give (time, keypoints, individuals, 3) points, frame numbers, names of keypoints and individuals."""
    kind = text(file.attrs.get("ds_type", b"poses"))
    if kind != "poses":
        raise ValueError(f"a data set of {kind}")
    scales, position = _array(file, "position")
    if names(file, scales["space"]) != ("x", "y"):
        raise ValueError(f"space of {', '.join(names(file, scales['space']))}, not x and y")
    certain = _array(file, "confidence")[1] if "confidence" in file else np.ones(position.shape[:-1])
    if certain.shape != position.shape[:-1]:
        raise ValueError(f"confidence of shape {certain.shape} with position of shape {position.shape}")
    certain = np.where(np.isfinite(position).all(axis=-1) & np.isnan(certain), 1.0, certain)
    time = numbers(file, scales["time"])
    if text(file.attrs.get("time_unit", b"frames")) == "seconds":
        time = time * float(np.ravel(file.attrs["fps"])[0])
    points = np.concatenate([position, certain[..., None]], axis=-1)
    return (
        points,
        np.round(time).astype(np.int64),
        names(file, scales["keypoint"]),
        names(file, scales["individual"]),
    )


def _array(file: h5py.File, name: str) -> tuple[dict[str, str], NDArray[np.float64]]:
    """Read an array in the order of ``_AXES``, and the names of its axes as the file has them."""
    dataset = own_array(file, name)
    # By netCDF's own numbers of dimensions: HDF5's references to scales may be a circle.
    dimensions = {
        int(one.attrs["_Netcdf4Dimid"]): scale
        for scale, one in file.items()
        if isinstance(one, h5py.Dataset) and text(one.attrs.get("CLASS", b"")) == "DIMENSION_SCALE"
    }
    given = [dimensions[int(number)] for number in dataset.attrs["_Netcdf4Coordinates"]]
    scales = {one.removesuffix("s"): one for one in given}
    order = [list(scales).index(axis) for axis in _AXES if axis in scales]
    if len(order) != dataset.ndim:
        raise ValueError(f"'{name}' with the axes {', '.join(given)}")
    return scales, numbers(file, name).transpose(order)


MOVEMENT = KeypointFormat(
    "movement", "A poses data set of the library `movement`, netCDF 4, one video", recognises, read
)
