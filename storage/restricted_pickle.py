"""Reading pickles of plain data without running what they name.

NumPy stores arrays of Python objects as pickles, and a pickle may name any function to be called on loading.
The unpickler here builds NumPy arrays, dtypes and scalars, and Python's own containers, strings and numbers;
anything else is refused by name. It cannot make a damaged array state safe: files of unknown origin
are better converted by whoever made them.
"""

from __future__ import annotations

import codecs
import pickle
from collections.abc import Callable, Mapping
from typing import IO, Any, NoReturn

import numpy as np
from numpy._core.multiarray import _reconstruct, scalar


def _encode_latin1(text: str, encoding: str) -> bytes:
    """How protocols below 3 spell bytes; no other codec is looked up."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"the pickle asks for the codec {encoding!r}; only latin1 is admitted")
    return codecs.latin_1_encode(text)[0]


def _no_bytes() -> bytes:
    """How those protocols spell bytes of length zero."""
    return b""


_BUILDERS: Mapping[str, Callable[..., Any]] = {
    **{f"numpy.{core}.multiarray._reconstruct": _reconstruct for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": scalar for core in ("core", "_core")},
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "_codecs.encode": _encode_latin1,
    **{f"{builtins}.bytes": _no_bytes for builtins in ("__builtin__", "builtins")},
}
"""What object arrays name in files of NumPy 1 and 2. Containers, strings and numbers need no names."""


class RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that knows the builders of plain data and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Look a global name up in the list of admitted ones; UnpicklingError otherwise."""
        full_name = f"{module}.{name}"
        if full_name not in _BUILDERS:
            raise pickle.UnpicklingError(f"the pickle names {full_name}, which is not plain data")
        return _BUILDERS[full_name]

    def persistent_load(self, pid: Any) -> NoReturn:
        """Refuse references to objects outside the file."""
        raise pickle.UnpicklingError(f"the pickle refers to an object outside the file ({pid!r})")


def load_plain_data(file: IO[bytes]) -> Any:
    """Load one pickle of plain data.

    Raises
    ------
    pickle.UnpicklingError
        When the pickle is damaged, or names anything that is not plain data.
    """
    try:
        # latin1: NumPy arrays that Python 2 pickled keep their bytes.
        return RestrictedUnpickler(file, encoding="latin1").load()
    except (pickle.UnpicklingError, MemoryError):
        raise
    except Exception as error:
        raise pickle.UnpicklingError(f"damaged pickle ({type(error).__name__}: {error})") from error
