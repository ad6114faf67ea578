"""What of a raw tree is to be read into a store: digests of raw files, and why a trial is new or changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from poseshift.preprocessing.failures import Failure
from poseshift.preprocessing.raw import PlannedTrial, RawPlan
from poseshift.storage.provenance import digest_file
from poseshift.storage.schema import SourceFile, TrialAttributes, TrialKey
from poseshift.storage.store import PoseStore

_T = TypeVar("_T")

READER_VERSION = "1"
"""Raise it when a reader's output changes for the same files: every trial is then read again."""

DIGEST_COST_PER_BATCH = 100
"""Files plus megabytes that one task digests: a task costs as much time as the digests of a hundred small
files, and large files are to be shared among all workers."""


SETTLED_S = 60.0
"""How long ago a file must have been changed for its stamp to tell a later change.

Clocks of file systems tick in up to two seconds, and a file server's may differ from this machine's.
"""


@dataclass(frozen=True)
class Stamp:
    """What the file system says of a file without reading it; every writer changes it.

    Attributes
    ----------
    inode, bytes, modified_ns, changed_ns : int
        Of the open file. Nobody can set the time of the last change.
    settled : bool
        Whether that was long enough ago for the next change to have another time.
    """

    inode: int
    bytes: int
    modified_ns: int
    changed_ns: int
    settled: bool

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """Ask for the stamp of a file; OSError when it cannot be opened."""
        with path.open("rb") as file:  # opening has network file systems look anew
            found = os.fstat(file.fileno())
        settled = time.time_ns() - found.st_ctime_ns > SETTLED_S * 1e9
        return cls(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, settled)


@dataclass(frozen=True)
class DigestedTrial:
    """A trial that the raw tree offers, with the digests of its files.

    Attributes
    ----------
    planned : PlannedTrial
        The trial.
    sources : tuple of SourceFile
        Its files.
    stamps : tuple of Stamp
        Of the files, from before they were digested.
    """

    planned: PlannedTrial
    sources: tuple[SourceFile, ...]
    stamps: tuple[Stamp, ...]

    @classmethod
    def of(cls, planned: PlannedTrial, root: Path) -> DigestedTrial:
        """Digest the raw files of one trial; OSError when one cannot be read."""
        stamps = tuple(Stamp.of(path) for path in planned.sources)
        return cls(planned, digest_sources(planned, root), stamps)

    def is_untouched(self) -> bool:
        """Whether nobody can have written to the files since before they were digested; False when unsure."""
        now = (Stamp.of(path) for path in self.planned.sources)
        return all(before.settled and before == after for before, after in zip(self.stamps, now, strict=True))


@dataclass(frozen=True)
class Rate:
    """How long raw files took to be read and written; kept in the history of the store.

    Attributes
    ----------
    raw_bytes : int
        Size of the raw files.
    seconds : float
        From the first to the last.
    """

    raw_bytes: int
    seconds: float

    @classmethod
    def of(cls, trials: Iterable[DigestedTrial], seconds: float) -> Rate:
        """Measure the reading of some trials."""
        return cls(raw_bytes=raw_bytes_of(trials), seconds=seconds)

    @classmethod
    def last_of(cls, store: PoseStore) -> Rate | None:
        """Find the rate of the newest commit that has one; None in a store without."""
        for commit in store.history():
            if _RAW_BYTES in commit.metadata and _SECONDS in commit.metadata:
                return cls(int(commit.metadata[_RAW_BYTES]), float(commit.metadata[_SECONDS]))
        return None

    def facts(self) -> dict[str, str]:
        """Return the rate as facts of a commit."""
        return {_RAW_BYTES: str(self.raw_bytes), _SECONDS: f"{self.seconds:.3f}"}


_RAW_BYTES, _SECONDS = "raw_bytes_read", "seconds_read"


def raw_bytes_of(trials: Iterable[DigestedTrial]) -> int:
    """Add up the sizes of the raw files of some trials."""
    return sum(source.bytes for trial in trials for source in trial.sources)


def sorted_out(
    plan: RawPlan, outcomes: Iterable[DigestedTrial | Failure]
) -> tuple[list[DigestedTrial], list[Failure]]:
    """Tell trials with digests from failures; what was wrong with the plan comes first among these."""
    digested, failures = [], [Failure.of(problem) for problem in plan.problems]
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            failures.append(outcome)
        else:
            digested.append(outcome)
    return digested, failures


def reader_options(plan: RawPlan) -> dict[str, str]:
    """Collect what besides the raw files decides what is written."""
    return {**plan.options, "reader_version": READER_VERSION}


def why_read(
    trial: DigestedTrial, options: Mapping[str, str], stored: Mapping[TrialKey, TrialAttributes]
) -> str | None:
    """Say why a trial is to be read; None when the store has it from the same files and options.

    Parameters
    ----------
    trial : DigestedTrial
        The trial as the raw tree has it.
    options : mapping
        See :func:`reader_options`.
    stored : mapping
        The store's catalogue.
    """
    known = stored.get(trial.planned.key)
    if known is None:
        return "new"
    differing = [
        f"{name}: {known.options.get(name, 'not recorded')} became {value}"
        for name, value in options.items()
        if known.options.get(name) != value
    ]
    if differing:
        return "other options: " + ", ".join(differing)
    if known.sources == trial.sources:
        return None
    before = {source.path: source.sha256 for source in known.sources}
    now = {source.path: source.sha256 for source in trial.sources}
    told = (
        *(f"{path} was added" for path in now if path not in before),
        *(f"{path} is gone" for path in before if path not in now),
        *(
            f"{path}: digest {before[path]:.12} became {digest:.12}"
            for path, digest in now.items()
            if before.get(path, digest) != digest
        ),
    )
    return "raw files changed: " + ", ".join(told) if told else "raw files in another order"


def digest_cost(trial: PlannedTrial) -> float:
    """Estimate what it costs to digest a trial's raw files; see :data:`DIGEST_COST_PER_BATCH`."""
    return sum(1 + _size_mb(path) for path in trial.sources)


def _size_mb(path: Path) -> float:
    try:
        return path.stat().st_size / 1e6
    except OSError:  # told where the file is to be read
        return 0.0


def batches(
    trials: Iterable[_T], cost_of: Callable[[_T], float], cost_per_batch: float
) -> Iterator[tuple[_T, ...]]:
    """Divide trials, in their order, into batches that cost about the same."""
    batch: list[_T] = []
    cost = 0.0
    for trial in trials:
        batch.append(trial)
        cost += cost_of(trial)
        if cost >= cost_per_batch:
            yield tuple(batch)
            batch, cost = [], 0.0
    if batch:
        yield tuple(batch)


def digest_batch(batch: tuple[PlannedTrial, ...], root: Path) -> list[DigestedTrial | Failure]:
    """Digest the raw files of some trials; what cannot be read is a failure."""
    outcomes: list[DigestedTrial | Failure] = []
    for planned in batch:
        try:
            outcomes.append(DigestedTrial.of(planned, root))
        except OSError as error:
            outcomes.append(Failure.unreadable(planned, error))
    return outcomes


def digest_sources(planned: PlannedTrial, root: Path) -> tuple[SourceFile, ...]:
    """Digest the raw files of one trial; OSError when one cannot be read."""
    return tuple(digest_file(path, root) for path in planned.sources)
