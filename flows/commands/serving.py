"""The command that offers the flows to a Prefect server."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from prefect import serve as serve_deployments
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL

from poseshift.flows.commands.console import fail, say, user_errors, warn
from poseshift.flows.commands.recipes import given_recipe
from poseshift.flows.deployments import Timetable, of_recipe, on_demand
from poseshift.flows.doctor.prefect_side import mark_dead_runs
from poseshift.flows.runtime.guest import PrefectNotReadyError, require_ready, require_runner_storage
from poseshift.flows.runtime.in_prefect.triggers import SETTLING_TIME
from poseshift.flows.runtime.notify import send

NO_SERVER = (
    "timetables and events need a Prefect server that keeps running. Start one with `prefect server start`, "
    "then `export PREFECT_API_URL=http://127.0.0.1:4200/api` and serve again"
)

app = typer.Typer()


@app.command()
def serve(
    recipe: Annotated[
        Path | None, typer.Argument(help="A recipe to serve; without it, every flow with an empty form.")
    ] = None,
    cron: Annotated[str, typer.Option(help="When to look for changes, as a cron line.")] = "0 2 * * *",
    timezone: Annotated[str, typer.Option(help="Time zone of the cron line.")] = "UTC",
    settle: Annotated[
        float, typer.Option(min=0, help="Seconds between somebody's new snapshot and the look that follows.")
    ] = SETTLING_TIME.total_seconds(),
    at_once: Annotated[int, typer.Option(min=1, help="Runs that may go on here at the same time.")] = 2,
) -> None:
    """Offer the flows to the Prefect server: on a timetable, on new data, by a click. Runs until stopped."""
    if not PREFECT_API_URL.value():
        fail(NO_SERVER, "no_server")
    with user_errors(ValueError, PrefectNotReadyError):
        require_ready()
        require_runner_storage()
        timetable = Timetable(Cron(cron, timezone=timezone), timedelta(seconds=settle))
        offered = on_demand()
        if recipe is not None:
            offered += of_recipe(given_recipe(recipe), timetable)
    for name in mark_dead_runs():
        warn(f"{name} was under way when its process was killed; marked as crashed")
        send(f"PoseShift: {name} crashed", "its process was gone when flows were served again")
    say(f"Prefect: {PREFECT_UI_URL.value()}/deployments")
    for deployment in offered:
        say(f"  {deployment.full_name}")
    serve_deployments(*offered, limit=at_once, print_starting_message=False)
