"""Failures of the Python interpreter itself, told apart from damage in a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Read = TypeVar("Read")

_TRIES = 5


def read_again_on_interpreter_error(read: Callable[[], Read]) -> Read:
    """Call a reader, and again when it stops with SystemError, which no file can cause by itself.

    NumPy parses the headers of npy files, and some of the types that cdflib names, by
    :func:`ast.literal_eval`. Early releases of CPython 3.11 and 3.12 count its depth in a place that all
    threads share (python/cpython#106905): beside a thread that does the same, sound input stops with "AST
    constructor recursion depth mismatch" (3.11.7: 15 of 3,000 reads in two threads that collect garbage as
    often as they can). Dask reads files in threads, and a sound file must not be recorded as a bad one.

    Parameters
    ----------
    read : callable without arguments
        Reads from the start whenever it is called.

    Returns
    -------
    what ``read`` returns.

    Raises
    ------
    SystemError
        When it came every time.
    Exception
        Whatever else ``read`` raises, at once.
    """
    for _ in range(_TRIES - 1):
        try:
            return read()
        except SystemError:
            continue
    return read()
