"""Runs of a timetable that fell due while the machine slept: one of them is made, the others are not.

Prefect schedules runs ahead. After five nights without power five are due, and each would look at the same
data as the first one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelled

from poseshift.flows.runtime.in_prefect.marks import current_run

logger = logging.getLogger(__name__)

_WAITING = [StateType.SCHEDULED, StateType.PENDING]
_MADE = [StateType.RUNNING, StateType.COMPLETED]


def stand_in_for_missed() -> tuple[datetime, ...]:
    """Inside a scheduled run: cancel the other runs of its timetable that are due already.

    Returns
    -------
    tuple of datetime
        When they were due; empty outside a scheduled run, and when the server does not answer.
    """
    run = current_run()
    if run is None or not run.auto_scheduled or run.deployment_id is None:
        return ()
    try:
        with get_client(sync_client=True) as client:
            return _cancel_due(client, run)
    except httpx.HTTPError as error:
        logger.warning("Other looks that are due were not cancelled: %s", error)
        return ()


def covered_by() -> str | None:
    """Inside a scheduled run: name the run of its timetable that began before it, and after it was due.

    A runner may take up several due runs at once, before the first of them could cancel the others. None when
    there is no such run, and when the server does not answer.
    """
    run = current_run()
    if run is None or not run.auto_scheduled or run.deployment_id is None or run.expected_start_time is None:
        return None
    try:
        with get_client(sync_client=True) as client:
            made = _of_timetable(client, run, _MADE)
    except httpx.HTTPError:
        return None
    return first_in_its_place(run.id, run.expected_start_time, made)


def first_in_its_place(own: UUID, due: datetime, made: Sequence[FlowRun]) -> str | None:
    """Name the run that began before a run's own, and after it was due; None when there is none.

    Parameters
    ----------
    own : UUID
        The run.
    due : datetime
        When it was due.
    made : sequence of FlowRun
        Runs of its timetable that go on or are completed, itself among them, as the server knows them. Two
        that began in the same moment are told apart by their ids, so that one of them always looks.
    """
    began = {run.id: (run.start_time, str(run.id)) for run in made if run.start_time is not None}
    names = {run.id: run.name for run in made}
    if own not in began:
        return None
    earlier = [one for one, moment in began.items() if moment < began[own] and moment[0] >= due]
    return names[min(earlier, key=lambda one: began[one])] if earlier else None


def _cancel_due(client: SyncPrefectClient, run: FlowRun) -> tuple[datetime, ...]:
    now, missed = datetime.now(UTC), []
    for other in _of_timetable(client, run, _WAITING):
        due = other.expected_start_time
        if other.id == run.id or not other.auto_scheduled or due is None or due > now:
            continue
        message = f"missed; {run.name} ({run.id}) looks in its place"
        client.set_flow_run_state(other.id, Cancelled(message=message), force=True)
        missed.append(due)
    return tuple(sorted(missed))


def _of_timetable(client: SyncPrefectClient, run: FlowRun, types: list[StateType]) -> list[FlowRun]:
    return client.read_flow_runs(
        deployment_filter=DeploymentFilter(
            id=DeploymentFilterId(any_=[run.deployment_id] if run.deployment_id else [])
        ),
        flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types))),
        sort=FlowRunSort.START_TIME_DESC if types == _MADE else FlowRunSort.EXPECTED_START_TIME_ASC,
        limit=200,
    )
