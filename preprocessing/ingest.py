"""Many raw files into one committed snapshot of a store, in parallel.

Threads, or the workers of a Dask cluster, read batches of trials, write them into their own fork of the
store's session and return what they did; the forks are merged and committed once. A run that fails, or is
killed, leaves the store as it was. A repeated run digests the raw files and rewrites only what changed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Literal

from poseshift.geometry.skeleton import skeleton
from poseshift.preprocessing.batchwise import Apply
from poseshift.preprocessing.changes import (
    DigestedTrial,
    Rate,
    batches,
    digest_sources,
    reader_options,
    sorted_out,
    why_read,
)
from poseshift.preprocessing.digesting import Progress, digest_all
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.failures import Failure
from poseshift.preprocessing.quality import assess
from poseshift.preprocessing.raw import RawPlan
from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import TrialKey
from poseshift.storage.store import PoseStore
from poseshift.storage.transaction import Fork

logger = logging.getLogger(__name__)

FILES_PER_BATCH = 20
"""Measured on 600 CDF files: batches of about 20, written inside the worker, cost the least."""


@dataclass(frozen=True)
class IngestPolicy:
    """What to do when not everything is as it should be.

    Attributes
    ----------
    on_failure : {abort, keep-going}
        ``abort`` commits nothing when any file is bad; ``keep-going`` commits the good ones.
    on_vanished : {keep, prune}
        ``keep`` or ``prune`` trials of the store that the raw tree no longer has.
    """

    on_failure: Literal["abort", "keep-going"] = "abort"
    on_vanished: Literal["keep", "prune"] = "keep"


DEFAULT_POLICY = IngestPolicy()


class UnreadPart(FrozenModel):
    """A file or folder that looks like a part of the release and was not read."""

    path: str
    reason: str
    remedy: str


class TrialQuality(FrozenModel):
    """The quality figures of one written trial."""

    trial: str
    figures: dict[str, float]


class IngestReport(FrozenModel):
    """What an ingest did; ``committed`` says whether a new snapshot exists."""

    dataset: str
    store: str
    snapshot: str
    committed: bool
    restaged_from: str | None
    written: tuple[str, ...]
    unchanged: tuple[str, ...]
    vanished: tuple[str, ...]
    pruned: tuple[str, ...]
    failures: tuple[Failure, ...]
    quality: tuple[TrialQuality, ...]
    unread: tuple[UnreadPart, ...] = ()
    """What lies in the folder, looks like a part of the release and was not read."""
    missing: tuple[str, ...] = ()
    """Parts of the release that the folder lacks, in words."""

    @property
    def frames(self) -> int:
        """Number of frames written."""
        return int(sum(trial.figures["frames"] for trial in self.quality))

    @property
    def succeeded(self) -> bool:
        """Whether every file that was offered is now in the store."""
        return not self.failures


@dataclass(frozen=True)
class _Outcome:
    """What a worker returns for one trial: its quality figures or why it failed."""

    key: TrialKey
    quality: TrialQuality | None = None
    failure: Failure | None = None


def ingest(
    plan: RawPlan,
    store: PoseStore,
    apply: Apply,
    policy: IngestPolicy = DEFAULT_POLICY,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> IngestReport:
    """Bring a store up to date with a raw tree, in one transaction.

    Parameters
    ----------
    plan : RawPlan
        What the raw tree offers.
    store : PoseStore
        An open store of the same data set.
    apply : Apply
        Threads, or the workers of a cluster, which must see the raw tree and the store's place.
    policy : IngestPolicy
        What to do about bad files and vanished trials.
    on_progress : callable
        Called in this thread as trials are finished.

    Raises
    ------
    StoreLockedError : another run is writing to the store.
    """
    options = reader_options(plan)
    digested, failures = sorted_out(plan, digest_all(plan, apply, on_progress))
    stored = store.catalogue()
    changed = [trial for trial in digested if why_read(trial, options, stored) is not None]
    offered = {trial.key for trial in plan.trials}
    vanished = sorted(set(stored) - offered)
    pruned = vanished if policy.on_vanished == "prune" else []

    quality: list[TrialQuality] = []
    committed = False
    if _may_commit(failures, policy) and (changed or pruned):
        message = _message(plan, len(changed), len(pruned))
        with store.transaction(message) as transaction:
            forks, started = [], perf_counter()
            for fork, outcomes in _write_all(changed, plan, options, transaction.fork, apply, on_progress):
                forks.append(fork)
                quality += [outcome.quality for outcome in outcomes if outcome.quality]
                failures += [outcome.failure for outcome in outcomes if outcome.failure]
            committed = _may_commit(failures, policy) and bool(quality or pruned)
            if committed:  # a transaction in which nothing was merged commits nothing
                transaction.merge(forks)
                transaction.note(Rate.of(changed, perf_counter() - started).facts())
                for key in pruned:
                    transaction.remove(key)
    written = {figures.trial for figures in quality} if committed else set()
    return IngestReport(
        dataset=plan.dataset,
        store=str(store.location),
        snapshot=store.snapshot,
        committed=committed,
        restaged_from=plan.restaged_from,
        written=tuple(sorted(written)),
        unchanged=tuple(
            sorted({trial.planned.key.path for trial in digested} - {t.planned.key.path for t in changed})
        ),
        vanished=tuple(key.path for key in vanished),
        pruned=tuple(key.path for key in pruned) if committed else (),
        failures=tuple(sorted(failures, key=lambda failure: failure.path)),
        quality=tuple(sorted(quality, key=lambda figures: figures.trial)) if committed else (),
        unread=tuple(
            UnreadPart(path=str(one.path), reason=one.reason, remedy=one.remedy) for one in plan.unread
        ),
        missing=plan.missing,
    )


def _may_commit(failures: Sequence[Failure], policy: IngestPolicy) -> bool:
    return not failures or policy.on_failure == "keep-going"


def _message(plan: RawPlan, changed: int, pruned: int) -> str:
    removed = f", {pruned} removed" if pruned else ""
    return f"prepare {plan.dataset}: {changed} trials read{removed}"


def _write_all(
    changed: Sequence[DigestedTrial],
    plan: RawPlan,
    options: dict[str, str],
    new_fork: Callable[[], Fork],
    apply: Apply,
    on_progress: Callable[[Progress], None],
) -> Iterator[tuple[Fork, tuple[_Outcome, ...]]]:
    divided = batches(changed, lambda trial: len(trial.planned.sources), FILES_PER_BATCH)
    write = partial(_write_batch, root=plan.root, options=options)
    done = 0
    for fork, outcomes in apply(write, [(new_fork(), batch) for batch in divided]):
        yield fork, outcomes
        done += len(outcomes)
        on_progress(Progress("read", done, len(changed)))


def _write_batch(
    given: tuple[Fork, tuple[DigestedTrial, ...]], root: Path, options: dict[str, str]
) -> tuple[Fork, tuple[_Outcome, ...]]:
    fork, batch = given
    return fork, tuple(_write_one(fork, trial, root, options) for trial in batch)


def _write_one(fork: Fork, digested: DigestedTrial, root: Path, options: dict[str, str]) -> _Outcome:
    planned = digested.planned
    try:
        trial = planned.read()
        _require_unchanged(digested, root)
    except RawDataError as error:
        return _Outcome(planned.key, failure=Failure.of(error))
    except OSError as error:
        return _Outcome(planned.key, failure=Failure.unreadable(planned, error))
    trial = assess(trial, skeleton("human36m_17"))
    fork.write(replace(trial, sources=digested.sources, options={**options, **trial.options}))
    return _Outcome(planned.key, quality=TrialQuality(trial=trial.key.path, figures=dict(trial.quality)))


def _require_unchanged(digested: DigestedTrial, root: Path) -> None:
    """Refuse a trial of which a file was written to, such as by a download, while it was read.

    Its stamp tells; where that cannot say for certain, the file is digested again.
    """
    if digested.is_untouched():
        return
    for before, after in zip(digested.sources, digest_sources(digested.planned, root), strict=True):
        if before != after:
            raise RawDataError(
                root / before.path,
                found=f"other contents after reading ({after.bytes} bytes) than before ({before.bytes})",
                expected="a file that nobody writes to while it is read",
                remedy="Wait until the download or copy has finished, then run prepare again.",
            )
