"""Digests of all raw files of a release, by threads of this process or by the workers of a Dask cluster.

Where nothing has changed, this is all that a run does; threads then save it the start of a cluster.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from poseshift.preprocessing.changes import (
    DIGEST_COST_PER_BATCH,
    DigestedTrial,
    batches,
    digest_batch,
    digest_cost,
)
from poseshift.preprocessing.failures import Failure
from poseshift.preprocessing.raw import PlannedTrial, RawPlan

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class Progress:
    """How far a stage of the ingest is, counted in trials."""

    stage: Literal["digest", "read"]
    done: int
    total: int


def digest_here(
    plan: RawPlan, on_progress: Callable[[Progress], None] = lambda progress: None
) -> Iterator[DigestedTrial | Failure]:
    """Digest the raw files of all trials in threads of this process; what cannot be read is a failure."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        futures = [threads.submit(digest_batch, batch, plan.root) for batch in _digest_batches(plan)]
        try:
            yield from _counted((future.result() for future in as_completed(futures)), plan, on_progress)
        finally:  # an interrupted command does not wait for the batches that have not begun
            threads.shutdown(wait=False, cancel_futures=True)


def digest_all(
    plan: RawPlan, client: Client, on_progress: Callable[[Progress], None]
) -> Iterator[DigestedTrial | Failure]:
    """Digest the raw files of all trials on the workers; what cannot be read is a failure."""
    from distributed import as_completed

    futures = [client.submit(digest_batch, batch, plan.root, pure=False) for batch in _digest_batches(plan)]
    ended = as_completed(futures, loop=client.loop, with_results=True)
    yield from _counted((outcomes for _, outcomes in ended), plan, on_progress)


def _counted(
    batches_done: Iterable[Sequence[DigestedTrial | Failure]],
    plan: RawPlan,
    on_progress: Callable[[Progress], None],
) -> Iterator[DigestedTrial | Failure]:
    done = 0
    for outcomes in batches_done:
        yield from outcomes
        done += len(outcomes)
        on_progress(Progress("digest", done, len(plan.trials)))


def _digest_batches(plan: RawPlan) -> Iterator[tuple[PlannedTrial, ...]]:
    return batches(plan.trials, digest_cost, DIGEST_COST_PER_BATCH)
