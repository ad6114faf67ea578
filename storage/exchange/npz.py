"""Reading npz files whose members may be arrays of Python objects, as the field's repositories write them."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.lib import format as npy_format

from storage.restricted_pickle import load_plain_data

ObjectArrays = Literal["refuse", "restricted"]
"""Whether to ``refuse`` arrays of Python objects, or to read them with the ``restricted`` unpickler."""


class ExchangeError(ValueError):
    """An exchange file that is not in the layout it is read as."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}")

    def __reduce__(self) -> tuple[type[ExchangeError], tuple[Path, str]]:
        return (type(self), (self.path, self.problem))


def read_npz(path: Path, object_arrays: ObjectArrays = "refuse") -> dict[str, Any]:
    """Read all members of an npz file; 0-d object arrays become the object that they hold.

    Parameters
    ----------
    path : the file.
    object_arrays : whether pickled members may be read, by the restricted unpickler.

    Raises
    ------
    ExchangeError
        When the file is no npz, or has object arrays that are refused or not plain data.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {
                name.removesuffix(".npy"): _read_member(path, archive, name, object_arrays)
                for name in archive.namelist()
            }
    except zipfile.BadZipFile as error:
        raise ExchangeError(path, f"not an npz file ({error})") from error


def _read_member(path: Path, archive: zipfile.ZipFile, name: str, object_arrays: ObjectArrays) -> Any:
    with archive.open(name) as member:
        try:
            major, _ = npy_format.read_magic(member)
            reader = npy_format.read_array_header_1_0 if major == 1 else npy_format.read_array_header_2_0
            _, _, dtype = reader(member)
            if dtype.hasobject:
                return _read_objects(path, member, name, object_arrays)
        except (ValueError, pickle.UnpicklingError) as error:
            if isinstance(error, ExchangeError):
                raise
            raise ExchangeError(path, f"member {name!r} cannot be read: {error}") from error
    with archive.open(name) as member:
        return npy_format.read_array(member, allow_pickle=False)


def _read_objects(path: Path, member: Any, name: str, object_arrays: ObjectArrays) -> Any:
    if object_arrays == "refuse":
        raise ExchangeError(
            path,
            f"member {name!r} holds Python objects, stored as a pickle, and a pickle can name code to run. "
            "If the file comes from someone you trust, read it with object_arrays='restricted', which builds "
            "NumPy arrays, containers, strings and numbers and refuses everything else",
        )
    loaded = load_plain_data(member)
    return loaded.item() if isinstance(loaded, np.ndarray) and loaded.ndim == 0 else loaded


def require_mapping(path: Path, where: str, value: Any) -> Mapping[str, Any]:
    """Return ``value`` if it is a dictionary with string keys; ExchangeError otherwise."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ExchangeError(path, f"{where} is {_describe(value)}; expected a dictionary of names")
    return value


def require_member(path: Path, content: Mapping[str, Any], name: str) -> Any:
    """Return the entry ``name``; ExchangeError naming those that exist otherwise."""
    if name not in content:
        raise ExchangeError(path, f"no {name!r}; there are {', '.join(map(repr, sorted(content)))}")
    return content[name]


def require_numbers(path: Path, where: str, value: Any, shape: tuple[int | None, ...]) -> Any:
    """Return ``value`` as a numeric array of ``shape`` (None: any length); ExchangeError otherwise."""
    array = np.asarray(value)
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if array.dtype.kind not in "fiub" or not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ExchangeError(path, f"{where} is {_describe(array)}; expected numbers of shape ({wanted})")
    return array


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    return f"a {type(value).__name__}"
