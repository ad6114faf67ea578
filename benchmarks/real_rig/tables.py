"""The tables of docs/domains.md, made of recorded runs: means over seeds, and differences of equal seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from benchmarks.real_rig.runs import Figure, RaysKind, RigLine, Scored, SmoothingKind

COMPARED = (
    ("both_mixed_random", "diverse_both_mixed"),
    ("diverse_random_viewpoint", "diverse_viewpoint"),
    ("diverse_random_viewpoint", "diverse_found_viewpoint"),
    ("diverse_random_viewpoint", "found_from_keypoints"),
    ("diverse_random_viewpoint", "diverse_known_viewpoint"),
    ("diverse_both_mixed", "diverse_both_mixed_detected"),
    ("both_mixed_random", "diverse_both_mixed_detected"),
    ("detected_random", "diverse_both_mixed_detected"),
)
"""Control, and what is compared with it: they differ in the viewpoint or in the detector's errors alone, and
`both_mixed_random` from `diverse_both_mixed_detected` in both."""


def result(line: RigLine, rays: RaysKind, smoothing: SmoothingKind) -> Scored:
    """Find one way of answering."""
    return next(one for one in line.results if (one.rays, one.smoothing) == (rays, smoothing))


def figures(lines: Sequence[RigLine], name: str, of: Callable[[RigLine], float]) -> dict[int, float]:
    """Take a figure of every seed of a method, by seed."""
    return {line.job.seed: of(line) for line in lines if line.job.name == name}


def _spread(values: Sequence[float]) -> str:
    mean = f"{np.mean(values):.1f}"
    return mean if len(values) < 2 else f"{mean} ± {np.std(values, ddof=1):.1f}"


def sign_chance(differences: Sequence[float]) -> float:
    """Two-sided chance of so few differences of the rarer sign, were both signs as likely.

    Examples
    --------
    >>> sign_chance([-1.0, -2.0, -3.0, -1.0, -2.0])
    0.0625
    """
    signs = [one for one in differences if one != 0]
    rarer = min(sum(one < 0 for one in signs), sum(one > 0 for one in signs))
    tail = sum(math.comb(len(signs), k) for k in range(rarer + 1)) / 2 ** len(signs)
    return min(1.0, 2 * tail)


def methods_table(lines: Sequence[RigLine]) -> str:
    """Means and standard deviations over seeds: on the rays, off them, and smoothed."""
    names = list(dict.fromkeys(line.job.name for line in lines))
    shown = [
        "| method | seeds | as the method answers | off its rays | smoothed |",
        "|---|---:|---:|---:|---:|",
    ]
    for name in names:
        seeds = len([line for line in lines if line.job.name == name])
        cells = [
            " / ".join(
                _spread([*_by_seed(lines, name, figure, rays, smoothing).values()]) for figure in _SHOWN
            )
            for rays, smoothing in _WAYS
        ]
        shown.append(f"| `{name}` | {seeds} | {' | '.join(cells)} |")
    return "\n".join(shown)


def differences_table(lines: Sequence[RigLine]) -> str:
    """Differences of runs of equal seeds from their control; below zero is better than the control."""
    shown = [
        "| control | method | seeds | MPJPE | better in | chance | PA-MPJPE | better in |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for control, name in COMPARED:
        columns = []
        seeds = 0
        for figure in _SHOWN:
            before = _by_seed(lines, control, figure, "own", "none")
            after = _by_seed(lines, name, figure, "own", "none")
            apart = [after[seed] - before[seed] for seed in sorted(set(before) & set(after))]
            seeds = len(apart)
            columns.append(apart)
        if not seeds:
            continue
        mpjpe, pa = columns
        better = [f"{sum(one < 0 for one in some)} of {seeds}" for some in columns]
        shown.append(
            f"| `{control}` | `{name}` | {seeds} | {_signed(mpjpe)} | {better[0]} | {sign_chance(mpjpe):.3g} "
            f"| {_signed(pa)} | {better[1]} |"
        )
    return "\n".join(shown)


_SHOWN: tuple[Figure, ...] = ("mpjpe_mm", "pa_mpjpe_mm")
_WAYS: tuple[tuple[RaysKind, SmoothingKind], ...] = (("own", "none"), ("off", "none"), ("own", "savgol"))


def _by_seed(
    lines: Sequence[RigLine], name: str, figure: Figure, rays: RaysKind, smoothing: SmoothingKind
) -> dict[int, float]:
    return figures(lines, name, lambda line: result(line, rays, smoothing).mean(figure))


def _signed(values: Sequence[float]) -> str:
    text = _spread(values)
    return text if np.mean(values) < 0 else f"+{text}"


def document_tables(lines: Sequence[RigLine]) -> str:
    """All that docs/domains.md shows of the lines."""
    return "\n\n".join((detector_line(lines), methods_table(lines), differences_table(lines)))


def detector_line(lines: Sequence[RigLine]) -> str:
    """Say what the detector's own 3D errs on the same frames."""
    one = result(lines[0], "own", "none")
    own = {figure: one.mean(figure) for figure in _DETECTORS}
    frames = next(score.frames for score in one.scores if score.camera == "all")
    return (
        f"The detector's own 3D on the same {frames} frames: {' / '.join(f'{v:.1f}' for v in own.values())}."
    )


_DETECTORS: tuple[Figure, ...] = ("detector_mpjpe_mm", "detector_pa_mpjpe_mm")
