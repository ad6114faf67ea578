"""The process of a flow run, written into Prefect's database: what is left when the process is killed.

Prefect itself marks a run of a served flow as crashed when its runner sees the process end. When the runner
is killed too, or the machine stops, the run stays "Running" for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL
from pydantic import BaseModel, ValidationError

from poseshift.flows.runtime.processes import ProcessIdentity

logger = logging.getLogger(__name__)

LABEL = "poseshift.process"
UNDER_WAY = (StateType.RUNNING, StateType.CANCELLING)
_PAGE = 200


def current_run() -> FlowRun | None:
    """Return the flow run that is going on here; None outside of one."""
    context = FlowRunContext.get()
    return None if context is None else context.flow_run


def mark_process() -> None:
    """Inside a flow run on a server: say which process it is; the run goes on when that fails."""
    run = current_run()
    if run is None or not PREFECT_API_URL.value():
        return
    try:
        with get_client(sync_client=True) as client:
            label(client, run.id, {LABEL: ProcessIdentity.here()})
    except httpx.HTTPError as error:
        logger.warning("Prefect was not told the process of this run: %s", error)


def label(client: SyncPrefectClient, run: UUID, labels: Mapping[str, BaseModel]) -> None:
    """Write labels of a flow run; others stay."""
    client.update_flow_run_labels(run, {name: value.model_dump_json() for name, value in labels.items()})


def under_way(client: SyncPrefectClient) -> Iterator[FlowRun]:
    """List the flow runs that Prefect takes for running."""
    wanted = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(UNDER_WAY))))
    offset = 0
    while page := client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE, offset=offset):
        yield from page
        offset += len(page)


def process_of(run: FlowRun) -> ProcessIdentity | None:
    """Return the process of a flow run; None when it was not marked."""
    marked = run.labels.get(LABEL)
    try:
        return None if marked is None else ProcessIdentity.model_validate_json(str(marked))
    except ValidationError:
        return None
