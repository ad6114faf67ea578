"""Commands for the upkeep of stores: tags, differences, room, and the expiry of old snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from poseshift.flows.commands.console import fail, print_json, say, show, user_errors, work_shown
from poseshift.flows.commands.options import Json, Store
from poseshift.flows.commands.units import in_units
from poseshift.flows.experiment.recorded import is_store, recorded_snapshots
from poseshift.storage.difference import AttributeChange, StoreDifference, difference
from poseshift.storage.expiry import Expiry, Kept, expire, planned_expiry
from poseshift.storage.model import FrozenModel
from poseshift.storage.room import Part, StoreRoom, measure_store
from poseshift.storage.store import PoseStore, StoreError
from poseshift.storage.tags import Tag, add_tag, list_tags, remove_tag

app = typer.Typer()

TOLD = 20
"""Trials, and places of records, that are spelled out; `--json` has all."""


class TagsAnswer(FrozenModel):
    """What ``tag --json`` answers with."""

    tags: tuple[Tag, ...]
    """All tags of the store, by name."""
    added: Tag | None = None
    """The tag that was made."""
    deleted: Tag | None = None
    """The tag that was deleted."""


@app.command()
def tag(
    store: Store,
    name: Annotated[str | None, typer.Argument(help="Name to give; left out, tags are listed.")] = None,
    snapshot: Annotated[
        str | None, typer.Option(help="Snapshot to name (see history); the newest by default.")
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the tag; its name is used up.")] = False,
    as_json: Json = False,
) -> None:
    """Name a snapshot, which is then kept for good; list the names of a store, or delete one."""
    if name is None and (delete or snapshot is not None):
        fail("give the name of the tag", "usage")
    if delete and snapshot is not None:
        fail("--delete takes the name of a tag alone; leave out --snapshot", "usage")
    with user_errors(StoreError):
        opened = PoseStore.open(store)
        deleted = remove_tag(opened, name) if delete and name is not None else None
        added = add_tag(opened, name, snapshot) if not delete and name is not None else None
        tags = list_tags(opened)
    if as_json:
        print_json(TagsAnswer(tags=tags, added=added, deleted=deleted))
    elif deleted is not None:
        say(f"Deleted {deleted.name}; snapshot {deleted.snapshot} stays until it expires.")
    elif added is not None:
        say(f"{added.name} names snapshot {added.snapshot} of {added.written_at:%Y-%m-%d %H:%M:%S}.", "green")
    elif not tags:
        say(f"{store} has no tags.")
    else:
        table = Table("tag", "snapshot", "written", "message")
        for one in tags:
            table.add_row(one.name, one.snapshot, f"{one.written_at:%Y-%m-%d %H:%M:%S}", one.message)
        show(table)


@app.command()
def diff(
    store: Store,
    before: Annotated[str, typer.Argument(help="A snapshot or a tag.")],
    after: Annotated[str | None, typer.Argument(help="Another; the newest by default.")] = None,
    as_json: Json = False,
) -> None:
    """Show what changed from one snapshot to another: trials, arrays and attributes."""
    with user_errors(StoreError):
        found = difference(PoseStore.open(store, before), PoseStore.open(store, after))
    if as_json:
        print_json(found)
        return
    _print_difference(found)


def _print_difference(found: StoreDifference) -> None:
    say(
        f"{found.before} → {found.after}: {len(found.added)} trials added, {len(found.removed)} removed, "
        f"{len(found.changed)} changed, {found.unchanged} unchanged"
    )
    for change in found.attributes:
        say(f"  store: {_change(change)}")
    for what, counts in (("array", found.arrays_changed), ("attribute", found.attributes_changed)):
        for name, count in sorted(counts.items()):
            say(f"  {what} {name} differs in {count} trials")
    _say_some("added", found.added)
    _say_some("removed", found.removed)
    for one in found.changed[:TOLD]:
        arrays = (
            *(f"+{name}" for name in one.arrays_added),
            *(f"-{name}" for name in one.arrays_removed),
            *one.arrays_changed,
        )
        say(f"  changed {one.trial}: {', '.join((*arrays, *(change.name for change in one.attributes)))}")
    _say_rest(len(found.changed))


def _change(change: AttributeChange) -> str:
    return f"{change.name} was {change.before!r}, is {change.after!r}"


def _say_some(what: str, names: tuple[str, ...]) -> None:
    for name in names[:TOLD]:
        say(f"  {what} {name}")
    _say_rest(len(names))


def _say_rest(count: int) -> None:
    if count > TOLD:
        say(f"  and {count - TOLD} more (--json lists all)")


@app.command()
def du(
    place: Annotated[str, typer.Argument(help="A store, or a folder of runs.")],
    as_json: Json = False,
) -> None:
    """Show how much room a store takes by array, subject and history, or a folder of runs by run."""
    from poseshift.flows.experiment.run_room import measure_runs  # imports torch

    if "://" not in place and not is_store(Path(place)):
        with user_errors(OSError):
            runs = measure_runs(Path(place))
        if as_json:
            print_json(runs)
            return
        table = Table("run", "bytes", "superseded", "largest parts")
        for run in runs.runs:
            largest = ", ".join(f"{name} {in_units(size)}" for name, size in list(run.parts.items())[:3])
            table.add_row(run.folder, in_units(run.total_bytes), in_units(run.superseded_bytes), largest)
        show(table)
        say(f"{runs.folder}: {in_units(runs.total_bytes)} in all")
        return
    with user_errors(StoreError), work_shown(f"measure {place}"):
        room = measure_store(PoseStore.open(place))
    if as_json:
        print_json(room)
        return
    _print_room(room)


def _print_room(room: StoreRoom) -> None:
    for title, parts in (("array", room.by_array), ("subject", room.by_subject)):
        show(_parts_table(title, parts))
    total = "" if room.total_bytes is None else f"; {in_units(room.total_bytes)} in all, metadata included"
    say(f"newest snapshot {room.snapshot}: {in_units(room.newest_bytes)}")
    say(f"older snapshots alone: {in_units(room.history_bytes)} (`expire` frees it when they go)")
    say(f"referred to by nothing: {in_units(room.unreachable_bytes)} (`expire` frees it){total}")


def _parts_table(title: str, parts: tuple[Part, ...]) -> Table:
    table = Table(title, "arrays", "bytes")
    for part in parts:
        table.add_row(part.name, str(part.arrays), in_units(part.bytes))
    return table


@app.command("expire")
def expire_command(
    store: Store,
    keep_days: Annotated[
        float,
        typer.Option(min=0, help="A snapshot stays for so many days after the commit that superseded it."),
    ],
    runs: Annotated[
        list[str] | None,
        typer.Option(
            help="Folder of runs, recipe, or derived store, whose recorded snapshots stay; repeat for more."
        ),
    ] = None,
    no_runs: Annotated[
        bool, typer.Option("--no-runs", help="Nothing has recorded a snapshot of this store.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would expire, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Remove old snapshots and what no snapshot refers to; what is tagged, pinned or recorded stays."""
    if bool(runs) == no_runs:
        fail(
            "runs and derived stores need the snapshots that they recorded: give their folders with --runs, "
            "or --no-runs where there are none",
            "usage",
        )
    with user_errors(StoreError, OSError):
        opened = PoseStore.open(store)
        with work_shown(f"expire {store}"):
            records = recorded_snapshots(runs or ())
            work = planned_expiry if plan else expire
            found = work(opened, keep_days, records, datetime.now(UTC))
    if as_json:
        print_json(found)
        return
    _print_expiry(found)


def _print_expiry(found: Expiry) -> None:
    for kept in found.kept:
        say(f"stays    {kept.snapshot} {kept.written_at:%Y-%m-%d %H:%M:%S}  {kept.message}")
        for reason in _reasons(kept, found.keep_days):
            say(f"         {reason}")
    verb = "expired " if found.done else "would go"
    for one in found.expired:
        say(
            f"{verb} {one.snapshot} {one.written_at:%Y-%m-%d %H:%M:%S}  {one.message} "
            f"(superseded {one.superseded_at:%Y-%m-%d})"
        )
    for name in found.tagged:
        named = f"tag {name}" if found.done else f"a tag for {name}"
        say(f"{named} {'keeps' if found.done else 'would keep'} what records name, until it is deleted")
    if found.freed_bytes is None:
        say("how much room that would free is not known on object storage")
    else:
        say(f"{'freed' if found.done else 'would free'} {in_units(found.freed_bytes)}", "green")


def _reasons(kept: Kept, keep_days: float) -> list[str]:
    told: Mapping[str, str] = {
        "newest": "the newest",
        "superseded lately": f"superseded less than {keep_days:g} days ago",
        "tag": "tagged ",
        "record": "recorded in ",
    }
    lines = [f"{told[reason.kind]}{reason.name}" for reason in kept.reasons]
    more = len(lines) - TOLD
    return lines if more <= 0 else [*lines[:TOLD], f"and in {more} more places (--json lists all)"]
