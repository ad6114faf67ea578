"""Which snapshots of stores runs and derived stores have recorded.

A run writes down what it read in many places: inputs of its stages, summaries, lifters, evaluations, recipes
that pin a snapshot, files beside exports. All of them are text, so all of it is searched for identifiers of
snapshots; a form of record that is added later is found as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from poseshift.storage.store import PoseStore
from poseshift.storage.tags import SNAPSHOT_ID

SUFFIXES = frozenset({".json", ".jsonl", ".yaml", ".yml"})
"""Files that hold records."""


def recorded_snapshots(places: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Find every identifier of a snapshot that is recorded somewhere.

    Parameters
    ----------
    places : sequence of str
        Folders of runs, recipes, or derived stores (also on object storage). In folders, all files and all
        stores below them are looked at; links to other folders are not followed.

    Returns
    -------
    dict of str to tuple of str
        Identifiers, and for each the files and stores that hold it, in order.

    Raises
    ------
    FileNotFoundError
        There is nothing at a place.
    OSError, StoreError
        A file or a store cannot be read: it may hold a record.
    """
    found: dict[str, list[str]] = {}
    for place in places:
        for where, text in _records(place):
            for snapshot in dict.fromkeys(SNAPSHOT_ID.findall(text)):
                found.setdefault(snapshot, []).append(where)
    return {snapshot: tuple(dict.fromkeys(where)) for snapshot, where in found.items()}


def _records(place: str) -> Iterator[tuple[str, str]]:
    """All records at a place: where each is, and a text that has its identifiers."""
    if "://" in place:
        yield place, _record_of_store(place)
        return
    path = Path(place)
    if path.is_file():
        yield place, path.read_text(encoding="utf-8", errors="replace")
        return
    if not path.is_dir():
        raise FileNotFoundError(f"{place} is not there; give folders of runs, recipes or derived stores")
    for folder, below, names in os.walk(path, onerror=_unreadable):
        if is_store(Path(folder)):
            yield folder, _record_of_store(folder)
            below.clear()
            continue
        below.sort()
        for file in (Path(folder) / name for name in sorted(names)):
            if file.suffix in SUFFIXES and file.is_file():
                yield str(file), file.read_text(encoding="utf-8", errors="replace")


def is_store(folder: Path) -> bool:
    """Whether a folder looks like a store, or is one on its way."""
    return (folder / "refs" / "branch.main").is_dir()


def _record_of_store(location: str) -> str:
    """Join what a store says of its origin: its attributes, and the facts of its commits."""
    store = PoseStore.open(location)
    facts = (fact for commit in store.history() for fact in commit.metadata.values())
    return "\n".join((store.attributes.model_dump_json(), *facts))


def _unreadable(error: OSError) -> None:
    raise error
