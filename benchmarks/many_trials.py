"""How long a store of very many small trials takes to be looked at and to be found unchanged.

    python -m benchmarks.many_trials --trials 10000 --folder /tmp/many

Writes a raw tree of small files (once), prepares it into a store by the real path, then times commands on
it, each in a process of its own as a user would call them, and adds up what the snapshot is described by.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project
from poseshift.preprocessing.datasets import DATASETS, DataSet, RawTree
from poseshift.preprocessing.raw import PlannedTrial, RawPlan
from poseshift.storage.schema import Trial, TrialKey
from poseshift.storage.store import PoseStore
from poseshift.storage.tags import add_tag

KIND = "many-small"
TRIALS_PER_PERSON = 100
FRAMES = 10

_CAMERAS = tuple(
    Camera(name=f"camera-{i}", size_px=(1000, 1000), focal_px=(1145.0, 1143.0), centre_px=(512.0, 515.0))
    for i in range(2)
)


def write_tree(folder: Path, trials: int, seed: int) -> None:
    """Write one file of joints (frames, 17, 3) in metres per trial, in a folder per person."""
    rng = np.random.default_rng(seed)
    for number in range(trials):
        path = folder / f"P{number // TRIALS_PER_PERSON:03d}" / f"clip{number % TRIALS_PER_PERSON:03d}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        start = rng.normal((0, 0, 4), 0.4, (17, 3))
        np.save(path, (start + rng.normal(0, 0.01, (FRAMES, 17, 3))).astype(np.float32))


def _read(path: Path, key: TrialKey) -> Trial:
    positions = np.load(path)
    seen = np.stack([project(positions.astype(np.float64), camera.intrinsics) for camera in _CAMERAS])
    return Trial(
        key=key,
        action="clip",
        subaction="1",
        fps=50.0,
        cameras=_CAMERAS,
        positions_world=positions,
        keypoints_2d=seen.astype(np.float32),
    )


def _plan(tree: RawTree) -> RawPlan:
    keys = {path: TrialKey(path.parent.name, path.stem) for path in sorted(tree.root.glob("*/*.npy"))}
    trials = tuple(PlannedTrial(key, (path,), partial(_read, path, key)) for path, key in keys.items())
    return RawPlan(dataset="many_small", root=tree.root, trials=trials, problems=(), options={})


DATASETS.add("many_small", DataSet("many_small", "Very many small trials of noise.", _plan))


def timed(command: Sequence[str]) -> tuple[float, float, float]:
    """Run a command of the command line; its seconds by the clock and of processor time, and its peak, MB."""
    started = perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        child = subprocess.Popen(
            [sys.executable, "-m", "poseshift.flows.cli", *command], stdout=said, stderr=said
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command)}: {said.read()[-2000:]}")
    return perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def kept_mb(store: Path) -> dict[str, float]:
    """Add up the newest files of a local store by kind: the snapshot, what it refers to, and all chunks."""
    newest = max((store / "snapshots").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    folders = {name: (store / name).iterdir() for name in ("manifests", "chunks")}
    sizes = {name: sum(path.stat().st_size for path in paths) / 1e6 for name, paths in folders.items()}
    return {"snapshot": newest.stat().st_size / 1e6, **sizes}


def main() -> None:
    """Build what is missing, and print one line a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, required=True, help="where tree and store lie between calls")
    options = parser.parse_args()
    tree, store = options.folder / "raw", str(options.folder / "store")
    if not tree.exists():
        write_tree(tree, options.trials, seed=0)
        add_tag(PoseStore.create(store, "many_small"), "start")
    prepare = ["prepare", "other", KIND, str(tree), store, "--plugin", "benchmarks.many_trials"]
    for name, command in (
        ("prepare (first, or unchanged)", prepare),
        ("prepare, unchanged", prepare),
        ("prepare --plan", [*prepare, "--plan"]),
        ("inspect", ["inspect", store]),
        ("history", ["history", store]),
        ("diff", ["diff", store, "start"]),
        ("du", ["du", store]),
        ("expire --plan", ["expire", store, "--keep-days", "0", "--no-runs", "--plan"]),
    ):
        wall, processor, peak = timed(command)
        print(f"{name:32}{wall:8.2f} s, {processor:6.2f} s of processor time, {peak:5.0f} MB", flush=True)
    print(", ".join(f"{name} {mb:.2f} MB" for name, mb in kept_mb(Path(store)).items()))


if __name__ == "__main__":
    main()
