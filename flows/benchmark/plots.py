"""Plots of a benchmark as SVG files that stand alone: errors with intervals, and how well checkpoints rank.

The same lines give the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from poseshift.adaptation.selection import combined_rank
from poseshift.flows.benchmark.tables import DomainTable

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "poseshift benchmark",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#d8d8d8",
    "grid.linewidth": 0.6,
}
_COLOURS = ("#1f5fa8", "#c4572e", "#2e8b57", "#7a4fa3", "#b08a1e", "#4d4d4d")


def write_plots(tables: tuple[DomainTable, ...], folder: Path) -> tuple[Path, ...]:
    """Write two plots per table; numbered where a domain has several tables.

    Returns
    -------
    paths : of the files, in the order of the tables.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    names: list[str] = []
    for table in tables:
        if not any(cell.lines for cell in table.cells):
            continue
        name = f"{table.job.domain}-{table.job.form}"
        names.append(name)
        again = names.count(name)
        suffix = "" if again == 1 else f"-{again}"
        with matplotlib.rc_context(_STYLE):
            for kind, figure in (("errors", errors(table)), ("selection", selection(table))):
                path = folder / f"{name}{suffix}-{kind}.svg"
                figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
                paths.append(path)
    return tuple(paths)


def errors(table: DomainTable) -> Figure:
    """Draw the MPJPE of the last checkpoint: a row per method, a colour per lifter, runs as small dots."""
    lifters = list(dict.fromkeys(table.name_of(cell.job) for cell in table.cells))
    methods = list(dict.fromkeys(cell.job.method for cell in table.cells))
    figure = Figure(figsize=(6.4, 1.2 + 0.16 * len(methods) * (1 + len(lifters))), layout="constrained")
    axes = figure.subplots()
    for cell in table.cells:
        error = cell.figure("last")
        if error is None:
            continue
        lifter = lifters.index(table.name_of(cell.job))
        height = -methods.index(cell.job.method) - (lifter - (len(lifters) - 1) / 2) * 0.8 / len(lifters)
        colour = _COLOURS[lifter % len(_COLOURS)]
        if error.low is not None and error.high is not None:
            axes.plot([error.low, error.high], [height, height], color=colour, linewidth=3, alpha=0.35)
        axes.plot(error.per_seed, [height] * len(error.per_seed), ".", color=colour, markersize=3)
        axes.plot(error.value, height, "o", color=colour, markersize=5)
    axes.set_yticks([-row for row in range(len(methods))], methods)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"MPJPE (mm), {table.job.target.protocol.name}, last checkpoint")
    _legend(axes, lifters)
    return figure


def selection(table: DomainTable) -> Figure:
    """Draw the true error of every epoch over its label-free rank, relative to the run's best epoch."""
    lifters = list(dict.fromkeys(table.name_of(cell.job) for cell in table.cells))
    figure = Figure(figsize=(4.8, 3.0), layout="constrained")
    axes = figure.subplots()
    for cell in table.cells:
        colour = _COLOURS[lifters.index(table.name_of(cell.job)) % len(_COLOURS)]
        for line in cell.lines:
            ranks = combined_rank([epoch.criteria for epoch in line.epochs])
            true = np.array([epoch.mpjpe_mm for epoch in line.epochs])
            axes.plot(ranks, true - true.min(), ".", color=colour, markersize=3, alpha=0.5)
    axes.set_xlabel("label-free rank of the epoch (1 is best)")
    axes.set_ylabel("MPJPE above the best epoch (mm)")
    _legend(axes, lifters)
    return figure


def _legend(axes: Axes, lifters: list[str]) -> None:
    for number, lifter in enumerate(lifters):
        axes.plot([], [], "o", color=_COLOURS[number % len(_COLOURS)], markersize=5, label=lifter)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
