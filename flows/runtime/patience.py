"""How long flows wait for a Prefect server that is away or answers with an error of its own.

By default Prefect's client gives up after about a minute, and at once on status 500; a restart with a
migration of the database takes longer, and a training of hours is not to be lost for it. A temporary server
gets 20 seconds to start, of which its imports and an empty database take 17 of a processor's time.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

PATIENT = {
    "PREFECT_CLIENT_MAX_RETRIES": "8",
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500,504",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
}
"""Eight attempts after the first with doubled pauses: about eight minutes. A temporary server has five."""


def wait_for_server(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have Prefect's client in this process, before it is imported, and in its children wait for the server.

    What somebody set stays.
    """
    for name, value in PATIENT.items():
        environment.setdefault(name, value)
