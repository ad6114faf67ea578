"""SLEAP's analysis files, CSV or HDF5, one per video.

CSV: ``track``, ``frame_idx``, ``instance.score`` and of each node ``.x``, ``.y``, ``.score``. HDF5:
``tracks`` (tracks, 2, nodes, frames), ``node_names``, ``track_names``, ``point_scores`` and
``instance_scores``; arrays with named ``dims``, as sleap-io writes them, may have their axes in another
order. A point that a person labelled has no score and counts as certain.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from poseshift.preprocessing.domain.keypoints.formats import KeypointFormat, People
from poseshift.preprocessing.domain.keypoints.named import arrange
from poseshift.preprocessing.domain.tracks import MOST_FRAMES, Sighting, View, collect, most_certain
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.hdf5 import is_hdf5, names, numbers, own_array, read_hdf5, text

_BEGIN = b"track,frame_idx,instance.score"
_EXPECTED = "SLEAP's analysis file: tracks, frames, and x, y and score of each node"
_REMEDY = "Export it again from SLEAP (Export Analysis CSV or HDF5)."
_AXES = {"tracks": ("track", "xy", "node", "frame"), "point_scores": ("track", "node", "frame")}


def recognises(path: Path) -> bool:
    """Whether it is a CSV or HDF5 file with SLEAP's names."""
    if path.suffix == ".csv" and path.is_file():
        with path.open("rb") as file:
            return file.read(len(_BEGIN)) == _BEGIN
    if path.suffix not in (".h5", ".hdf5") or not is_hdf5(path):
        return False
    try:
        with h5py.File(path, "r") as file:
            return "tracks" in file and "node_names" in file
    except Exception:  # of a damaged file, whatever h5py meets
        return False


def read(path: Path, people: People) -> tuple[View, ...]:
    """Read the people of one video."""
    if path.suffix == ".csv":
        nodes, sightings = _csv(path)
    else:
        nodes, sightings = read_hdf5(path, _hdf5, _EXPECTED, _REMEDY)
    arrangement = arrange(path, nodes)
    placed = [
        Sighting(one.frame, one.person, arrangement.place(one.keypoints), one.score) for one in sightings
    ]
    chosen = most_certain(placed) if people == "most-certain" else placed
    return (collect(path, chosen, arrangement.joint_set),)


def _csv(path: Path) -> tuple[list[str], list[Sighting]]:
    try:
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")))
        columns = list(rows.fieldnames or ())
        nodes = [one.removesuffix(".x") for one in columns if one.endswith(".x")]
        found = []
        for row in rows:
            points = [[_number(row.get(f"{node}.{part}")) for part in ("x", "y", "score")] for node in nodes]
            frame, score = _number(row["frame_idx"]), _number(row["instance.score"])
            found.append(
                Sighting(
                    int(frame), row["track"] or None, _certain(np.array(points)), float(np.nan_to_num(score))
                )
            )
    except (UnicodeDecodeError, csv.Error, KeyError, ValueError, TypeError, OverflowError) as error:
        raise RawDataError(
            path,
            found=f"another layout ({type(error).__name__}: {error})",
            expected=_EXPECTED,
            remedy=_REMEDY,
        ) from error
    return nodes, found


def _number(value: str | None) -> float:
    return float(value) if value else float("nan")


def _certain(points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give (..., 3) points without a score the score 1."""
    labelled = np.isfinite(points[..., :2]).all(axis=-1) & np.isnan(points[..., 2])
    points[..., 2] = np.where(labelled, 1.0, points[..., 2])
    with np.errstate(over="ignore"):  # infinite pixels count as not seen
        return points.astype(np.float32)


def _hdf5(file: h5py.File) -> tuple[list[str], list[Sighting]]:
    nodes = list(names(file, "node_names"))
    tracks = _ordered(file, "tracks")  # (tracks, 2, nodes, frames)
    if tracks.ndim != 4 or tracks.shape[1:3] != (2, len(nodes)) or tracks.shape[3] > MOST_FRAMES:
        raise ValueError(f"tracks of shape {tracks.shape} with {len(nodes)} nodes")
    known = names(file, "track_names") if "track_names" in file and file["track_names"].size else ()
    if len(known) not in (0, len(tracks)) or (not known and len(tracks) > 1):
        raise ValueError(f"{len(tracks)} tracks and {len(known)} names of them")
    scores = (
        _ordered(file, "point_scores")
        if "point_scores" in file
        else np.full((len(tracks), *tracks.shape[2:]), np.nan)
    )
    points = _certain(np.concatenate([np.moveaxis(tracks, 1, -1), scores[..., None]], axis=-1))
    return nodes, list(_sightings(points, known))


def _sightings(points: NDArray[np.float32], known: tuple[str, ...]) -> Iterator[Sighting]:
    """Go through (tracks, nodes, frames, 3) points."""
    for number, track in enumerate(points):
        seen = np.isfinite(track).all(axis=-1)
        for frame in np.flatnonzero(seen.any(axis=0)):
            score = float(np.where(seen[:, frame], track[:, frame, 2], 0).mean())
            yield Sighting(int(frame), known[number] if known else None, track[:, frame], score)


def _ordered(file: h5py.File, name: str) -> NDArray[np.float64]:
    """Read an array in SLEAP's own order of axes."""
    dataset = own_array(file, name)
    values = numbers(file, name)
    if "dims" not in dataset.attrs:
        return values
    axes = json.loads(text(dataset.attrs["dims"]))
    return values.transpose([axes.index(axis) for axis in _AXES[name]])


SLEAP = KeypointFormat("sleap", "SLEAP's analysis file of one video, CSV or HDF5", recognises, read)
