"""Flows on a real Dask cluster: a scheduler and workers in processes of their own, one of which dies.

Whatever happens to a worker, the result is that of one machine: nothing is lost, nothing is written twice.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import numpy as np
import pytest
from benchmarks.faults import programs

from poseshift.flows.augment import AugmentRequest, augment_store
from poseshift.flows.evaluate import evaluate_on
from poseshift.flows.experiment.recipe import PoseData, StoredData, Test
from poseshift.flows.prepare import PrepareRequest, prepare_store
from poseshift.flows.runtime.cluster import ClusterUnreachableError, dask_client, map_over
from poseshift.preprocessing import ingest as ingest_module
from poseshift.preprocessing.batchwise import on_workers
from poseshift.preprocessing.digesting import Progress
from poseshift.preprocessing.human36m.read import plan_human36m
from poseshift.preprocessing.ingest import ingest
from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.storage.store import PoseStore
from poseshift.training.checkpoint import TrainedLifter, load_lifter, save_lifter
from poseshift.training.encoding import encoding
from poseshift.training.evaluation.answering import predict
from poseshift.training.lifters.registry import build, preset

SETTINGS = {
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "3s",  # how long a dead worker's answers are asked for
    "OMP_NUM_THREADS": "1",
}


class Cluster:
    """A scheduler and its workers, started by their own command lines on free ports of the loopback."""

    def __init__(self, folder: Path, closing: ExitStack) -> None:
        self.folder = folder
        self._closing = closing
        file = folder / "scheduler.json"
        self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
        self.address = _eventually(lambda: json.loads(file.read_text())["address"])
        self.workers: list[ForkServerProcess] = []

    def add_worker(self) -> ForkServerProcess:
        """Start a worker without a nanny, so that it stays dead when it is killed."""
        here = str(self.folder)
        arguments = (self.address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny")
        worker = self._start("dask_worker", *arguments, "--local-directory", here)
        self.workers.append(worker)
        return worker

    def fill_up(self) -> None:
        """Start workers until two are alive."""
        self.workers = [worker for worker in self.workers if worker.is_alive()]
        while len(self.workers) < 2:
            self.add_worker()
        with dask_client(self.address) as client:
            client.wait_for_workers(2, timeout=60)

    def _start(self, module: str, *arguments: str) -> ForkServerProcess:
        child = programs.start(
            *("-m", f"distributed.cli.{module}", *arguments, "--no-dashboard"),
            environment={**os.environ, **SETTINGS},
            told=self.folder / f"{module}.log",
        )
        self._closing.callback(child.join)
        self._closing.callback(child.kill)
        return child


def _eventually(attempt, seconds: float = 60.0):  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except (OSError, json.JSONDecodeError, KeyError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler with two workers, all of them ended whatever happens."""
    with ExitStack() as closing:
        started = Cluster(tmp_path_factory.mktemp("cluster"), closing)
        started.fill_up()
        yield started


@pytest.fixture
def doomed(cluster: Cluster) -> Iterator[Cluster]:
    """The same cluster, for a test that kills workers: others take their places afterwards."""
    yield cluster
    cluster.fill_up()


@pytest.fixture(scope="module")
def on_one_machine(restaged: Path, tmp_path_factory: pytest.TempPathFactory) -> PoseStore:
    """The store that every cluster must arrive at."""
    place = tmp_path_factory.mktemp("one") / "store"
    report = prepare_store(PrepareRequest(kind="human36m", raw=restaged / "human36m", store=str(place)))
    assert report.committed
    return PoseStore.open(place)


def test_two_workers_write_the_store_of_one_machine(
    cluster: Cluster, restaged: Path, on_one_machine: PoseStore, tmp_path: Path
) -> None:
    request = PrepareRequest(
        kind="human36m", raw=restaged / "human36m", store=str(tmp_path / "store"), dask=cluster.address
    )
    report = prepare_store(request)
    store = PoseStore.open(tmp_path / "store")
    assert store.digest() == on_one_machine.digest()
    assert store.verify().succeeded
    assert [commit.message.split(":")[0] for commit in store.history()] == [
        "prepare human36m",  # all forks of all workers in one commit
        "Create store for human36m",
    ]
    assert len(report.written) == len(set(report.written)) == len(store.keys())
    assert not prepare_store(request).committed


def test_a_worker_killed_in_the_middle_loses_nothing(
    doomed: Cluster,
    restaged: Path,
    on_one_machine: PoseStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ingest_module, "FILES_PER_BATCH", 6)  # one trial a batch: many batches on the way
    store = PoseStore.create(
        tmp_path / "store", "human36m", restaged_from=on_one_machine.attributes.restaged_from
    )
    seen: list[int] = []

    def kill_after_some(progress: Progress) -> None:
        if progress.stage != "read":
            return
        seen.append(progress.done)
        if len(seen) == 3:
            doomed.workers[0].kill()

    with dask_client(doomed.address) as client:
        plan = plan_human36m(restaged / "human36m")
        report = ingest(plan, store, on_workers(client), on_progress=kill_after_some)
        assert len(client.scheduler_info()["workers"]) == 1
    doomed.workers[0].join()
    assert doomed.workers[0].exitcode == -signal.SIGKILL
    assert seen[2] < seen[-1] == len(on_one_machine.keys())  # it was in the middle
    assert report.succeeded
    assert len(report.written) == len(set(report.written)) == len(store.keys())
    assert store.digest() == on_one_machine.digest()
    assert store.verify().succeeded


def test_a_worker_killed_while_its_results_are_on_it_loses_nothing(doomed: Cluster) -> None:
    """Answers that were finished but not yet fetched are worked out again by a worker that joined later."""

    def slowly_doubled(number: int) -> int:
        time.sleep(0.05)
        return 2 * number

    with dask_client(doomed.address) as client:
        answers = map_over(client, slowly_doubled, range(20))
        first = next(answers)
        doomed.workers[1].kill()
        doomed.add_worker()
        assert [first, *answers] == [2 * number for number in range(20)]


def _trained(name: str) -> TrainedLifter:
    chosen = encoding("screen")
    return TrainedLifter(build(preset(name), chosen.channels, seed=3).eval(), chosen, preset(name), {})


def test_predictions_of_a_cluster_are_those_of_one_machine_bit_for_bit(
    cluster: Cluster, on_one_machine: PoseStore
) -> None:
    poses = read_camera_poses(on_one_machine, Selection(subjects=("S9",), frame_step=2))
    trained = _trained("videopose3d-27f-small")  # clips reach over the edges of the parts
    with dask_client(cluster.address) as client:
        found = predict(
            trained, poses, test_time="flip", batch_size=48, over=lambda *parts: map_over(client, *parts)
        )
    np.testing.assert_array_equal(found, predict(trained, poses, test_time="flip", batch_size=48))


def test_evaluation_on_a_cluster_is_the_evaluation(
    cluster: Cluster, on_one_machine: PoseStore, tmp_path: Path
) -> None:
    trained = _trained("ampose-small")
    save_lifter(tmp_path / "lifter", trained.config, "screen", trained.lifter, {})
    assert load_lifter(tmp_path / "lifter").config == trained.config
    data = StoredData(dataset="human36m", store=str(on_one_machine.location))
    test = Test(data=data, protocols=("human36m-p1",))
    here = evaluate_on(tmp_path / "lifter", test, tmp_path / "here")
    there = evaluate_on(tmp_path / "lifter", test, tmp_path / "there", dask=cluster.address)
    assert there.result == here.result
    with pytest.raises(ValueError, match="leave out device 'cuda'"):
        evaluate_on(tmp_path / "lifter", test, tmp_path / "x", device="cuda", dask=cluster.address)


def test_augmenting_on_a_cluster_makes_the_same_set(
    cluster: Cluster, on_one_machine: PoseStore, tmp_path: Path
) -> None:
    source = PoseData(dataset="human36m", store=str(on_one_machine.location), subjects=("S1", "S5"))
    here, there = (
        AugmentRequest(source=source, store=str(tmp_path / name), copies=2, seed=4, dask=address)
        for name, address in (("here", None), ("there", cluster.address))
    )
    assert augment_store(there).trials == augment_store(here).trials
    made = PoseStore.open(tmp_path / "there")
    assert made.digest() == PoseStore.open(tmp_path / "here").digest()
    assert made.verify().succeeded


def test_no_scheduler_is_told() -> None:
    nobody = dask_client("tcp://127.0.0.1:9", patience_seconds=0.2)
    with pytest.raises(ClusterUnreachableError, match="No Dask scheduler answers"), nobody:
        pass
