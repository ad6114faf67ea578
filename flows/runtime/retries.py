"""Which failures of a run are worth another attempt, and when.

A disk or a network may be back in a minute; a damaged file, a wrong recipe or a full GPU will not. A repeated
task is safe: a store is committed whole or not at all, and training resumes where it was.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from poseshift.flows.runtime.cluster import ClusterUnreachableError
from poseshift.flows.runtime.orchestrator import orchestrator
from poseshift.storage.errors import StoreUnavailableError
from poseshift.storage.lock import StoreLockedError

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

PAUSES_S = (20.0, 40.0, 80.0)
"""Pauses before the attempts after the first; up to a quarter longer, see :func:`_own`."""

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


def is_tried_again(error: BaseException) -> bool:
    """Tell whether this run makes another attempt after an error.

    Only unattended runs wait for another writer, a cluster or an object store: who sits at a terminal wants
    to know at once.
    """
    return is_passing(error) and (not isinstance(error, _OUT_OF_REACH) or orchestrator().unattended)


def patient_task(function: Callable[P, R], name: str, run_name: str | None = None) -> Callable[P, R]:
    """Make a part of a run that tries again, with growing pauses, after an error that passes.

    Parameters
    ----------
    function : callable
        The work; must be safe to repeat.
    name, run_name : str
        As who looks after the run shows them, see
        :meth:`poseshift.flows.runtime.orchestrator.Orchestrator.task`.
    """

    @wraps(function)
    def patient(*args: P.args, **kwargs: P.kwargs) -> R:
        for pause in map(_own, PAUSES_S):
            try:
                return function(*args, **kwargs)
            except Exception as error:
                if not is_tried_again(error):
                    raise
                logger.warning("%s: %s; this may pass, so it is tried again in %.0f s", name, error, pause)
            time.sleep(pause)
        return function(*args, **kwargs)

    @wraps(function)
    def task(*args: P.args, **kwargs: P.kwargs) -> R:
        return orchestrator().task(patient, name, run_name)(*args, **kwargs)

    return task


def _own(pause_s: float) -> float:
    """Make a pause of this process, so that two runs in each other's way do not meet again."""
    return pause_s * (1 + os.getpid() % 25 / 100)
