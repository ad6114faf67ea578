"""Evaluating one lifter as a run; the work is done in :mod:`poseshift.flows.experiment.evaluate`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from poseshift.adaptation.test_time import TestTimeOptimisation
from poseshift.flows.experiment.evaluate import EvaluationRecord, evaluate_lifter
from poseshift.flows.experiment.recipe import Test
from poseshift.flows.experiment.stage import StageOutcome
from poseshift.flows.runtime.cluster import mapper
from poseshift.flows.runtime.logs import recorded
from poseshift.flows.runtime.notify import failure_told
from poseshift.flows.runtime.orchestrator import orchestrator
from poseshift.flows.runtime.retries import patient_task


def evaluate_on(
    lifter: Path,
    test: Test,
    folder: Path,
    device: str = "auto",
    dask: str | None = None,
    test_time: TestTimeOptimisation | None = None,
) -> StageOutcome[EvaluationRecord]:
    """Evaluate a lifter on a device of this machine, or on the processors of a cluster's workers.

    Parameters
    ----------
    lifter, test, folder, device, test_time
        As in :func:`poseshift.flows.experiment.evaluate.evaluate_lifter`.
    dask : str or None
        Address of a Dask scheduler whose workers' processors predict.

    Raises
    ------
    ValueError
        Both a GPU and a cluster are asked for.
    ClusterUnreachableError
        No scheduler answers at ``dask``.
    """
    if dask is not None and device not in ("auto", "cpu"):
        raise ValueError(
            f"a cluster's workers predict on their processors; leave out device {device!r} or dask"
        )
    on = "cpu" if dask else device
    return evaluate_lifter(lifter, test, folder, on, partial(mapper, dask), test_time)


_evaluate_task = patient_task(evaluate_on, name="evaluate lifter")


def evaluate_once(
    lifter: Path,
    test: Test,
    folder: Path,
    device: str = "auto",
    dask: str | None = None,
    test_time: TestTimeOptimisation | None = None,
) -> EvaluationRecord:
    """Evaluate one lifter and show its figures."""
    with failure_told(f"evaluate {lifter}"), recorded():
        record = _evaluate_task(lifter, test, folder, device, dask, test_time).result
    orchestrator().show_table(
        key="evaluation",
        rows=[
            {
                "protocol": one.protocol,
                "frames": one.frames,
                "interpolated": one.interpolated,
                "mpjpe_mm": str(one.mpjpe_mm),
                "pck150": str(one.pck150),
            }
            for one in record.results
        ],
        description=f"{lifter}, snapshot {record.snapshot}"
        + ("" if record.test_time is None else f"; {record.test_time}"),
    )
    return record
