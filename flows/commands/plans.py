"""How the plans of ``prepare --plan`` and ``run --plan`` are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poseshift.flows.commands.console import (
    error_console,
    print_json,
    say,
    user_errors,
    work_shown,
)
from poseshift.flows.commands.steps import shown_on
from poseshift.flows.commands.units import for_people, in_units
from poseshift.flows.prepare import PrepareRequest, in_lines, plan_store
from poseshift.flows.runtime.cluster import ClusterUnreachableError
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.foreseen import Foreseen
from poseshift.storage.model import FrozenModel
from poseshift.storage.store import StoreError

if TYPE_CHECKING:
    from poseshift.flows.experiment.recipe import Recipe

TOLD = 20
"""Trials and files that are spelled out; `--json` has all."""


class PreparePlanAnswer(FrozenModel):
    """What `prepare --plan --json` answers with."""

    stores: tuple[Foreseen, ...]
    """One plan per store, in the order in which they would be prepared."""


def tell_prepare_plan(requests: list[PrepareRequest], *, as_json: bool) -> None:
    """Plan one store after the other, and tell all plans."""
    plans = []
    with user_errors(RawDataError, StoreError, ClusterUnreachableError):
        for request in requests:
            with work_shown(f"plan {request.store}"):
                plans.append(plan_store(request))
    if as_json:
        print_json(PreparePlanAnswer(stores=tuple(plans)))
        return
    for plan in plans:
        _tell_store(plan)


def tell_run_plan(recipe: Recipe, *, as_json: bool) -> None:
    """Plan a run, and tell the plan."""
    from poseshift.flows.run_plan import plan_run  # imports torch

    with shown_on(error_console):
        plan = plan_run(recipe)
    if as_json:
        print_json(plan)
        return
    for store in plan.stores:
        _tell_store(store)
    for stage in plan.stages:
        figures = (
            f"; {for_people(stage.seconds)}, {in_units(stage.room_bytes or 0)}, as {stage.measured_by} took"
            if stage.seconds is not None
            else "; how long is not known: no training is recorded here"
            if stage.action == "train"
            else ""
        )
        say(f"{stage.action} {stage.part}: {stage.why}{figures}")
    if not plan.stages:
        say(f"{plan.name}: nothing to do", "green")
    elif plan.seconds is not None:
        say(f"stores and trainings: {for_people(plan.seconds)}")


def _tell_store(plan: Foreseen) -> None:
    removed = f", {len(plan.to_remove)} to remove" if plan.to_remove else ""
    new = " (a new store)" if plan.new_store else ""
    say(
        f"{plan.dataset} → {plan.store}{new}: {len(plan.to_read)} trials to read, "
        f"{plan.unchanged} unchanged{removed}"
    )
    for one in plan.to_read[:TOLD]:
        say(f"  read {one.trial}: {one.why}")
    for trial in plan.to_remove[:TOLD]:
        say(f"  remove {trial}: no longer in the raw tree")
    for trial in plan.kept[:TOLD]:
        say(f"  keep {trial}: no longer in the raw tree (--prune removes it)")
    for count in (len(plan.to_read), len(plan.to_remove), len(plan.kept)):
        if count > TOLD:
            say(f"  and {count - TOLD} more (--json lists all)")
    for failure in plan.failures[:TOLD]:
        say(in_lines(failure), "red")
    if plan.refused:
        say("  with these bad files nothing would be committed (--keep-going commits the others)", "red")
    for part in plan.missing:
        say(f"  missing in the release: {part}", "yellow")
    for path in plan.unread:
        say(f"  not read: {path}", "yellow")
    if plan.to_read:
        seconds = "an unknown time (none is recorded)" if plan.seconds is None else for_people(plan.seconds)
        room = "unknown (nothing is stored yet)" if plan.room_bytes is None else in_units(plan.room_bytes)
        say(f"  {in_units(plan.raw_bytes)} of raw files; takes {seconds}; room {room}")
