"""From a plain function to a Prefect flow that does the same, looked after by Prefect."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import ParamSpec, TypeVar

from prefect import Flow

from poseshift.flows.runtime.in_prefect.orchestrator import InPrefect
from poseshift.flows.runtime.notify import crash_told
from poseshift.flows.runtime.orchestrator import looked_after_by

P = ParamSpec("P")
R = TypeVar("R")

HOUR_S = 3600.0


def flow_of(work: Callable[P, R], name: str, run_name: str, timeout_s: float) -> Flow[P, R]:
    """Make a flow.

    Parameters
    ----------
    work : callable
        What is done; its parameters are the flow's, its docstring is the flow's description.
    name, run_name : str
        As Prefect shows them; the second may name parameters in braces.
    timeout_s : float
        Prefect ends a run that takes longer.
    """

    @wraps(work)
    def inside(*args: P.args, **kwargs: P.kwargs) -> R:
        with looked_after_by(InPrefect()):
            return work(*args, **kwargs)

    # Prefect looks for the types of parameters in the module where the wrapper was written.
    inside.__signature__ = signature(work, eval_str=True)  # type: ignore[attr-defined]
    return Flow(
        fn=inside, name=name, flow_run_name=run_name, timeout_seconds=timeout_s, on_crashed=[crash_told]
    )
