"""How the command line speaks: results on standard output (tables, or JSON for scripts), errors beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from pydantic import BaseModel
from rich.console import Console

console = Console()
"""Results for people."""

error_console = Console(stderr=True)
"""Errors and progress, which must not mix with a result that is piped on."""


class UserError(Exception):
    """Something that the user can mend; its message says how."""


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
