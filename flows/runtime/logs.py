"""Where logs go: into a run's folder, to who looks after the run, and as JSON lines for machines.

The rest of the project logs through the standard library and knows nothing of this; every record is given
the id of the run in which it was made.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from pythonjsonlogger.json import JsonFormatter

from poseshift.flows.runtime.json_lines import AS_JSON, in_json_lines
from poseshift.flows.runtime.orchestrator import orchestrator

PACKAGE = logging.getLogger("poseshift")
"""Everything that the project logs comes through here."""

TEXT = "%(asctime)s %(levelname)s %(run_id)s %(name)s: %(message)s"


def run_id() -> str:
    """Id of the run that is going on here; ``-`` where it has none."""
    return orchestrator().run_id or "-"


class _WithRunId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.run_id = run_id()
        return True


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
    if not any(isinstance(other.formatter, JsonFormatter) for other in PACKAGE.handlers):
        PACKAGE.addHandler(handler)
        PACKAGE.setLevel(logging.INFO)
        PACKAGE.propagate = False


@contextmanager
def recorded(path: Path | None = None) -> Iterator[None]:
    """Send the log of this block to who looks after the run and, with a path, to the end of a file."""
    if in_json_lines():
        log_as_json()
    with orchestrator().listening(), nullcontext() if path is None else logged_to(_in_file(path)):
        yield


@contextmanager
def logged_to(handler: logging.Handler) -> Iterator[None]:
    """Give everything from INFO up that this block logs to a handler, which is closed afterwards."""
    level = PACKAGE.level
    PACKAGE.setLevel(logging.INFO)
    PACKAGE.addHandler(handler)
    try:
        yield
    finally:
        PACKAGE.setLevel(level)
        PACKAGE.removeHandler(handler)
        handler.close()


def _in_file(path: Path) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(TEXT))
    handler.addFilter(_WithRunId())
    return handler
