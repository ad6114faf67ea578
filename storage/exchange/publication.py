"""Putting an exported file in its place: whole, and never over a file that holds something else.

Layouts of other repositories have no room to say where their numbers come from. Beside each exported file
therefore lies ``<file>.origin.json``: which store and snapshot it was made from, with which settings, and the
file's digest, by which a file that was exchanged since is known.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from poseshift.storage.files import write_atomically
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import digest_file

_SUFFIX = ".origin.json"


class ExportOrigin(FrozenModel):
    """What an exported file was made from."""

    layout: str
    """Name of the exchange format."""
    source: str
    """Location of the store, or the folder of the evaluation."""
    snapshot: str
    """Snapshot of the store, or the digest of what was read of the evaluation."""
    settings: Mapping[str, str] = {}
    """What else decides the content, such as the detector or the kind of 3D."""

    @property
    def told(self) -> str:
        """In words."""
        with_these = ", ".join(f"{name} {value}" for name, value in sorted(self.settings.items()))
        settings = f" ({with_these})" if with_these else ""
        return f"{self.layout}{settings} of {self.source}, snapshot {self.snapshot}"

    def same_content(self, other: ExportOrigin) -> bool:
        """Whether both give the same file; a store that was moved is still the same snapshot."""
        return self.model_copy(update={"source": other.source}) == other


class ExportRecord(FrozenModel):
    """What lies beside an exported file."""

    origin: ExportOrigin
    """What it was made from."""
    sha256: str
    """Of the file as it was written."""


class ExportExistsError(ValueError):
    """A file that an export would overwrite, and that holds something else."""

    def __init__(self, path: Path, held: str, wanted: ExportOrigin) -> None:
        super().__init__(
            f"{path} holds {held}, and this would be {wanted.told}: choose another place, or say --replace"
        )
        self.path, self.held, self.wanted = path, held, wanted


@contextmanager
def staged(place: Path) -> Iterator[Path]:
    """Give a path on the file system of ``place`` to write an export to, a file or a folder.

    What lies there when the block ends, :func:`publish` called or not, is removed. Missing folders above
    ``place`` are made.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".export-") as folder:
        yield Path(folder) / place.name


def publish(draft: Path, place: Path, origin: ExportOrigin, *, replace: bool = False) -> tuple[Path, ...]:
    """Move what was written to a path of :func:`staged` to its place, each file whole.

    Parameters
    ----------
    draft : Path
        The file, or the folder of files, and whatever the writer has put beside it: NumPy adds ``.npz`` to
        names without it.
    place : Path
        Where it belongs; files of a folder are put beside those that lie there.
    origin : ExportOrigin
        What it was made from.
    replace : bool
        Whether files that hold something else are overwritten.

    Returns
    -------
    tuple of Path
        The files.

    Raises
    ------
    ExportExistsError
        When a file there was made from something else, or nothing says what from; none is written then.
    IsADirectoryError
        When a folder lies where a file belongs.
    ValueError
        When nothing was written.
    """
    drafts = sorted(path for path in draft.parent.rglob("*") if path.is_file())
    if not drafts:
        raise ValueError(f"{origin.told} gives no file; nothing is written to {place}")
    moves = [(one, place.parent / one.relative_to(draft.parent)) for one in drafts]
    require_free([target for _, target in moves], origin, replace=replace)
    for one, target in moves:
        record = ExportRecord(origin=origin, sha256=digest_file(one, one.parent).sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        _flush(one)
        one.replace(target)
        write_atomically(_record_of(target), record.model_dump_json(indent=2) + "\n")
    return tuple(target for _, target in moves)


def require_free(places: Sequence[Path], origin: ExportOrigin, *, replace: bool = False) -> None:
    """Raise what :func:`publish` raises where a file may not be written; for exports that take a while.

    Parameters
    ----------
    places : sequence of Path
        The files.
    origin : ExportOrigin
        What they are to be made from.
    replace : bool
        Whether files that hold something else are overwritten.
    """
    for place in places:
        if place.is_dir():
            raise IsADirectoryError(f"{place} is a folder, where a file is to be written")
        held = None if replace else _held(place, origin)
        if held is not None:
            raise ExportExistsError(place, held, origin)


def _held(path: Path, wanted: ExportOrigin) -> str | None:
    """Say what a file holds; None where there is none, or where it holds what is wanted."""
    if not path.exists():
        return None
    try:
        record = ExportRecord.model_validate_json(_record_of(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, ValidationError):
        return "what nothing beside it describes"
    if record.sha256 != digest_file(path, path.parent).sha256:
        return f"not what was exported there ({record.origin.told})"
    return None if record.origin.same_content(wanted) else record.origin.told


def _record_of(path: Path) -> Path:
    return path.with_name(path.name + _SUFFIX)


def _flush(path: Path) -> None:
    """Have the disk hold a file's content before its name does."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
