"""How a command runs its work: as a plain function, or as a Prefect flow. Decided here and nowhere else.

Prefect takes part where it has something to add: where a server is named, which keeps runs, their artifacts
and their limits after the command has ended, or where it is asked for. Otherwise no server is started for the
length of a command, and Prefect is not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import ParamSpec, Protocol, TypeVar, cast

from poseshift.flows.commands.console import error_code, error_console, fail, note
from poseshift.flows.commands.steps import shown_on
from poseshift.flows.runtime.guest import PrefectNotReadyError, flow_page, names_server, require_ready

P = ParamSpec("P")
R = TypeVar("R")


class Runner(Protocol):
    """Runs a function of :mod:`poseshift.flows` with its arguments."""

    def __call__(self, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what the function returns, and raise what it raises."""


@contextmanager
def run_shown(*, prefect: bool) -> Iterator[Runner]:
    """Show the steps of what runs inside this block, and give what runs it.

    Parameters
    ----------
    prefect : bool
        Whether Prefect is asked for, though no server may be named.
    """
    with shown_on(error_console):
        yield _as_flow() if prefect or names_server() else _plainly


def _plainly(work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    return work(*args, **kwargs)


def _as_flow() -> Runner:
    """Return what runs functions as flows; leave when Prefect cannot work here."""
    try:
        require_ready()
    except PrefectNotReadyError as error:
        fail(str(error), error_code(error))
    page = flow_page()
    if page is not None:
        note(f"Prefect: {page}")

    def run(work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return flow_of(work)(*args, **kwargs)

    return run


def flow_of(work: Callable[P, R]) -> Callable[P, R]:
    """Find the flow of a function, see :mod:`poseshift.flows.prefect_flows`."""
    module = work.__module__.rpartition(".")[2]
    flows = import_module(f"poseshift.flows.prefect_flows.{module}")
    return cast(Callable[P, R], getattr(flows, work.__name__))
