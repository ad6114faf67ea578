"""Reading npz files whose members may be arrays of Python objects, as the field's repositories write them."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy_format

from poseshift.storage.interpreter import read_again_on_interpreter_error
from poseshift.storage.restricted_pickle import load_plain_data, require_text

ObjectArrays = Literal["refuse", "restricted"]
"""Whether to ``refuse`` arrays of Python objects, or to read them with the ``restricted`` unpickler."""

MAX_BYTES = 8 * 1024**3
"""The largest of the field's files, P-STMO's training file, inflates to under 2 GiB."""

_HEADER_READERS: Mapping[
    tuple[int, int], Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype[Any]]]
] = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}


class ExchangeError(ValueError):
    """An exchange file that is not in the layout it is read as.

    Attributes
    ----------
    path : Path
        The file.
    problem : str
        What is wrong with it.
    advice : str
        What the caller can do about it, where there is something.
    """

    def __init__(self, path: Path, problem: str, advice: str = "") -> None:
        self.path = path
        self.problem = problem
        self.advice = advice
        super().__init__(f"{path}: {problem}" + (f". {advice}" if advice else ""))

    def __reduce__(self) -> tuple[type[ExchangeError], tuple[Path, str, str]]:
        return (type(self), (self.path, self.problem, self.advice))


def read_npz(
    path: Path, object_arrays: ObjectArrays = "refuse", max_bytes: int = MAX_BYTES
) -> dict[str, Any]:
    """Read all members of an npz file; 0-d object arrays become the object that they hold.

    Parameters
    ----------
    path : Path
        The file.
    object_arrays : ObjectArrays
        Whether pickled members may be read, by the restricted unpickler.
    max_bytes : int
        Most that the members may take together once inflated.

    Raises
    ------
    FileNotFoundError
        When there is no file.
    ExchangeError
        When the file is no npz, is damaged or too large, or has object arrays that are refused or not plain
        data.
    """
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _read_members(path, archive, object_arrays, max_bytes)
        except ExchangeError:
            raise
        except Exception as error:  # zipfile and NumPy meet damage with whatever error they run into
            raise ExchangeError(path, f"not an npz file, or damaged ({_first_line(error)})") from error


def _read_members(
    path: Path, archive: zipfile.ZipFile, object_arrays: ObjectArrays, max_bytes: int
) -> dict[str, Any]:
    inflated = sum(member.file_size for member in archive.infolist())
    if inflated > max_bytes:
        raise ExchangeError(path, f"{inflated} bytes once inflated; at most {max_bytes} are believed")
    content = {}
    for member in archive.infolist():
        try:
            read = partial(_read_member, path, archive, member, object_arrays)
            content[member.filename.removesuffix(".npy")] = read_again_on_interpreter_error(read)
        except ExchangeError:
            raise
        except Exception as error:
            raise ExchangeError(
                path, f"member {member.filename!r} cannot be read: {_first_line(error)}"
            ) from error
    return content


def _read_member(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, object_arrays: ObjectArrays
) -> Any:
    with archive.open(member) as stream:
        version = npy_format.read_magic(stream)
        reader = _HEADER_READERS.get(version)
        if reader is None:
            raise ValueError(f"npy version {version}")
        shape, _, dtype = reader(stream)
        if dtype.hasobject:
            return _read_objects(path, stream, member.filename, object_arrays)
        if dtype.fields is not None:
            raise ValueError(f"an array with fields ({dtype})")
        # A header may claim any size, and NumPy would allocate it before it reads.
        claimed, held = math.prod(shape) * dtype.itemsize, member.file_size - stream.tell()
        if min(shape, default=0) < 0 or claimed != held:
            raise ValueError(f"{held} bytes for an array {shape} of {dtype}")
    with archive.open(member) as stream:
        array = npy_format.read_array(stream, allow_pickle=False)
    if dtype.kind == "U":
        require_text(array.tobytes(), dtype)
    return array


def _read_objects(path: Path, stream: IO[bytes], name: str, object_arrays: ObjectArrays) -> Any:
    if object_arrays == "refuse":
        raise ExchangeError(
            path,
            f"member {name!r} holds Python objects, stored as a pickle, and a pickle can name code to run",
            "If the file comes from someone you trust, read it with object_arrays='restricted' "
            "(on the command line: --trust-pickle), which builds NumPy arrays, containers, strings and "
            "numbers and refuses everything else",
        )
    loaded = load_plain_data(stream)
    return loaded.item() if isinstance(loaded, np.ndarray) and loaded.ndim == 0 else loaded


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]


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
    if not isinstance(value, (np.ndarray, np.generic)):
        # Lists of lists may be small and, sharing their parts, expand to more than any memory.
        raise ExchangeError(path, f"{where} is {_describe(value)}; expected numbers in an array")
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
