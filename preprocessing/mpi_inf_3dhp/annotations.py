"""``annot.mat`` and ``annot_data.mat``: the annotation files, opened, checked and handed on as arrays.

The release's training file is MATLAB v5, its test file MATLAB v7.3 (HDF5); either is read in both, because
MATLAB saves what it has loaded in whatever format is set. Values stay as the files hold them:
millimetres in camera axes and pixels, on the files' own joints. What they mean is the business of
:mod:`.read`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.mpi_inf_3dhp import layout
from poseshift.preprocessing.mpi_inf_3dhp.mat5 import Mat5Error, read_mat5
from poseshift.preprocessing.mpi_inf_3dhp.mat73 import Mat73Error, read_mat73
from poseshift.preprocessing.mpi_inf_3dhp.matlab import matlab_format
from poseshift.preprocessing.mpi_inf_3dhp.world import Float64

TRAINING_JOINTS = 28
TEST_JOINTS = 17
ACTIVITIES = 7

_MOST_FRAMES = 100_000  # the longest test sequence has 6,151
_DOWNLOAD_AGAIN = "Download this sequence's annotations again."


@dataclass(frozen=True)
class MultiViewAnnotations:
    """One training sequence as fourteen cameras see it.

    Attributes
    ----------
    keypoints_px : array of float64 of shape (14, N, 28, 2)
        ``annot2``.
    positions_camera_mm : array of float64 of shape (14, N, 28, 3)
        ``annot3``.
    universal_camera_mm : array of float64 of shape (14, N, 28, 3)
        ``univ_annot3``.
    frame_numbers : array of int64 of shape (N,)
        ``frames``, counted from 0 in the originals.
    """

    keypoints_px: Float64
    positions_camera_mm: Float64
    universal_camera_mm: Float64
    frame_numbers: NDArray[np.int64]


@dataclass(frozen=True)
class SingleViewAnnotations:
    """One test sequence.

    Attributes
    ----------
    keypoints_px : array of float64 of shape (N, 17, 2)
        ``annot2``.
    positions_camera_mm : array of float64 of shape (N, 17, 3)
        ``annot3``.
    universal_camera_mm : array of float64 of shape (N, 17, 3)
        ``univ_annot3``.
    valid : array of bool_ of shape (N,)
        ``valid_frame``.
    activity : array of int8 of shape (N,)
        ``activity_annotation``, 1 to 7; 0 stands for none.
    """

    keypoints_px: Float64
    positions_camera_mm: Float64
    universal_camera_mm: Float64
    valid: NDArray[np.bool_]
    activity: NDArray[np.int8]


def read_training_annotations(path: Path, max_frames: int | None = None) -> MultiViewAnnotations:
    """Read ``annot.mat`` (MATLAB v5 in the release).

    Parameters
    ----------
    path : Path
        The file.
    max_frames : int or None
        Rows beyond are left out; the official table says how many have a video frame.

    Raises
    ------
    RawDataError
        When the file is no MATLAB file or damaged, a key is missing, there are not fourteen cells, cells
        differ in rows or have other than 84 and 56 columns, values are missing (NaN), or cameras are not 0 to
        13 in order.
    """
    keys = ("annot2", "annot3", "univ_annot3", "cameras", "frames")
    content = _variables(path, keys)

    cells = {
        "annot2": _cells(path, "annot2", content["annot2"], TRAINING_JOINTS * 2),
        "annot3": _cells(path, "annot3", content["annot3"], TRAINING_JOINTS * 3),
        "univ_annot3": _cells(path, "univ_annot3", content["univ_annot3"], TRAINING_JOINTS * 3),
    }
    frame_numbers = np.ravel(content["frames"])
    if frame_numbers.dtype == object:
        raise RawDataError(
            path,
            found="'frames' with cells",
            expected="a column of frame numbers",
            remedy=_DOWNLOAD_AGAIN,
        )
    rows = {cell.shape[0] for each in cells.values() for cell in each} | {frame_numbers.size}
    if len(rows) > 1:
        raise RawDataError(
            path,
            found=f"arrays of {' and '.join(map(str, sorted(rows)))} rows",
            expected="the same number of rows in all cells and in 'frames'",
            remedy=_DOWNLOAD_AGAIN,
        )
    if not np.array_equal(np.ravel(content["cameras"]), np.arange(layout.CAMERAS)):
        raise RawDataError(
            path,
            found=f"cameras {np.ravel(content['cameras']).tolist()}",
            expected=f"0 to {layout.CAMERAS - 1} in order",
            remedy="Restore the original file: calibration and cells are matched by this order.",
        )
    stop = slice(max_frames)
    return MultiViewAnnotations(
        keypoints_px=_stack(path, "annot2", cells["annot2"], stop, 2),
        positions_camera_mm=_stack(path, "annot3", cells["annot3"], stop, 3),
        universal_camera_mm=_stack(path, "univ_annot3", cells["univ_annot3"], stop, 3),
        frame_numbers=frame_numbers[stop].astype(np.int64),
    )


def read_test_annotations(path: Path) -> SingleViewAnnotations:
    """Read ``annot_data.mat`` (MATLAB v7.3 in the release).

    Missing values (NaN) are an error in valid rows and left as they are in others.

    Raises
    ------
    RawDataError
        When the file is no MATLAB file or damaged, a key is missing, shapes differ from (N, 1, 17, 2 or 3)
        and (N, 1), or flags, activities or values of valid rows are out of range.
    """
    keys = ("annot2", "annot3", "univ_annot3", "valid_frame", "activity_annotation")
    content = {key: _frames_first(path, key, array) for key, array in _variables(path, keys).items()}

    frames = content["annot2"].shape[0] if content["annot2"].ndim else 0
    shapes = {
        "annot2": (frames, 1, TEST_JOINTS, 2),
        "annot3": (frames, 1, TEST_JOINTS, 3),
        "univ_annot3": (frames, 1, TEST_JOINTS, 3),
        "valid_frame": (frames, 1),
        "activity_annotation": (frames, 1),
    }
    for key, shape in shapes.items():
        if frames == 0 or content[key].shape != shape:
            raise RawDataError(
                path,
                found=f"'{key}' of shape {content[key].shape}",
                expected=f"{('N', *shape[1:])} with the same N > 0 everywhere".replace("'", ""),
                remedy=_DOWNLOAD_AGAIN,
            )
    valid = _whole_numbers(path, "valid_frame", content["valid_frame"], 0, 1).astype(np.bool_)
    activity = _whole_numbers(path, "activity_annotation", content["activity_annotation"], 0, ACTIVITIES)
    for key in ("annot2", "annot3", "univ_annot3"):
        _require_finite(path, key, content[key][valid], np.flatnonzero(valid))
    return SingleViewAnnotations(
        keypoints_px=content["annot2"][:, 0],
        positions_camera_mm=content["annot3"][:, 0],
        universal_camera_mm=content["univ_annot3"][:, 0],
        valid=valid,
        activity=activity,
    )


def _variables(path: Path, keys: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read variables in MATLAB's shapes, from either format."""
    found = matlab_format(path) if path.is_file() else "no file"
    try:
        if found == "MATLAB v5":
            content = read_mat5(path, keys)
        elif found == "MATLAB v7.3":
            content = read_mat73(path, keys, most_values=_MOST_FRAMES * TRAINING_JOINTS * 3)
        else:
            raise RawDataError(
                path, found=found, expected="a MATLAB file, v5 or v7.3", remedy=_DOWNLOAD_AGAIN
            )
    except (Mat5Error, Mat73Error) as error:
        raise RawDataError(
            path,
            found=f"a damaged file ({error})",
            expected=f"a whole {found} file, its variables numbers and cells of numbers",
            remedy=_DOWNLOAD_AGAIN,
        ) from error
    _require_keys(path, keys, content)
    return content


def _frames_first(path: Path, key: str, array: NDArray[Any]) -> Float64:
    """Turn an array of numbers, whose frames are MATLAB's last axis, to have them first."""
    if array.dtype == object:
        raise RawDataError(
            path, found=f"'{key}' with cells", expected="an array of numbers", remedy=_DOWNLOAD_AGAIN
        )
    return np.asarray(array.T, dtype=np.float64)


def _require_keys(path: Path, keys: Sequence[str], content: Any) -> None:
    missing = [key for key in keys if key not in content]
    if missing:
        raise RawDataError(
            path,
            found=f"no {', '.join(missing)}",
            expected=f"the variables {', '.join(keys)}",
            remedy="Restore the original file; files of other projects with this name hold other variables.",
        )


def _cells(path: Path, key: str, value: NDArray[Any], columns: int) -> list[NDArray[Any]]:
    """Split a (14, 1) cell array into its arrays of (N, columns)."""
    if value.dtype != object or value.size != layout.CAMERAS:
        found = f"{value.size} cells" if value.dtype == object else f"an array of shape {value.shape}"
        raise RawDataError(
            path,
            found=f"'{key}' with {found}",
            expected=f"{layout.CAMERAS} cells, one per camera",
            remedy=_DOWNLOAD_AGAIN,
        )
    cells = [np.asarray(cell) for cell in value.ravel()]
    for camera, cell in enumerate(cells):
        if cell.ndim != 2 or cell.shape[0] == 0 or cell.shape[1] != columns:
            raise RawDataError(
                path,
                found=f"'{key}' of camera {camera} with shape {cell.shape}",
                expected=f"rows of {columns} numbers ({TRAINING_JOINTS} joints)",
                remedy=_DOWNLOAD_AGAIN,
            )
    return cells


def _stack(path: Path, key: str, cells: list[NDArray[Any]], stop: slice, dimensions: int) -> Float64:
    for camera, cell in enumerate(cells):
        _require_finite(path, f"{key} of camera {camera}", cell[stop], np.arange(cell.shape[0])[stop])
    stacked: Float64 = np.stack([cell[stop] for cell in cells]).astype(np.float64, copy=False)
    return stacked.reshape(layout.CAMERAS, -1, TRAINING_JOINTS, dimensions)


def _require_finite(path: Path, what: str, values: NDArray[Any], rows: NDArray[np.intp]) -> None:
    bad = ~np.isfinite(values).reshape(values.shape[0], -1).all(axis=1)
    if bad.any():
        raise RawDataError(
            path,
            found=f"missing values (NaN) in {int(bad.sum())} rows of {what}, first in row {rows[bad][0]}",
            expected="a number for every joint",
            remedy=_DOWNLOAD_AGAIN,
        )


def _whole_numbers(path: Path, key: str, column: Float64, low: int, high: int) -> NDArray[np.int8]:
    values = column[:, 0]
    wrong = ~np.isin(values, np.arange(low, high + 1))
    if wrong.any():
        raise RawDataError(
            path,
            found=f"{values[wrong][0]:g} in row {int(np.flatnonzero(wrong)[0])} of '{key}'",
            expected=f"whole numbers from {low} to {high}",
            remedy=_DOWNLOAD_AGAIN,
        )
    return values.astype(np.int8)
