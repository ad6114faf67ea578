"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new, never a part.

    Parameters
    ----------
    path : Path
        Where; missing folders above it are made.
    content : bytes or str
        Text is written as UTF-8.

    Raises
    ------
    OSError
        The disk is full or the folder cannot be written; the old file is untouched.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "a" / "b.txt", "whole")
    ...     (Path(folder) / "a" / "b.txt").read_text()
    'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def problem_of_writing(folder: Path) -> str | None:
    """Say why no file can be written into a folder, which is made when it is missing; None when one can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror or str(error)


def name_again(existing: Path, place: Path) -> None:
    """Let ``place`` have the content of an existing file that is only ever replaced and never changed.

    It is another name of the same file or, on a file system without hard links (exFAT, some network mounts),
    a copy. A reader, or a crash, sees what ``place`` was before or all of the content.

    Raises
    ------
    OSError
        There is no such file, or the folder cannot be written.
    """
    temporary = place.with_name(f".{place.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        os.link(existing, temporary)
    except OSError:
        with existing.open("rb") as content, temporary.open("wb") as file:
            shutil.copyfileobj(content, file)
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(place)


def has_hard_links(folder: Path) -> bool:
    """Whether the file system of a folder, which is made when it is missing, knows hard links."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".links-") as place:
        first = Path(place) / "a"
        first.touch()
        try:
            (Path(place) / "b").hardlink_to(first)
        except OSError:
            return False
        return True


def owner_of(path: Path) -> str:
    """Name the user to whom a file belongs, by number when the system knows no name."""
    try:
        return path.owner()
    except (KeyError, NotImplementedError):
        return f"user {path.stat().st_uid}"
