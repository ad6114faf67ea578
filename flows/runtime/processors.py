"""How threads of this program share processors with others; imports next to nothing."""

from __future__ import annotations

import os
from collections.abc import MutableMapping


def wait_passively(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have PyTorch's threads sleep while they wait for each other, here and in children.

    By default OpenMP's threads wait in a loop, which on a busy machine takes the processor from the thread
    that they wait for. What somebody set stays.
    """
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
