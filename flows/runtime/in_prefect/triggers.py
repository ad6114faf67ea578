"""The trigger of a deployment: somebody has committed a snapshot of a store that a recipe reads."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from datetime import timedelta

from prefect.events import DeploymentEventTrigger
from prefect.events.schemas.automations import Posture

from poseshift.flows.runtime.events import STORE_COMMITTED, store_resource

SETTLING_TIME = timedelta(minutes=1)
"""Pause between a commit and the look that it triggers, in which the night's other stores may follow."""


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
        How long after the event the run is to start.
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
