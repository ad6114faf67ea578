"""What a store holds that no snapshot of its branch needs: counted, never removed here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import icechunk

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


def count_unreachable(repository: icechunk.Repository, written_before: datetime) -> Unreachable:
    """Count what a garbage collection would remove.

    Parameters
    ----------
    repository : icechunk.Repository
        Of the store.
    written_before : datetime
        Younger objects are not counted.

    Raises
    ------
    icechunk.IcechunkError
        The store cannot be read.
    """
    found = repository.garbage_collect(written_before, dry_run=True)
    return Unreachable(found.snapshots_deleted, found.chunks_deleted, found.bytes_deleted)
