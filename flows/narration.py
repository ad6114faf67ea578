"""What a running experiment tells whoever listens in this process: the step it is at, and how far it is."""

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
    """Tell the listener, if there is one."""
    listener = _listener.get()
    if listener is not None:
        listener(step)
