"""Where people appear before and after the alignment, as charts and rows of a table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poseshift.flows.report import charts
from poseshift.flows.report.gather import Placement


@dataclass(frozen=True)
class Chart:
    """A drawing with its words."""

    svg: str
    caption: str


@dataclass(frozen=True)
class PlacementRow:
    """How far a placement's distribution lies from the target's, before and after adaptation."""

    quantity: str
    before: str
    after: str
    target: str
    distance_before: str
    distance_after: str


_QUANTITIES = (
    ("root_x", "root x", "projected root, horizontal"),
    ("root_y", "root y", "projected root, vertical"),
    ("scale", "scale s", "2D size of the person"),
)


def placement_charts(placement: Placement | None) -> tuple[Chart, ...]:
    """Draw root and scale before and after the alignment; nothing without one."""
    if placement is None:
        return ()
    found = []
    for name, symbol, words in _QUANTITIES:
        before, after, target = (
            getattr(one, name) for one in (placement.before, placement.after, placement.target)
        )
        together = np.concatenate([before, after, target])
        low, high = np.percentile(together, [0.5, 99.5])
        margin = 0.05 * (high - low) + 1e-6
        svg = charts.histogram(
            (
                charts.Series("target_supervised", "target", target),
                charts.Series("source_only", "source", before),
                charts.Series("adapted", "source after alignment", after),
            ),
            bounds=(low - margin, high + margin),
            axis=f"{symbol} ({words})",
            title=f"Distribution of {words} in source, aligned source and target",
        )
        found.append(Chart(svg, f"{symbol}: {words}"))
    return tuple(found)


def placement_rows(placement: Placement | None) -> tuple[PlacementRow, ...]:
    """Put the same into rows of a table; none without alignment."""
    if placement is None:
        return ()
    return tuple(
        PlacementRow(
            quantity=symbol,
            before=_moments(getattr(placement.before, name)),
            after=_moments(getattr(placement.after, name)),
            target=_moments(getattr(placement.target, name)),
            distance_before=f"{placement.distance_before[name]:.3f}",
            distance_after=f"{placement.distance_after[name]:.3f}",
        )
        for name, symbol, _ in _QUANTITIES
    )


def _moments(values: charts.FloatArray) -> str:
    return f"{values.mean():.2f} ± {values.std():.2f}"
