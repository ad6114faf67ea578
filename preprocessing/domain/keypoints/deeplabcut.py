"""DeepLabCut's tables, CSV or HDF5, one per video.

Columns are named by scorer, individual where there are several, body part, and x, y or likelihood. HDF5
files are what pandas writes (``df_with_missing``, formats ``table`` and ``fixed``). Of the former the names
of columns are a pickle, which the project's restricted reader reads. Labelled frames have no likelihood:
what is labelled counts as certain. Body parts of the individual ``single``, which are no animal's, are left
out where there are others.
"""

from __future__ import annotations

import csv
import io
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from poseshift.preprocessing.domain.keypoints.formats import KeypointFormat, People, frame_number
from poseshift.preprocessing.domain.keypoints.named import arrange
from poseshift.preprocessing.domain.tracks import Sighting, View, collect, most_certain
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.hdf5 import is_hdf5, names, numbers, own_array, read_hdf5
from poseshift.storage.restricted_pickle import load_plain_data

_LEVELS = ("scorer", "individuals", "bodyparts", "coords")
_COORDINATES = ("x", "y", "likelihood")
_EXPECTED = "a table of DeepLabCut: scorer, (individuals,) bodyparts and coords over x, y (and likelihood)"
_REMEDY = "Write it again with analyze_videos (save_as_csv=True)."
_NOT_ANIMALS = "single"


@dataclass(frozen=True)
class _Table:
    """Columns by (individual, body part, coordinate), individual empty without several; rows are frames."""

    columns: tuple[tuple[str, str, str], ...]
    frames: tuple[int | str, ...]
    values: NDArray[np.float64]


def recognises(path: Path) -> bool:
    """Whether it is a CSV that begins with a scorer, or HDF5 with a table of pandas."""
    if path.suffix == ".csv" and path.is_file():
        with path.open("rb") as file:
            return file.read(7) == b"scorer,"
    if path.suffix not in (".h5", ".hdf5") or not is_hdf5(path):
        return False
    try:
        with h5py.File(path, "r") as file:
            return any("pandas_type" in group.attrs for group in file.values())
    except Exception:  # of a damaged file, whatever h5py meets
        return False


def read(path: Path, people: People) -> tuple[View, ...]:
    """Read the people of one video."""
    table = _csv(path) if path.suffix == ".csv" else read_hdf5(path, _hdf5, _EXPECTED, _REMEDY)
    individuals = list(dict.fromkeys(individual for individual, _, _ in table.columns))
    if len(individuals) > 1:
        individuals = [one for one in individuals if one != _NOT_ANIMALS]
    joint_set = ""
    sightings: list[Sighting] = []
    for individual in individuals:
        parts = list(dict.fromkeys(part for one, part, _ in table.columns if one == individual))
        arrangement = arrange(path, parts)
        if joint_set not in ("", arrangement.joint_set):
            raise _error(path, f"individuals with other body parts than {individuals[0]}'s")
        joint_set = arrangement.joint_set
        keypoints = arrangement.place(_points(path, table, individual, parts))
        sightings += _sightings(path, table.frames, individual or None, keypoints)
    return (collect(path, most_certain(sightings) if people == "most-certain" else sightings, joint_set),)


def _points(path: Path, table: _Table, individual: str, parts: Sequence[str]) -> NDArray[np.float64]:
    """Give (frames, parts, 3) pixels and likelihood of one individual."""
    column = {key: number for number, key in enumerate(table.columns)}
    points = np.full((len(table.frames), len(parts), 3), np.nan)
    for place, part in enumerate(parts):
        wanted = [column.get((individual, part, coordinate)) for coordinate in _COORDINATES]
        if wanted[0] is None or wanted[1] is None:
            raise _error(path, f"no x and y of {part}")
        points[:, place, 0], points[:, place, 1] = table.values[:, wanted[0]], table.values[:, wanted[1]]
        points[:, place, 2] = 1.0 if wanted[2] is None else table.values[:, wanted[2]]
    return points


def _sightings(
    path: Path, frames: Sequence[int | str], person: str | None, keypoints: NDArray[np.float32]
) -> Iterator[Sighting]:
    for frame, points in zip(frames, keypoints, strict=True):
        seen = np.isfinite(points).all(axis=-1) & (points[:, 2] > 0)
        if seen.any():
            score = float(np.where(seen, points[:, 2], 0).mean())
            yield Sighting(frame_number(path, frame), person, points, score)


def _csv(path: Path) -> _Table:
    try:
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise _error(path, f"no readable table ({error})") from error
    header = {row[0]: row for row in rows[:4] if row and row[0] in _LEVELS}
    if not {"bodyparts", "coords"} <= set(header):
        raise _error(path, f"a header of {', '.join(header) or 'nothing that is known'}")
    coordinates = header["coords"]
    # One column of frame numbers or image names, or three of folders and image name.
    first = next((at for at, one in enumerate(coordinates) if one in _COORDINATES), 0)
    if any(len(row) != len(coordinates) for row in header.values()) or first == 0:
        raise _error(path, "header lines of different lengths, or without x and y")
    individuals = header.get("individuals", [""] * len(coordinates))
    body = [row for row in rows[len(header) :] if row]
    try:
        values = [[float(one) if one else np.nan for one in row[first:]] for row in body]
        table = np.array(values, dtype=np.float64).reshape(len(body), len(coordinates) - first)
    except ValueError as error:
        raise _error(path, f"a row that is no numbers ({error})") from error
    return _Table(
        tuple(zip(individuals[first:], header["bodyparts"][first:], coordinates[first:], strict=True)),
        tuple(_frame(row[:first]) for row in body),
        table,
    )


def _frame(index: Sequence[str]) -> int | str:
    return int(index[-1]) if index[-1].isdigit() else index[-1]


def _hdf5(file: h5py.File) -> _Table:
    group = next(one for one in file.values() if "pandas_type" in one.attrs)
    if group.attrs["pandas_type"] == b"frame_table":
        table = own_array(group, "table")
        columns = load_plain_data(io.BytesIO(bytes(table.attrs["values_block_0_kind"])))
        content = table[()]
        frames, values = content["index"], content["values_block_0"]
    else:
        columns = list(zip(*_levels(group), strict=True))
        values = numbers(group, "block0_values")
        frames = own_array(group, "axis1")[()] if "axis1" in group else _level(group, "axis1", -1)
    if not isinstance(columns, list) or not all(
        isinstance(one, tuple) and len(one) in (3, 4) for one in columns
    ):
        raise pickle.UnpicklingError("columns that are no tuples of scorer, body part and coordinate")
    named = tuple(("" if len(one) == 3 else str(one[1]), str(one[-2]), str(one[-1])) for one in columns)
    table_values = np.asarray(values, dtype=np.float64).reshape(len(frames), len(named))
    return _Table(named, tuple(_number_or_name(one) for one in frames), table_values)


def _levels(group: h5py.Group) -> list[list[str]]:
    return [_level(group, "block0_items", level) for level in range(int(group.attrs["block0_items_nlevels"]))]


def _level(group: h5py.Group, axis: str, level: int) -> list[str]:
    """Read one level of an index of several, the last one where it is -1."""
    number = level if level >= 0 else int(group.attrs[f"{axis}_nlevels"]) - 1
    texts = names(group, f"{axis}_level{number}")
    return [texts[int(one)] for one in numbers(group, f"{axis}_label{number}")]


def _number_or_name(value: Any) -> int | str:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return value if isinstance(value, str) else int(value)


def _error(path: Path, found: str) -> RawDataError:
    return RawDataError(path, found=found, expected=_EXPECTED, remedy=_REMEDY)


DEEPLABCUT = KeypointFormat("deeplabcut", "DeepLabCut's table of one video, CSV or HDF5", recognises, read)
