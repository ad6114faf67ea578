"""How this machine is reached by programs that otherwise go through a proxy; imports next to nothing."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def keep_loopback_from_proxies(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have every HTTP client of this process and its children reach this machine directly.

    Prefect talks to its own server on the loopback with a client that honours ``HTTP_PROXY``. Both spellings
    of ``NO_PROXY`` are set, because programs differ in which one they read.
    """
    named = [environment[name] for name in ("no_proxy", "NO_PROXY") if environment.get(name)]
    hosts = [host.strip() for names in named for host in names.split(",") if host.strip()]
    if "*" in hosts:
        return
    excepted = ",".join(dict.fromkeys((*hosts, *LOOPBACK)))
    environment["no_proxy"] = environment["NO_PROXY"] = excepted
