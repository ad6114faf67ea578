"""Where logs and progress go: into a run's folder, into Prefect's UI, and as JSON lines for machines.

The rest of the project logs through the standard library and knows nothing of this; every record is given
the id of the Prefect flow run in which it was made.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect.context import FlowRunContext
from prefect.logging.handlers import APILogHandler
from pythonjsonlogger.json import JsonFormatter

from poseshift.flows.experiment.progress import progress_to
from poseshift.flows.runtime.bars import PrefectBars
from poseshift.flows.runtime.json_lines import AS_JSON, in_json_lines

PACKAGE = logging.getLogger("poseshift")
"""Everything that the project logs comes through here."""

TEXT = "%(asctime)s %(levelname)s %(run_id)s %(name)s: %(message)s"


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
    """Send logs and progress of this block to Prefect's UI and, with a path, logs to the end of a file."""
    if in_json_lines():
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
    level = PACKAGE.level
    PACKAGE.setLevel(logging.INFO)
    for handler in handlers:
        PACKAGE.addHandler(handler)
    try:
        with progress_to(PrefectBars()):
            yield
    finally:
        PACKAGE.setLevel(level)
        for handler in handlers:
            PACKAGE.removeHandler(handler)
            handler.close()
