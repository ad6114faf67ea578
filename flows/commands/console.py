"""How the command line speaks: results on standard output (tables, or JSON for scripts), errors beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL
from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from poseshift.flows.experiment.progress import Step, progress_to
from poseshift.storage.inspection import find_intrinsics, intrinsics_told
from poseshift.storage.store import PoseStore

console = Console()
"""Results for people."""

error_console = Console(stderr=True)
"""Errors and progress, which must not mix with a result that is piped on."""


def print_json(model: BaseModel) -> None:
    """Write one JSON document to standard output, undecorated."""
    typer.echo(model.model_dump_json(indent=2))


def fail(message: str) -> NoReturn:
    """Say what is wrong and leave with exit code 1."""
    error_console.print(f"[bold red]Error:[/] {message}", highlight=False, soft_wrap=True)
    raise typer.Exit(code=1)


@contextmanager
def user_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Turn the given errors into a message without a traceback."""
    try:
        yield
    except kinds as error:
        fail(str(error))


def tell_intrinsics(store: PoseStore) -> None:
    """Say so where a store's cameras are assumed, made of its annotations, or contradicted by them."""
    told = intrinsics_told(find_intrinsics(store))
    if told is not None:
        console.print(told, style="yellow", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def steps_shown() -> Iterator[None]:
    """Show the steps of what runs inside this block as they go, one line each, on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[remark]}"),
    )
    if PREFECT_API_URL.value():
        error_console.print(f"Prefect: {PREFECT_UI_URL.value()}/runs", highlight=False, soft_wrap=True)
    with Progress(*columns, console=error_console) as bars:
        rows: dict[str, TaskID] = {}

        def show(step: Step) -> None:
            if step.name not in rows:
                rows[step.name] = bars.add_task(step.name, total=step.total, remark="")
            bars.update(rows[step.name], completed=step.done, total=step.total, remark=step.remark)

        with progress_to(show):
            yield
