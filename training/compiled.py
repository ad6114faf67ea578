"""A lifter's network, compiled by PyTorch for the steps of a training: fewer and larger operations.

What it computes differs from the plain network by rounding alone; dropout draws the same numbers. Answers
outside of the steps, of evaluations and of what learns beside the lifter, are the plain network's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

from poseshift.training.lifters.lifter import Lifter
from poseshift.training.step_loss import Answering

COMPILER = "inductor"
"""Writes C++ on a CPU, where a compiler must be installed, and Triton's kernels on a GPU."""


def compiled_answers(lifter: Lifter) -> Answering:
    """Have a lifter's ``answered`` compiled, when it is first called and again for each size of a batch.

    Parameters
    ----------
    lifter : Lifter
        On the device where it stays. On a GPU all kernels are launched at once (CUDA graphs), since those of
        a small lifter take less time than their launches.

    Notes
    -----
    What was compiled before in this process is forgotten. PyTorch keeps a few variants of each function, and
    lifters of one kind share theirs: the ninth of a process would not be compiled any more.
    """
    torch.compiler.reset()
    # Functions of array_api_compat and of geometry/constants.py, whose answers never change.
    warnings.filterwarnings("ignore", message=r"Dynamo detected a call to a `functools\.lru_cache`")
    options: dict[str, str | int | bool | Callable[..., Any]] = {
        "fallback_random": True,  # the numbers that dropout draws without a compiler
        "triton.cudagraphs": lifter.get_buffer("not_root").is_cuda,
    }
    return torch.compile(
        lifter.answered,
        fullgraph=True,
        dynamic=False,
        backend=COMPILER,
        options=options if COMPILER == "inductor" else None,
    )
