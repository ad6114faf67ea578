"""Unpacking the releases' .tgz archives without trusting them.

Only regular members that the caller wants are written, each inside the target folder. Paths that lead out
of it, links, devices and sizes beyond all reason are refused, for members that are not wanted as well: an
archive that holds one is not what it says it is.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import ValidationError

from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.model import FrozenModel

logger = logging.getLogger(__name__)

RECORDS_FOLDER = ".unpacked"
"""Folder inside the target that says which archive each file came from."""

_LONGEST_READ = 16 * 1024 * 1024
_COPY_BYTES = 1024 * 1024
_REMEDY = "Download the archive again from the data set's own site; do not use this one."


@dataclass(frozen=True)
class ArchiveLimits:
    """Sizes beyond which an archive is refused; a subject's poses of one kind unpack to under 1 GiB."""

    member_bytes: int = 512 * 1024**2
    total_bytes: int = 16 * 1024**3
    members: int = 20_000


DEFAULT_LIMITS = ArchiveLimits()


class _Record(FrozenModel):
    """What an archive was unpacked to."""

    sha256: str
    wanted: str
    members: tuple[str, ...]


def unpack(
    archive: Path, into: Path, wanted: re.Pattern[str], limits: ArchiveLimits = DEFAULT_LIMITS
) -> tuple[Path, ...]:
    """Unpack the wanted members of a .tgz archive, unless that was done already.

    Members are remembered with the archive's digest. The same archive is not unpacked twice; one with another
    content under the same name replaces the members of its predecessor.

    Parameters
    ----------
    archive : Path
        The .tgz file.
    into : Path
        Target folder; made when missing.
    wanted : re.Pattern[str]
        Matches the whole path of each member that is to be written.
    limits : ArchiveLimits
        Largest sizes that are believed.

    Returns
    -------
    the wanted files, inside ``into``.

    Raises
    ------
    RawDataError : no gzip-compressed tar archive, damaged, or a member that must be refused.
    """
    sha256 = _digest(archive)
    record_path = into / RECORDS_FOLDER / f"{archive.name}.json"
    record = _read_record(record_path)
    if record is not None and (record.sha256, record.wanted) == (sha256, wanted.pattern):
        files = tuple(into / name for name in record.members)
        if all(file.is_file() for file in files):
            return files
    logger.info("unpacking %s into %s", archive, into)
    members = tuple(_unpack_members(archive, into, wanted, limits))
    for name in set(record.members if record else ()).difference(members):
        if wanted.fullmatch(name) and _inside(name):
            (into / name).unlink(missing_ok=True)
    record_path.parent.mkdir(parents=True, exist_ok=True)
    content = _Record(sha256=sha256, wanted=wanted.pattern, members=members).model_dump_json()
    record_path.write_text(content, encoding="utf-8")
    return tuple(into / name for name in members)


def _unpack_members(
    archive: Path, into: Path, wanted: re.Pattern[str], limits: ArchiveLimits
) -> Iterator[str]:
    try:
        with (
            gzip.open(archive, "rb") as unzipped,
            tarfile.open(fileobj=_BoundedStream(archive, unzipped, limits), mode="r:") as tar,
        ):
            total = 0
            for count, member in enumerate(tar, start=1):
                total += member.size
                if count > limits.members or total > limits.total_bytes or member.size > limits.member_bytes:
                    found = f"{count} members of {total} bytes, the last of {member.size}"
                    raise _refusal(archive, found, f"at most {limits}")
                path = _require_plain(archive, member)
                if member.isreg() and wanted.fullmatch(path.as_posix()):
                    source = tar.extractfile(member)
                    if source is not None:
                        _write(source, member, archive, into / path)
                        yield path.as_posix()
    except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError) as error:
        if isinstance(error, RawDataError):
            raise
        found = f"damage ({type(error).__name__}: {error})"
        raise _refusal(archive, found, "a whole gzip-compressed tar archive") from error


def _require_plain(archive: Path, member: tarfile.TarInfo) -> PurePosixPath:
    """Return the member's path, when it is a file or folder that stays inside the target."""
    if not (member.isreg() or member.isdir()):
        raise _refusal(archive, f"{member.name!r}, a link or device", "files and folders")
    if not _inside(member.name):
        raise _refusal(archive, f"the path {member.name!r}", "paths inside the target folder")
    return PurePosixPath(member.name)


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not (
        path.is_absolute()
        or ".." in path.parts
        or "\\" in name
        or "\0" in name
        or re.match("[A-Za-z]:", name)
    )


def _write(source: IO[bytes], member: tarfile.TarInfo, archive: Path, target: Path) -> None:
    """Write a file in one step, so that a run that is killed leaves no half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", suffix=".part", delete=False) as part:
        partial = Path(part.name)
        try:
            shutil.copyfileobj(source, part, _COPY_BYTES)
            if part.tell() != member.size:
                found = f"{part.tell()} of {member.size} bytes of {member.name!r}"
                raise _refusal(archive, found, "a whole archive")
            part.close()
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)


class _BoundedStream(io.RawIOBase):
    """An unzipped archive that refuses to be read in huge pieces or beyond all reason.

    tarfile reads extended headers whole, at whatever length they claim; a few kilobytes of gzip can unzip to
    many gigabytes.
    """

    def __init__(self, archive: Path, unzipped: gzip.GzipFile, limits: ArchiveLimits) -> None:
        self._archive = archive
        self._unzipped = unzipped
        self._end = limits.total_bytes + 1024 * limits.members

    def readable(self) -> bool:
        """Return True: it is for reading."""
        return True

    def seekable(self) -> bool:
        """Return True: gzip seeks by reading on."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes."""
        if not 0 <= size <= _LONGEST_READ or self.tell() + size > self._end:
            raise _refusal(
                self._archive, f"a part of {size} bytes at {self.tell()}", "headers of a sane size"
            )
        return self._unzipped.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move within the allowed length."""
        if whence == io.SEEK_SET and offset > self._end:
            raise _refusal(self._archive, f"a part at {offset}", f"at most {self._end} bytes")
        return self._unzipped.seek(offset, whence)

    def tell(self) -> int:
        """Return the place in the unzipped archive."""
        return self._unzipped.tell()


def _digest(archive: Path) -> str:
    try:
        with archive.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise _refusal(archive, f"no readable file ({error})", "an archive") from error


def _read_record(path: Path) -> _Record | None:
    try:
        return _Record.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None


def _refusal(archive: Path, found: str, expected: str) -> RawDataError:
    return RawDataError(archive, found=found, expected=expected, remedy=_REMEDY)
