"""What an ingest would do, without doing it: which trials would be read and why, how long, how much room.

Raw files are digested, as the ingest itself does first; nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from time import perf_counter

from poseshift.preprocessing.changes import (
    DigestedTrial,
    Rate,
    raw_bytes_of,
    reader_options,
    sorted_out,
    why_read,
)
from poseshift.preprocessing.failures import Failure
from poseshift.preprocessing.ingest import IngestPolicy
from poseshift.preprocessing.raw import RawPlan
from poseshift.storage.model import FrozenModel
from poseshift.storage.room import chunk_bytes
from poseshift.storage.schema import TrialAttributes, TrialKey
from poseshift.storage.store import PoseStore


class TrialToRead(FrozenModel):
    """A trial that would be read and written."""

    trial: str
    why: str
    """New, raw files changed, other options; with what differs."""
    raw_bytes: int
    """Size of its raw files."""


class Foreseen(FrozenModel):
    """What an ingest would do."""

    dataset: str
    store: str
    new_store: bool
    """Whether the store would be made first."""
    to_read: tuple[TrialToRead, ...]
    unchanged: int
    """Number of trials that the store has from the same files and options."""
    to_remove: tuple[str, ...]
    """Stored trials that the raw tree no longer has and that would be removed."""
    kept: tuple[str, ...]
    """Stored trials that the raw tree no longer has and that would be kept."""
    failures: tuple[Failure, ...]
    """Bad files; more may be found when frames are read."""
    refused: bool
    """Whether nothing would be committed because of them."""
    missing: tuple[str, ...]
    """Parts of the release that the folder lacks, in words."""
    unread: tuple[str, ...]
    """What lies in the folder, looks like a part of the release and would not be read."""
    raw_bytes: int
    """Size of the raw files that would be read."""
    seconds: float | None
    """How long it would take, by the rate of an earlier ingest into the store; None where none has one."""
    room_bytes: int | None
    """Room that new chunks would take, by what stored trials take of their raw files' sizes; None without.

    The chunks that they replace stay until their snapshots expire.
    """

    @property
    def changes(self) -> bool:
        """Whether the store would get a new snapshot."""
        return bool(self.to_read or self.to_remove) and not self.refused


def foresee(
    plan: RawPlan,
    location: str,
    store: PoseStore | None,
    offered: Iterable[DigestedTrial | Failure],
    policy: IngestPolicy,
) -> Foreseen:
    """Compare a raw tree with a store, and say what :func:`poseshift.preprocessing.ingest.ingest` would do.

    Parameters
    ----------
    plan : RawPlan
        What the raw tree offers.
    location : str
        Where the store lies, or would.
    store : PoseStore or None
        The store; None when there is none yet.
    offered : iterable of DigestedTrial or Failure
        The plan's trials with the digests of their files, taken up as they are made; see
        :mod:`poseshift.preprocessing.digesting`.
    policy : IngestPolicy
        What is to be done about bad files and vanished trials.
    """
    started = perf_counter()
    digested, failures = sorted_out(plan, offered)
    digesting = perf_counter() - started
    stored = {} if store is None else store.catalogue()
    options = reader_options(plan)
    reasons = [(trial, why) for trial in digested if (why := why_read(trial, options, stored)) is not None]
    vanished = tuple(key.path for key in sorted(stored.keys() - {trial.key for trial in plan.trials}))
    changed = [trial for trial, _ in reasons]
    raw_bytes = raw_bytes_of(changed)
    rate = None if store is None else Rate.last_of(store)
    to_read = tuple(
        TrialToRead(trial=trial.planned.key.path, why=why, raw_bytes=raw_bytes_of([trial]))
        for trial, why in reasons
    )
    return Foreseen(
        dataset=plan.dataset,
        store=location,
        new_store=store is None,
        to_read=tuple(sorted(to_read, key=lambda one: one.trial)),
        unchanged=len(digested) - len(changed),
        to_remove=vanished if policy.on_vanished == "prune" else (),
        kept=vanished if policy.on_vanished == "keep" else (),
        failures=tuple(sorted(failures, key=lambda failure: failure.path)),
        refused=bool(failures) and policy.on_failure == "abort",
        missing=plan.missing,
        unread=tuple(str(one.path) for one in plan.unread),
        raw_bytes=raw_bytes,
        seconds=_seconds(rate, raw_bytes, digesting) if changed else digesting,
        room_bytes=_room(store, stored, raw_bytes) if changed else 0,
    )


def _seconds(rate: Rate | None, raw_bytes: int, digesting: float) -> float | None:
    """Estimate the digests again, and the reading at the rate of the last time."""
    if rate is None or not rate.raw_bytes:
        return None
    return digesting + rate.seconds * raw_bytes / rate.raw_bytes


def _room(store: PoseStore | None, stored: Mapping[TrialKey, TrialAttributes], raw_bytes: int) -> int | None:
    stored_from = sum(source.bytes for one in stored.values() for source in one.sources)
    if store is None or not stored_from:
        return None
    return round(chunk_bytes(store, stored) * raw_bytes / stored_from)
