"""What lies in a release's folder and is not read: told by path and reason, never passed over in silence.

A copy through a file system without case, a browser's second download or an archive that was not unpacked
makes a release smaller without any error. The readers name such files; what operating systems drop beside
files is no data and is passed over everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from poseshift.preprocessing.errors import RawDataError

_DROPPINGS = re.compile(
    r"\..*|thumbs\.db|ehthumbs.*\.db|desktop\.ini|icon\r|__macosx|\$recycle\.bin|system volume information"
    r"|lost\+found|~\$.*|.*[:_]zone\.identifier(:\$data)?|.*:com\.apple\..*|.*:afp_.*",
    re.IGNORECASE | re.DOTALL,
)
_UNFINISHED = re.compile(
    r".*\.(part|partial|crdownload|download|opdownload|filepart|aria2|tmp)", re.IGNORECASE
)
_TOLD = 5
_ARCHIVE = re.compile(r".*\.(tgz|tar|tar\.gz|tar\.bz2|zip|7z|rar)", re.IGNORECASE)


@dataclass(frozen=True)
class Unread:
    """A file or folder that looks like a part of the release and is not read.

    Attributes
    ----------
    path : Path
        Where it lies.
    reason : str
        Why it is not read.
    remedy : str
        How it would be.
    """

    path: Path
    reason: str
    remedy: str


class IncompleteReleaseError(RawDataError):
    """A raw folder of which something is not read, or lacks something, where all of it is wanted."""


def is_dropping(name: str) -> bool:
    """Tell whether an operating system puts files of this name beside others: hidden ones, Thumbs.db, ..."""
    return _DROPPINGS.fullmatch(name) is not None


def entries(folder: Path) -> list[Path]:
    """List what lies in a folder, by name and without droppings; nothing when it is not there."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not is_dropping(path.name))


def files_below(folder: Path, suffix: str) -> list[Path]:
    """List the files below a folder whose names end in ``suffix`` as spelt, without droppings."""
    found = folder.rglob(f"*{suffix}")
    return sorted(path for path in found if not any(map(is_dropping, path.relative_to(folder).parts)))


def is_archive(name: str) -> bool:
    """Tell whether a name is that of an archive."""
    return _ARCHIVE.fullmatch(name) is not None


def is_unfinished(name: str) -> bool:
    """Tell whether a name is that of a download that has not finished."""
    return _UNFINISHED.fullmatch(name) is not None


def misspelt(folder: Path, right: re.Pattern[str], alike: re.Pattern[str], example: str) -> Iterator[Unread]:
    """Name the folders whose names are nearly those of the release.

    Parameters
    ----------
    folder : Path
        Where to look.
    right : re.Pattern[str]
        Matches a whole name as the release spells it.
    alike : re.Pattern[str]
        Matches a whole name that somebody may have meant for one.
    example : str
        Names as they should be.
    """
    for path in entries(folder):
        if path.is_dir() and alike.fullmatch(path.name) and not right.fullmatch(path.name):
            yield Unread(
                path,
                f"the folder's name {path.name!r} is not one of the release, which are {example}",
                "Give it its name in the release, or move it out of the folder.",
            )


def unfinished(folder: Path) -> Iterator[Unread]:
    """Name the downloads in a folder that have not finished."""
    for path in entries(folder):
        if path.is_file() and is_unfinished(path.name):
            yield Unread(path, "a download that has not finished", "Download it again.")


def told(unread: Sequence[Unread], missing: Sequence[str]) -> str | None:
    """Say in one line what was not read and what is missing; None when there is neither."""
    parts = []
    if unread:
        names = [one.path.name for one in unread[:_TOLD]]
        further = f" and {len(unread) - len(names)} more" if len(unread) > len(names) else ""
        parts.append(f"{len(unread)} in the folder not read: {', '.join(names)}{further}")
    if missing:
        parts.append(f"of the release missing: {', '.join(missing)}")
    return "; ".join(parts) or None
