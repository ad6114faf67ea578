"""Names for snapshots: a tagged snapshot is kept for good, and can be read by its name.

Icechunk gives a name once: a tag cannot be moved, and the name of a deleted one is not used again.
"""

from __future__ import annotations

import re
from datetime import datetime

import icechunk

from poseshift.storage.errors import StoreError
from poseshift.storage.model import FrozenModel
from poseshift.storage.store import PoseStore

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SNAPSHOT_ID = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{20}\b")
"""What Icechunk's identifiers of snapshots look like."""


class Tag(FrozenModel):
    """A name of a snapshot."""

    name: str
    """The name."""
    snapshot: str
    """Identifier of the snapshot."""
    written_at: datetime
    """When the snapshot was committed."""
    message: str
    """What its commit says."""


def list_tags(store: PoseStore) -> tuple[Tag, ...]:
    """List the tags of a store by name."""
    return tuple(_tag(store.repository, name) for name in sorted(store.repository.list_tags()))


def add_tag(store: PoseStore, name: str, snapshot: str | None = None) -> Tag:
    """Name a snapshot.

    Parameters
    ----------
    store : PoseStore
        The store.
    name : str
        Letters, digits, dot, dash and underscore, 100 at most.
    snapshot : str or None
        Identifier of the snapshot, or another tag of it; the newest by default.

    Raises
    ------
    StoreError
        When the name cannot be given, or there is no such snapshot.
    StoreLockedError
        When a writer is at work.
    """
    if not _NAME.fullmatch(name) or SNAPSHOT_ID.fullmatch(name):
        raise StoreError(
            f"{name!r} cannot name a snapshot; give letters, digits, dots, dashes and underscores, 100 at "
            "most, which do not look like a snapshot's identifier"
        )
    with store.alone(f"tag {name}"):
        found = PoseStore.open(str(store.location), snapshot)
        if name in store.repository.list_tags():
            raise StoreError(
                f"{store.location}: {name} names snapshot {store.repository.lookup_tag(name)} already, and "
                "a tag cannot be moved; choose another name"
            )
        if not create_tag(store.repository, name, found.snapshot):
            raise StoreError(
                f"{store.location}: a tag {name} was deleted, and its name cannot be used again; "
                "choose another"
            )
        return _tag(store.repository, name)


def remove_tag(store: PoseStore, name: str) -> Tag:
    """Delete a tag, and say what it named; the snapshot itself stays until it expires.

    Raises
    ------
    StoreError
        When there is no such tag.
    StoreLockedError
        When a writer is at work.
    """
    with store.alone(f"delete the tag {name}"):
        known = sorted(store.repository.list_tags())
        if name not in known:
            raise StoreError(f"{store.location}: no tag {name}; there are {', '.join(known) or 'none'}")
        tag = _tag(store.repository, name)
        store.repository.delete_tag(name)
        return tag


def create_tag(repository: icechunk.Repository, name: str, snapshot: str) -> bool:
    """Create a tag; False when the name is, or was, in use."""
    try:
        repository.create_tag(name, snapshot)
    except icechunk.IcechunkError as error:
        if "already exists" in str(error):
            return False
        raise
    return True


def _tag(repository: icechunk.Repository, name: str) -> Tag:
    newest = next(iter(repository.ancestry(tag=name)))
    return Tag(name=name, snapshot=newest.id, written_at=newest.written_at, message=newest.message)
