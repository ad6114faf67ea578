"""Train, test and tabulate; see the package."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import process_time

import numpy as np
import torch
from benchmarks.uncertainty.scenes import Scenes, make_scenes, noisy
from numpy.typing import NDArray

from poseshift.adaptation.config import NoAdaptation
from poseshift.adaptation.test_time import PUBLISHED, TestTimeOptimisation, predict_optimised
from poseshift.flows.experiment.fitting import Teaching, teach
from poseshift.preprocessing.motion.sources import load
from poseshift.storage.columns import CameraPoses
from poseshift.training.checkpoint import LearnedScale, TrainedLifter
from poseshift.training.encoding import EncodingName, encoding
from poseshift.training.evaluation.evaluate import frame_errors_mm
from poseshift.training.evaluation.protocols import protocol
from poseshift.training.evaluation.recalibration import learned_scale, scale_factor
from poseshift.training.evaluation.scaled import Coverage, Predicted, coverage, predict_scaled
from poseshift.training.lifters.registry import preset
from poseshift.training.schedule import Schedule

LIFTERS = ("simple-baseline-small+scale", "videopose3d-1f-small+scale", "gumlp-small")
BATCH = 128

MEASURED_BY = protocol("human36m-p1")
"""Whose joints and mean the errors have."""

WAYS: Mapping[str, TestTimeOptimisation] = {
    "uao, root lsq, 4 steps, held-out stop": TestTimeOptimisation(),
    "uao, root lsq, 4 steps": TestTimeOptimisation(stop="iterations"),
    "uao, root lsq, 20 steps, held-out stop": TestTimeOptimisation(iterations=20),
    "uao, ORACLE root given, 4 steps": PUBLISHED,
}
"""Every way is compared with the mean of the plain and the mirrored answer, which all of them begin with."""


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes
    ----------
    lifter, cameras, way : str
        What was measured.
    noise_px : float
        Of the keypoints, in pixels of an image 1000 px wide.
    mpjpe_mm : float
        Mean over frames.
    difference_mm : float or None
        From the mirrored mean of the same lifter on the same frames; below zero is better.
    people_better : str or None
        Of how many of the tested people the error fell.
    """

    lifter: str
    cameras: str
    noise_px: float
    way: str
    mpjpe_mm: float
    difference_mm: float | None = None
    people_better: str | None = None


def train(
    scenes: Scenes, name: str, seen_as: EncodingName, steps: int, seed: int, out: Path
) -> TrainedLifter:
    """Train a preset on the source with exact keypoints."""
    teaching = Teaching(
        adaptation=NoAdaptation(),
        lifter=preset(name),
        encoding=seen_as,
        schedule=Schedule(epochs=10, steps_per_epoch=steps // 10, batch_size=BATCH, loss="laplace-nll"),
        seed=seed,
    )
    folder = out / f"{name}-{seed}"
    taught = teach(teaching, scenes.source, None, folder, folder / "gravity.json", torch.device("cpu"))
    made = TrainedLifter(taught.lifter, encoding(seen_as), teaching.lifter, {}, taught.answer, LearnedScale())
    return replace(made, scale=learned_scale(made, scenes.source))


def measure(
    trained: TrainedLifter, name: str, cameras: str, noise_px: float, poses: CameraPoses
) -> Iterator[Row]:
    """Measure a lifter without and with every way of test-time optimisation."""
    people = np.array([poses.trials[trial].key.subject for trial in poses.trial])

    def row(
        way: str, predicted: Predicted, before: NDArray[np.float64] | None
    ) -> tuple[Row, NDArray[np.float64]]:
        errors = frame_errors_mm(predicted.positions, poses, MEASURED_BY)
        if before is None:
            return Row(name, cameras, noise_px, way, float(errors.mean())), errors
        change = errors - before
        of_person = [change[people == one].mean() for one in np.unique(people)]
        better = f"{sum(one < 0 for one in of_person)} of {len(of_person)}"
        return Row(name, cameras, noise_px, way, float(errors.mean()), float(change.mean()), better), errors

    yield row("plain", predict_scaled(trained, poses), None)[0]
    mirrored, errors = row("mirrored mean", predict_scaled(trained, poses, test_time="flip"), None)
    yield mirrored
    for way, settings in WAYS.items():
        yield row(way, predict_optimised(trained, poses, settings), errors)[0]


def covered(trained: TrainedLifter, poses: CameraPoses) -> Coverage:
    """Measure how often the truth lies within the scales, as told and recalibrated."""
    predicted = predict_scaled(trained, poses)
    return coverage(predicted, poses, MEASURED_BY, scale_factor(trained, predicted, poses))


def main() -> None:
    """Run everything and print the tables."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--motion", default="procedural")
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--steps", type=int, default=2500)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--encoding", default="screen")
    options.add_argument("--noise-px", type=float, default=4.0)
    options.add_argument("--lifter", action="append")
    given = options.parse_args()
    scenes = make_scenes(load(given.motion), given.seed)
    sizes = ", ".join(f"{name} {len(poses):,}" for name, poses in scenes.tests.items())
    print(
        f"learned from {len(scenes.source):,} poses; tested on {len(scenes.people)} people: {sizes}",
        flush=True,
    )
    rows: list[Row] = []
    coverages: list[dict[str, object]] = []
    for name in given.lifter or LIFTERS:
        started = process_time()
        trained = train(scenes, name, given.encoding, given.steps, given.seed, given.out)
        for cameras, exact in scenes.tests.items():
            for noise_px in (0.0, given.noise_px):
                poses = noisy(exact, noise_px, given.seed) if noise_px else exact
                rows.extend(measure(trained, name, cameras, noise_px, poses))
                found = covered(trained, poses)
                where = {"lifter": name, "cameras": cameras, "noise_px": noise_px}
                coverages.append({**where, **found.model_dump()})
                print(name, cameras, noise_px, found, flush=True)
        print(f"{name}: {process_time() - started:.0f} s of processor time", flush=True)
        results = {"rows": [asdict(one) for one in rows], "coverage": coverages}
        (given.out / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    _print_rows(rows)
    _print_coverages(coverages)


def _print_rows(rows: list[Row]) -> None:
    print("\n| lifter | cameras | noise, px | way | MPJPE, mm | difference, mm | people better |")
    print("|---|---|---:|---|---:|---:|---:|")
    for one in rows:
        change = "" if one.difference_mm is None else f"{one.difference_mm:+.2f}"
        where = f"{one.lifter} | {one.cameras} | {one.noise_px:g}"
        print(f"| {where} | {one.way} | {one.mpjpe_mm:.1f} | {change} | {one.people_better or ''} |")


def _print_coverages(found: list[dict[str, object]]) -> None:
    figures = "error, mm | scale, mm | rank corr. | 50 % | 90 % | factor | 50 % | 90 %"
    print(f"\n| lifter | cameras | noise, px | {figures} |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for one in found:
        of = Coverage.model_validate({name: one[name] for name in Coverage.model_fields})
        after = of.recalibrated
        print(
            f"| {one['lifter']} | {one['cameras']} | {one['noise_px']} | {of.mean_error_mm:.0f} | "
            f"{of.mean_scale_mm:.0f} | {of.rank_correlation:.2f} | {of.as_told.within_50:.0f} | "
            f"{of.as_told.within_90:.0f} | {of.factor or 1:.2f} | "
            + ("| |" if after is None else f"{after.within_50:.0f} | {after.within_90:.0f} |")
        )


if __name__ == "__main__":
    main()
