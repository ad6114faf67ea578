"""One training run at a time on one device, over all flow runs that share a Prefect server.

A limit that is not defined does not limit, so it is made here, on first use. It is held by a lease: when a
run is killed, the lease ends and the next run goes on. Without a server that outlives the command there is
nothing to wait for, and nothing is limited.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_URL

LEASE_SECONDS = 120
"""How long a slot stays taken after its holder was killed."""


def slot_name(device: torch.device) -> str:
    """Name of the limit that guards a device of this machine, such as ``poseshift-training-gpu01-cuda-0``."""
    place = f"cuda:{torch.cuda.current_device()}" if str(device) == "cuda" else str(device)
    return f"poseshift-training-{socket.gethostname()}-{place.replace(':', '-')}"


@contextmanager
def training_slot(device: torch.device) -> Iterator[None]:
    """Wait until the device is free, and hold it for the length of a ``with`` block.

    Parameters
    ----------
    device : torch.device
        Where the block trains. Its limit admits one run; a limit that somebody raised in Prefect
        (a large GPU, small lifters) stays as it is.
    """
    if not PREFECT_API_URL.value():
        yield
        return
    name = slot_name(device)
    with get_client(sync_client=True) as client:
        define_limit(client, name)
    # A training of hours must not die because the server was restarted in between.
    with concurrency(name, lease_duration=LEASE_SECONDS, strict=True, raise_on_lease_renewal_failure=False):
        yield


def define_limit(client: SyncPrefectClient, name: str, slots: int = 1) -> None:
    """Define a limit, unless it is there."""
    try:
        client.read_global_concurrency_limit_by_name(name)
    except ObjectNotFound:
        try:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=slots))
        except ObjectAlreadyExists:
            return  # another run was faster
