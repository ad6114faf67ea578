"""Digests of all raw files of a release. Where nothing has changed, this is all that a run does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from poseshift.preprocessing.batchwise import Apply
from poseshift.preprocessing.changes import (
    DIGEST_COST_PER_BATCH,
    DigestedTrial,
    batches,
    digest_batch,
    digest_cost,
)
from poseshift.preprocessing.failures import Failure
from poseshift.preprocessing.raw import RawPlan


@dataclass(frozen=True)
class Progress:
    """How far a stage of the ingest is, counted in trials."""

    stage: Literal["digest", "read"]
    done: int
    total: int


def digest_all(
    plan: RawPlan, apply: Apply, on_progress: Callable[[Progress], None] = lambda progress: None
) -> Iterator[DigestedTrial | Failure]:
    """Digest the raw files of all trials; what cannot be read is a failure.

    Parameters
    ----------
    plan : RawPlan
        What the raw tree offers.
    apply : Apply
        Threads, or the workers of a cluster.
    on_progress : callable
        Called in this thread as trials are finished.
    """
    done = 0
    divided = batches(plan.trials, digest_cost, DIGEST_COST_PER_BATCH)
    for outcomes in apply(partial(digest_batch, root=plan.root), divided):
        yield from outcomes
        done += len(outcomes)
        on_progress(Progress("digest", done, len(plan.trials)))
