"""What a running flow tells of itself: its step and how far it is, to listeners and to Prefect's UI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext

SHOWN_STEPS = 20
"""A bar in Prefect's UI moves at most so many times, since every move is a request to its server."""


@dataclass(frozen=True)
class Step:
    """A step of an experiment.

    Attributes
    ----------
    name : what is being done, in words.
    done, total : how far it is; equal when it is finished.
    remark : what is known so far, such as the loss.
    """

    name: str
    done: int
    total: int
    remark: str = ""


Listener = Callable[[Step], None]

_listener: ContextVar[Listener | None] = ContextVar("step_listener", default=None)


@contextmanager
def narrated_to(listener: Listener) -> Iterator[None]:
    """Tell ``listener`` of the steps of everything that runs inside this block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(step: Step) -> None:
    """Tell the listener, if there is one, and move a bar in Prefect's UI when a flow is running."""
    listener = _listener.get()
    if listener is not None:
        listener(step)
    run = FlowRunContext.get()
    if run is not None and run.flow_run is not None and step.total > 1:
        _bars.show(run.flow_run.id, step)


@dataclass(frozen=True)
class _Bar:
    artifact: UUID
    shown: int


class _Bars:
    """The progress artifacts of the flow runs of this process."""

    def __init__(self) -> None:
        self._bars: dict[tuple[UUID, str], _Bar] = {}

    def show(self, run: UUID, step: Step) -> None:
        key = (run, step.name)
        place = SHOWN_STEPS * step.done // step.total
        per_cent = 100.0 * step.done / step.total
        bar = self._bars.get(key)
        if bar is None:
            created = create_progress_artifact(progress=per_cent, description=step.name)
            self._bars[key] = _Bar(created, place)  # type: ignore[arg-type]  # a coroutine only under asyncio
        elif place > bar.shown:
            update_progress_artifact(bar.artifact, progress=per_cent)
            self._bars[key] = _Bar(bar.artifact, place)


_bars = _Bars()
