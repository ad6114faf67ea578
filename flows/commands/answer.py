"""Whether the command that runs is to answer with one JSON document; imports next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Answer:
    """Whether the caller wants one JSON document, and whether it has it already."""

    in_json: bool = False
    given: bool = False


_answer: ContextVar[Answer | None] = ContextVar("answer", default=None)


@contextmanager
def one_answer(*, in_json: bool) -> Iterator[None]:
    """Answer the command that runs inside this block with one JSON document, or with text."""
    token = _answer.set(Answer(in_json))
    try:
        yield
    finally:
        _answer.reset(token)


def answer() -> Answer | None:
    """Return the answer of the command that runs here; None outside of :func:`one_answer`."""
    return _answer.get()
