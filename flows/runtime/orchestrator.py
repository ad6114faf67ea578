"""Who looks after a run: nobody, as with most commands, or Prefect, which shows and announces it.

What a run does is a plain function. It says here what is to be shown, announced or waited for, and who looks
after the run decides what becomes of that. With nobody, the function's result, its files and its log are all
there is. Prefect's side is :mod:`poseshift.flows.runtime.in_prefect`, which nothing here imports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    import torch

P = ParamSpec("P")
R = TypeVar("R")


class Orchestrator:
    """Nobody: tasks are called as they are, and nothing is shown, announced or waited for."""

    @property
    def run_id(self) -> str | None:
        """Id of the run; None where runs have none."""
        return None

    @property
    def run_url(self) -> str | None:
        """Address of a page that shows the run and outlives it."""
        return None

    @property
    def unattended(self) -> bool:
        """Whether the run was started with nobody there, who could be told to try later."""
        return False

    def given_way_to(self) -> str | None:
        """Name the run that was made in the place of this one, which fell due at an earlier time."""
        return None

    def stand_in_for_missed(self) -> tuple[datetime, ...]:
        """Call off the other runs of the timetable that are due, and return when they were."""
        return ()

    def task(self, function: Callable[P, R], name: str, run_name: str | None = None) -> Callable[P, R]:
        """Return what calls a part of the run.

        Parameters
        ----------
        function : callable
            The part.
        name, run_name : str
            What to call it; the second may name parameters in braces.
        """
        del name, run_name
        return function

    def listening(self) -> AbstractContextManager[None]:
        """Take the log and the steps of a block."""
        return nullcontext()

    def slot(self, device: torch.device) -> AbstractContextManager[None]:
        """Wait until a device is free for a training, and hold it for the length of a block."""
        del device
        return nullcontext()

    def show_table(self, key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
        """Show a table of results; ``key`` is of small letters, digits and dashes."""

    def show_text(self, key: str, markdown: str, description: str | None = None) -> None:
        """Show a text."""

    def show_link(self, key: str, address: str, text: str) -> None:
        """Show a link."""

    def announce(self, event: str, resource: Mapping[str, str], payload: Mapping[str, Any]) -> None:
        """Tell everybody who waits for it that something has happened."""


_orchestrator: ContextVar[Orchestrator | None] = ContextVar("orchestrator", default=None)


def orchestrator() -> Orchestrator:
    """Who looks after the run that is going on here."""
    return _orchestrator.get() or Orchestrator()


@contextmanager
def looked_after_by(one: Orchestrator) -> Iterator[None]:
    """Have a run looked after by somebody for the length of a block."""
    token = _orchestrator.set(one)
    try:
        yield
    finally:
        _orchestrator.reset(token)
