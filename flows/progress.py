"""Progress of long stages: to whoever listens in this process (the terminal) and to the Prefect UI."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext

from preprocessing.ingest import Progress

Listener = Callable[[Progress], None]

_listener: ContextVar[Listener | None] = ContextVar("progress_listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Pass the progress of everything that runs inside this block to ``listener``."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def reporter(description: str) -> Listener:
    """Return a function that reports progress to the listener, and in whole per cents to Prefect."""
    listener = _listener.get()
    artifacts: dict[str, object] = {}
    shown: dict[str, int] = {}

    def report(progress: Progress) -> None:
        if listener is not None:
            listener(progress)
        if FlowRunContext.get() is None:
            return
        per_cent = int(100 * progress.done / max(progress.total, 1))
        if progress.stage not in artifacts:
            artifacts[progress.stage] = create_progress_artifact(
                progress=float(per_cent), description=f"{description}: {progress.stage}"
            )
        elif per_cent > shown[progress.stage]:
            update_progress_artifact(artifacts[progress.stage], progress=float(per_cent))  # type: ignore[arg-type]
        shown[progress.stage] = per_cent

    return report
