"""Old snapshots and what no snapshot refers to: what may go, what stays and why, and how much room that is.

A snapshot may go when it was superseded long enough ago, no tag names it and nothing has recorded it. The
time counts from the commit that superseded it: who opened the store just before that is not disturbed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import icechunk

from poseshift.storage.errors import StoreError
from poseshift.storage.location import Location
from poseshift.storage.model import FrozenModel
from poseshift.storage.store import BRANCH, PoseStore
from poseshift.storage.tags import create_tag
from poseshift.storage.unreachable import count_unreachable

UNLOCKED_GRACE = timedelta(days=1)
"""On object storage no lock tells of a writer at work: what is younger may be of a running commit."""

CHUNKS = "chunks"
"""Icechunk's folder of everything but metadata."""

KeptBecause = Literal["newest", "superseded lately", "tag", "record"]


class Reason(FrozenModel):
    """Why a snapshot stays."""

    kind: KeptBecause
    """It is the newest; it was superseded less than the days to keep ago; a tag, or a record, names it."""
    name: str = ""
    """The tag, or the place of the record."""


class Kept(FrozenModel):
    """A snapshot that stays."""

    snapshot: str
    written_at: datetime
    message: str
    reasons: tuple[Reason, ...]


class Expired(FrozenModel):
    """A snapshot that goes."""

    snapshot: str
    written_at: datetime
    superseded_at: datetime
    message: str


class Expiry(FrozenModel):
    """What an expiry did, or would do."""

    location: str
    done: bool
    """Whether it was done; False for a plan."""
    keep_days: float
    kept: tuple[Kept, ...]
    """The newest first."""
    expired: tuple[Expired, ...]
    """The newest first."""
    tagged: tuple[str, ...] = ()
    """Tags that keep what records name; they are made with the expiry, and kept until they are deleted."""
    freed_bytes: int | None
    """Bytes of everything that goes; None for a plan of a store on object storage, where it is not known."""


@dataclass(frozen=True)
class Version:
    """A snapshot as the plan sees it."""

    snapshot: str
    written_at: datetime
    message: str


@dataclass(frozen=True)
class ExpiryPlan:
    """What may go and what stays.

    Attributes
    ----------
    kept, expired : tuple of Kept or Expired
        The newest first.
    to_tag : tuple of str
        Snapshots that a record alone keeps, and that the history will no longer lead to.
    older_than : datetime or None
        Icechunk's threshold: what was written before it leaves the history. None when nothing goes.
    """

    kept: tuple[Kept, ...]
    expired: tuple[Expired, ...]
    to_tag: tuple[str, ...]
    older_than: datetime | None


def plan_expiry(
    history: Sequence[Version],
    tags: Mapping[str, Version],
    records: Mapping[str, Sequence[str]],
    lost: Iterable[Version],
    superseded_before: datetime,
) -> ExpiryPlan:
    """Decide what goes and what stays.

    Parameters
    ----------
    history : sequence of Version
        The branch, the newest first.
    tags : mapping of str to Version
        What each tag names, whether the history leads there or not.
    records : mapping of str to sequence of str
        Snapshots that something has recorded, with the places of the records.
    lost : iterable of Version
        Recorded snapshots that neither history nor tags lead to and that are still there.
    superseded_before : datetime
        Only what was superseded before this time may go.
    """
    names: dict[str, list[str]] = {}
    for name, version in sorted(tags.items()):
        names.setdefault(version.snapshot, []).append(name)
    kept: list[Kept] = []
    expired: list[Expired] = []
    to_tag: list[str] = []
    older_than: datetime | None = None
    for index, version in enumerate(history):
        superseded_at = None if index == 0 else history[index - 1].written_at
        young = superseded_at is not None and superseded_at >= superseded_before
        named = _named(version, names, records)
        if superseded_at is None or young:
            first = Reason(kind="superseded lately" if young else "newest")
            kept.append(_kept(version, (first, *named)))
            older_than = version.written_at
        elif named:
            kept.append(_kept(version, named))
            if version.snapshot not in names:
                to_tag.append(version.snapshot)
        else:
            expired.append(
                Expired(
                    snapshot=version.snapshot,
                    written_at=version.written_at,
                    superseded_at=superseded_at,
                    message=version.message,
                )
            )
    known = {version.snapshot for version in history}
    aside = {one.snapshot: one for one in (*tags.values(), *lost) if one.snapshot not in known}
    kept += [_kept(version, _named(version, names, records)) for version in aside.values()]
    to_tag += [snapshot for snapshot in aside if snapshot not in names]
    if not expired:
        to_tag = [snapshot for snapshot in to_tag if snapshot in aside]
    return ExpiryPlan(
        kept=tuple(sorted(kept, key=lambda one: one.written_at, reverse=True)),
        expired=tuple(expired),
        to_tag=tuple(to_tag),
        older_than=older_than if expired else None,
    )


def _kept(version: Version, reasons: tuple[Reason, ...]) -> Kept:
    return Kept(
        snapshot=version.snapshot,
        written_at=version.written_at,
        message=version.message,
        reasons=reasons,
    )


def _named(
    version: Version, names: Mapping[str, Sequence[str]], records: Mapping[str, Sequence[str]]
) -> tuple[Reason, ...]:
    return (
        *(Reason(kind="tag", name=name) for name in names.get(version.snapshot, ())),
        *(Reason(kind="record", name=place) for place in records.get(version.snapshot, ())),
    )


def planned_expiry(
    store: PoseStore, keep_days: float, records: Mapping[str, Sequence[str]], now: datetime
) -> Expiry:
    """Say what :func:`expire` would do, and change nothing; the arguments are the same.

    How much room it would free is found on a copy of the metadata of a local store.
    """
    try:
        plan = _plan(store.repository, keep_days, records, now)
        freed = _freed_by(store.location, plan, now) if store.location.scheme == "file" else None
    except (icechunk.IcechunkError, OSError) as error:
        raise StoreError(f"{store.location}: cannot be looked at ({error}); nothing was changed") from error
    return _expiry(store, keep_days, plan, plan.to_tag, freed, done=False)


def expire(store: PoseStore, keep_days: float, records: Mapping[str, Sequence[str]], now: datetime) -> Expiry:
    """Remove old snapshots, and everything that no snapshot refers to.

    Parameters
    ----------
    store : PoseStore
        The store.
    keep_days : float
        Snapshots stay for so many days after the commit that superseded them.
    records : mapping of str to sequence of str
        Snapshots that runs and derived stores have recorded, with the places of the records. Identifiers of
        other stores among them do no harm.
    now : datetime
        The time from which days are counted back.

    Raises
    ------
    StoreLockedError
        When a writer is at work.
    StoreError
        When the store cannot be read or written.

    Notes
    -----
    What a record alone keeps is tagged first: it stays when the record is not looked at another time. A
    repetition after an interruption goes on. Chunks of a commit that is under way are never removed: on a
    local disk there is none while the lock is held, on object storage they are too young.
    """
    with store.alone(f"expire snapshots superseded more than {keep_days:g} days ago"):
        # Opened anew: a repository remembers what it has read, and another expiry may have come before.
        repository = PoseStore.open(str(store.location)).repository
        plan = _plan(repository, keep_days, records, now)
        tagged = tuple(_keep_by_tag(repository, snapshot) for snapshot in plan.to_tag)
        if plan.older_than is not None:
            repository.expire_snapshots(plan.older_than)
        unlocked = store.location.lock_path is None
        removed_before = now - max(UNLOCKED_GRACE, timedelta(days=keep_days)) if unlocked else now
        summary = repository.garbage_collect(removed_before)
    return _expiry(store, keep_days, plan, tagged, summary.bytes_deleted, done=True)


def _expiry(
    store: PoseStore,
    keep_days: float,
    plan: ExpiryPlan,
    tagged: tuple[str, ...],
    freed: int | None,
    *,
    done: bool,
) -> Expiry:
    return Expiry(
        location=str(store.location),
        done=done,
        keep_days=keep_days,
        kept=plan.kept,
        expired=plan.expired,
        tagged=tagged,
        freed_bytes=freed,
    )


def _plan(
    repository: icechunk.Repository, keep_days: float, records: Mapping[str, Sequence[str]], now: datetime
) -> ExpiryPlan:
    history = [_version(entry) for entry in repository.ancestry(branch=BRANCH) if entry.parent_id is not None]
    tags = {name: _version(next(iter(repository.ancestry(tag=name)))) for name in repository.list_tags()}
    reached = {version.snapshot for version in (*history, *tags.values())}
    lost = [found for one in sorted(records) if one not in reached and (found := _found(repository, one))]
    return plan_expiry(history, tags, records, lost, now - timedelta(days=keep_days))


def _version(entry: icechunk.SnapshotInfo) -> Version:
    return Version(entry.id, entry.written_at, entry.message)


def _found(repository: icechunk.Repository, snapshot: str) -> Version | None:
    try:
        found = repository.lookup_snapshot(snapshot)
    except (icechunk.IcechunkError, ValueError):
        return None
    return None if found.parent_id is None else _version(found)


def _keep_by_tag(repository: icechunk.Repository, snapshot: str) -> str:
    name, number = f"recorded-{snapshot}", 1
    while not create_tag(repository, name, snapshot):  # a tag of the name was deleted: names are given once
        number += 1
        name = f"recorded-{snapshot}-{number}"
    return name


def _freed_by(location: Location, plan: ExpiryPlan, now: datetime) -> int:
    """Try the expiry on a copy of the metadata, and count what is then no longer referred to, in bytes."""
    repository = icechunk.Repository.open(location.icechunk_storage())
    freed = count_unreachable(repository, now).bytes
    if plan.older_than is None:
        return freed
    with TemporaryDirectory(prefix="poseshift-expire-") as folder:
        _copy_metadata(Path(location.path), Path(folder))
        copied = icechunk.Repository.open(Location.parse(Path(folder)).icechunk_storage())
        for snapshot in plan.to_tag:
            _keep_by_tag(copied, snapshot)
        later = datetime.now().astimezone() + timedelta(days=1)
        chunks = copied.chunk_storage_stats().native_bytes
        metadata = count_unreachable(copied, later).bytes
        copied.expire_snapshots(plan.older_than)
        chunks -= copied.chunk_storage_stats().native_bytes
        return freed + chunks + count_unreachable(copied, later).bytes - metadata


def _copy_metadata(repository: Path, folder: Path) -> None:
    """Copy everything but chunks, the branches and tags first: what they lead to is there already."""
    for part in sorted(repository.iterdir(), key=lambda path: path.name != "refs"):
        if part.name == CHUNKS:
            continue
        if part.is_dir():
            shutil.copytree(part, folder / part.name)
        else:
            shutil.copy2(part, folder / part.name)
