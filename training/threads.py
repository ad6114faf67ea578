"""How many threads PyTorch computes with on a CPU.

The matrices of a small lifter are too small to be divided: a second thread gains little on an idle machine,
and on a busy one all threads wait for the one that is not given a processor, at every operation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from poseshift.training.lifters.config import LifterConfig
from poseshift.training.lifters.registry import build

SMALL_PARAMETERS = 1_000_000
"""Lifters with fewer learned numbers than this are small."""


def threads_for(config: LifterConfig, wanted: int | None) -> int:
    """Choose the number of threads to train a lifter with on a CPU.

    Parameters
    ----------
    config : LifterConfig
        The lifter.
    wanted : int or None
        What somebody asks for; None for one thread where the lifter is small, and as many as PyTorch has been
        given (``OMP_NUM_THREADS``, or the cores) where it is not.
    """
    if wanted is not None:
        return wanted
    parameters = sum(parameter.numel() for parameter in build(config, channels=2).parameters())
    return 1 if parameters < SMALL_PARAMETERS else torch.get_num_threads()


@contextmanager
def computing_with(threads: int) -> Iterator[None]:
    """Compute with that many threads inside the block, and with as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
