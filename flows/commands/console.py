"""How the command line speaks: results on standard output (tables, or JSON for scripts), errors beside it.

Nothing that is printed is read as markup: paths, names and messages come from outside and may hold brackets.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console, RenderableType

from poseshift.flows.commands.answer import answer
from poseshift.flows.commands.steps import shown_on
from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.flows.runtime.json_lines import in_json_lines
from poseshift.storage.model import FrozenModel
from poseshift.storage.sentences import in_sentences

logger = logging.getLogger(__name__)

console = Console(markup=False, emoji=False, highlight=False)
"""Results for people."""

error_console = Console(stderr=True, markup=False, emoji=False, highlight=False)
"""Errors and progress, which must not mix with a result that is piped on."""


def say(text: str, style: str | None = None) -> None:
    """Print a line of a result, however long: a path that is cut or folded cannot be copied."""
    console.print(text, style=style, soft_wrap=True)


def note(text: str) -> None:
    """Print a line about what is being done, beside the result."""
    _beside(logging.INFO, text)


def warn(text: str) -> None:
    """Print what deserves a second look, beside the result."""
    _beside(logging.WARNING, text, "yellow")


def _beside(level: int, text: str, style: str | None = None) -> None:
    """Write to standard error, as the log does where that is to hold JSON lines."""
    if in_json_lines():
        logger.log(level, text)
    else:
        error_console.print(text, style=style, soft_wrap=True)


def show(table: RenderableType) -> None:
    """Print a table, folded to the width of the terminal."""
    console.print(table)


class AnsweredError(FrozenModel):
    """An error in a JSON document."""

    code: str
    """Its kind, see :func:`error_code`."""
    message: str
    """What is wrong, and what to do."""

    @classmethod
    def of(cls, error: BaseException) -> AnsweredError:
        """Describe an error."""
        return cls(code=error_code(error), message=message_of(error))


class ErrorAnswer(FrozenModel):
    """What a command with ``--json`` answers with when it has no result."""

    error: AnsweredError


def print_json(model: BaseModel) -> None:
    """Write the one JSON document of a command to standard output, undecorated."""
    print_json_text(model.model_dump_json(indent=2))


def print_json_text(document: str) -> None:
    """Write the one JSON document of a command, given as text."""
    due = answer()
    if due is not None:
        due.given = True
    typer.echo(document)


def error_code(error: BaseException) -> str:
    """Name an error's kind for scripts: its class in lower case, such as ``raw_data`` or ``store_locked``."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(error).__name__).lower()
    return name.removesuffix("_error")


def fail(message: str, code: str = "refused") -> NoReturn:
    """Say what is wrong and leave with exit code 1."""
    tell_error(message, code)
    raise typer.Exit(code=1)


def tell_error(message: str, code: str) -> None:
    """Print an error and, where one JSON document is wanted and not there yet, answer with it."""
    _beside(logging.ERROR, f"Error: {message}", "bold red")
    due = answer()
    if due is not None and due.in_json and not due.given:
        print_json(ErrorAnswer(error=AnsweredError(code=code, message=message)))


@contextmanager
def user_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Turn the given errors into a message without a traceback."""
    try:
        yield
    except kinds as error:
        fail(message_of(error), error_code(error))


def message_of(error: BaseException) -> str:
    """Say what an error says: pydantic's in sentences, the system's with the file first."""
    if isinstance(error, ValidationError):
        return in_sentences(error)
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


@contextmanager
def work_shown(name: str) -> Iterator[None]:
    """Show work in one step, which may take long."""
    with shown_on(error_console):
        report_progress(Step(name, 0, 1))
        yield
        report_progress(Step(name, 1, 1))
