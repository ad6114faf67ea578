"""Which failures of a nightly run are worth another attempt, and when.

A disk or a network may be back in a minute; a damaged file, a wrong recipe or a full GPU will not. A repeated
task is safe: a store is committed whole or not at all, and training resumes where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext
from prefect.tasks import exponential_backoff

from poseshift.flows.runtime.cluster import ClusterUnreachableError
from poseshift.storage.errors import StoreUnavailableError
from poseshift.storage.lock import StoreLockedError

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

ATTEMPTS_AFTER_THE_FIRST = 3
BACKOFF_SECONDS = 20.0
"""First pause; each further one is twice as long, with a jitter so that two runs do not meet again."""

MISTAKES = (
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)
"""Errors of the operating system that somebody has to mend; waiting does not help."""

_OUT_OF_REACH = (StoreLockedError, StoreUnavailableError, ClusterUnreachableError)


def is_passing(error: BaseException) -> bool:
    """Tell whether the same call may succeed later, with nobody doing anything."""
    if isinstance(error, StoreLockedError):
        return True
    return isinstance(error, OSError) and not isinstance(error, MISTAKES)


def retry_on_passing_errors(task: Task[..., Any], _: TaskRun, state: State[Any]) -> bool:
    """Prefect's retry condition: another attempt for errors that pass, for no other.

    Only deployments wait for another writer, a cluster or an object store: who sits at a terminal wants to
    know at once.
    """
    error = state.data
    if not isinstance(error, BaseException) or not is_passing(error):
        return False
    if isinstance(error, _OUT_OF_REACH) and not _of_deployment():
        return False
    logger.warning("%s: %s; this may pass, so it is tried again", task.name, error)
    return True


def _of_deployment() -> bool:
    context = FlowRunContext.get()
    return context is not None and context.flow_run is not None and context.flow_run.deployment_id is not None


def patient_task(function: Callable[P, R], name: str, task_run_name: str | None = None) -> Task[P, R]:
    """Make a Prefect task that tries again, with growing pauses, after an error that passes.

    Parameters
    ----------
    function : callable
        The work; must be safe to repeat.
    name, task_run_name : str
        As Prefect shows them.
    """
    return Task(
        fn=function,
        name=name,
        task_run_name=task_run_name,
        retries=ATTEMPTS_AFTER_THE_FIRST,
        retry_delay_seconds=exponential_backoff(BACKOFF_SECONDS),
        retry_jitter_factor=0.25,
        retry_condition_fn=retry_on_passing_errors,
    )
