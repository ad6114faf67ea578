"""Prefect as the one that looks after a run. Every method is called inside a flow run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from prefect import Task
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.logging.handlers import APILogHandler
from prefect.settings import PREFECT_API_URL
from prefect.utilities.urls import url_for

from poseshift.flows.experiment.progress import progress_to
from poseshift.flows.runtime.in_prefect.bars import PrefectBars
from poseshift.flows.runtime.in_prefect.marks import current_run, mark_process
from poseshift.flows.runtime.in_prefect.missed import covered_by, stand_in_for_missed
from poseshift.flows.runtime.logs import logged_to
from poseshift.flows.runtime.orchestrator import Orchestrator

if TYPE_CHECKING:
    import torch

P = ParamSpec("P")
R = TypeVar("R")


class InPrefect(Orchestrator):
    """The flow run that is going on here."""

    @property
    def run_id(self) -> str | None:
        """Prefect's id of the flow run."""
        run = current_run()
        return None if run is None else str(run.id)

    @property
    def run_url(self) -> str | None:
        """Address of the flow run in the UI of a server that outlives it."""
        run = current_run()
        return None if run is None or not PREFECT_API_URL.value() else url_for(run)

    @property
    def unattended(self) -> bool:
        """Whether the flow run is one of a deployment."""
        run = current_run()
        return run is not None and run.deployment_id is not None

    def given_way_to(self) -> str | None:
        """Name the run of the same timetable that began after this one was due."""
        return covered_by()

    def stand_in_for_missed(self) -> tuple[datetime, ...]:
        """Cancel the other runs of the timetable that are due."""
        return stand_in_for_missed()

    def task(self, function: Callable[P, R], name: str, run_name: str | None = None) -> Callable[P, R]:
        """Return a Prefect task of its own state and name."""
        return Task(fn=function, name=name, task_run_name=run_name)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Send log and steps to Prefect's UI, and say which process the run is."""
        mark_process()
        handler = APILogHandler()
        handler.addFilter(_InsideRun())
        with logged_to(handler), progress_to(PrefectBars()):
            yield

    def slot(self, device: torch.device) -> AbstractContextManager[None]:
        """Hold the device's limit, see :mod:`poseshift.flows.runtime.in_prefect.slots`."""
        from poseshift.flows.runtime.in_prefect.slots import training_slot  # imports PyTorch

        return training_slot(device)

    def show_table(self, key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
        """Make a table artifact."""
        create_table_artifact(key=key, table=[dict(row) for row in rows], description=description)

    def show_text(self, key: str, markdown: str, description: str | None = None) -> None:
        """Make a markdown artifact."""
        create_markdown_artifact(key=key, markdown=markdown, description=description)

    def show_link(self, key: str, address: str, text: str) -> None:
        """Make a link artifact."""
        create_link_artifact(key=key, link=address, link_text=text)

    def announce(self, event: str, resource: Mapping[str, str], payload: Mapping[str, Any]) -> None:
        """Emit an event, which deployments can be triggered by."""
        emit_event(event, resource=dict(resource), payload=dict(payload))


class _InsideRun(logging.Filter):
    """Prefect's handler refuses records of threads that know of no run, such as Dask's."""

    def filter(self, record: logging.LogRecord) -> bool:
        return FlowRunContext.get() is not None
