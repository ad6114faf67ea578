"""Raw releases into versioned stores: what ``poseshift prepare`` does.

The work is done by the readers and by :mod:`poseshift.preprocessing.ingest`; this module opens the store,
finds the cluster, and shows the result to who looks after the run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from pydantic import Field, field_validator

from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.flows.experiment.stage import log_stage
from poseshift.flows.runtime.cluster import dask_client
from poseshift.flows.runtime.events import announce_commit
from poseshift.flows.runtime.logs import recorded
from poseshift.flows.runtime.notify import failure_told
from poseshift.flows.runtime.orchestrator import orchestrator
from poseshift.flows.runtime.retries import is_passing, patient_task
from poseshift.preprocessing import quality
from poseshift.preprocessing.batchwise import Apply, in_threads, on_workers
from poseshift.preprocessing.datasets import RawTree, ReaderOptions, planners
from poseshift.preprocessing.digesting import Progress, digest_all
from poseshift.preprocessing.errors import NotUnpackedError
from poseshift.preprocessing.failures import Failure
from poseshift.preprocessing.foreseen import Foreseen, foresee
from poseshift.preprocessing.ingest import IngestPolicy, IngestReport, ingest
from poseshift.preprocessing.raw import RawPlan
from poseshift.preprocessing.unread import IncompleteReleaseError, told
from poseshift.storage.location import Location
from poseshift.storage.model import UserPath
from poseshift.storage.store import PoseStore, StoreError

logger = logging.getLogger(__name__)


def _list_kinds(schema: dict[str, Any]) -> None:
    """Let forms and Prefect's server offer the kinds that are known when the schema is made, and no other."""
    schema["enum"] = list(planners())


class PrepareRequest(ReaderOptions):
    """One raw tree to be brought into one store."""

    kind: str = Field(
        description="Which release the raw tree is: human36m, mpi-inf-3dhp-train, mpi-inf-3dhp-test, or one "
        "that a plugin adds.",
        json_schema_extra=_list_kinds,
    )
    raw: UserPath = Field(
        description="The raw tree as downloaded (for Human3.6M also a folder of its archives)."
    )
    store: str = Field(description="Folder or Icechunk location (s3://bucket/prefix) of the store.")
    unpack_into: UserPath | None = Field(
        default=None,
        description="Where archives of a raw folder are unpacked; by default beside a local store.",
    )
    on_failure: Literal["abort", "keep-going"] = Field(
        default="abort", description="With a bad file: commit nothing, or commit the good ones."
    )
    on_vanished: Literal["keep", "prune"] = Field(
        default="keep", description="What happens to stored trials that the raw tree no longer has."
    )
    on_unread: Literal["tell", "refuse"] = Field(
        default="tell",
        description="With files that look like a part of the release and are not read, or parts that are "
        "missing: say which, or prepare nothing.",
    )
    dask: str | None = Field(
        default=None, description="Address of a Dask scheduler; by default threads of this process."
    )

    @field_validator("kind")
    @classmethod
    def _has_a_reader(cls, kind: str) -> str:
        known = planners()
        if kind not in known:
            raise ValueError(f"no raw release {kind!r} is known; there are {', '.join(known)}")
        return kind


TOLD_FAILURES = 20
"""Bad files that an error spells out."""


def in_lines(failure: Failure) -> str:
    """Describe a bad file: its whole path on a line of its own, then what is wrong with it."""
    return (
        f"  {failure.path}\n    found: {failure.found}\n    expected: {failure.expected}\n"
        f"    what to do: {failure.remedy}"
    )


class PrepareFailedError(RuntimeError):
    """Some raw files were bad; the report names each with its reason."""

    def __init__(self, report: IngestReport) -> None:
        self.report = report
        kept = "the good ones were committed" if report.committed else "nothing was committed"
        count = len(report.failures)
        bad = f"{count} raw file{'s are' if count > 1 else ' is'} bad in {report.dataset}"
        told = [in_lines(failure) for failure in report.failures[:TOLD_FAILURES]]
        if count > len(told):
            told.append(f"and {count - len(told)} more; the log names all of them")
        super().__init__("\n".join((f"{bad}; {kept}", *told)))

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the report: Prefect pickles the exceptions of its tasks."""
        return (type(self), (self.report,))


class PrepareInterruptedError(PrepareFailedError, OSError):
    """The disk or the network failed while raw files were read, which may pass."""


def failure_of(report: IngestReport) -> PrepareFailedError:
    """Return the error of an ingest that did not succeed; an OSError when waiting may mend all of it."""
    passing = (one.errno is not None and is_passing(OSError(one.errno, one.found)) for one in report.failures)
    return PrepareInterruptedError(report) if all(passing) else PrepareFailedError(report)


def read_plan(request: PrepareRequest) -> RawPlan:
    """List what the raw tree offers, without reading frames."""
    return planners()[request.kind](RawTree(request.raw, request, _unpacking_folder(request)))


def _unpacking_folder(request: PrepareRequest) -> Path | None:
    if request.unpack_into is not None:
        return request.unpack_into
    place = Location.parse(request.store)
    return Path(f"{place.path}.unpacked") if place.scheme == "file" else None


def prepare_store(
    request: PrepareRequest, on_progress: Callable[[Progress], None] = lambda progress: None
) -> IngestReport:
    """Bring one store up to date with one raw tree. Bad files are in the report, not raised."""
    plan = read_plan(request)
    leftovers = told(plan.unread, plan.missing)
    if leftovers is not None and request.on_unread == "refuse":
        raise IncompleteReleaseError(
            request.raw,
            found=leftovers,
            expected="the whole release, and nothing beside it that looks like a part of it",
            remedy="; ".join(f"{one.path}: {one.reason}. {one.remedy}" for one in plan.unread)
            or "Add what is missing, or leave out --strict.",
        )
    if leftovers is not None:
        logger.warning("%s: %s (--strict of prepare makes this an error)", plan.dataset, leftovers)
    for one in plan.unread:
        logger.warning("  %s\n    not read: %s. %s", one.path, one.reason, one.remedy)
    store = _open_or_create(request.store, plan)
    policy = IngestPolicy(on_failure=request.on_failure, on_vanished=request.on_vanished)
    started = perf_counter()
    with _apply(request.dask) as apply:
        report = ingest(plan, store, apply, policy, on_progress)
    for trial in report.vanished:
        if trial not in report.pruned:
            logger.warning("No longer in the raw tree, kept: %s (--prune of prepare removes it)", trial)
    for failure in report.failures:
        logger.error(
            "bad file %s: found %s; expected %s. %s",
            failure.path,
            failure.found,
            failure.expected,
            failure.remedy,
        )
    log_stage(
        f"prepare {report.dataset}",
        perf_counter() - started,
        {
            "written": len(report.written),
            "frames": report.frames,
            "unchanged": len(report.unchanged),
            "removed": len(report.pruned),
            "bad files": len(report.failures),
            "snapshot": report.snapshot,
        },
    )
    return report


def plan_store(
    request: PrepareRequest, on_progress: Callable[[Progress], None] = lambda progress: None
) -> Foreseen:
    """Say what :func:`prepare_store` would do, and write nothing.

    Raises
    ------
    NotUnpackedError
        The raw folder holds archives that were never unpacked: what is in them is not known yet.
    """
    plan = _plan_without_unpacking(request)
    store = PoseStore.open(request.store) if PoseStore.exists(request.store) else None
    if store is not None:
        _require_same_origin(store, plan)
    policy = IngestPolicy(on_failure=request.on_failure, on_vanished=request.on_vanished)
    with _apply(request.dask) as apply:
        return foresee(plan, request.store, store, digest_all(plan, apply, on_progress), policy)


@contextmanager
def _apply(dask: str | None) -> Iterator[Apply]:
    """Yield what works on raw files: threads of this process, or the workers of a Dask cluster."""
    if dask is None:
        yield in_threads
        return
    with dask_client(dask) as client:
        yield on_workers(client)


def _plan_without_unpacking(request: PrepareRequest) -> RawPlan:
    planner = planners()[request.kind]
    try:
        return planner(RawTree(request.raw, request, None))
    except NotUnpackedError as error:
        unpacked = _unpacking_folder(request)
        if unpacked is None or not unpacked.is_dir():
            raise NotUnpackedError(
                error.path,
                found=error.found,
                expected="files that can be compared with the store without unpacking anything",
                remedy="Leave out --plan, or unpack them; what they hold is not known before.",
            ) from error
        logger.warning("%s: archives are not looked into; %s is compared", request.raw, unpacked)
        return planner(RawTree(unpacked, request, None))


def _open_or_create(location: str, plan: RawPlan) -> PoseStore:
    if not PoseStore.exists(location):
        return PoseStore.create(location, plan.dataset, restaged_from=plan.restaged_from)
    store = PoseStore.open(location)
    _require_same_origin(store, plan)
    return store


def _require_same_origin(store: PoseStore, plan: RawPlan) -> None:
    if (store.dataset, store.attributes.restaged_from) != (plan.dataset, plan.restaged_from):
        raise StoreError(
            f"{store.location}: holds {store.dataset} ({_origin(store.attributes.restaged_from)}), but "
            f"{plan.root} is {plan.dataset} ({_origin(plan.restaged_from)}). Give each raw tree a store of "
            "its own."
        )


def _origin(restaged_from: str | None) -> str:
    return restaged_from or "original recordings"


def _ingest(request: PrepareRequest) -> IngestReport:
    name = f"prepare {request.kind}"
    report = prepare_store(
        request,
        lambda progress: report_progress(Step(f"{name}: {progress.stage}", progress.done, progress.total)),
    )
    announce_commit(report)
    if not report.succeeded:
        raise failure_of(report)
    return report


_ingest_task = patient_task(_ingest, name="ingest")


def prepare(request: PrepareRequest) -> IngestReport:
    """Parse a raw release into a store; fails when a file is bad, after showing which and why."""
    with failure_told(f"prepare {request.store}"), recorded():
        try:
            report = _ingest_task(request)
        except PrepareFailedError as error:
            show(error.report)
            raise
        show(report)
    return report


def show(report: IngestReport) -> None:
    """Show failures and quality figures as tables."""
    if report.failures:
        orchestrator().show_table(
            key=f"bad-files-{report.dataset.replace('_', '-')}",
            rows=[failure.model_dump() for failure in report.failures],
            description=f"Raw files of {report.dataset} that could not be read.",
        )
    if report.quality:
        orchestrator().show_table(
            key=f"quality-{report.dataset.replace('_', '-')}",
            rows=[{"trial": row.trial, **row.figures} for row in report.quality],
            description=f"Quality figures of the trials written to {report.store} at {report.snapshot}.",
        )


def quality_warnings(report: IngestReport) -> tuple[quality.QualityWarning, ...]:
    """Figures of the written trials that deserve a second look.

    Restaged trials are as long as their motion, so rows that the original has are not missed there.
    """
    found = (warning for row in report.quality for warning in quality.warnings(row.trial, row.figures))
    return tuple(
        warning for warning in found if report.restaged_from is None or warning.figure != "rows_missing"
    )
