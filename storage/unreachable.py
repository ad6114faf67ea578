"""What a store holds that no snapshot of its branch needs: counted, never removed here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import icechunk

from poseshift.storage.location import Location

IN_PROGRESS = timedelta(hours=6)
"""Objects younger than this may belong to a transaction that is going on."""


@dataclass(frozen=True)
class Unreachable:
    """Objects that no snapshot refers to, left by killed runs.

    Attributes
    ----------
    snapshots, chunks : int
        How many.
    bytes : int
        Of all of them, manifests and logs included.
    """

    snapshots: int
    chunks: int
    bytes: int


def is_store_folder(folder: Path) -> bool:
    """Whether a folder is laid out as an Icechunk repository; nothing is opened."""
    return (folder / "snapshots").is_dir() and ((folder / "repo").exists() or (folder / "refs").is_dir())


def count_unreachable(location: str | Path, older_than: timedelta = IN_PROGRESS) -> Unreachable:
    """Count what a garbage collection would remove from a store.

    Parameters
    ----------
    location : str or Path
        Of the store.
    older_than : timedelta
        Younger objects are not counted.

    Raises
    ------
    icechunk.IcechunkError
        The store cannot be read.
    """
    repository = icechunk.Repository.open(Location.parse(location).icechunk_storage())
    found = repository.garbage_collect(datetime.now(UTC) - older_than, dry_run=True)
    return Unreachable(found.snapshots_deleted, found.chunks_deleted, found.bytes_deleted)
