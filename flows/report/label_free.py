"""What the page of an experiment without a test shows: label-free criteria in place of errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from poseshift.adaptation.selection import Criteria
from poseshift.flows.experiment.label_free import LabelFreeRow, LabelFreeSummary
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.report import charts
from poseshift.flows.report.gather import Placement
from poseshift.flows.report.placements import Chart, PlacementRow, placement_charts, placement_rows
from poseshift.flows.report.view import CMU_NOTICE, SHADES, Fact, gravity_facts, is_cmu

_UNITS = {
    "reprojection": ("re-projection, %", 100.0),
    "symmetry": ("symmetry, %", 100.0),
    "bone_lengths": ("bones, %", 100.0),
    "flip_mm": ("mirrored, mm", 1.0),
    "turn_mm": ("turned, mm", 1.0),
}
"""How a criterion is called on the page, and the factor of its unit; others go by their name."""


@dataclass(frozen=True)
class LabelFreeLine:
    """A lifter, or an epoch of one, in a table."""

    shade: str
    label: str
    note: str
    parts: tuple[str, ...]
    rank: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class LabelFreeView:
    """Everything on the page.

    Attributes
    ----------
    title, lead : str
        Heading and first sentence.
    notes : tuple[str, ...]
        What a reader must know, that there is no truth first.
    columns : tuple[str, ...]
        Names of the criteria with their units.
    rows : tuple[LabelFreeLine, ...]
        The kept lifters.
    epochs : tuple[LabelFreeLine, ...]
        Every epoch of every lifter.
    charts : tuple[Chart, ...]
        Each criterion by epoch.
    aligned_by : str
        Label of the recipe's own method, whose alignment is drawn.
    placement_charts, placement_rows : tuple[Chart, ...] or tuple[PlacementRow, ...]
        Root and scale before and after; empty without adaptation.
    facts, versions : tuple[Fact, ...]
        Provenance.
    notices : tuple[str, ...]
        Attributions that must be shown.
    """

    title: str
    lead: str
    notes: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[LabelFreeLine, ...]
    epochs: tuple[LabelFreeLine, ...]
    charts: tuple[Chart, ...]
    aligned_by: str
    placement_charts: tuple[Chart, ...]
    placement_rows: tuple[PlacementRow, ...]
    facts: tuple[Fact, ...]
    versions: tuple[Fact, ...]
    notices: tuple[str, ...]


def label_free_view(recipe: Recipe, summary: LabelFreeSummary, placement: Placement | None) -> LabelFreeView:
    """Turn an experiment without a test into what its page shows."""
    names = tuple(summary.rows[0].kept_criteria.values)
    return LabelFreeView(
        title=recipe.name,
        lead=f"Lifters answered to keypoints of {summary.target}; no answer was compared with 3D.",
        notes=summary.notes,
        columns=tuple(criterion_called(name) for name in names),
        rows=tuple(
            _line(row, row.kept_criteria, f"{row.rank:.1f}", f"epoch {row.kept}") for row in summary.rows
        ),
        epochs=tuple(
            _line(row, one.criteria, "", f"epoch {one.epoch}{', kept' if one.epoch == row.kept else ''}")
            for row in summary.rows
            for one in row.epochs
        ),
        charts=tuple(_chart(summary, name) for name in names),
        aligned_by=recipe.entry(recipe.method.name).label,
        placement_charts=placement_charts(placement),
        placement_rows=placement_rows(placement),
        facts=(*_facts(recipe, summary), *gravity_facts(placement)),
        versions=tuple(Fact(name, value) for name, value in sorted(summary.versions.items())),
        notices=(CMU_NOTICE,) if is_cmu(summary.origins.motions) else (),
    )


def _line(row: LabelFreeRow, criteria: Criteria, rank: str, epoch: str) -> LabelFreeLine:
    return LabelFreeLine(
        shade=SHADES[row.role],
        label=f"{row.label}, seed {row.seed}, {epoch}",
        note=row.description,
        parts=tuple(row.parts.model_dump().values()),
        rank=rank,
        cells=criteria_cells(criteria),
    )


def criteria_cells(criteria: Criteria) -> tuple[str, ...]:
    """Write criteria as text, in the units of :func:`criterion_called`."""
    return tuple(f"{value * _factor(name):.3g}" for name, value in criteria.values.items())


def _chart(summary: LabelFreeSummary, name: str) -> Chart:
    curves: dict[str, list[charts.FloatArray]] = {}
    for row in summary.rows:
        values = np.array([one.criteria.values[name] for one in row.epochs]) * _factor(name)
        curves.setdefault(SHADES[row.role], []).append(values)
    return Chart(
        svg=charts.learning_curves(
            curves, axis=criterion_called(name), title=f"{criterion_called(name)} by epoch"
        ),
        caption=f"{criterion_called(name)}, by epoch; the smaller, the better. No error: see above.",
    )


def criterion_called(name: str) -> str:
    """Name a criterion with its unit."""
    return _UNITS[name][0] if name in _UNITS else name.replace("_", " ")


def _factor(name: str) -> float:
    return _UNITS[name][1] if name in _UNITS else 1.0


def _facts(recipe: Recipe, summary: LabelFreeSummary) -> tuple[Fact, ...]:
    facts = [
        Fact("Test", "none: there is no truth"),
        Fact("Target", "none" if recipe.target is None else recipe.target.dataset),
        Fact("Lifter", recipe.lifter.name),
        *(Fact(f"Method {entry.name}", f"{entry.parts}") for entry in recipe.entries),
        Fact(
            "Schedule",
            f"{recipe.schedule.epochs} epochs, batch {recipe.schedule.batch_size}, the same for all",
        ),
        Fact("Seeds", ", ".join(str(seed) for seed in summary.seeds)),
        Fact("Checkpoint", f"{summary.selection}: no label of the target was looked at to choose it"),
        *(Fact(f"Snapshot of {name}", snapshot) for name, snapshot in summary.snapshots.items()),
        Fact("Recipe digest", summary.recipe_digest),
    ]
    if summary.git_commit:
        facts.append(Fact("Commit of the program", summary.git_commit))
    return tuple(facts)
