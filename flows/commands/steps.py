"""The steps of long work on standard error: bars in a terminal, lines in a file or a pipe.

Who reads the log of a timed job has no bar to look at. There a step is a line when it begins and when it is
finished, and what is still going on is said at least every 30 seconds; with ``--log-json``, in records of the
log. Warnings that are logged on the way are shown as well: not everybody looks into the log afterwards.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from poseshift.flows.experiment.progress import Step, progress_to
from poseshift.flows.runtime.json_lines import in_json_lines

logger = logging.getLogger(__name__)

SILENCE_SECONDS = 30.0
"""Longest time without a line where no bar can be shown."""


@contextmanager
def shown_on(console: Console, silence_s: float = SILENCE_SECONDS) -> Iterator[None]:
    """Show the steps and warnings of what runs inside this block as they go.

    Parameters
    ----------
    console : Console
        Standard error; nothing is printed on it where it is to hold JSON lines.
    silence_s : float
        Longest time without a line where no bar can be shown.
    """
    if in_json_lines():
        with lines(logger.info, silence_s):
            yield
        return
    with _warnings(console):
        if console.is_terminal:
            with _bars(console):
                yield
            return
        with lines(lambda text: console.print(text, soft_wrap=True), silence_s):
            yield


class _Shown(logging.Handler):
    """Prints warnings. Errors are raised, and printed by who catches them."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING:
            self._console.print(record.getMessage(), style="yellow", soft_wrap=True)


@contextmanager
def _warnings(console: Console) -> Iterator[None]:
    package, handler = logging.getLogger("poseshift"), _Shown(console)
    package.addHandler(handler)
    try:
        yield
    finally:
        package.removeHandler(handler)


@contextmanager
def lines(say: Callable[[str], None], silence_s: float = SILENCE_SECONDS) -> Iterator[None]:
    """Say each step of what runs inside this block when it begins and ends, and in between now and then.

    Parameters
    ----------
    say : callable
        Prints one line; called from a thread of its own as well.
    silence_s : float
        Longest time without a line.
    """
    told = _Lines(say, silence_s)
    watcher = threading.Thread(target=told.go_on, name="steps", daemon=True)
    watcher.start()
    try:
        with progress_to(told):
            yield
    finally:
        told.stop()
        watcher.join()


class _Lines:
    def __init__(self, say: Callable[[str], None], silence_s: float) -> None:
        self._say = say
        self._silence_s = silence_s
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._begun_s = monotonic()
        self._said_s = self._begun_s
        self._going_on: dict[str, Step] = {}
        self._named: set[str] = set()

    def __call__(self, step: Step) -> None:
        """Take a step; the first and the last of a name are said at once."""
        with self._lock:
            finished = step.done >= step.total
            if step.name not in self._named or finished:
                self._tell(step)
            self._named.add(step.name)
            if finished:
                self._going_on.pop(step.name, None)
            else:
                self._going_on[step.name] = step

    def go_on(self) -> None:
        """Say what is going on whenever nothing was said for long; ends with :meth:`stop`."""
        while not self._ended.wait(max(0.0, self._said_s + self._silence_s - monotonic())):
            with self._lock:
                if monotonic() - self._said_s < self._silence_s:
                    continue
                for step in self._going_on.values():
                    self._tell(step)
                if not self._going_on:
                    self._put("working")

    def stop(self) -> None:
        """End :meth:`go_on`."""
        self._ended.set()

    def _tell(self, step: Step) -> None:
        of = f" {step.done}/{step.total}" if step.total > 1 else ""
        state = ": done" if step.done >= step.total else ""
        remark = f" ({step.remark})" if step.remark else ""
        self._put(f"{step.name}{of}{state}{remark}")

    def _put(self, text: str) -> None:
        self._said_s = monotonic()
        self._say(f"[{self._said_s - self._begun_s:5.0f} s] {text}")


@contextmanager
def _bars(console: Console) -> Iterator[None]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[remark]}", style="dim", markup=False),
    )
    with Progress(*columns, console=console) as bars:
        rows: dict[str, TaskID] = {}

        def show(step: Step) -> None:
            if step.name not in rows:
                rows[step.name] = bars.add_task(step.name, total=step.total, remark="")
            bars.update(rows[step.name], completed=step.done, total=step.total, remark=step.remark)

        with progress_to(show):
            yield
