"""A real Prefect server on the loopback that can be killed and started again on the same database."""

from __future__ import annotations

import os
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import TracebackType

from benchmarks.faults import programs

STARTING_SECONDS = 300.0

QUICK = {
    "PREFECT_RUNNER_POLL_FREQUENCY": "1",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_RUNS": "6",
    "PREFECT_SERVER_CONCURRENCY_MAXIMUM_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_CLIENT_MAX_RETRIES": "8",
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500,504",
}
"""Services that look more often than usual; the rest is as the documentation has it."""


class KillableServer:
    """A server with a home of its own; a ``with`` block starts it and ends it.

    Parameters
    ----------
    home : Path
        Its folder, with the database.
    settings : mapping
        Further environment of server and clients, such as another database.
    """

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.environment = {
            **os.environ,
            **QUICK,
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.url,
            **(settings or {}),
        }
        self._process: ForkServerProcess | None = None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises
        ------
        RuntimeError
            It ends, or does not answer in time.
        """
        address = ("--host", "127.0.0.1", "--port", str(self.port))
        self._process = programs.start(
            *("-m", "prefect", "server", "start", *address),
            environment=self.environment,
            told=self.home / "server.log",
            new_session=True,
        )
        give_up = time.monotonic() + STARTING_SECONDS
        while time.monotonic() < give_up and self._process.is_alive():
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=2):  # noqa: S310 - the loopback
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise RuntimeError(f"the Prefect server did not start; see {self.home / 'server.log'}")

    def kill(self) -> None:
        """SIGKILL the server and all processes that it has started."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.join()
        self._process = None

    def __enter__(self) -> KillableServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
