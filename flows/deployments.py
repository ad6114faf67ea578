"""What is run on a timetable, on an event, or by a click: the flows as Prefect deployments.

Every deployment's parameters are the recipe or the request models that the command line uses, so Prefect's UI
shows a form for them and refuses what does not fit. :func:`on_demand` offers the bare flows;
:func:`of_recipe` fills them with a recipe, looks for changes on a timetable, and looks as well when
somebody else commits a snapshot of a store that the recipe reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.schedules import Schedule
from pydantic import BaseModel

from poseshift.flows.experiment.folder import RunFolder, job, stores
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.pipeline import prepare_request
from poseshift.flows.runtime.in_prefect.triggers import SETTLING_TIME, on_commit

TAG = "poseshift"

ENTRYPOINTS = {
    "prepare": "poseshift.flows.prefect_flows.prepare.prepare",
    "augment": "poseshift.flows.prefect_flows.augment.augment",
    "train": "poseshift.flows.prefect_flows.train.train",
    "adapt": "poseshift.flows.prefect_flows.train.adapt",
    "evaluate": "poseshift.flows.prefect_flows.evaluate.evaluate_once",
    "run": "poseshift.flows.prefect_flows.pipeline.run_recipe",
    "watch": "poseshift.flows.prefect_flows.watch.watch",
}
"""The flows that can be deployed, by the name under which Prefect shows them."""

ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
"""A run that is due while the last one is going on waits for it."""


@dataclass(frozen=True)
class Timetable:
    """When a recipe's raw trees are looked at.

    Attributes
    ----------
    schedule : Schedule or None
        A cron line with its time zone, or an interval; None looks on events and on demand only.
    settling : timedelta
        Pause between somebody else's commit and the look that follows.
    """

    schedule: Schedule | None
    settling: timedelta = SETTLING_TIME


def on_demand() -> tuple[RunnerDeployment, ...]:
    """Offer every flow with an empty form."""
    return tuple(_deployment(flow, "on-demand") for flow in ENTRYPOINTS)


def of_recipe(recipe: Recipe, timetable: Timetable) -> tuple[RunnerDeployment, ...]:
    """Offer the flows filled with a recipe, its watch on a timetable and on new snapshots.

    Parameters
    ----------
    recipe : Recipe
        The experiment; each of its raw trees, methods and its first seed get a deployment of their own.
    timetable : Timetable
        When the watch looks.
    """
    name = recipe.name
    whole = {"recipe": recipe}
    locations = [data.store for data in stores(recipe)]
    return (
        *(
            _deployment("prepare", f"{name}-{data.dataset}", {"request": request})
            for data in stores(recipe)
            if (request := prepare_request(data)) is not None
        ),
        *(_training(recipe, method) for method in recipe.methods),
        *(_evaluation(recipe, method) for method in recipe.methods if recipe.test is not None),
        _deployment("run", name, whole),
        _deployment(
            "watch",
            name,
            whole,
            schedule=timetable.schedule,
            triggers=[on_commit(locations, name, schedule_after=timetable.settling)],
        ),
    )


def _training(recipe: Recipe, method: str) -> RunnerDeployment:
    seed = recipe.seeds[0]
    work = job(recipe, method, seed)
    return _deployment(
        "train" if work.target is None else "adapt",
        f"{recipe.name}-{method}",
        {"job": work, "folder": RunFolder(recipe.run_dir).training(method, seed)},
    )


def _evaluation(recipe: Recipe, method: str) -> RunnerDeployment:
    seed, folder = recipe.seeds[0], RunFolder(recipe.run_dir)
    return _deployment(
        "evaluate",
        f"{recipe.name}-{method}",
        {
            "lifter": folder.lifter(method, seed),
            "test": recipe.required_test,
            "folder": folder.evaluation(method, seed),
            "device": recipe.device,
        },
    )


def _deployment(
    flow: str,
    name: str,
    parameters: Mapping[str, BaseModel | Path | str] | None = None,
    schedule: Schedule | None = None,
    triggers: Sequence[DeploymentEventTrigger] = (),
) -> RunnerDeployment:
    return RunnerDeployment.from_entrypoint(
        ENTRYPOINTS[flow],
        name=name,
        parameters={key: _plain(value) for key, value in (parameters or {}).items()},
        schedule=schedule,
        triggers=list(triggers),
        tags=[TAG, flow],
        concurrency_limit=ONE_AT_A_TIME,
    )


def _plain(value: BaseModel | Path | str) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
