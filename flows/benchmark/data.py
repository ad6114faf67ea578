"""The benchmark's data: motion restaged, prepared and derived once, recognised by content afterwards.

Stores are referred to by a digest of what they hold, not by their snapshot: a benchmark that is repeated on
another machine, or after its data were made again, gives lines that can be compared with these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from poseshift.flows.benchmark.domains import Derivation, StoreName, derivations
from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.flows.experiment.stage import run_stage
from poseshift.flows.prepare import PrepareRequest, failure_of, prepare_store
from poseshift.preprocessing.motion.sources import load, title
from poseshift.preprocessing.restaging.inputs import MotionInputs, motion_inputs
from poseshift.preprocessing.restaging.replay import clips_of, play
from poseshift.preprocessing.restaging.report import RestageReport
from poseshift.preprocessing.restaging.restage import (
    HUMAN36M_FOLDER,
    MPI_INF_3DHP_FOLDER,
    RestageOptions,
    restage,
)
from poseshift.storage.columns import CameraPoses
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import digest_json
from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.storage.store import PoseStore

_PREPARED: tuple[tuple[StoreName, str, str], ...] = (
    ("human36m", "human36m", HUMAN36M_FOLDER),
    ("mpi_inf_3dhp_train", "mpi-inf-3dhp-train", MPI_INF_3DHP_FOLDER),
    ("mpi_inf_3dhp_test", "mpi-inf-3dhp-test", MPI_INF_3DHP_FOLDER),
)


class BenchmarkStores(FrozenModel):
    """What the stores hold."""

    motion: str
    """Title of the motion."""
    people: dict[str, str]
    """Who of the motion plays each subject of the test."""
    digests: dict[StoreName, str]
    """Digest of each store's content."""


@dataclass(frozen=True)
class BenchmarkData:
    """The stores of a benchmark.

    Attributes
    ----------
    folder : Path
        Where they lie.
    stores : BenchmarkStores
        What they hold.
    """

    folder: Path
    stores: BenchmarkStores

    def place(self, name: StoreName) -> Path:
        """Folder of a store."""
        return _store(self.folder, name)

    def open(self, name: StoreName) -> PoseStore:
        """Open a store."""
        return PoseStore.open(self.place(name))

    def read(self, name: StoreName, selection: Selection) -> CameraPoses:
        """Read poses, known by the digest of their store's content."""
        return self.known(name, read_camera_poses(self.open(name), selection))

    def known(self, name: StoreName, poses: CameraPoses) -> CameraPoses:
        """Give poses that were read from a store the digest of its content in place of a snapshot."""
        return replace(poses, snapshot=self.stores.digests[name])


class SplitInputs(FrozenModel):
    """What the stores of a split depend on."""

    motion: MotionInputs
    """The motion, and the seed of headings and places."""
    split: int
    """Which division of the people."""


def prepare_benchmark(motion: str, folder: Path, seed: int, split: int) -> BenchmarkData:
    """Restage motion and prepare all stores, unless they are there.

    Parameters
    ----------
    motion : str
        An npz bundle, a folder of ASF and AMC files, or ``procedural``.
    folder : Path
        Holds one folder per motion and seed, named by their digest.
    seed : int
        Of headings and places, and of procedural motion.
    split : int
        Which division of the people over source, target and test.

    Raises
    ------
    preprocessing.errors.RawDataError
        The motion cannot be read.
    """
    inputs = SplitInputs(motion=motion_inputs(motion, seed), split=split)
    place = folder / digest_json(inputs)[:12]
    outcome = run_stage(place, inputs, BenchmarkStores, lambda work: _make(motion, work, seed, split))
    return BenchmarkData(place, outcome.result)


def _make(motion: str, folder: Path, seed: int, split: int) -> BenchmarkStores:
    label = title(motion, seed=seed)
    steps = 1 + len(_PREPARED) + len(derivations())
    report_progress(Step("prepare", 0, steps, "restaging"))
    options = RestageOptions(division=split)
    report = restage(load(motion, seed=seed), folder / "raw", seed, motion=label, options=options)
    digests: dict[StoreName, str] = {}
    for name, kind, tree in _PREPARED:
        report_progress(Step("prepare", 1 + len(digests), steps, name))
        digests[name] = _prepare(folder, name, kind, tree)
    for derivation in derivations():
        report_progress(Step("prepare", 1 + len(digests), steps, derivation.name))
        digests[derivation.name] = _derive(folder, derivation, report, seed)
    report_progress(Step("prepare", steps, steps))
    people = {one.subject: one.person for one in report.subjects if one.group == "target_test"}
    return BenchmarkStores(motion=label, people=people, digests=digests)


def _prepare(folder: Path, name: StoreName, kind: str, tree: str) -> str:
    location = _store(folder, name)
    report = prepare_store(PrepareRequest(kind=kind, raw=folder / "raw" / tree, store=str(location)))
    if not report.succeeded:
        raise failure_of(report)
    return PoseStore.open(location).digest()


def _derive(folder: Path, derivation: Derivation, report: RestageReport, seed: int) -> str:
    location = _store(folder, derivation.name)
    source = PoseStore.open(_store(folder, derivation.of))
    if not PoseStore.exists(location):  # an interrupted run may have left it empty
        PoseStore.create(location, "adapted", source.skeleton, restaged_from=report.motion)
    store = PoseStore.open(location)
    with store.transaction("Put people before other cameras") as transaction:
        for index, key in enumerate(source.keys()):
            trial = source.read(key)
            for number, stage in enumerate(derivation.stages):
                played = play(trial, clips_of(trial, report), stage, (seed, index, number))
                if played is not None:
                    transaction.write(played)
    return store.digest()


def _store(folder: Path, name: StoreName) -> Path:
    return folder / "stores" / name
