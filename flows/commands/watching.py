"""The command that looks once for changes, and retrains what they touch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poseshift.flows.commands.console import print_json, say, user_errors
from poseshift.flows.commands.options import Json, Prefect
from poseshift.flows.commands.recipes import given_recipe
from poseshift.flows.commands.running import run_shown
from poseshift.flows.prepare import PrepareFailedError
from poseshift.flows.runtime.cluster import ClusterUnreachableError
from poseshift.flows.watch import WATCH_LOG, in_words
from poseshift.flows.watch import watch as look
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.lock import StoreLockedError
from poseshift.storage.store import StoreError

app = typer.Typer()


@app.command()
def watch(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    prefect: Prefect = False,
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
        with run_shown(prefect=prefect) as run:
            decision = run(look, loaded)
    if as_json:
        print_json(decision)
        return
    for store in decision.stores:
        written = f"{len(store.written)} trials written, {len(store.pruned)} removed"
        changed = written if store.written or store.pruned else "unchanged"
        say(f"{store.dataset}: {changed}; snapshot {store.snapshot}")
    say(in_words(decision))
    say(f"Log: {loaded.run_dir / WATCH_LOG}")
