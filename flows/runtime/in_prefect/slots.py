"""One training run at a time on one device, over all flow runs that share a Prefect server.

A limit that is not defined does not limit, so it is made here, on first use. It is held by a lease that is
renewed as long as the process lives, also over a restart of the server. Who holds a slot stands in the labels
of its flow run, beside its process, so a slot whose holder was killed is given back at once by the next run
that wants it. Without a server that outlives the command there is nothing to wait for: nothing is limited.
"""

from __future__ import annotations

import atexit
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from uuid import UUID

import httpx
import torch
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from pydantic import ValidationError

from poseshift.flows.runtime.in_prefect.marks import current_run, label, process_of, under_way
from poseshift.storage.model import FrozenModel

logger = logging.getLogger(__name__)

SLOT_PREFIX = "poseshift-training-"
LEASE_SECONDS = 900
"""How long the server may be away before it takes a healthy run's slot for free."""
RENEWAL_SECONDS = 20.0
"""Pause between two renewals, so that the first one comes soon after the server is back."""
RELEASE_SECONDS = 2.0
"""Pause between two attempts to give a slot back to a server that is away."""
PATIENCE_SECONDS = 10.0
"""How long the end of a training, and that of its process, wait for a slot to be given back."""
WAITING_SECONDS = 5.0
"""Pause between two requests for a slot that is taken."""
LEASE_LABEL = "poseshift.slot"


class Held(FrozenModel):
    """A slot that a flow run holds, as in the run's labels."""

    slot: str
    lease: UUID


def slot_name(device: torch.device) -> str:
    """Name of the limit that guards a device of this machine, such as ``poseshift-training-gpu01-cuda-0``."""
    place = f"cuda:{torch.cuda.current_device()}" if str(device) == "cuda" else str(device)
    return f"{SLOT_PREFIX}{socket.gethostname()}-{place.replace(':', '-')}"


@contextmanager
def training_slot(device: torch.device) -> Iterator[None]:
    """Wait until the device is free, and hold it for the length of a ``with`` block.

    Parameters
    ----------
    device : torch.device
        Where the block trains. Its limit admits one run; a limit that somebody raised in Prefect
        (a large GPU, small lifters) stays as it is.
    """
    run = current_run()
    if run is None or not PREFECT_API_URL.value():
        yield
        return
    name = slot_name(device)
    with get_client(sync_client=True) as client:
        define_limit(client, name)
        lease = _wait_for(client, name)
    renewal = _Renewal(run.id, name, lease)
    renewal.start()
    try:
        yield
    finally:
        renewal.stop()


def define_limit(client: SyncPrefectClient, name: str, slots: int = 1) -> None:
    """Define a limit, unless it is there."""
    try:
        client.read_global_concurrency_limit_by_name(name)
    except ObjectNotFound:
        try:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=slots))
        except ObjectAlreadyExists:
            return  # another run was faster


def held_by(run: FlowRun) -> Held | None:
    """Return the slot that a flow run holds, by its labels."""
    marked = run.labels.get(LEASE_LABEL)
    try:
        return Held.model_validate_json(str(marked)) if marked else None
    except ValidationError:
        return None


def holders(client: SyncPrefectClient, name: str) -> tuple[tuple[FlowRun, Held], ...]:
    """List the runs under way that hold a slot of a limit, the dead ones among them."""
    runs = ((run, held_by(run)) for run in under_way(client))
    return tuple((run, held) for run, held in runs if held is not None and held.slot == name)


def is_dead(run: FlowRun) -> bool:
    """Whether a run's process was on this machine and is gone."""
    process = process_of(run)
    return process is not None and process.lives() is False


def give_back_of_dead(client: SyncPrefectClient, name: str) -> int:
    """Give back the slots of killed runs of this machine; return how many."""
    dead = [held for run, held in holders(client, name) if is_dead(run)]
    for held in dead:
        client.release_concurrency_slots_with_lease(held.lease)  # does nothing when the lease has ended
    if dead:
        logger.warning("%s: given back what killed runs held", name)
    return len(dead)


def forgotten(client: SyncPrefectClient, name: str) -> int:
    """Count slots that are taken although no run under way holds them.

    A server that keeps leases in its memory has lost them with its restart, and the slots stay taken.
    """
    taken = int(client.read_global_concurrency_limit_by_name(name).active_slots)
    return max(0, taken - len(holders(client, name)))


def _wait_for(client: SyncPrefectClient, name: str) -> UUID:
    told = False
    while True:
        lease = _ask(client, name)
        if lease is not None:
            return lease
        if give_back_of_dead(client, name):
            continue
        if not told:
            logger.info("%s is taken; waiting for it", name)
            told = True
        time.sleep(WAITING_SECONDS)


def _ask(client: SyncPrefectClient, name: str) -> UUID | None:
    try:
        answer = client.increment_concurrency_slots_with_lease(
            names=[name], slots=1, mode="concurrency", lease_duration=LEASE_SECONDS
        )
    except httpx.HTTPStatusError as error:
        if error.response.status_code == HTTPStatus.LOCKED:
            return None
        raise
    return UUID(answer.json()["lease_id"])


class _Renewal:
    """Renews a lease from a thread of its own until the slot is let go; never ends the run."""

    def __init__(self, run: UUID, name: str, lease: UUID) -> None:
        self._run = run
        self._name = name
        self._lease: UUID | None = lease
        self._labelled: UUID | None = None
        self._ended = threading.Event()
        self._address = PREFECT_API_URL.value()
        self._thread = threading.Thread(target=self._go_on, name=f"{name} renewal", daemon=True)

    def start(self) -> None:
        self._keep()
        self._thread.start()

    def stop(self) -> None:
        """Let the slot go. A server that is away holds nothing up: it is told from the thread later."""
        self._ended.set()
        self._thread.join(PATIENCE_SECONDS)
        if self._thread.is_alive():
            atexit.register(self._thread.join, PATIENCE_SECONDS)

    def _go_on(self) -> None:
        # A new thread has the settings of the process, not those of a block that the run is in.
        with temporary_settings({PREFECT_API_URL: self._address, PREFECT_CLIENT_MAX_RETRIES: 0}):
            while not self._ended.wait(RENEWAL_SECONDS):
                self._keep()
            while self._lease is not None and not self._let_go(self._lease):
                time.sleep(RELEASE_SECONDS)

    def _let_go(self, lease: UUID) -> bool:
        try:
            with get_client(sync_client=True) as client:
                client.release_concurrency_slots_with_lease(lease)
                client.update_flow_run_labels(self._run, {LEASE_LABEL: ""})
        except httpx.HTTPError as error:
            logger.info("%s cannot be given back now: %s", self._name, error)
            return False
        return True

    def _keep(self) -> None:
        try:
            with get_client(sync_client=True) as client:
                self._renew(client)
                if self._labelled != self._lease and self._lease is not None:
                    label(client, self._run, {LEASE_LABEL: Held(slot=self._name, lease=self._lease)})
                    self._labelled = self._lease
        except httpx.HTTPError as error:
            logger.info("%s could not be renewed now: %s", self._name, error)

    def _renew(self, client: SyncPrefectClient) -> None:
        if self._lease is None:
            self._lease = _ask(client, self._name)
            return
        try:
            client.renew_concurrency_lease(self._lease, LEASE_SECONDS)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != HTTPStatus.GONE:
                raise
            logger.warning("%s was lost while the server was away; it is taken again when free", self._name)
            self._lease = _ask(client, self._name)
