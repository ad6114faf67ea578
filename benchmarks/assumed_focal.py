"""Whether a lifter that is told that intrinsics are unknown errs less where an assumed focal length is wrong.

The same lifter learns two encodings from the same poses: ``perspective``, which takes whatever focal length
it is given, and ``perspective_and_known``. The same keypoints of other people are then shown with true and
with wrong focal lengths, and, to the second, as unknown::

    python -m benchmarks.assumed_focal --motion MOTION --out FOLDER
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from benchmarks.uncertainty.scenes import Scenes, make_scenes
from numpy.typing import NDArray

from poseshift.adaptation.methods import METHODS
from poseshift.flows.experiment.fitting import Teaching, teach
from poseshift.geometry.camera import AssumedCamera, Camera
from poseshift.preprocessing.motion.sources import load
from poseshift.storage.columns import CameraPoses
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.encoding import EncodingName, encoding
from poseshift.training.evaluation.answering import predict
from poseshift.training.evaluation.evaluate import frame_errors_mm
from poseshift.training.evaluation.intervals import draw_weights, estimate
from poseshift.training.evaluation.protocols import protocol
from poseshift.training.lifters.registry import preset
from poseshift.training.schedule import Schedule

METHOD, LIFTER = "no_target", "simple-baseline-small"
FACTORS = (0.7, 0.8, 1.0, 1.2, 1.3)
MEASURED_BY = protocol("human36m-p1")

ASSUMED_VIEW_DEG = 60
"""Of the longer side: what ``domain add`` assumes of a camera of which nothing is stated."""


@dataclass(frozen=True)
class Shown:
    """One way to show the test: what a camera's focal length is taken for, and whether it counts as known."""

    name: str
    encoding: EncodingName
    factor: float | None = 1.0
    """Of the true focal length; None for that of the field of view that ``domain add`` assumes."""
    known: bool = True

    def camera(self, true: Camera) -> Camera:
        """Give the camera as the lifter is shown it."""
        focal = tuple(
            max(true.size_px) / 2 / math.tan(math.radians(ASSUMED_VIEW_DEG) / 2)
            if self.factor is None
            else self.factor * one
            for one in true.focal_px
        )
        shown = replace(true, focal_px=(focal[0], focal[1]))
        return shown if self.known else AssumedCamera.of(shown)


def ways() -> Iterator[Shown]:
    """List the ways; each is compared with the first of its factor."""
    for factor in (*FACTORS, None):
        told = "60 degrees" if factor is None else f"{factor:g}"
        yield Shown(f"perspective, focal length {told}", "perspective", factor)
        yield Shown(f"told that it is known, focal length {told}", "perspective_and_known", factor)
    yield Shown("told that it is unknown", "perspective_and_known", known=False)


def train(scenes: Scenes, seen_as: EncodingName, steps: int, seed: int, out: Path) -> TrainedLifter:
    """Train the lifter on the source with one encoding."""
    teaching = Teaching(
        adaptation=METHODS[METHOD].adaptation,
        lifter=preset(LIFTER),
        encoding=seen_as,
        schedule=Schedule(epochs=10, steps_per_epoch=steps // 10, batch_size=128),
        seed=seed,
    )
    folder = out / f"{seen_as}-{seed}"
    taught = teach(teaching, scenes.source, None, folder, folder / "gravity.json", torch.device("cpu"))
    return TrainedLifter(taught.lifter, encoding(seen_as), teaching.lifter, {}, taught.answer)


def errors_mm(trained: TrainedLifter, exact: CameraPoses, way: Shown) -> NDArray[np.float64]:
    """Measure every frame, (n,); lenses stay as they are, whatever the focal length is taken for."""
    poses = replace(exact, cameras=tuple(way.camera(one) for one in exact.cameras))
    return frame_errors_mm(predict(trained, poses, test_time="flip"), poses, MEASURED_BY)


@dataclass(frozen=True)
class Row:
    """One figure: the mean over seeds and frames, and a difference with its interval over people."""

    cameras: str
    way: str
    mpjpe_mm: float
    unknown_less_this_mm: str
    """Of the lifter that is told nothing: below zero where it is the better one."""


def rows_of(cameras: str, exact: CameraPoses, found: dict[str, NDArray[np.float64]]) -> Iterator[Row]:
    """Compare every way with the lifter that is told that intrinsics are unknown."""
    people = np.array([exact.trials[trial].key.subject for trial in exact.trial])
    names = sorted(set(people))
    weights = draw_weights(names, seed=0)
    frames = np.array([(people == one).sum() for one in names], dtype=np.float64)
    for way, errors in found.items():
        change = found["told that it is unknown"] - errors
        by_person = np.array([change[people == one].mean() for one in names])
        told = estimate(by_person, frames, [""] * len(names), weights)
        yield Row(cameras, way, float(errors.mean()), str(told))


def main() -> None:
    """Run everything and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--motion", default="procedural")
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--steps", type=int, default=1000)
    options.add_argument("--seed", type=int, action="append", help="Default: 0, 1 and 2.")
    given = options.parse_args()
    scenes = make_scenes(load(given.motion), 0)
    found: dict[str, dict[str, list[NDArray[np.float64]]]] = {name: {} for name in scenes.tests}
    for seed in given.seed or range(3):
        trained: dict[EncodingName, TrainedLifter] = {}
        for way in ways():
            if way.encoding not in trained:
                trained[way.encoding] = train(scenes, way.encoding, given.steps, seed, given.out)
            for cameras, poses in scenes.tests.items():
                errors = errors_mm(trained[way.encoding], poses, way)
                found[cameras].setdefault(way.name, []).append(errors)
                print(seed, cameras, way.name, f"{errors.mean():.1f} mm", flush=True)
    rows = [
        row
        for cameras, of in found.items()
        for row in rows_of(
            cameras, scenes.tests[cameras], {way: np.mean(all_, 0) for way, all_ in of.items()}
        )
    ]
    (given.out / "results.json").write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    print("\n| cameras | way | MPJPE, mm | unknown less this, mm |\n|---|---|---:|---:|")
    for row in rows:
        print(f"| {row.cameras} | {row.way} | {row.mpjpe_mm:.1f} | {row.unknown_less_this_mm} |")


if __name__ == "__main__":
    main()
