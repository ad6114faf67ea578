"""The tables of docs/domains.md, made of recorded runs: means over seeds, and differences of equal seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from benchmarks.real_rig.runs import Figure, RigLine, Scored, Way

COMPARED = (
    ("both_mixed_random", "diverse_both_mixed"),
    ("diverse_random_viewpoint", "diverse_viewpoint"),
    ("diverse_random_viewpoint", "diverse_found_viewpoint"),
    ("diverse_random_viewpoint", "found_from_keypoints"),
    ("diverse_random_viewpoint", "diverse_known_viewpoint"),
    ("found_without_tilt", "diverse_found_viewpoint"),
    ("diverse_found_viewpoint", "diverse_known_viewpoint"),
    ("diverse_both_mixed", "diverse_both_mixed_detected"),
    ("both_mixed_random", "diverse_both_mixed_detected"),
    ("detected_random", "diverse_both_mixed_detected"),
    ("detected_random", "diverse_both_mixed_detected_found"),
    ("detected_random", "detected_found_from_keypoints"),
    ("diverse_both_mixed_detected_found", "diverse_both_mixed_detected_found_views"),
)
"""Control, and what is compared with it: they differ in the viewpoint or in the detector's errors alone, and
`both_mixed_random` from `diverse_both_mixed_detected` in both."""


def result(line: RigLine, way: Way) -> Scored | None:
    """Find one way of answering; None of a line that does not have it."""
    return next((one for one in line.results if (one.rays, one.smoothing, one.size) == way), None)


def figures(
    lines: Sequence[RigLine], name: str, way: Way, figure: Figure, *, together: bool = False
) -> dict[int, float]:
    """Take a figure of every seed of a method that has it: the mean over cameras, or of all together."""
    found: dict[int, float] = {}
    for line in lines:
        one = result(line, way) if line.job.name == name else None
        value = None if one is None else one.together(figure) if together else one.mean(figure)
        if value is not None:
            found[line.job.seed] = value
    return found


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
    """Means and standard deviations over seeds, in several ways of answering."""
    names = list(dict.fromkeys(line.job.name for line in lines))
    shown = [
        f"| method | seeds | {' | '.join(_COLUMNS)} |",
        f"|---|---:|{'---:|' * len(_COLUMNS)}",
    ]
    for name in names:
        seeds = len([line for line in lines if line.job.name == name])
        cells = []
        for way, together in _COLUMNS.values():
            values = [figures(lines, name, way, figure, together=together) for figure in _SHOWN]
            whole = all(len(some) == seeds for some in values)
            cells.append(" / ".join(_spread([*some.values()]) for some in values) if whole else "–")
        shown.append(f"| `{name}` | {seeds} | {' | '.join(cells)} |")
    return "\n".join(shown)


def differences_table(lines: Sequence[RigLine], way: Way) -> str:
    """Differences of runs of equal seeds from their control; below zero is better than the control."""
    shown = [
        "| control | method | seeds | MPJPE | better in | chance | PA-MPJPE | better in |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for control, name in COMPARED:
        columns = []
        seeds = 0
        for figure in _SHOWN:
            before, after = (figures(lines, one, way, figure) for one in (control, name))
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
_ANSWERED: Way = ("own", "none", "source")
_SIZED: Way = ("own", "none", "cameras")
_COLUMNS: Mapping[str, tuple[Way, bool]] = {
    "as the method answers": (_ANSWERED, False),
    "off its rays": (("off", "none", "source"), False),
    "smoothed": (("own", "savgol", "source"), False),
    "one body": (("body", "none", "source"), False),
    "size by cameras": (_SIZED, False),
    "size by cameras, cameras together": (_SIZED, True),
    "one body, size by cameras": (("body", "none", "cameras"), False),
}


def _signed(values: Sequence[float]) -> str:
    text = _spread(values)
    return text if np.mean(values) < 0 else f"+{text}"


def document_tables(lines: Sequence[RigLine]) -> str:
    """All that docs/domains.md shows of the lines."""
    return "\n\n".join(
        (
            detector_line(lines),
            methods_table(lines),
            "As the methods answer:",
            differences_table(lines, _ANSWERED),
            "In the size that the cameras see:",
            differences_table(lines, _SIZED),
        )
    )


def detector_line(lines: Sequence[RigLine]) -> str:
    """Say what the detector's own 3D errs on the same frames, and with all cameras together."""
    answers = [one for line in lines if (one := result(line, _ANSWERED)) is not None]
    one = answers[0]
    single = " / ".join(f"{one.mean(figure):.1f}" for figure in _DETECTORS)
    frames = next(score.frames for score in one.scores if score.camera == "all")
    said = f"The detector's own 3D on the same {frames} frames: {single}."
    fused = [some for one in answers if None not in (some := [one.together(figure) for figure in _DETECTORS])]
    if not fused:
        return said
    return f"{said} Its cameras together: {' / '.join(f'{value:.1f}' for value in fused[0])}."


_DETECTORS: tuple[Figure, ...] = ("detector_mpjpe_mm", "detector_pa_mpjpe_mm")
