"""What it costs to prepare Human3.6M, side by side: checkouts of the code, VideoPose3D's script, and a floor.

    python -m benchmarks.prepare --folder /tmp/full --code after=. --videopose3d CHECKOUT

The raw tree is made up once: the release's 210 trials of the release's length, as 3D and 2D pose files of
motion played before the true cameras. ``--share 0.1`` keeps a tenth of every trial's frames. Every
measurement is a process of one thread; cases take turns, so that other work on the machine falls on all
alike. *Function* is what a Python program calls; *command* is `poseshift prepare`, from its start to its end.
VideoPose3D's own script reads the 3D files, projects them and compresses both into two files; ours reads 3D
and 2D files, digests them, compares the two and writes a store. The floor reads all raw files and writes as
many bytes as the arrays of the store have, uncompressed. ``--workers 1 --workers 2`` adds the function with a
Dask cluster of so many worker processes; what they take, and what it takes to start them, is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from benchmarks.checkouts import Case, add_measurements, checkouts, said_by
from numpy.typing import NDArray

from poseshift.preprocessing.human36m.layout import CAMERA_IDS, EXPECTED_ROWS, camera
from poseshift.preprocessing.human36m.write import write_metadata, write_trial
from poseshift.preprocessing.motion.motion import Motion
from poseshift.preprocessing.motion.sources import PROCEDURAL, load
from poseshift.preprocessing.restaging.complete import to_human36m_32
from poseshift.preprocessing.restaging.placement import draw_placement, ring_stage
from poseshift.storage.provenance import software_versions

KINDS = frozenset({"D3_Positions", "D2_Positions"})
SPREAD_M = 1.0
FRAME_BYTES = 4 * 17 * (3 + 4 * 2)
"""Of one frame: 17 joints in the world and before four cameras, float32."""

MEASURE = """
import json, os, resource, sys, time
from pathlib import Path

raw, out, given = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]

def memory_mb(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024

def spent():
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime

def measured(work):
    loaded, wall, cpu = memory_mb("VmRSS"), time.perf_counter(), spent()
    work()
    ended, largest_child = spent(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    peak = max(memory_mb("VmHWM"), largest_child)
    print(json.dumps([ended - cpu, ended, time.perf_counter() - wall, peak, loaded]))
"""

FUNCTION = (
    MEASURE
    + """
from poseshift.flows.prepare import PrepareRequest, prepare_store
request = PrepareRequest(kind="human36m", raw=raw, store=str(out))
def work():
    if prepare_store(request).failures:
        raise RuntimeError("the tree is bad")
measured(work)
"""
)

WORKERS = (
    MEASURE
    + """
from distributed import LocalCluster
from poseshift.flows.prepare import PrepareRequest, prepare_store
def work():
    cluster = LocalCluster(n_workers=int(given[0]), threads_per_worker=1, dashboard_address=None)
    with cluster:
        address = cluster.scheduler_address
        request = PrepareRequest(kind="human36m", raw=raw, store=str(out), dask=address)
        if prepare_store(request).failures:
            raise RuntimeError("the tree is bad")
measured(work)
"""
)

COMMAND = (
    MEASURE
    + """
import runpy
sys.argv = ["poseshift", "prepare", "human36m", str(raw), str(out)]
shown, sys.stdout = sys.stdout, sys.stderr
def work():
    try:
        runpy.run_module("poseshift.flows.cli", run_name="__main__")
    except SystemExit as ended:
        if ended.code:
            raise RuntimeError("the command failed") from ended
    sys.stdout = shown
measured(work)
"""
)

VIDEOPOSE3D = (
    MEASURE
    + """
import runpy
import cdflib, numpy, torch
torch.set_num_threads(1)
checkout = Path(given[0])
sys.path.insert(0, str(checkout))
(out / "data").mkdir(parents=True)
os.chdir(out / "data")
sys.argv = ["prepare_data_h36m.py", "--from-source-cdf", str(raw)]
shown, sys.stdout = sys.stdout, sys.stderr
def work():
    runpy.run_path(str(checkout / "data" / "prepare_data_h36m.py"), run_name="__main__")
    sys.stdout = shown
measured(work)
"""
)

FLOOR = (
    MEASURE
    + """
def work():
    left, block = int(given[0]), bytes(1 << 20)
    for path in sorted(raw.rglob("*.cdf")):
        path.read_bytes()
    with out.open("wb") as file:
        while left > 0:
            left -= file.write(block[:left])
measured(work)
"""
)


@dataclass(frozen=True)
class Run:
    """One process: seconds of the work, of the whole process, by the clock; memory; what was written."""

    cpu_s: float
    process_cpu_s: float
    wall_s: float
    peak_mb: float
    loaded_mb: float
    written_mb: float
    digest: str | None


@dataclass(frozen=True)
class Measurement:
    """One case: medians of its processes' seconds, their greatest memory; digest of the store's content."""

    benchmark: str
    case: str
    trials: int
    frames: int
    cpu_s: float
    process_cpu_s: float
    wall_s: float
    peak_mb: float
    loaded_mb: float
    written_mb: float
    all_cpu_s: tuple[float, ...]
    digest: str | None
    load: tuple[float, float, float]
    python: str
    versions: Mapping[str, str]


def rows_of(share: float) -> Mapping[tuple[str, str], int]:
    """Rows of every trial, by subject and stem."""
    return {trial: max(2, round(rows * share)) for trial, rows in EXPECTED_ROWS.items()}


def make_up(raw: Path, motion: str, share: float) -> None:
    """Write the raw tree: each trial is clips of one person, each clip played in a place of its own."""
    motions = load(motion)
    people = sorted({clip.subject for clip in motions})
    subjects = list(dict.fromkeys(subject for subject, _ in EXPECTED_ROWS))
    unfinished = raw.with_name(raw.name + ".unfinished")
    for number, ((subject, stem), rows) in enumerate(rows_of(share).items()):
        person = people[subjects.index(subject) % len(people)]
        clips = [clip for clip in motions if clip.subject == person]
        world = np.concatenate(list(_played(clips, subject, rows, np.random.default_rng([7, number]))))
        write_trial(unfinished, subject, stem, 1000 * to_human36m_32(world), KINDS)
    if share != 1:
        write_metadata(unfinished, rows_of(share))
    unfinished.rename(raw)


def _played(
    clips: Sequence[Motion], subject: str, rows: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """Play clips until there are so many rows."""
    stage = ring_stage([camera(subject, name) for name in CAMERA_IDS], SPREAD_M)
    while rows > 0:
        clip = clips[rng.integers(len(clips))].positions[:rows]
        placement = draw_placement(clip, stage, rng)
        if placement is not None:
            yield placement.apply(clip)
            rows -= len(clip)


def cases(
    codes: Mapping[str, Path], videopose3d: Path, frames: int, workers: Sequence[int] = ()
) -> Sequence[Case]:
    """Say what is measured."""
    here = next(iter(codes.values()))
    return (
        *(Case(f"{name}, function", FUNCTION, code) for name, code in codes.items()),
        *(Case(f"{name}, command", COMMAND, code) for name, code in codes.items()),
        *(
            Case(f"{name}, {count} workers", WORKERS, code, (str(count),))
            for name, code in codes.items()
            for count in workers
        ),
        Case("VideoPose3D", VIDEOPOSE3D, here, (str(videopose3d),)),
        Case("floor", FLOOR, here, (str(frames * FRAME_BYTES),)),
    )


def run_once(case: Case, raw: Path, out: Path) -> Run:
    """Run a case into a new place, and clear the place again."""
    said = case.said(str(raw), str(out))
    files = [out] if out.is_file() else [path for path in out.rglob("*") if path.is_file()]
    written_mb = sum(path.stat().st_size for path in files) / 1e6
    digest = None
    if case.program in (FUNCTION, COMMAND, WORKERS):
        asked = "import sys; from poseshift.storage.store import PoseStore; "
        asked += "print(PoseStore.open(sys.argv[1]).digest())"
        digest = said_by(asked, (str(out),), case.code, f"digest of {case.name}").strip()
    if out.is_file():
        out.unlink()
    else:
        shutil.rmtree(out)
    return Run(*json.loads(said.splitlines()[-1]), written_mb=written_mb, digest=digest)


def measure(chosen: Sequence[Case], folder: Path, frames: int, repeats: int) -> Sequence[Measurement]:
    """Measure every case, in turns."""
    runs = [[run_once(case, folder / "raw", folder / "out") for case in chosen] for _ in range(repeats)]
    found = []
    for number, case in enumerate(chosen):
        own = [run[number] for run in runs]
        (digest,) = {one.digest for one in own}
        found.append(
            Measurement(
                benchmark="prepare",
                case=case.name,
                trials=len(EXPECTED_ROWS),
                frames=frames,
                cpu_s=round(median(one.cpu_s for one in own), 2),
                process_cpu_s=round(median(one.process_cpu_s for one in own), 2),
                wall_s=round(median(one.wall_s for one in own), 2),
                peak_mb=round(max(one.peak_mb for one in own)),
                loaded_mb=round(max(one.loaded_mb for one in own)),
                written_mb=round(own[0].written_mb, 1),
                all_cpu_s=tuple(round(one.cpu_s, 2) for one in own),
                digest=digest,
                load=os.getloadavg(),
                python=platform.python_version(),
                versions=software_versions(),
            )
        )
    if len({one.digest for one in found if one.digest is not None}) != 1:
        raise RuntimeError(f"stores differ: {[(one.case, one.digest) for one in found]}")
    return found


def table(found: Sequence[Measurement]) -> str:
    """Set the cases side by side; ratios are of VideoPose3D's script to each."""
    theirs = next(one for one in found if one.case == "VideoPose3D")
    lines = [
        "| prepared by | CPU s | times less | with start-up, CPU s | times less | wall s | peak, MB "
        "| loaded, MB | written, MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        lines.append(
            f"| {one.case} | {one.cpu_s:.2f} | {theirs.cpu_s / one.cpu_s:.2f} | {one.process_cpu_s:.2f} | "
            f"{theirs.process_cpu_s / one.process_cpu_s:.2f} | {one.wall_s:.1f} | {one.peak_mb:.0f} | "
            f"{one.loaded_mb:.0f} | {one.written_mb:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print; add a JSON line per measurement to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--code", action="append", help="NAME=CHECKOUT; repeat to compare; ours=. if none")
    parser.add_argument("--videopose3d", type=Path, required=True, help="a checkout of VideoPose3D")
    parser.add_argument("--folder", type=Path, required=True, help="where the raw tree lies between calls")
    parser.add_argument("--motion", default=PROCEDURAL, help="what the tree is made of, as for restage")
    parser.add_argument("--share", type=float, default=1.0, help="of every trial's frames")
    parser.add_argument("--workers", type=int, action="append", default=[], help="of a Dask cluster; repeat")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    folder, frames = given.folder.resolve(), sum(rows_of(given.share).values())
    if not (folder / "raw").exists():
        make_up(folder / "raw", given.motion, given.share)
    codes = checkouts(given.code or ["ours=."])
    chosen = cases(codes, given.videopose3d.resolve(), frames, given.workers)
    found = measure(chosen, folder, frames, given.repeats)
    if given.out is not None:
        add_measurements(given.out, found)
    print(table(found))


if __name__ == "__main__":
    main()
