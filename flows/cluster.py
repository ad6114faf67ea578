"""The Dask cluster that a flow maps over: this machine's threads, or a scheduler given by its address."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from distributed import Client, LocalCluster


class ClusterUnreachableError(ConnectionError):
    """No Dask scheduler answers at the given address."""


@contextmanager
def dask_client(address: str | None, threads: int | None = None) -> Iterator[Client]:
    """Yield a Dask client and close it afterwards.

    Parameters
    ----------
    address : ``tcp://host:port`` of a running scheduler, or None for threads of this process. Reading CDF and
        MATLAB files mostly releases the GIL, so threads cost half the CPU of processes on one machine.
    threads : number of local threads; by default one per processor.

    Raises
    ------
    ClusterUnreachableError : nothing answers at ``address``.
    """
    if address is not None:
        try:
            client = Client(address, timeout="10s", set_as_default=False)
        except OSError as error:
            raise ClusterUnreachableError(
                f"No Dask scheduler answers at {address} ({error}). Start one with "
                "'dask scheduler' and workers with 'dask worker', or leave out --dask to use this machine."
            ) from error
        with client:
            yield client
        return
    with (
        LocalCluster(
            processes=False,
            n_workers=1,
            threads_per_worker=threads or os.cpu_count() or 1,
            dashboard_address=None,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client
