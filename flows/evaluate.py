"""Evaluating one trained lifter under several protocols, as a plain function and as a flow around it."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_table_artifact
from pydantic import Field

from poseshift.flows.experiment.data import StoreInputs, open_store
from poseshift.flows.experiment.recipe import Test
from poseshift.flows.experiment.stage import StageOutcome, run_stage
from poseshift.flows.runtime.cluster import dask_client, map_over
from poseshift.flows.runtime.logs import recorded
from poseshift.flows.runtime.retries import patient_task
from poseshift.flows.train import resolve_device
from poseshift.storage.columns import CameraPoses, read_camera_poses, sampling_hz
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import digest_file, git_commit, software_versions
from poseshift.storage.schema import Float32
from poseshift.storage.store import PoseStore
from poseshift.training.checkpoint import DESCRIPTION_FILE, WEIGHTS_FILE, TrainedLifter, load_lifter
from poseshift.training.evaluation.evaluate import evaluate, predict, rows_within
from poseshift.training.evaluation.protocols import TestTime, protocol
from poseshift.training.evaluation.results import EvaluationResult

logger = logging.getLogger(__name__)

_RATE_TOLERANCE = 0.1
"""Share by which the rates of learned and tested motion may differ: 29.97 is as good as 30."""


class EvaluationInputs(FrozenModel):
    """What an evaluation depends on, in content."""

    weights_sha256: str
    """Digest of the lifter's weights."""
    description_sha256: str
    """Digest of the lifter's configuration and encoding."""
    test: StoreInputs
    """The test data."""
    protocols: tuple[str, ...]
    """Names of the protocols."""


class EvaluationRecord(FrozenModel):
    """One lifter's results."""

    snapshot: str
    """Snapshot of the test store."""
    restaged_from: str | None
    """The motion behind restaged test data; None for recordings."""
    results: tuple[EvaluationResult, ...] = Field(min_length=1)
    """One result per protocol."""
    device: str | None = None
    """Where the lifter predicted."""
    git_commit: str | None = None
    """Commit of the program, when it ran from a checkout."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of the software."""

    def under(self, name: str) -> EvaluationResult:
        """Find the result under one protocol; KeyError when it was not evaluated."""
        for result in self.results:
            if result.protocol == name:
                return result
        raise KeyError(
            f"not evaluated under {name!r}; there are {', '.join(one.protocol for one in self.results)}"
        )


def evaluate_lifter(
    lifter: Path, test: Test, folder: Path, device: str = "auto", dask: str | None = None
) -> StageOutcome[EvaluationRecord]:
    """Evaluate a trained lifter, unless it is done already for the same weights, data and protocols.

    Parameters
    ----------
    lifter : Path
        Folder that :func:`poseshift.training.checkpoint.save_lifter` wrote.
    test : Test
        Test data and protocols.
    folder : Path
        The stage's folder.
    device : str
        Where to predict.
    dask : str or None
        Address of a Dask scheduler whose workers' processors predict instead.

    Raises
    ------
    FileNotFoundError, ValueError
        There is no lifter, a protocol does not measure this data set, or both a GPU and a cluster are asked
        for.
    ClusterUnreachableError
        No scheduler answers at ``dask``.
    """
    if dask is not None and device not in ("auto", "cpu"):
        raise ValueError(
            f"a cluster's workers predict on their processors; leave out device {device!r} or dask"
        )
    store = open_store(test.data)
    inputs = _inputs(lifter, test, store)

    def work(_: Path) -> EvaluationRecord:
        place = resolve_device("cpu" if dask else device)
        trained = load_lifter(lifter, place)
        results = []
        for name in test.protocols:
            chosen = protocol(name)
            poses = chosen.read(store, test.data.keypoints)
            if trained.lifter.frames == 1:
                predicted = _predict(trained, poses, chosen.test_time, dask)
            else:
                context = read_camera_poses(store, chosen.context(test.data.keypoints))
                _check_rate(trained, context, lifter)
                answers = _predict(trained, context, chosen.test_time, dask)
                predicted = answers[rows_within(poses, context)]
            results.append(evaluate(predicted, poses, chosen))
        return EvaluationRecord(
            snapshot=store.snapshot,
            restaged_from=store.attributes.restaged_from,
            results=tuple(results),
            device=str(place),
            git_commit=git_commit(),
            versions=software_versions(),
        )

    return run_stage(folder, inputs, EvaluationRecord, work)


def evaluation_inputs(lifter: Path, test: Test) -> EvaluationInputs:
    """Describe what an evaluation would depend on now; raises what :func:`evaluate_lifter` raises."""
    return _inputs(lifter, test, open_store(test.data))


def _inputs(lifter: Path, test: Test, store: PoseStore) -> EvaluationInputs:
    for name in (WEIGHTS_FILE, DESCRIPTION_FILE):
        if not (lifter / name).is_file():
            raise FileNotFoundError(f"{lifter} is not a trained lifter: {name} is missing; train one first")
    return EvaluationInputs(
        weights_sha256=digest_file(lifter / WEIGHTS_FILE, lifter).sha256,
        description_sha256=digest_file(lifter / DESCRIPTION_FILE, lifter).sha256,
        test=StoreInputs(dataset=store.dataset, snapshot=store.snapshot, keypoints=test.data.keypoints),
        protocols=test.protocols,
    )


def _check_rate(trained: TrainedLifter, poses: CameraPoses, lifter: Path) -> None:
    """Say so when a lifter of clips is shown motion at another rate than it has learned."""
    learned, shown = trained.provenance.get("sampling_hz"), sampling_hz(poses)
    if isinstance(learned, float) and abs(shown / learned - 1) > _RATE_TOLERANCE:
        logger.warning(
            "%s has learned clips of %d frames at %.1f Hz and is tested at %.1f Hz, where they span another "
            "time; train it with the `frame_step` that gives the test's rate",
            lifter,
            trained.lifter.frames,
            learned,
            shown,
        )


def _predict(trained: TrainedLifter, poses: CameraPoses, test_time: TestTime, dask: str | None) -> Float32:
    if dask is None:
        return predict(trained, poses, test_time=test_time)
    with dask_client(dask) as client:
        return predict(trained, poses, test_time=test_time, over=partial(map_over, client))


_evaluate_task = patient_task(evaluate_lifter, name="evaluate lifter")


@flow(name="evaluate", flow_run_name="evaluate {lifter}", timeout_seconds=6 * 3600)
def evaluate_once(
    lifter: Path, test: Test, folder: Path, device: str = "auto", dask: str | None = None
) -> EvaluationRecord:
    """Evaluate one lifter and put its figures into the Prefect UI."""
    with recorded():
        record = _evaluate_task(lifter, test, folder, device, dask).result
    create_table_artifact(
        key="evaluation",
        table=[
            {
                "protocol": one.protocol,
                "frames": one.frames,
                "mpjpe_mm": str(one.mpjpe_mm),
                "pck150": str(one.pck150),
            }
            for one in record.results
        ],
        description=f"{lifter}, snapshot {record.snapshot}",
    )
    return record
