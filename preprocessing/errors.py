"""The errors of raw data in one form: which file, what was found, what was expected, what to do."""

from __future__ import annotations

from pathlib import Path


class RawDataError(ValueError):
    """A raw file that cannot be read as what its name and place say it is.

    Attributes
    ----------
    path : Path or str
        The file (or folder) in question.
    found : str
        What it holds.
    expected : str
        What it should hold.
    remedy : str
        What the user can do about it.
    """

    def __init__(self, path: Path | str, *, found: str, expected: str, remedy: str) -> None:
        self.path = Path(path)
        self.found = found
        self.expected = expected
        self.remedy = remedy
        super().__init__(f"{path}: found {found}; expected {expected}. {remedy}")

    def __reduce__(self) -> tuple[object, ...]:
        """Survive pickling between Dask workers, which would drop keyword-only arguments."""
        return (_rebuild, (type(self), str(self.path), self.found, self.expected, self.remedy))


class NotUnpackedError(RawDataError):
    """A folder of archives, and nowhere to unpack them."""


def _rebuild(kind: type[RawDataError], path: str, found: str, expected: str, remedy: str) -> RawDataError:
    return kind(path, found=found, expected=expected, remedy=remedy)
