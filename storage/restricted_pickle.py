"""Reading pickles of plain data without running what they name.

NumPy stores arrays of Python objects as pickles, and a pickle may name any function to be called on loading.
The unpickler here builds NumPy arrays of numbers, text and plain objects, and Python's own containers,
strings and numbers; anything else is refused by name. Arrays and dtypes are rebuilt from checked values:
NumPy's own ``__setstate__`` believes a dtype's state, whose offsets may point anywhere in memory.
"""

from __future__ import annotations

import codecs
import math
import pickle
import pickletools
import re
from collections.abc import Callable, Mapping
from typing import IO, Any, NoReturn

import numpy as np

_PLAIN_DTYPE = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248]|c8|c16|[SU]\d{1,6}|O8?)")
_BYTE_ORDERS = ("<", ">", "|", "=")
_LAST_CODE_POINT = 0x10FFFF
_MEMO_WRITES = ("PUT", "BINPUT", "LONG_BINPUT")


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

    Parameters
    ----------
    file : IO[bytes]
        At the pickle's beginning; can be sought, because the pickle is looked through before it is loaded.

    Raises
    ------
    pickle.UnpicklingError
        When the pickle is damaged, or names anything that is not plain data.
    """
    try:
        _require_small_memo(file)
        # latin1: NumPy arrays that Python 2 pickled keep their bytes.
        return RestrictedUnpickler(file, encoding="latin1").load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:
        raise pickle.UnpicklingError(f"damaged pickle ({type(error).__name__}: {error})") from error


def _require_small_memo(file: IO[bytes]) -> None:
    """Refuse numbers of remembered objects out of all order: a table of that length would be allocated."""
    start = file.tell()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if opcode.name in _MEMO_WRITES and (argument is None or not 0 <= argument <= count):
            raise pickle.UnpicklingError(f"the pickle remembers object {argument} before it has as many")
    file.seek(start)


class _Builder:
    """What a pickle gets for a name that it mentions: it can be called, and nothing of it can be changed."""

    __slots__ = ("_build",)

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build

    def __call__(self, *arguments: Any) -> Any:
        return self._build(*arguments)

    def __setstate__(self, state: Any) -> NoReturn:
        """Refuse: without this method, a pickle may set attributes of whatever it names."""
        raise pickle.UnpicklingError("the pickle changes what it names")


class _Dtype:
    """A dtype on its way out of a pickle: its name and byte order, and nothing else of its state."""

    def __init__(self, name: Any, align: Any = False, copy: Any = True) -> None:
        if not isinstance(name, str) or not _PLAIN_DTYPE.fullmatch(name):
            raise pickle.UnpicklingError(
                f"the pickle holds an array of dtype {name!r}, which is not plain data"
            )
        self.dtype = np.dtype(name)

    def __setstate__(self, state: Any) -> None:
        """Take the byte order of (version, order, subarray, names, fields, size, alignment, flags)."""
        version, order, subarray, names, fields, *_ = state
        if version not in (3, 4) or order not in _BYTE_ORDERS or (subarray, names, fields) != (None,) * 3:
            raise pickle.UnpicklingError("the pickle holds an array with fields, which is not plain data")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(np.ndarray[Any, Any]):
    """An array on its way out of a pickle: rebuilt from shape, dtype and exactly the data they need."""

    def __setstate__(self, state: Any) -> None:
        version, shape, kind, column_major, data = state
        if version != 1 or not isinstance(kind, _Dtype) or type(column_major) not in (bool, int):
            raise pickle.UnpicklingError("the pickle holds an array in an unknown state")
        if type(shape) is not tuple or any(type(size) is not int or size < 0 for size in shape):
            raise pickle.UnpicklingError(f"the pickle holds an array of shape {shape!r}")
        items, dtype = math.prod(shape), kind.dtype
        if dtype.hasobject:
            fits = type(data) is list and len(data) == items
        else:
            fits = type(data) is bytes and len(data) == items * dtype.itemsize
        if not fits:
            raise pickle.UnpicklingError(f"the pickle holds an array of shape {shape} with other data")
        if dtype.kind == "U":
            require_text(data, dtype)
        super().__setstate__((1, shape, dtype, bool(column_major), data))  # type: ignore[arg-type]  # NumPy wants bool


def _array(subtype: Any, shape: Any, typecode: Any) -> np.ndarray[Any, Any]:
    """How NumPy begins an array; shape and type come with its state."""
    return np.ndarray.__new__(_Array, (0,), np.dtype("b"))


def _scalar(kind: Any, data: Any) -> Any:
    """How NumPy spells one number."""
    if not isinstance(kind, _Dtype) or kind.dtype.hasobject:
        raise pickle.UnpicklingError("the pickle holds a number of an unknown type")
    if type(data) is str:
        data = data.encode("latin1")
    if type(data) is not bytes or len(data) != kind.dtype.itemsize:
        raise pickle.UnpicklingError(f"the pickle holds a number of {kind.dtype} with other data")
    if kind.dtype.kind == "U":
        require_text(data, kind.dtype)
    return np.frombuffer(data, dtype=kind.dtype)[0] if data else kind.dtype.type()


def require_text(data: bytes, dtype: np.dtype[Any]) -> None:
    """Refuse code points beyond Unicode: Python makes no strings of them, and some of its parts rely on that.

    Raises
    ------
    pickle.UnpicklingError
        When there is one.
    """
    points = np.frombuffer(data, dtype=np.dtype("u4").newbyteorder(dtype.byteorder))
    if points.size and points.max() > _LAST_CODE_POINT:
        raise pickle.UnpicklingError("text that is not Unicode")


def _encode_latin1(text: str, encoding: str) -> bytes:
    """How protocols below 3 spell bytes; no other codec is looked up."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"the pickle asks for the codec {encoding!r}; only latin1 is admitted")
    return codecs.latin_1_encode(text)[0]


def _no_bytes() -> bytes:
    """How those protocols spell bytes of length zero."""
    return b""


def _array_type(*_: Any) -> NoReturn:
    """Stand for the name of the array type, which arrays mention; it is not there to be called."""
    raise pickle.UnpicklingError("the pickle calls numpy.ndarray, which plain data do not need")


_BUILDERS: Mapping[str, _Builder] = {
    **{f"numpy.{core}.multiarray._reconstruct": _Builder(_array) for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _Builder(_scalar) for core in ("core", "_core")},
    "numpy.ndarray": _Builder(_array_type),
    "numpy.dtype": _Builder(_Dtype),
    "_codecs.encode": _Builder(_encode_latin1),
    **{f"{builtins}.bytes": _Builder(_no_bytes) for builtins in ("__builtin__", "builtins")},
}
"""What object arrays name in files of NumPy 1 and 2. Containers, strings and numbers need no names."""
