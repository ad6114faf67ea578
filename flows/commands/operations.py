"""Commands about running unattended: offer the flows to a Prefect server, and look for changes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from prefect import serve as serve_deployments
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL

from poseshift.flows.commands.console import fail, flow_shown, print_json, say, user_errors
from poseshift.flows.commands.options import Json
from poseshift.flows.commands.recipes import given_recipe
from poseshift.flows.deployments import Timetable, of_recipe, on_demand
from poseshift.flows.prepare import PrepareFailedError
from poseshift.flows.runtime.cluster import ClusterUnreachableError
from poseshift.flows.runtime.events import SETTLING_TIME
from poseshift.flows.runtime.guest import PrefectNotReadyError, require_ready, require_runner_storage
from poseshift.flows.watch import WATCH_LOG, in_words
from poseshift.flows.watch import watch as watch_flow
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.lock import StoreLockedError
from poseshift.storage.store import StoreError

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
    say(f"Prefect: {PREFECT_UI_URL.value()}/deployments")
    for deployment in offered:
        say(f"  {deployment.full_name}")
    serve_deployments(*offered, limit=at_once, print_starting_message=False)


@app.command()
def watch(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    as_json: Json = False,
) -> None:
    """Look once for changes: prepare the raw files that changed, and retrain only what that touches."""
    mendable = (
        ValueError,
        FileNotFoundError,
        RawDataError,
        StoreError,
        StoreLockedError,
        ClusterUnreachableError,
        PrepareFailedError,
    )
    with user_errors(*mendable):
        loaded = given_recipe(recipe)
        with flow_shown():
            decision = watch_flow(loaded)
    if as_json:
        print_json(decision)
        return
    for store in decision.stores:
        written = f"{len(store.written)} trials written, {len(store.pruned)} removed"
        changed = written if store.written or store.pruned else "unchanged"
        say(f"{store.dataset}: {changed}; snapshot {store.snapshot}")
    say(in_words(decision))
    say(f"Log: {loaded.run_dir / WATCH_LOG}")
