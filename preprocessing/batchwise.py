"""A function applied to many batches: by threads of this process, or by the workers of a Dask cluster.

Reading raw files mostly releases the GIL: on one machine, threads cost half the processor time of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Protocol, TypeVar

from poseshift.storage.machine import usable_processors

if TYPE_CHECKING:
    from distributed import Client

Batch = TypeVar("Batch")
Answer = TypeVar("Answer")


class Apply(Protocol):
    """Applies a function to each batch; answers come as they are ready, in any order."""

    def __call__(self, function: Callable[[Batch], Answer], batches: Iterable[Batch]) -> Iterator[Answer]:
        """Yield the answers; raise what the function raises."""
        ...


def in_threads(function: Callable[[Batch], Answer], batches: Iterable[Batch]) -> Iterator[Answer]:
    """Apply a function to each batch in threads of this process, as many as it may use processors."""
    with ThreadPoolExecutor(usable_processors()) as threads:
        futures = [threads.submit(function, batch) for batch in batches]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:  # an interrupted command does not wait for the batches that have not begun
            threads.shutdown(wait=False, cancel_futures=True)


def on_workers(client: Client) -> Apply:
    """Make what applies a function to each batch on the workers of a Dask cluster; both are sent there."""

    def apply(function: Callable[[Batch], Answer], batches: Iterable[Batch]) -> Iterator[Answer]:
        from distributed import as_completed

        futures = [client.submit(function, batch, pure=False) for batch in batches]
        for _, answer in as_completed(futures, loop=client.loop, with_results=True):
            yield answer

    return apply
