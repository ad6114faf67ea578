"""Figures of several runs of the same method, and paired differences between two methods, over people.

Runs differ in their split and their seed. Errors are averaged over seeds; a person who is tested in several
splits counts as one person, with all cameras and splits. Intervals draw people
(:mod:`poseshift.training.evaluation.intervals`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseshift.flows.benchmark.lines import RunLine
from poseshift.training.evaluation.intervals import Estimate, draw_weights, estimate
from poseshift.training.evaluation.results import EvaluationResult, SeedEstimate, SequenceErrors

BOOTSTRAP_SEED = 0

ResultOf = Callable[[RunLine], EvaluationResult]
"""Which of a run's results is meant."""


@dataclass(frozen=True)
class Row:
    """The errors of one sequence, mean over seeds.

    Attributes
    ----------
    person : str
        Who is seen.
    frames : int
        How many frames were measured.
    value : float
        Their mean.
    """

    person: str
    frames: int
    value: float


def pooled(lines: Sequence[RunLine], result_of: ResultOf, metric: str) -> SeedEstimate:
    """Mean over people and runs, with its interval over people and the spread between runs.

    Parameters
    ----------
    lines : Sequence[RunLine]
        Runs of one method.
    result_of : ResultOf
        Which result of each.
    metric : str
        Column of the sequence table, such as ``mpjpe_mm``.

    Raises
    ------
    ValueError
        There is no run.
    """
    if not lines:
        raise ValueError("there are no runs to pool")
    over_people = _estimate(tuple(_rows(lines, result_of, metric)))
    each = tuple(_mean(tuple(_rows([line], result_of, metric))) for line in lines)
    return SeedEstimate(
        value=over_people.value,
        low=over_people.low,
        high=over_people.high,
        std=float(np.std(each, ddof=1)) if len(each) > 1 else None,
        per_seed=each,
    )


def paired(ours: Sequence[RunLine], control: Sequence[RunLine], result_of: ResultOf) -> Estimate | None:
    """MPJPE that a method saves against its control, on the same people, with its interval over people.

    Parameters
    ----------
    ours, control : Sequence[RunLine]
        Runs of two methods; those of splits and seeds that only one of them has are left out.
    result_of : ResultOf
        Which result of each.

    Returns
    -------
    Estimate or None
        Millimetres, positive where the method is better; None when no split and seed has both.
    """
    mine, theirs = ({(line.job.split, line.job.seed): line for line in lines} for lines in (ours, control))
    shared = sorted(mine.keys() & theirs.keys())
    if not shared:
        return None
    return _difference(
        tuple(_rows([theirs[key] for key in shared], result_of, "mpjpe_mm")),
        tuple(_rows([mine[key] for key in shared], result_of, "mpjpe_mm")),
    )


def saved_within(lines: Sequence[RunLine], before: ResultOf, after: ResultOf) -> Estimate:
    """MPJPE that one way of answering saves against another, of the same networks on the same frames.

    Parameters
    ----------
    lines : Sequence[RunLine]
        Runs of one method, at least one.
    before, after : callable
        The two results of each.
    """
    return _difference(*(tuple(_rows(lines, way, "mpjpe_mm")) for way in (before, after)))


def _difference(before: Sequence[Row], after: Sequence[Row]) -> Estimate:
    if [(row.person, row.frames) for row in before] != [(row.person, row.frames) for row in after]:
        raise ValueError("the two methods were measured on different frames and cannot be compared")
    return _estimate(
        tuple(
            Row(one.person, one.frames, one.value - other.value)
            for one, other in zip(before, after, strict=True)
        )
    )


def _rows(lines: Sequence[RunLine], result_of: ResultOf, metric: str) -> Iterator[Row]:
    """Average the seeds of each split, sequence by sequence."""
    splits: dict[int, list[RunLine]] = defaultdict(list)
    for line in lines:
        splits[line.job.split].append(line)
    for _, same in sorted(splits.items()):
        tables = [result_of(line).per_sequence for line in same]
        for rows in zip(*tables, strict=True):
            yield _row(same[0], rows, metric)


def _row(line: RunLine, seeds: Sequence[SequenceErrors], metric: str) -> Row:
    first = seeds[0]
    return Row(
        person=line.people.get(first.subject, first.subject),
        frames=first.frames,
        value=float(np.mean([getattr(row, metric) for row in seeds])),
    )


def _estimate(rows: Sequence[Row]) -> Estimate:
    return _resampled(rows, draw_weights([row.person for row in rows], BOOTSTRAP_SEED))


def _mean(rows: Sequence[Row]) -> float:
    return _resampled(rows, np.empty((0, len(rows)))).value


def _resampled(rows: Sequence[Row], weights: NDArray[np.float64]) -> Estimate:
    return estimate(
        np.array([row.value for row in rows]),
        np.array([row.frames for row in rows], dtype=np.float64),
        ["all"] * len(rows),
        weights,
    )
