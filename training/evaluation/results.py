"""What an evaluation finds: figures with intervals, the tables behind them, and the pool of several seeds.

Everything is plain numbers in frozen pydantic models, so a result survives JSON unchanged and a report needs
nothing else. Figures are computed from the table of sequences and from nothing beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from poseshift.storage.model import FrozenModel
from poseshift.training.evaluation.intervals import Estimate, Float64, draw_weights, estimate
from poseshift.training.evaluation.protocols import Averaging

BuiltIn = Literal["mpjpe_mm", "pa_mpjpe_mm", "n_mpjpe_mm", "mpjve_mm", "pck150", "auc"]


class Errors(FrozenModel):
    """Means over some frames: position errors in millimetres, PCK and AUC in percent."""

    frames: int
    mpjpe_mm: float
    pa_mpjpe_mm: float
    n_mpjpe_mm: float
    pck150: float
    auc: float


class SequenceErrors(Errors):
    """One trial before one camera; velocity errors exist where a frame follows another."""

    subject: str
    trial: str
    camera: str
    action: str
    velocity_frames: int
    mpjve_mm: float | None
    further: dict[str, float | None] = Field(default_factory=dict)
    """Metrics that were added to the built-in ones, by name; None where no frame has one."""

    @property
    def name(self) -> tuple[str, str, str]:
        """Subject, trial and camera."""
        return self.subject, self.trial, self.camera


class ActionErrors(Errors):
    """All frames of one action (Human3.6M) or activity (MPI-INF-3DHP test)."""

    action: str


class JointErrors(FrozenModel):
    """Mean error of one joint; ``pck150`` is None for joints that the protocol leaves out of PCK."""

    joint: str
    mpjpe_mm: float
    pck150: float | None


class EvaluationResult(FrozenModel):
    """One lifter on one protocol.

    Attributes
    ----------
    protocol : str
        Its name.
    snapshot : str
        The store snapshot that was measured.
    averaging : Averaging
        How the figures are averaged, from the protocol.
    headline_metric : BuiltIn
        The figure that the protocol is known by.
    frames, sequences : int
        How many were measured.
    bootstrap_seed : int
        Of the intervals.
    mpjpe_mm, pa_mpjpe_mm, n_mpjpe_mm, mpjve_mm, pck150, auc : Estimate or None
        With 95 % intervals over people, averaged as ``averaging`` says; mpjve_mm is None when no two
        successive frames were measured.
    over_frames : Estimate
        The headline metric, every frame alike.
    over_actions : Estimate or None
        The headline metric, every action alike; None where a sequence mixes activities.
    per_joint, per_action, per_sequence : tuple of rows
        The tables, averaged over frames.
    sampling_hz : float or None
        Frames per second of the measured rows, between which mpjve_mm is the error of motion; None where no
        view has two.
    interpolated : int
        Measured frames in which a keypoint was not detected, so that the lifter answered to one interpolated
        in time.
    """

    protocol: str
    snapshot: str
    averaging: Averaging
    headline_metric: BuiltIn
    frames: int
    sequences: int
    bootstrap_seed: int
    mpjpe_mm: Estimate
    pa_mpjpe_mm: Estimate
    n_mpjpe_mm: Estimate
    mpjve_mm: Estimate | None
    pck150: Estimate
    auc: Estimate
    over_frames: Estimate
    over_actions: Estimate | None
    per_joint: tuple[JointErrors, ...]
    per_action: tuple[ActionErrors, ...]
    per_sequence: tuple[SequenceErrors, ...]
    sampling_hz: float | None = None
    interpolated: int = 0
    further: dict[str, Estimate] = Field(default_factory=dict)
    """Metrics that were added to the built-in ones, by name."""

    @property
    def headline(self) -> Estimate:
        """The figure that the protocol is known by."""
        figure: Estimate = getattr(self, self.headline_metric)
        return figure


def gaps_told(interpolated: int, frames: int) -> str | None:
    """Say in a sentence how many of the measured frames lack keypoints; None where none do."""
    if not interpolated:
        return None
    return f"{interpolated:,} of {frames:,} test frames lack keypoints, which are interpolated in time."


class SeedEstimate(Estimate):
    """A figure over several seeds.

    Attributes
    ----------
    value : float
        Mean over the seeds.
    low, high : float or None
        95 % interval over people of the seed-averaged errors; None with fewer than five people.
    std : float or None
        Standard deviation between seeds (n - 1); None with one seed.
    per_seed : tuple[float, ...]
        Each seed's figure, in the order given.
    """

    std: float | None
    per_seed: tuple[float, ...]

    def __str__(self) -> str:
        spread = "" if self.std is None else f" ± {self.std:.1f}"
        interval = "" if self.low is None or self.high is None else f" [{self.low:.1f}, {self.high:.1f}]"
        return f"{self.value:.1f}{spread}{interval}"


class PooledResult(FrozenModel):
    """Several seeds of one experiment on one protocol; attributes as in :class:`EvaluationResult`."""

    protocol: str
    snapshot: str
    averaging: Averaging
    headline_metric: BuiltIn
    seeds: int
    frames: int
    sequences: int
    mpjpe_mm: SeedEstimate
    pa_mpjpe_mm: SeedEstimate
    n_mpjpe_mm: SeedEstimate
    mpjve_mm: SeedEstimate | None
    pck150: SeedEstimate
    auc: SeedEstimate
    further: dict[str, SeedEstimate] = Field(default_factory=dict)
    """Metrics that were added to the built-in ones, by name."""

    @property
    def headline(self) -> SeedEstimate:
        """The figure that the protocol is known by."""
        figure: SeedEstimate = getattr(self, self.headline_metric)
        return figure


def pool_seeds(results: Sequence[EvaluationResult], bootstrap_seed: int) -> PooledResult:
    """Pool the results of several training seeds.

    The errors of each sequence are averaged over the seeds, and people are resampled: the interval says how
    far the figure depends on the test people; ``std`` says how far it depends on the seed.

    Raises
    ------
    ValueError
        When there is no result, or they measure different protocols, snapshots or sequences.
    """
    if not results:
        raise ValueError("there are no results to pool")
    first = results[0]
    for other in results[1:]:
        _require_comparable(first, other)
    weights = draw_weights([row.subject for row in first.per_sequence], bootstrap_seed)
    tables = [result.per_sequence for result in results]

    def pooled(metric: str) -> SeedEstimate:
        over_sequences = figure(tables, metric, first.averaging, weights)
        figures = tuple(_of_result(result, metric) for result in results)
        return SeedEstimate(
            value=over_sequences.value,
            low=over_sequences.low,
            high=over_sequences.high,
            std=float(np.std(figures, ddof=1)) if len(figures) > 1 else None,
            per_seed=figures,
        )

    return PooledResult(
        protocol=first.protocol,
        snapshot=first.snapshot,
        averaging=first.averaging,
        headline_metric=first.headline_metric,
        seeds=len(results),
        frames=first.frames,
        sequences=first.sequences,
        mpjpe_mm=pooled("mpjpe_mm"),
        pa_mpjpe_mm=pooled("pa_mpjpe_mm"),
        n_mpjpe_mm=pooled("n_mpjpe_mm"),
        mpjve_mm=None if first.mpjve_mm is None else pooled("mpjve_mm"),
        pck150=pooled("pck150"),
        auc=pooled("auc"),
        further={name: pooled(name) for name in first.further},
    )


def figure(
    tables: Sequence[Sequence[SequenceErrors]], metric: str, averaging: Averaging, weights: Float64
) -> Estimate:
    """One figure from tables of the same sequences, one table per seed, averaged over the seeds first.

    Parameters
    ----------
    tables : Sequence[Sequence[SequenceErrors]]
        Per seed, one row per sequence, in the same order.
    metric : str
        The column.
    averaging : Averaging
        Over frames or over actions.
    weights : array of float64 of shape (resamples, sequences)
        Of :func:`~poseshift.training.evaluation.intervals.draw_weights`.
    """
    rows = tables[0]
    values = np.mean([[_known(_of_row(row, metric)) for row in table] for table in tables], axis=0)
    frames = [row.velocity_frames if metric == "mpjve_mm" else row.frames for row in rows]
    if metric in rows[0].further:  # a sequence whose frames have none does not count
        frames = [0 if np.isnan(value) else count for value, count in zip(values, frames, strict=True)]
    groups = [row.action if averaging == "actions" else "all" for row in rows]
    return estimate(values, np.asarray(frames, dtype=np.float64), groups, weights)


def _of_row(row: SequenceErrors, metric: str) -> float | None:
    if metric in row.further:
        return row.further[metric]
    value: float | None = getattr(row, metric)
    return value


def _of_result(result: EvaluationResult, metric: str) -> float:
    estimate: Estimate = result.further[metric] if metric in result.further else getattr(result, metric)
    return float(estimate.value)


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


def _require_comparable(first: EvaluationResult, other: EvaluationResult) -> None:
    for field in ("protocol", "snapshot"):
        if getattr(first, field) != getattr(other, field):
            raise ValueError(
                f"results of different {field}s cannot be pooled: {getattr(first, field)!r} and "
                f"{getattr(other, field)!r}"
            )
    ours = [(row.name, row.frames) for row in first.per_sequence]
    theirs = [(row.name, row.frames) for row in other.per_sequence]
    if ours != theirs:
        raise ValueError(
            f"results over different sequences cannot be pooled ({len(ours)} and {len(theirs)} sequences); "
            "evaluate all seeds on the same selection"
        )
