"""What it costs to measure predictions, side by side: checkouts of the code, and VideoPose3D's functions.

    python -m benchmarks.evaluate --code before=CHECKOUT --code after=. --videopose3d CHECKOUT

Poses are made up: a test set of Human3.6M's shape, 60 trials before four cameras, with predictions a few
centimetres off. Every measurement is a process of one thread that loads them, then measures; processor time
is of the measuring alone, memory the process's peak. VideoPose3D's functions give four means, on all frames
at once or, as its own script calls them, a sequence at a time; ours also PCK, AUC, the tables by sequence,
action and joint, and the intervals. Cases take turns, so that other work on the machine falls on all alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
from benchmarks.checkouts import Case, add_measurements, checkouts

from poseshift.storage.provenance import software_versions

TRIALS, CAMERAS = 60, 4

MEASURE = """
import json, sys, time
from pathlib import Path
import numpy as np

def memory_mb(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024

def measured(work):
    loaded, wall, cpu = memory_mb("VmRSS"), time.perf_counter(), time.process_time()
    figures = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(json.dumps([cpu, wall, memory_mb("VmHWM"), loaded, figures]))

folder = Path(sys.argv[1])
predicted, truth = np.load(folder / "predicted.npy"), np.load(folder / "truth.npy")
bounds = np.load(folder / "bounds.npy")
"""

OURS = (
    MEASURE
    + """
from poseshift.geometry.camera import Camera
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.schema import TrialKey
from poseshift.training.evaluation.evaluate import evaluate
from poseshift.training.evaluation.protocols import protocol

lengths, cameras = np.diff(bounds), int(sys.argv[2])
sequence = np.repeat(np.arange(len(lengths)), lengths).astype(np.int32)
frames = len(truth)
poses = CameraPoses(
    positions_camera=truth,
    keypoints_px=np.zeros((*truth.shape[:2], 2), dtype=np.float32),
    camera=sequence % cameras,
    trial=sequence // cameras,
    frame=(np.arange(frames) - bounds[sequence]).astype(np.int32),
    activity=np.zeros(frames, dtype=np.int8),
    cameras=tuple(
        Camera(name=str(number), size_px=(1000, 1000), focal_px=(1145.0, 1145.0), centre_px=(500.0, 500.0))
        for number in range(cameras)
    ),
    trials=tuple(
        TrialInfo(TrialKey(("S9", "S11")[number % 2], f"trial-{number}"), f"Action {number // 4}", "1", 50.0)
        for number in range(len(lengths) // cameras)
    ),
    skeleton="human36m_17",
    snapshot="made up",
)
def work():
    found = evaluate(predicted, poses, protocol("human36m-p1"))
    rows, names = found.per_sequence, ("mpjpe_mm", "n_mpjpe_mm", "pa_mpjpe_mm", "mpjve_mm")
    def mean(name):
        counts = [row.velocity_frames if name == "mpjve_mm" else row.frames for row in rows]
        return sum(getattr(row, name) * n for row, n in zip(rows, counts)) / sum(counts)
    return [mean(name) for name in names]
measured(work)
"""
)

THEIRS = (
    MEASURE
    + """
import importlib.util, torch
spec = importlib.util.spec_from_file_location("loss", Path(sys.argv[3]) / "common" / "loss.py")
loss = importlib.util.module_from_spec(spec)
spec.loader.exec_module(loss)
torch.set_num_threads(1)
predicted -= predicted[:, :1]
truth -= truth[:, :1]
edges = bounds if sys.argv[4] == "sequences" else bounds[[0, -1]]
parts = [slice(first, last) for first, last in zip(edges[:-1], edges[1:])]
def work():
    sums, frames = np.zeros(4), np.zeros(4)
    for rows in parts:
        ours, true = torch.from_numpy(predicted[rows])[None], torch.from_numpy(truth[rows])[None]
        found = (
            loss.mpjpe(ours, true).item(),
            loss.n_mpjpe(ours, true).item(),
            loss.p_mpjpe(predicted[rows], truth[rows]),
            loss.mean_velocity_error(predicted[rows], truth[rows]),
        )
        counts = np.array([len(true[0])] * 3 + [len(true[0]) - 1])
        sums, frames = sums + counts * found, frames + counts
    return (1000 * sums / frames).tolist()
measured(work)
"""
)


@dataclass(frozen=True)
class Measurement:
    """One case; times in seconds, one per repetition, and their medians; memory in MB, the largest."""

    benchmark: str
    case: str
    frames: int
    cpu_s: float
    wall_s: float
    peak_mb: float
    loaded_mb: float
    means_mm: tuple[float, ...]
    all_cpu_s: tuple[float, ...]
    load: tuple[float, float, float]
    python: str
    versions: Mapping[str, str]


def make_up(folder: Path, frames: int) -> None:
    """Write poses and predictions of them, sequence by sequence: smooth motion, smooth errors."""
    rng = np.random.default_rng(7)
    sequences = TRIALS * CAMERAS
    bounds = np.linspace(0, frames, sequences + 1).astype(np.int64)
    shape = (frames, 17, 3)
    truth, predicted = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
    person = rng.normal(0, 0.4, (17, 3))
    for first, last in pairwise(bounds):
        turn = np.linspace(0, rng.uniform(1, 6), last - first)[:, None, None]
        truth[first:last] = person + (0, 0, 5) + 0.2 * np.sin(turn + rng.uniform(0, 6, (17, 3)))
        predicted[first:last] = truth[first:last] + 0.05 * np.sin(3 * turn + rng.uniform(0, 6, (17, 3)))
    predicted -= predicted[:, :1]
    np.save(folder / "truth.npy", truth)
    np.save(folder / "predicted.npy", predicted)
    np.save(folder / "bounds.npy", bounds)


def cases(codes: Mapping[str, Path], videopose3d: Path) -> Sequence[Case]:
    """Say what is measured."""
    here = next(iter(codes.values()))
    return (
        *(Case(name, OURS, code, (str(CAMERAS),)) for name, code in codes.items()),
        *(
            Case(f"VideoPose3D, {how}", THEIRS, here, (str(CAMERAS), str(videopose3d), how))
            for how in ("all at once", "sequences")
        ),
    )


def run_once(case: Case, folder: Path) -> tuple[float, float, float, float, list[float]]:
    """Return processor and wall seconds, peak memory, memory with what was loaded, and the four means."""
    said = case.said(str(folder))
    cpu_s, wall_s, peak_mb, loaded_mb, means = json.loads(said)
    return cpu_s, wall_s, peak_mb, loaded_mb, means


def measure(chosen: Sequence[Case], frames: int, repeats: int) -> Sequence[Measurement]:
    """Measure every case, in turns."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make_up(folder, frames)
        runs = [[run_once(case, folder) for case in chosen] for _ in range(repeats)]
    found = []
    for number, case in enumerate(chosen):
        cpu_s, wall_s, peak_mb, loaded_mb, means = zip(*(run[number] for run in runs), strict=True)
        found.append(
            Measurement(
                benchmark="evaluate",
                case=case.name,
                frames=frames,
                cpu_s=round(median(cpu_s), 3),
                wall_s=round(median(wall_s), 3),
                peak_mb=round(max(peak_mb)),
                loaded_mb=round(max(loaded_mb)),
                means_mm=tuple(means[0]),
                all_cpu_s=tuple(round(one, 3) for one in cpu_s),
                load=os.getloadavg(),
                python=platform.python_version(),
                versions=software_versions(),
            )
        )
    return found


def table(found: Sequence[Measurement]) -> str:
    """Set the cases side by side; ratios are to VideoPose3D's functions on all frames at once."""
    theirs = next(one for one in found if one.case == "VideoPose3D, all at once")
    lines = [
        "| measured by | CPU s | ratio | peak, MB | ratio | loaded, MB | MPJPE, N-, PA-MPJPE, MPJVE, mm |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        means = ", ".join(f"{value:.3f}" for value in one.means_mm)
        lines.append(
            f"| {one.case} | {one.cpu_s:.2f} | {one.cpu_s / theirs.cpu_s:.2f} | {one.peak_mb:.0f} | "
            f"{one.peak_mb / theirs.peak_mb:.2f} | {one.loaded_mb:.0f} | {means} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print; add a JSON line per measurement to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--code", action="append", help="NAME=CHECKOUT; repeat to compare; ours=. if none")
    parser.add_argument("--videopose3d", type=Path, required=True, help="a checkout of VideoPose3D")
    parser.add_argument("--frames", type=int, default=550_644)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    codes = checkouts(given.code or ["ours=."])
    found = measure(cases(codes, given.videopose3d.resolve()), given.frames, given.repeats)
    if given.out is not None:
        add_measurements(given.out, found)
    print(table(found))


if __name__ == "__main__":
    main()
