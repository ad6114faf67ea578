"""Whether training may use algorithms whose result differs from one time to the next.

On a CPU, with the same number of threads, all of them repeat themselves. On a GPU some sum in whatever order
their threads come, unless PyTorch is told not to use them (see "Reproducibility" in PyTorch's documentation).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Repeatability = Literal["usual", "exact"]
"""``usual``: the fastest algorithms; ``exact``: only those that give the same bits each time."""

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def repeatable(wanted: Repeatability) -> Iterator[None]:
    """Restrict PyTorch to repeatable algorithms for the length of a ``with`` block, if that is wanted.

    Raises
    ------
    RuntimeError
        From PyTorch, inside the block: an operation has no such algorithm on this device.

    Notes
    -----
    cuBLAS looks for its setting when the process first uses it; a process that did so before keeps what it
    had, and PyTorch then refuses to multiply matrices in the block.
    """
    if wanted == "usual":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    os.environ.setdefault(_WORKSPACE, ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.backends.cudnn.benchmark = benchmark
