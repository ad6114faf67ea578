"""Pose files of Human3.6M: one CDF variable ``Pose`` with one record of (frames, joints x coordinates).

Follows the files that MATLAB's ``cdfwrite`` made for the release: CDF 3, column-major, little-endian, without
compression, checksum or attributes. Whatever cdflib raises on a damaged file becomes a RawDataError here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from cdflib.cdfread import CDF as CDFReader  # noqa: N811
from cdflib.cdfwrite import CDF as CDFWriter  # noqa: N811
from numpy.typing import NDArray

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.human36m.cdf_structure import StructureError, inspect
from poseshift.storage.interpreter import read_again_on_interpreter_error

VARIABLE = "Pose"
_CDF_FLOAT = 44
_IBMPC = 6
_REMEDY = "Extract the file again from its archive; if it stays like this, download the archive again."


def read_pose(path: Path, joints: int, dimensions: int) -> NDArray[np.floating[Any]]:
    """Read one pose file.

    Parameters
    ----------
    path : Path
        The CDF file, with its suffix.
    joints, dimensions : int
        The shape of one frame.

    Returns
    -------
    array (frames, joints, dimensions), float32 as released, or float64 when the file holds doubles; finite.
    It lies in memory as in the file: in the release's, all frames of one coordinate are beside each other.

    Raises
    ------
    RawDataError : the file is missing, is no CDF, is damaged, has another shape, or holds NaN or infinity.
    """
    columns = joints * dimensions
    expected = f"one variable '{VARIABLE}' of {columns} columns ({joints} joints x {dimensions})"
    try:
        with path.open("rb") as stream:
            variable = inspect(stream, path.stat().st_size)
        if variable.name.lower() != VARIABLE.lower():
            raise StructureError(f"a variable named {variable.name!r}")
        if variable.columns != columns:
            raise StructureError(f"{variable.columns} columns in {variable.rows} rows")
        values = np.asarray(read_again_on_interpreter_error(lambda: CDFReader(path).varget(VARIABLE)))
    except StructureError as error:
        raise RawDataError(path, found=str(error), expected=expected, remedy=_REMEDY) from error
    except OSError as error:
        raise RawDataError(
            path,
            found=f"no readable file ({error})",
            expected=expected,
            remedy="Check the path and its permissions.",
        ) from error
    except Exception as error:  # cdflib meets damage with whatever exception it runs into
        found = f"damage that stops the CDF reader ({type(error).__name__}: {error})"
        raise RawDataError(path, found=found, expected=expected, remedy=_REMEDY) from error
    if values.size != variable.rows * columns:
        found = f"{values.size} values in place of {variable.rows} x {columns}"
        raise RawDataError(path, found=found, expected=expected, remedy=_REMEDY)
    poses = values.reshape(variable.rows, joints, dimensions)
    _require_finite(path, poses)
    return poses


def write_pose(path: Path, poses: NDArray[np.floating[Any]]) -> None:
    """Write one pose file as the release has it, in float32.

    Parameters
    ----------
    path : Path
        The CDF file, replaced when it exists; its folder is made.
    poses : array of floating of shape (frames, joints, dimensions)
    """
    rows = np.asarray(poses, dtype=np.float32).reshape(poses.shape[0], -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"Majority": "Column_major", "Encoding": _IBMPC, "Checksum": False, "Compressed": 0}
    variable = {
        "Variable": VARIABLE,
        "Data_Type": _CDF_FLOAT,
        "Num_Elements": 1,
        "Rec_Vary": True,
        "Dim_Sizes": list(rows.shape),
        "Compress": 0,
    }
    writer = _ReleaseWriter(path, cdf_spec=header, delete=True)
    try:
        # cdflib stores the bytes as they come: column-major order is the caller's business.
        writer.write_var(variable, var_data=rows.ravel(order="F").reshape(1, *rows.shape))
    finally:
        writer.close()


class _ReleaseWriter(CDFWriter):  # type: ignore[misc]  # cdflib is untyped
    """cdflib's writer under the version number of the release's files, 3.3.0."""

    release = 3


def _require_finite(path: Path, poses: NDArray[np.floating[Any]]) -> None:
    finite = np.isfinite(poses)
    if not finite.all():
        bad = ~finite.all(axis=(1, 2))
        raise RawDataError(
            path,
            found=f"NaN or infinity in {int(bad.sum())} rows, the first of them row {int(bad.argmax())}",
            expected="finite numbers in every row",
            remedy=_REMEDY,
        )
