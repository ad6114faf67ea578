"""What adaptation costs by the size of the data: processor seconds and memory, with the slope of both.

    python -m benchmarks.adapt --code before=CHECKOUT --code after=. --out runs/adapt.jsonl

The stand-in has as many labelled views as views of the target, which fourteen cameras see; 1,560,000 are all
frames of Human3.6M at 50 Hz. ``keypoints`` collects what adaptation may know of the target; ``teach`` trains
a small lifter by a method for a few steps, from columns in memory to weights, so that its costs are those
that come once. Every case is a process of its own, whose greatest memory holds the columns as well.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import perf_counter

import numpy as np
from benchmarks.checkouts import add_measurements, checkouts, said_by

from poseshift.storage.provenance import software_versions

VIEWS = (195_000, 780_000, 1_560_000)

STAND_IN = """
import json, resource, sys, tempfile, time
from dataclasses import replace
from pathlib import Path
import numpy as np
import torch
from poseshift.adaptation.methods import METHODS
from poseshift.adaptation.target_keypoints import TargetKeypoints
from poseshift.flows.experiment.fitting import Teaching, teach
from poseshift.geometry.camera import Camera, Distortion, project
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.schema import TrialKey
from poseshift.training.lifters.registry import preset
from poseshift.training.schedule import Schedule
views, frames = int(sys.argv[1]), 2300
TOOLKIT = Distortion("human36m", (-0.2, 0.24, -0.002), (-0.0009, -0.0016))

def columns(seed, cameras, lens):
    rng = np.random.default_rng(seed)
    table = tuple(
        Camera(str(number), (1000, 1002), (1145.0 + number, 1143.0), (512.0, 515.0), lens)
        for number in range(cameras)
    )
    recording = np.arange(views) // frames
    camera = (recording % cameras).astype(np.int32)
    positions = np.empty((views, 17, 3), dtype=np.float32)
    keypoints = np.empty((views, 17, 2), dtype=np.float32)
    for begin in range(0, views, 4096):
        rows = slice(begin, begin + 4096)
        people = rng.normal(scale=0.3, size=positions[rows].shape) + [0, 0, 5]
        positions[rows] = people
        given = [table[one].intrinsics for one in camera[rows]][0]
        keypoints[rows] = project(people, given)  # by the camera of the first row: seen as well as any
    trials = tuple(
        TrialInfo(TrialKey("S1", str(number)), "walk", "", 50.0)
        for number in range(recording[-1] // cameras + 1)
    )
    return CameraPoses(
        positions, keypoints, camera, (recording // cameras).astype(np.int32),
        (np.arange(views) % frames).astype(np.int32), np.zeros(views, dtype=np.int8), table, trials,
        "human36m_17", "stand-in",
    )

target = columns(1, 14, Distortion()).unlabelled()
"""

PARTS: Mapping[str, str] = {
    "keypoints": """
cpu, wall = time.process_time(), time.perf_counter()
TargetKeypoints.from_poses(target)
""",
    "teach": """
source = columns(0, 4, TOOLKIT)
method, folder = METHODS[sys.argv[2]], Path(tempfile.mkdtemp())
teaching = Teaching(
    adaptation=method.adaptation, lifter=preset("simple-baseline-small"), encoding=method.encoding,
    rays=method.rays, schedule=Schedule(epochs=1, steps_per_epoch=50, batch_size=1024), seed=0,
)
cpu, wall = time.process_time(), time.perf_counter()
teach(teaching, source, target, folder, folder / "gravity.json", torch.device("cpu"))
""",
}

SAY = """
cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"cpu_s": cpu_s, "wall_s": wall_s, "peak_mb": peak_mb}))
"""


@dataclass(frozen=True)
class Measurement:
    """One case."""

    benchmark: str
    code: str
    part: str
    method: str
    views: int
    cpu_s: float
    wall_s: float
    peak_mb: float
    load: tuple[float, float, float]
    python: str
    versions: Mapping[str, str]


def run_once(code: Path, part: str, method: str, views: int) -> dict[str, float]:
    """Run one case with one thread."""
    said = said_by(STAND_IN + PARTS[part] + SAY, (str(views), method), code, f"{part} of {views} views")
    figures: dict[str, float] = json.loads(said.splitlines()[-1])
    return figures


def table(found: Sequence[Measurement]) -> str:
    """Set sizes side by side, with the slope of a line through them for a million views."""
    sizes = sorted({one.views for one in found})
    lines = [
        "| part | code | "
        + " | ".join(f"{size:,} views, CPU s (peak, MB)" for size in sizes)
        + " | per million |",
        "|---|---|" + "---|" * (len(sizes) + 1),
    ]
    for part, code in dict.fromkeys((one.part, one.code) for one in found):
        own = sorted(
            (one for one in found if (one.part, one.code) == (part, code)), key=lambda one: one.views
        )
        cells = " | ".join(f"{one.cpu_s:.1f} ({one.peak_mb:.0f})" for one in own)
        slope = "one size"
        if len(own) > 1:
            millions = [one.views / 1e6 for one in own]
            cpu, peak = (
                np.polyfit(millions, [getattr(one, of) for one in own], 1)[0] for of in ("cpu_s", "peak_mb")
            )
            slope = f"{cpu:.1f} s, {peak:.0f} MB"
        lines.append(f"| {part} | {code} | {cells} | {slope} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print; add a JSON line per measurement to a file as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--code", action="append", required=True, help="NAME=CHECKOUT; repeat to compare")
    parser.add_argument("--part", action="append", choices=tuple(PARTS), default=[])
    parser.add_argument("--method", default="gpa")
    parser.add_argument("--views", type=int, action="append", default=[])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    codes = checkouts(given.code)
    found = []
    for part, views, name in product(given.part or PARTS, given.views or VIEWS, codes):
        started = perf_counter()
        said = run_once(codes[name], part, given.method, views)
        found.append(
            Measurement(
                benchmark="adapt",
                code=name,
                part=part,
                method=given.method,
                views=views,
                cpu_s=round(said["cpu_s"], 2),
                wall_s=round(said["wall_s"], 2),
                peak_mb=round(said["peak_mb"]),
                load=os.getloadavg(),
                python=platform.python_version(),
                versions=software_versions(),
            )
        )
        add_measurements(given.out, found[-1:])
        print(
            f"{part} {name} {views}: {said} ({perf_counter() - started:.0f} s)", file=sys.stderr, flush=True
        )
    print(table(found))


if __name__ == "__main__":
    main()
