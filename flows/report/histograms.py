"""Histograms of two domains as SVG files that stand alone: a row per step, a column per quantity."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from poseshift.adaptation.domain_gap import Compared

COLUMNS = 5
"""Quantities beside each other; a step with more of them goes on in the next row."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "poseshift domain gap",
    "font.size": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
}
_SOURCE, _TARGET = "#c4572e", "#1f5fa8"


@dataclass(frozen=True)
class Panel:
    """One step of an adaptation, and what is compared after it."""

    step: str
    quantities: tuple[Compared, ...]


def draw(panels: tuple[Panel, ...], path: Path) -> None:
    """Draw source and target of every quantity; the same figures give the same bytes."""
    columns = min(COLUMNS, max(len(panel.quantities) for panel in panels))
    rows = [
        (panel.step if first == 0 else "", panel.quantities[first : first + columns])
        for panel in panels
        for first in range(0, len(panel.quantities), columns)
    ]
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(2.3 * columns, 1.5 * len(rows) + 0.4), layout="constrained")
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for cells, (step, quantities) in zip(grid, rows, strict=True):
            for place, axes in enumerate(cells):
                if place >= len(quantities):
                    axes.set_axis_off()
                    continue
                _histograms(axes, quantities[place])
            cells[0].set_title(step, loc="left", fontsize=9, fontweight="bold")
        grid[0][0].legend(frameon=False, fontsize=7, handlelength=1.0)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _histograms(axes: Axes, compared: Compared) -> None:
    edges = np.asarray(compared.edges)
    for name, domain, colour in (
        ("source", compared.source, _SOURCE),
        ("target", compared.target, _TARGET),
    ):
        counts = np.asarray(domain.counts) / max(1, sum(domain.counts))
        axes.stairs(counts, edges, color=colour, label=name, linewidth=1.2)
        axes.axvline(domain.mean, color=colour, linewidth=0.7, linestyle=":")
    axes.set_yticks([])
    axes.set_xlabel(f"{compared.quantity} ({compared.unit})")
