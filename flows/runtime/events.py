"""The event that says: a store has a new snapshot. Deployments can be triggered by it.

The event ``poseshift.store.committed`` concerns the resource ``poseshift.store.<location>``; its labels name
the data set, the snapshot, and the recipe (if any) whose run made the snapshot and learns from it anyway.
"""

from __future__ import annotations

from poseshift.flows.runtime.orchestrator import orchestrator
from poseshift.preprocessing.ingest import IngestReport
from poseshift.storage.location import Location

STORE_COMMITTED = "poseshift.store.committed"
NO_RECIPE = "none"


def store_resource(store: str) -> str:
    """Return the resource id of a store: the same for all ways of writing its location."""
    return f"poseshift.store.{Location.parse(store)}"


def announce_commit(report: IngestReport, recipe: str = NO_RECIPE) -> None:
    """Announce an ingest that has committed.

    Parameters
    ----------
    report : IngestReport
        What the ingest did.
    recipe : str
        The recipe that goes on to learn from this snapshot, which therefore needs no trigger.
    """
    if not report.committed:
        return
    orchestrator().announce(
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
