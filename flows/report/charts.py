"""Charts of the report as SVG text that takes its colours from the page.

Matplotlib draws with placeholder colours, which are then replaced by CSS variables, so that one drawing
serves light and dark pages. Text stays text. The same numbers give the same bytes. Nothing is computed here
beyond histograms.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from poseshift.geometry.skeleton import Skeleton

FloatArray = NDArray[np.floating[Any]]

_INK, _FAINT = "#010203", "#040506"
_PALETTE = {
    "source_only": "#0a0b01",
    "adapted": "#0a0b02",
    "target_supervised": "#0a0b03",
    "truth": "#0a0b04",
}
_CSS = {
    _INK: "var(--ink-soft)",
    _FAINT: "var(--line)",
    _PALETTE["source_only"]: "var(--source)",
    _PALETTE["adapted"]: "var(--adapted)",
    _PALETTE["target_supervised"]: "var(--target)",
    _PALETTE["truth"]: "var(--truth)",
}

# Any: matplotlib types the keys of its settings as one Literal of some three hundred names.
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "text.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "grid.color": _FAINT,
    "grid.linewidth": 0.6,
}


@dataclass(frozen=True)
class Series:
    """Values to draw in the colour of a role (source_only, adapted, target_supervised, truth).

    Attributes
    ----------
    role : str
        Which of the page's colours.
    label : str
        What a screen reader is told.
    values : array
        (n,) numbers.
    """

    role: str
    label: str
    values: FloatArray


@dataclass(frozen=True)
class IntervalRow:
    """A figure to draw with its interval, in the colour of a role."""

    role: str
    label: str
    value: float
    low: float | None
    high: float | None


def histogram(series: Sequence[Series], *, bounds: tuple[float, float], axis: str, title: str) -> str:
    """Overlaid densities on one axis; the target filled, the others as lines.

    Parameters
    ----------
    series : Sequence[Series]
        Values per role.
    bounds : tuple[float, float]
        Range of the axis; values outside are not drawn.
    axis : str
        Label of the axis.
    title : str
        What the chart shows, for screen readers.
    """
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure(3.4, 2.3)
        edges = np.linspace(*bounds, 49)
        for one in series:
            density, _ = np.histogram(one.values, bins=edges)
            height = density / max(1, len(one.values)) / (edges[1] - edges[0])
            colour = _PALETTE[one.role]
            if one.role == "target_supervised":
                axes.stairs(height, edges, fill=True, color=colour, alpha=0.3, linewidth=0)
            axes.stairs(height, edges, color=colour, linewidth=1.6)
        axes.set_xlim(*bounds)
        axes.set_ylim(bottom=0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(axis)
        return _svg(figure, title)


def learning_curves(curves: Mapping[str, Sequence[FloatArray]], *, axis: str, title: str) -> str:
    """Training loss by epoch: one thin line per seed, in the colour of the role.

    Parameters
    ----------
    curves : Mapping[str, Sequence[FloatArray]]
        Role to one (epochs,) array per seed.
    axis : str
        Label of the vertical axis.
    title : str
        What the chart shows, for screen readers.
    """
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure(4.8, 2.4)
        for role, seeds in curves.items():
            for losses in seeds:
                epochs = np.arange(1, len(losses) + 1)
                axes.plot(epochs, losses, color=_PALETTE[role], linewidth=1.8, marker="o", markersize=2.6)
        axes.set_xlabel("epoch")
        axes.set_ylabel(axis)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return _svg(figure, title)


def intervals(rows: Sequence[IntervalRow], *, axis: str, title: str) -> str:
    """Point estimates with their intervals, one row each, from top to bottom.

    Parameters
    ----------
    rows : Sequence[IntervalRow]
        What to draw.
    axis : str
        Label of the axis.
    title : str
        What the chart shows, for screen readers.
    """
    with matplotlib.rc_context(_STYLE):
        figure, axes = _figure(4.8, 0.55 + 0.36 * len(rows))
        for number, row in enumerate(rows):
            colour = _PALETTE[row.role]
            if row.low is not None and row.high is not None:
                bounds = [row.low, row.high]
                axes.plot(
                    bounds, [-number, -number], color=colour, linewidth=5, alpha=0.35, solid_capstyle="round"
                )
            axes.plot([row.value], [-number], marker="o", color=colour, markersize=7)
        axes.set_yticks([-number for number in range(len(rows))], [row.label for row in rows])
        axes.set_ylim(-len(rows) + 0.4, 0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        axes.set_xlabel(axis)
        return _svg(figure, title)


def skeletons(truth: FloatArray, predicted: FloatArray, role: str, skeleton: Skeleton, *, title: str) -> str:
    """Draw true and predicted pose from two directions: as the camera sees them, and from its right.

    Parameters
    ----------
    truth, predicted : array
        (joints, 3) root-relative metres in camera axes (x right, y down, z forward).
    role : str
        Colour of the prediction.
    skeleton : Skeleton
        Joint set of both.
    title : str
        What the chart shows, for screen readers.
    """
    both = np.concatenate([truth, predicted])
    aside = 1.05 * max(0.55, float(np.abs(both[:, [0, 2]]).max()))
    lowest, highest = -float(both[:, 1].max()) - 0.05, -float(both[:, 1].min()) + 0.05
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(3.4, 1.95), layout="constrained")
        FigureCanvasAgg(figure)
        for axes, across, name in zip(
            figure.subplots(1, 2), (0, 2), ("camera's view", "from the side"), strict=True
        ):
            for points, colour, width in ((truth, _PALETTE["truth"], 3.4), (predicted, _PALETTE[role], 1.7)):
                ends = points[np.array(skeleton.bones)]  # (bones, 2, 3)
                # One line with gaps for all bones: drawing is most of the work of a report.
                apart = np.pad(ends, ((0, 0), (0, 1), (0, 0)), constant_values=np.nan).reshape(-1, 3)
                axes.plot(
                    apart[:, across], -apart[:, 1], color=colour, linewidth=width, solid_capstyle="round"
                )
            axes.set_xlim(-aside, aside)
            axes.set_ylim(lowest, highest)
            axes.set_aspect("equal")
            axes.set(xticks=(), yticks=())  # even of axes that are off, the layout measures them
            axes.axis("off")
            axes.set_title(name, fontsize=8, color=_INK)
        return _svg(figure, title)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _svg(figure: Figure, title: str) -> str:
    """Serialise a figure: no XML prologue, no fixed size, CSS colours, an accessible name."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": title}):
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Type": None, "Format": None},
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    # Identifiers such as "axes_1" repeat between the figures of a page; only those referred to are kept.
    referred = set(re.findall(r"(?:url\(#|href=\"#)([^\")]+)", text))
    text = re.sub(r' id="([^"]*)"', lambda match: match.group(0) if match.group(1) in referred else "", text)
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>',
        rf'<svg viewBox="\1" role="img" aria-label="{_escape(title)}">',
        text,
        count=1,
    )
    for placeholder, css in _CSS.items():
        text = text.replace(placeholder, css)
    return re.sub(r"font: ([0-9.]+)px [^;\"]*", r"font: \1px var(--font)", text)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
