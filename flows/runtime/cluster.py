"""The Dask cluster that a flow maps over, given by the address of its scheduler."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from poseshift.flows.experiment.progress import Step, report_progress

if TYPE_CHECKING:
    from distributed import Client, Future

logger = logging.getLogger(__name__)

_Part = TypeVar("_Part")
_Answer = TypeVar("_Answer")

PARTS_AHEAD = 32
"""Parts of a map that wait or run at once: enough for a small cluster, and little to hold in its memory."""


class ClusterUnreachableError(ConnectionError):
    """No Dask scheduler answers at the given address."""


@contextmanager
def dask_client(address: str, patience_seconds: float = 10.0) -> Iterator[Client]:
    """Yield a Dask client and close it afterwards.

    Parameters
    ----------
    address : str
        ``tcp://host:port`` of a running scheduler.
    patience_seconds : float
        How long to wait for the scheduler's answer.

    Raises
    ------
    ClusterUnreachableError : nothing answers at ``address``.
    """
    from distributed import Client  # takes a second, which a run without a cluster saves

    try:
        client = Client(address, timeout=patience_seconds, set_as_default=False)
    except OSError as error:
        raise ClusterUnreachableError(
            f"No Dask scheduler answers at {address} ({error}). Start one with "
            "'dask scheduler' and workers with 'dask worker', or leave out --dask to use this machine."
        ) from error
    with client:
        report_progress(Step("Dask dashboard", 1, 1, client.dashboard_link))
        logger.info("Dask dashboard: %s", client.dashboard_link)
        yield client


@contextmanager
def mapper(dask: str | None) -> Iterator[Callable[..., Iterable[Any]]]:
    """Yield what applies a function to many parts: :func:`map`, or the workers of a cluster.

    Parameters
    ----------
    dask : str or None
        Address of a Dask scheduler; None for this process.

    Raises
    ------
    ClusterUnreachableError
        Nothing answers at ``dask``.
    """
    if dask is None:
        yield map
        return
    with dask_client(dask) as client:
        yield partial(map_over, client)


def map_over(
    client: Client, function: Callable[[_Part], _Answer], parts: Iterable[_Part]
) -> Iterator[_Answer]:
    """Apply a function to each part on a cluster's workers and yield the answers in the order of the parts.

    Function and parts travel through the scheduler, so whatever a worker that died had or did is given to
    another one. The function goes to each worker once.

    Raises
    ------
    distributed.scheduler.KilledWorker
        When a part has ended several workers; and what the function raises.
    """
    shared = client.submit(_returned, function, pure=False)
    waiting: deque[Future[_Answer]] = deque()
    for part in parts:
        waiting.append(client.submit(_applied, shared, part, pure=False))
        if len(waiting) > PARTS_AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _returned(function: Callable[[_Part], _Answer]) -> Callable[[_Part], _Answer]:
    return function


def _applied(function: Callable[[_Part], _Answer], part: _Part) -> _Answer:
    return function(part)
