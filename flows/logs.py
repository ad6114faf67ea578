"""Logs of the project's rooms: into a run's folder, into Prefect's UI, and as JSON lines for machines.

The rooms log through the standard library and know nothing of this; every record is given the id of the
Prefect flow run in which it was made. :func:`log_stage` writes the one line that a finished stage is worth.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prefect.context import FlowRunContext
from prefect.logging.handlers import APILogHandler
from pythonjsonlogger.json import JsonFormatter

ROOMS = ("geometry", "storage", "preprocessing", "augmentation", "training", "adaptation", "flows")
AS_JSON = "POSESHIFT_LOG_JSON"
"""Environment variable by which the processes of scheduled runs hear of ``--log-json``."""

TEXT = "%(asctime)s %(levelname)s %(run_id)s %(name)s: %(message)s"

logger = logging.getLogger(__name__)

Figure = str | int | float | bool


def run_id() -> str:
    """Id of the flow run that is going on here; ``-`` outside of one."""
    context = FlowRunContext.get()
    return "-" if context is None or context.flow_run is None else str(context.flow_run.id)


class _WithRunId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.run_id = run_id()
        return True


class _InsideRun(logging.Filter):
    """Prefect's handler refuses records of threads that know of no run, such as Dask's."""

    def filter(self, record: logging.LogRecord) -> bool:
        return FlowRunContext.get() is not None


def log_stage(name: str, seconds: float, figures: Mapping[str, Figure]) -> None:
    """Log one line for a stage that is done: what, how long, and its counts.

    Parameters
    ----------
    name : str
        The stage, such as ``prepare human36m`` or a stage's folder.
    seconds : float
        Wall-clock time.
    figures : mapping
        Counts and other short facts; fields of their own in JSON.
    """
    told = ", ".join(f"{key} {value}" for key, value in figures.items())
    logger.info(
        "stage %s: %.1f s%s",
        name,
        seconds,
        f", {told}" if told else "",
        extra={"stage": name, "seconds": round(seconds, 3), "figures": dict(figures)},
    )


def log_as_json() -> None:
    """Write everything from INFO up to standard error as JSON lines, here and in runs started from here."""
    os.environ[AS_JSON] = "1"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            ["asctime", "levelname", "name", "run_id", "message"],
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )
    )
    handler.addFilter(_WithRunId())
    for room in _loggers():
        if not any(isinstance(other.formatter, JsonFormatter) for other in room.handlers):
            room.addHandler(handler)
            room.setLevel(logging.INFO)
            room.propagate = False


@contextmanager
def recorded(path: Path | None = None) -> Iterator[None]:
    """Send what the rooms log inside this block to Prefect's UI and, with a path, to the end of a file."""
    if os.environ.get(AS_JSON):
        log_as_json()
    in_prefect = APILogHandler()
    in_prefect.addFilter(_InsideRun())
    handlers: list[logging.Handler] = [in_prefect]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        in_file = logging.FileHandler(path, encoding="utf-8")
        in_file.setFormatter(logging.Formatter(TEXT))
        in_file.addFilter(_WithRunId())
        handlers.append(in_file)
    levels = {room: room.level for room in _loggers()}
    for room in levels:
        room.setLevel(logging.INFO)
        for handler in handlers:
            room.addHandler(handler)
    try:
        yield
    finally:
        for room, level in levels.items():
            room.setLevel(level)
            for handler in handlers:
                room.removeHandler(handler)
        for handler in handlers:
            handler.close()


def _loggers() -> list[logging.Logger]:
    return [logging.getLogger(room) for room in ROOMS]
