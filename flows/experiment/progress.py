"""How far an experiment is: steps, reported to whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A step of an experiment.

    Attributes
    ----------
    name : str
        What is being done, in words.
    done, total : int
        How far it is; equal when it is finished.
    remark : str
        What is known so far, such as the loss.
    """

    name: str
    done: int
    total: int
    remark: str = ""


Listener = Callable[[Step], None]

_listeners: ContextVar[tuple[Listener, ...]] = ContextVar("step_listeners", default=())


@contextmanager
def progress_to(listener: Listener) -> Iterator[None]:
    """Report the steps of everything that runs inside this block to ``listener``, beside those there are."""
    token = _listeners.set((*_listeners.get(), listener))
    try:
        yield
    finally:
        _listeners.reset(token)


def report_progress(step: Step) -> None:
    """Give a step to every listener."""
    for listener in _listeners.get():
        listener(step)
