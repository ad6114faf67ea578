"""Commands that make data: raw trees, and stores from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from poseshift.flows.commands.console import (
    AnsweredError,
    error_code,
    fail,
    message_of,
    print_json,
    say,
    user_errors,
    warn,
    work_shown,
)
from poseshift.flows.commands.options import Json, Plan, Plugins, Prefect, Store
from poseshift.flows.commands.plans import tell_prepare_plan
from poseshift.flows.commands.running import run_shown
from poseshift.flows.prepare import PrepareFailedError, PrepareRequest, prepare, quality_warnings
from poseshift.flows.runtime.cluster import ClusterUnreachableError
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.free_motion import FreeMotionOptions
from poseshift.preprocessing.human36m.read import Human36MOptions
from poseshift.preprocessing.ingest import IngestReport
from poseshift.preprocessing.motion.sources import load, title
from poseshift.preprocessing.mpi_inf_3dhp.layout import CameraSet
from poseshift.preprocessing.mpi_inf_3dhp.read import MpiInf3dhpOptions, TestIntrinsics
from poseshift.preprocessing.restaging.restage import restage as restage_motions
from poseshift.storage.lock import StoreLockedError
from poseshift.storage.model import FrozenModel
from poseshift.storage.store import StoreError

app = typer.Typer()
prepare_app = typer.Typer(
    help="Parse a raw release, as downloaded, into a versioned Zarr store.", no_args_is_help=True
)
app.add_typer(prepare_app, name="prepare")

Dask = Annotated[
    str | None,
    typer.Option(help="Address of a Dask scheduler (tcp://host:8786); by default this machine's threads."),
]
KeepGoing = Annotated[bool, typer.Option("--keep-going", help="Commit the good files when some are bad.")]
Prune = Annotated[bool, typer.Option("--prune", help="Remove stored trials that the raw tree no longer has.")]
Strict = Annotated[
    bool,
    typer.Option("--strict", help="Prepare nothing when a part is missing, or lies there and is not read."),
]
Raw = Annotated[Path, typer.Argument(help="The raw tree, as downloaded.", exists=True, file_okay=False)]


@prepare_app.command("human36m")
def prepare_human36m(
    raw: Raw,
    store: Store,
    s9_drift: Annotated[
        Literal["keep", "shift_200mm", "drop"],
        typer.Option(
            help="S9 Greeting, SittingDown 1 and Waiting 1 have shifted labels: what to do with them."
        ),
    ] = "keep",
    s11_directions: Annotated[
        Literal["keep", "drop_camera_54138969", "drop"],
        typer.Option(
            help="S11 Directions has a corrupt video in the old release: what to do with its poses."
        ),
    ] = "keep",
    skeleton_scale: Annotated[
        Literal["own", "universal"],
        typer.Option(help="3D on each subject's own skeleton, or on the universal one."),
    ] = "own",
    unpack_into: Annotated[
        Path | None, typer.Option(help="Where archives are unpacked; by default beside a local store.")
    ] = None,
    dask: Dask = None,
    keep_going: KeepGoing = False,
    prune: Prune = False,
    strict: Strict = False,
    prefect: Prefect = False,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Human3.6M: the official tree, the flattened one of h36m-fetch, or a folder of official archives."""
    request = PrepareRequest(
        kind="human36m",
        raw=raw,
        store=store,
        human36m=Human36MOptions(
            s9_drift=s9_drift, s11_directions=s11_directions, skeleton_scale=skeleton_scale
        ),
        unpack_into=unpack_into,
        on_failure="keep-going" if keep_going else "abort",
        on_vanished="prune" if prune else "keep",
        on_unread="refuse" if strict else "tell",
        dask=dask,
    )
    _prepare([request], prefect=prefect, plan=plan, as_json=as_json)


@prepare_app.command("free-motion")
def prepare_free_motion(
    motion: Annotated[
        Path, typer.Argument(help="An npz bundle, or a folder of CMU's ASF/AMC files.", exists=True)
    ],
    store: Store,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the clips' headings and places.")] = 0,
    dask: Dask = None,
    keep_going: KeepGoing = False,
    prune: Prune = False,
    strict: Strict = False,
    prefect: Prefect = False,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Free motion: every clip, with all of its people, before Human3.6M's four cameras."""
    request = PrepareRequest(
        kind="free-motion",
        raw=motion,
        store=store,
        free_motion=FreeMotionOptions(seed=seed),
        on_failure="keep-going" if keep_going else "abort",
        on_vanished="prune" if prune else "keep",
        on_unread="refuse" if strict else "tell",
        dask=dask,
    )
    _prepare([request], prefect=prefect, plan=plan, as_json=as_json)


@prepare_app.command("other")
def prepare_other(
    kind: Annotated[str, typer.Argument(help="The data set, as its module names it, with dashes.")],
    raw: Raw,
    store: Store,
    dask: Dask = None,
    keep_going: KeepGoing = False,
    prune: Prune = False,
    strict: Strict = False,
    plugin: Plugins = None,
    prefect: Prefect = False,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Prepare a data set that a module of your own adds; name the module with --plugin."""
    with user_errors(ValueError):
        request = PrepareRequest(
            kind=kind,
            raw=raw,
            store=store,
            on_failure="keep-going" if keep_going else "abort",
            on_vanished="prune" if prune else "keep",
            on_unread="refuse" if strict else "tell",
            dask=dask,
        )
    _prepare([request], prefect=prefect, plan=plan, as_json=as_json)


@prepare_app.command("mpi-inf-3dhp")
def prepare_mpi_inf_3dhp(
    raw: Raw,
    store: Annotated[str, typer.Argument(help="Where the two stores go: STORE/train and STORE/test.")],
    part: Annotated[
        Literal["both", "train", "test"], typer.Option(help="Which part of the release to prepare.")
    ] = "both",
    training_cameras: Annotated[
        CameraSet, typer.Option(help="Training cameras whose keypoints are kept; 'regular' is all fourteen.")
    ] = "regular",
    test_fps: Annotated[
        float, typer.Option(help="Frame rate of the test sequences, which the data set does not state.")
    ] = 25.0,
    test_intrinsics: Annotated[
        TestIntrinsics,
        typer.Option(
            help="Test cameras: of the .calib file, where there is one, or fitted to the test's 3D and 2D."
        ),
    ] = "file",
    dask: Dask = None,
    keep_going: KeepGoing = False,
    prune: Prune = False,
    strict: Strict = False,
    prefect: Prefect = False,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """MPI-INF-3DHP: training sequences S1 to S8 and test sequences TS1 to TS6, in two stores."""
    parts: tuple[Literal["train", "test"], ...] = ("train", "test") if part == "both" else (part,)
    requests = [
        PrepareRequest(
            kind="mpi-inf-3dhp-train" if name == "train" else "mpi-inf-3dhp-test",
            raw=raw,
            store=f"{store.rstrip('/')}/{name}",
            mpi_inf_3dhp=MpiInf3dhpOptions(
                training_cameras=training_cameras, test_fps=test_fps, test_intrinsics=test_intrinsics
            ),
            on_failure="keep-going" if keep_going else "abort",
            on_vanished="prune" if prune else "keep",
            on_unread="refuse" if strict else "tell",
            dask=dask,
        )
        for name in parts
    ]
    _prepare(requests, prefect=prefect, plan=plan, as_json=as_json)


@app.command()
def restage(
    out: Annotated[
        Path, typer.Option(help="Folder for the two raw trees: OUT/human36m and OUT/mpi_inf_3dhp.")
    ],
    motion: Annotated[
        str, typer.Option(help="An npz bundle, a folder of CMU's ASF/AMC files, or 'procedural'.")
    ] = "procedural",
    seed: Annotated[int, typer.Option(help="Seed of the placement in the capture volume.")] = 0,
    prefect: Prefect = False,
    as_json: Json = False,
) -> None:
    """Put free motion before the true cameras of both data sets and write raw trees in the true layouts."""
    with user_errors(RawDataError, FileExistsError), work_shown(f"restage {motion}"):
        report = restage_motions(load(motion), out, seed, motion=title(motion))
    if as_json:
        print_json(report)
        return
    say(f"Restaged {motion} to {out}: human36m and mpi_inf_3dhp.")


class PrepareAnswer(FrozenModel):
    """What `prepare --json` answers with."""

    stores: tuple[IngestReport, ...]
    """One report per store, in the order in which they were prepared."""
    error: AnsweredError | None = None
    """Why not everything was prepared; None when it was."""


def _prepare(requests: list[PrepareRequest], *, prefect: bool, plan: bool, as_json: bool) -> None:
    """Prepare one store after the other; the first error ends it, and what was done before is told."""
    if plan:
        tell_prepare_plan(requests, as_json=as_json)
        return
    reports: list[IngestReport] = []
    failure: Exception | None = None
    with run_shown(prefect=prefect) as run:
        for request in requests:
            try:
                reports.append(run(prepare, request))
            except PrepareFailedError as error:
                reports.append(error.report)
                failure = failure or error
            except (RawDataError, StoreError, StoreLockedError, ClusterUnreachableError) as error:
                failure = error
                break
    if as_json:
        told = None if failure is None else AnsweredError.of(failure)
        print_json(PrepareAnswer(stores=tuple(reports), error=told))
    else:
        for report in reports:
            _print_report(report)
    if failure is not None:
        fail(message_of(failure), error_code(failure))


def _print_report(report: IngestReport) -> None:
    for warning in quality_warnings(report):
        warn(f"Look at {warning}")
    if report.committed:
        say(
            f"{report.dataset}: {len(report.written)} trials with {report.frames:,} frames "
            f"written, {len(report.unchanged)} unchanged, {len(report.pruned)} removed; "
            f"snapshot {report.snapshot}",
            "green",
        )
    elif report.failures:
        say(f"{report.dataset}: nothing was committed; the store is as it was.", "red")
    else:
        say(f"{report.dataset}: nothing changed ({len(report.unchanged)} trials).", "green")
    if report.restaged_from:
        say(f"Restaged motion, not the original recordings: {report.restaged_from}")
