"""Commands that look at a store: what it holds, whether it is intact, how it came about."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich.table import Table

from poseshift.flows.commands.console import (
    fail,
    print_json,
    print_json_text,
    say,
    show,
    user_errors,
    work_shown,
)
from poseshift.flows.commands.options import Json, Store
from poseshift.storage.inspection import describe, intrinsics_told
from poseshift.storage.store import Commit, PoseStore, StoreError

app = typer.Typer()

Snapshot = Annotated[
    str | None, typer.Option(help="Look at this snapshot, or tag, instead of the newest (see history).")
]


@app.command()
def inspect(store: Store, snapshot: Snapshot = None, as_json: Json = False) -> None:
    """Show what a store holds: trials, frames, cameras, and where they came from."""
    with user_errors(StoreError):
        opened = PoseStore.open(store, snapshot)
        description = describe(opened)
    if as_json:
        print_json(description)
        return
    table = Table(title=f"{description.dataset} at {description.snapshot}")
    for column in ("subject", "trials", "frames", "cameras"):
        table.add_column(column, justify="left" if column == "subject" else "right")
    for subject in description.subjects:
        table.add_row(
            subject.subject, str(len(subject.trials)), f"{subject.frames:,}", str(len(subject.cameras))
        )
    show(table)
    if description.restaged_from:
        say(f"Restaged motion, not the original recordings: {description.restaged_from}", "yellow")
    told = intrinsics_told(description.intrinsics)
    if told is not None:
        say(told, "yellow")


@app.command()
def verify(store: Store, snapshot: Snapshot = None, as_json: Json = False) -> None:
    """Read every array again and compare it with the digest that was stored when it was written."""
    with user_errors(StoreError):
        opened = PoseStore.open(store, snapshot)
        with work_shown(f"verify {store}"):
            report = opened.verify()
    if as_json:
        print_json(report)
    elif report.succeeded:
        say(f"All {report.arrays} arrays of {report.trials} trials are as they were written.", "green")
    if not report.succeeded:
        fail("; ".join(report.problems) + ". Prepare the store again from its raw tree.", "damaged_store")


@app.command()
def history(store: Store, as_json: Json = False) -> None:
    """List the snapshots of a store, newest first."""
    with user_errors(StoreError):
        commits = PoseStore.open(store).history()
    if as_json:
        print_json_text(TypeAdapter(tuple[Commit, ...]).dump_json(commits, indent=2).decode())
        return
    table = Table("snapshot", "written", "message")
    for commit in commits:
        table.add_row(commit.id, f"{commit.written_at:%Y-%m-%d %H:%M:%S}", commit.message)
    show(table)
