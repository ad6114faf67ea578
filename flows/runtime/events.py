"""The event that says: a store has a new snapshot. Deployments can be triggered by it.

The event ``poseshift.store.committed`` concerns the resource ``poseshift.store.<location>``; its labels name
the data set, the snapshot, and the recipe (if any) whose run made the snapshot and learns from it anyway.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable
from datetime import timedelta

from prefect.context import FlowRunContext
from prefect.events import DeploymentEventTrigger, emit_event
from prefect.events.schemas.automations import Posture

from poseshift.preprocessing.ingest import IngestReport
from poseshift.storage.location import Location

STORE_COMMITTED = "poseshift.store.committed"
NO_RECIPE = "none"
SETTLING_TIME = timedelta(minutes=1)
"""Pause between a commit and the look that it triggers, in which the night's other stores may follow."""


def store_resource(store: str) -> str:
    """Return the resource id of a store: the same for all ways of writing its location."""
    return f"poseshift.store.{Location.parse(store)}"


def announce_commit(report: IngestReport, recipe: str = NO_RECIPE) -> None:
    """Emit the event when an ingest has committed; silent outside a flow run.

    Parameters
    ----------
    report : IngestReport
        What the ingest did.
    recipe : str
        The recipe that goes on to learn from this snapshot, which therefore needs no trigger.
    """
    if not report.committed or FlowRunContext.get() is None:
        return
    emit_event(
        STORE_COMMITTED,
        resource={
            "prefect.resource.id": store_resource(report.store),
            "prefect.resource.name": report.dataset,
            "poseshift.dataset": report.dataset,
            "poseshift.snapshot": report.snapshot,
            "poseshift.recipe": recipe,
        },
        payload={
            "written": list(report.written),
            "pruned": list(report.pruned),
            "unchanged": len(report.unchanged),
            "restaged_from": report.restaged_from,
        },
    )


def on_commit(
    stores: Iterable[str], recipe: str, *, schedule_after: timedelta = SETTLING_TIME
) -> DeploymentEventTrigger:
    """Return a trigger for a deployment of ``recipe``: any of its stores was committed by somebody else.

    Parameters
    ----------
    stores : iterable of str
        Locations of the stores.
    recipe : str
        Name of the recipe, whose own commits trigger nothing.
    schedule_after : timedelta
        Timedelta How long after the event the run is to start.
    """
    return DeploymentEventTrigger(
        name=f"{recipe}: new data",
        description="Look for changes and retrain when a store that the recipe reads has a new snapshot.",
        posture=Posture.Reactive,
        expect={STORE_COMMITTED},
        match={
            # Prefect compares with glob patterns, in which a path may not be read.
            "prefect.resource.id": [glob.escape(store_resource(store)) for store in stores],
            "poseshift.recipe": f"!{recipe}",
        },
        schedule_after=schedule_after,
    )
