"""A lifter in the size of its source and of the cameras, and its error estimates beside its errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from benchmarks.own_cameras.domain import Stores
from benchmarks.own_cameras.runs import SequenceScore, score
from benchmarks.own_cameras.tables import FIGURES, averaged, mean, values_of
from numpy.typing import NDArray
from scipy.stats import spearmanr

from poseshift.adaptation.detector_fit import keypoint_spreads
from poseshift.flows.experiment.predict import PredictionOptions, PredictionRecord, predict_store
from poseshift.storage.reading import Selection, read_keypoints
from poseshift.storage.store import PoseStore
from poseshift.training.checkpoint import load_lifter
from poseshift.training.prediction.body_height import SizeFrom
from poseshift.training.prediction.fusion import FUSED
from poseshift.training.prediction.smoothing import NoSmoothing
from poseshift.training.prediction.views import lift_views
from poseshift.training.shipped import lifter_folder

Float64 = NDArray[np.float64]

SIZES: tuple[SizeFrom, ...] = ("source", "cameras")
"""Whose size answers have: that of the people learned from, or that which calibrated cameras see."""

_FIFTHS = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True)
class Judged:
    """Joints but the root of people who are in the image, (n, joints): metres.

    Attributes
    ----------
    error : array of float64
        Distance from the truth, relative to the root.
    plain, told : array of float64
        Error estimates, without and with the spread of keypoints.
    confidence : array of float64
        The detector's; NaN of joints that were not seen.
    """

    error: Float64
    plain: Float64
    told: Float64
    confidence: Float64


def judge(stores: Stores, lifter: str) -> Judged:
    """Lift the domain by a lifter, a folder or the name of one that ships, and look at the truth."""
    trained = load_lifter(lifter_folder(Path(lifter)))
    selection = Selection(valid_only=False, keypoints="detected")
    poses = read_keypoints(PoseStore.open(stores.target), selection)
    if poses.confidence is None:
        raise ValueError(f"{stores.target} has no confidences")
    cameras = sorted({camera.name for camera in poses.cameras})
    views, told = lift_views(trained, poses), lift_views(trained, poses, spreads=keypoint_spreads(poses))
    parts = []
    for plain, with_keypoints, rows in zip(views, told, poses.view_rows, strict=True):
        key = plain.trial.key
        with np.load(stores.withheld / f"{key.trial}.npz") as held:
            world = held[key.subject][plain.frame]
            inside = held[f"{key.subject}_inside"][cameras.index(plain.camera.name)][plain.frame]
        truth = world @ np.array(plain.camera.rotation).T
        away = np.linalg.norm(plain.relative - (truth - truth[:, :1]), axis=-1)
        sure = np.where(plain.missing, np.nan, poses.confidence[rows])
        parts.append([one[inside, 1:] for one in (away, plain.error_m, with_keypoints.error_m, sure)])
    return Judged(*(np.concatenate(some) for some in zip(*parts, strict=True)))


def sizes_table(stores: Stores, lifter: str) -> str:
    """Errors in the size that the lifter answers and in that which the cameras see, mean over frames."""
    shown = [
        "| size | one camera: MPJPE / PA | four cameras: MPJPE / PA | factors |",
        "|---|---:|---:|---|",
    ]
    for size in SIZES:
        record, scores = _lifted(stores, lifter, size)
        cells = []
        for fused in (False, True):
            some = [one for one in scores if (one.camera == FUSED) == fused]
            frames = [one.frames for one in some]
            mpjpe, pa = (
                np.average([getattr(one, figure) for one in some], weights=frames)
                for figure in ("mpjpe_mm", "pa_mpjpe_mm")
            )
            cells.append(f"{mpjpe:.1f} / {pa:.1f}")
        factors = sorted({round(one.scale_factor, 3) for one in record.motions})
        shown.append(f"| {size} | {' | '.join(cells)} | {', '.join(map(str, factors))} |")
    return "\n".join(shown)


def paired_table(stores: Stores, lifters: Sequence[str], controls: Sequence[str]) -> str:
    """Errors of lifters beside those of their controls, seed by seed, and the difference over people.

    Parameters
    ----------
    stores : Stores
        The domain.
    lifters, controls : sequence of str
        Folders of one lifter a seed; errors of a sequence are averaged over them.
    """
    shown = [
        "| size of | cameras | figure | control, mm | lifter, mm | lifter costs, mm | over control |",
        "|---|---|---|---:|---:|---:|---:|",
    ]
    for size in SIZES:
        both = [[_lifted(stores, one, size)[1] for one in some] for some in (lifters, controls)]
        for fused, figure in product((False, True), FIGURES):
            ours, theirs = (averaged(seeds, fused=fused) for seeds in both)
            costs = mean(ours, values_of(ours, figure) - values_of(theirs, figure))
            before, after = (mean(some, values_of(some, figure)) for some in (theirs, ours))
            cells = (f"{before.value:.1f}", f"{after.value:.1f}", str(costs))
            seen_by = "four" if fused else "one"
            over = f"{after.value / before.value - 1:+.1%}"
            shown.append(f"| {size} | {seen_by} | `{figure}` | {' | '.join(cells)} | {over} |")
    return "\n".join(shown)


def _lifted(stores: Stores, lifter: str, size: SizeFrom) -> tuple[PredictionRecord, list[SequenceScore]]:
    """Lift the domain as ``predict`` does, and score every sequence in which the person is in the image."""
    options = PredictionOptions(keypoints="detected", smoothing=NoSmoothing(), size_from=size)
    with TemporaryDirectory() as folder:
        lifted = Path(folder) / "lifted"
        record = predict_store(Path(lifter), stores.target, options, lifted, "cpu").record
        return record, [one for one in score(record, lifted, stores.withheld) if one.frames]


def estimates_table(judged: Judged) -> str:
    """Errors and estimates by fifths of confidence, of joints that were filled in, and of all."""
    seen = np.isfinite(judged.confidence)
    level = np.digitize(judged.confidence, np.quantile(judged.confidence[seen], _FIFTHS))
    shown = ["| joints | error, mm | estimate | with keypoints |", "|---|---:|---:|---:|"]
    rows = [(f"fifth {number + 1} of confidence", seen & (level == number)) for number in range(5)]
    for name, kept in (*rows, ("filled in", ~seen), ("all", np.ones_like(seen))):
        if kept.any():
            means = (1000 * one[kept].mean() for one in (judged.error, judged.plain, judged.told))
            shown.append(f"| {name} | {' | '.join(f'{mean:.0f}' for mean in means)} |")
    added = judged.told**2 - judged.plain**2
    slope = np.polyfit(added.ravel(), (judged.error**2).ravel(), 1)[0]
    ranks = [
        f"{_rank(judged.error.ravel(), one.ravel()):.2f} (within a joint {_within(judged.error, one):.2f})"
        for one in (judged.plain, judged.told)
    ]
    shown.append(f"\nRank correlation with the error: {ranks[0]}, with keypoints {ranks[1]}.")
    shown.append(f"Squared errors grow by {slope:.2f} of what is added to squared estimates.")
    return "\n".join(shown)


def _rank(error: Float64, estimate: Float64) -> float:
    return float(spearmanr(error, estimate).statistic)


def _within(error: Float64, estimate: Float64) -> float:
    return float(np.mean([_rank(*pair) for pair in zip(error.T, estimate.T, strict=True)]))
