"""What the report's page shows, as plain values: the template only places them.

:func:`build_view` turns an experiment's summary and evidence into a :class:`ReportView`: numbers become text
with their unit, charts become SVG, and everything that a reader must know about the data becomes a notice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from poseshift.adaptation.method import Role
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.experiment.results import Figures, ProtocolFigures, Row, Summary
from poseshift.flows.experiment.verticals import vertical_text
from poseshift.flows.report import charts
from poseshift.flows.report.gather import Evidence, Placement
from poseshift.flows.report.placements import Chart, PlacementRow, placement_charts, placement_rows
from poseshift.geometry.skeleton import skeleton
from poseshift.training.evaluation.intervals import Estimate
from poseshift.training.evaluation.protocols import protocol

SHADES: Mapping[Role, str] = {
    "baseline": "source_only",
    "adapted": "adapted",
    "reference": "target_supervised",
}
"""Class of the style sheet for each role."""
CMU_NOTICE = (
    "The motion was obtained from mocap.cs.cmu.edu. "
    "That database was created with funding from NSF EIA-0196217."
)


@dataclass(frozen=True)
class Cell:
    """A figure with its interval, as text."""

    value: str
    interval: str


@dataclass(frozen=True)
class TableRow:
    """One method in a table, with what it is made of."""

    shade: str
    label: str
    note: str
    parts: tuple[str, ...]
    cells: tuple[Cell, ...]
    gain: Cell | None
    gap: Cell | None


@dataclass(frozen=True)
class ResultTable:
    """The figures under one protocol."""

    protocol: str
    test_set: str
    rows: tuple[TableRow, ...]


@dataclass(frozen=True)
class Fact:
    """A line of the provenance."""

    name: str
    value: str


@dataclass(frozen=True)
class ReportView:
    """Everything on the page.

    Attributes
    ----------
    title, lead : str
        Heading and first sentence.
    restaged : str or None
        The notice about restaged data; None for real recordings.
    transductive : str or None
        The notice about lifters that have seen the frames of their test; None where none have.
    tested_elsewhere : str or None
        The notice that test data are not of the target; None where they are, or nothing adapts.
    gaps : str or None
        The notice about test frames that lack keypoints; None where none do.
    calibration : str or None
        The notice about test cameras that are made of the answers, or contradict them; None where none do.
    headline : ResultTable
        The first protocol's table.
    without_gap : bool
        Whether an adapted method has a gain and no share of the gap.
    aligned_by : str
        Label of the recipe's own method, whose alignment and motions are drawn.
    intervals : Chart
        Chart of the headline's MPJPE.
    details : tuple[ResultTable, ...]
        Tables of the other protocols.
    placement_charts, placement_rows : tuple[Chart, ...] or tuple[PlacementRow, ...]
        Root and scale before and after; empty without adaptation.
    poses : tuple[tuple[Chart, ...], ...]
        Predicted and true skeletons, one tuple per test frame.
    curves : Chart
        Training loss.
    facts, versions : tuple[Fact, ...]
        Provenance.
    notices : tuple[str, ...]
        Attributions that must be shown.
    """

    title: str
    lead: str
    restaged: str | None
    transductive: str | None
    tested_elsewhere: str | None
    gaps: str | None
    calibration: str | None
    headline: ResultTable
    without_gap: bool
    aligned_by: str
    intervals: Chart
    details: tuple[ResultTable, ...]
    placement_charts: tuple[Chart, ...]
    placement_rows: tuple[PlacementRow, ...]
    poses: tuple[tuple[Chart, ...], ...]
    curves: Chart
    facts: tuple[Fact, ...]
    versions: tuple[Fact, ...]
    notices: tuple[str, ...]


def build_view(recipe: Recipe, summary: Summary, evidence: Evidence) -> ReportView:
    """Turn an experiment into what its page shows."""
    return ReportView(
        title=recipe.name,
        lead=_lead(recipe, summary),
        restaged=summary.restaging,
        transductive=summary.transduction,
        tested_elsewhere=summary.tested_elsewhere,
        gaps=summary.gaps,
        calibration=summary.calibration,
        headline=_table(summary),
        without_gap=any(row.gain_mm is not None and row.gap_closed is None for row in summary.rows),
        aligned_by=summary.headline.label,
        intervals=_interval_chart(summary),
        details=tuple(_table(figures) for figures in summary.details),
        placement_charts=placement_charts(evidence.placement),
        placement_rows=placement_rows(evidence.placement),
        poses=_pose_charts(recipe, evidence),
        curves=_curve_chart(recipe, evidence),
        facts=_facts(recipe, summary, evidence),
        versions=tuple(Fact(name, value) for name, value in sorted(summary.versions.items())),
        notices=(CMU_NOTICE,) if is_cmu(() if summary.origins is None else summary.origins.motions) else (),
    )


def _lead(recipe: Recipe, summary: Summary) -> str:
    best, baseline = summary.headline, next((row for row in summary.rows if row.role == "baseline"), None)
    if baseline is None or best.gain_mm is None:
        error = best.figures.mpjpe_mm.value
        return f"{error:.1f} mm MPJPE on {summary.frames:,} test frames ({summary.protocol})."
    before, after = baseline.figures.mpjpe_mm.value, best.figures.mpjpe_mm.value
    change = "lowers" if after < before else "raises"
    text = (
        f"{best.label} {change} the error on the test set from {before:.1f} to "
        f"{after:.1f} mm MPJPE against {baseline.label.lower()}, without a single 3D label of the target"
    )
    if best.gap_closed is not None and 0 < best.gap_closed.value < 1:
        text += f": {_share(best.gap_closed).value} of the gap to training on the target's labels"
    gain = best.gain_mm
    if gain.low is not None and gain.high is not None and gain.low <= 0 <= gain.high:
        return text + ". The test people do not exclude that this is chance."
    if baseline.parts.encoding != best.parts.encoding:
        text += (
            f". The two differ in their encoding as well ({baseline.parts.encoding} and "
            f"{best.parts.encoding})"
        )
    return text + "."


def _table(figures: ProtocolFigures) -> ResultTable:
    return ResultTable(
        protocol=figures.protocol,
        test_set=f"{figures.frames:,} frames of {figures.sequences} sequences",
        rows=tuple(
            TableRow(
                shade=SHADES[row.role],
                label=row.label,
                note=row.description,
                parts=tuple(row.parts.model_dump().values()),
                cells=figure_cells(row.figures),
                gain=_gain(row),
                gap=None if row.gap_closed is None else _share(row.gap_closed),
            )
            for row in figures.rows
        ),
    )


def _gain(row: Row) -> Cell | None:
    if row.gain_mm is None:
        return None
    return Cell(f"{row.gain_mm.value:.1f}", interval_told(row.gain_mm, 1.0, ".1f"))


def figure_cells(figures: Figures) -> tuple[Cell, ...]:
    """Write MPJPE, PA-MPJPE, PCK and AUC as text."""
    return tuple(
        Cell(f"{estimate.value:.1f}", interval_told(estimate, 1.0, ".1f"))
        for estimate in (figures.mpjpe_mm, figures.pa_mpjpe_mm, figures.pck150, figures.auc)
    )


def _share(share: Estimate) -> Cell:
    return Cell(f"{100 * share.value:.0f} %", interval_told(share, 100.0, ".0f"))


def interval_told(estimate: Estimate, factor: float, form: str) -> str:
    """Write an interval as text, in the unit that the factor gives."""
    if estimate.low is None or estimate.high is None:
        return "no interval"
    return f"{factor * estimate.low:{form}} to {factor * estimate.high:{form}}"


def _interval_chart(summary: Summary) -> Chart:
    rows = [
        charts.IntervalRow(SHADES[row.role], row.label, error.value, error.low, error.high)
        for row in summary.rows
        for error in (row.figures.mpjpe_mm,)
    ]
    return Chart(
        svg=charts.intervals(rows, axis="MPJPE, mm", title=f"MPJPE with intervals, {summary.protocol}"),
        caption=f"MPJPE under {summary.protocol}: mean over seeds and {summary.interval}. Smaller is better.",
    )


def _pose_charts(recipe: Recipe, evidence: Evidence) -> tuple[tuple[Chart, ...], ...]:
    joints = skeleton(evidence.skeleton)
    entries = {entry.name: entry for entry in recipe.entries}
    return tuple(
        tuple(
            Chart(
                svg=charts.skeletons(
                    pose.truth,
                    predicted,
                    SHADES[entries[method].role],
                    joints,
                    title=f"{pose.label}, {entries[method].label}: true and predicted skeleton",
                ),
                caption=f"{entries[method].label}: {pose.errors_mm[method]:.0f} mm ({pose.label})",
            )
            for method, predicted in pose.predicted.items()
        )
        for pose in evidence.poses
    )


def _curve_chart(recipe: Recipe, evidence: Evidence) -> Chart:
    millimetres = recipe.schedule.loss == "mpjpe"
    unit = "training loss, mm" if millimetres else f"training loss ({recipe.schedule.loss})"
    curves: dict[str, list[charts.FloatArray]] = {}
    for method, seeds in evidence.curves.items():
        curves.setdefault(SHADES[recipe.entry(method).role], []).extend(
            np.array([point.loss for point in curve]) * (1000 if millimetres else 1) for curve in seeds
        )
    return Chart(
        svg=charts.learning_curves(curves, axis=unit, title="Training loss by epoch"),
        caption="Training loss by epoch, one line per lifter. Each is measured on its own training data, "
        "so the lines say whether training settled, not which lifter is better on the target.",
    )


def _facts(recipe: Recipe, summary: Summary, evidence: Evidence) -> tuple[Fact, ...]:
    facts = [
        Fact("Protocol", summary.protocol),
        Fact("Lifter", recipe.lifter.name),
        *(Fact(f"Method {entry.name}", f"{entry.parts}") for entry in recipe.entries),
        Fact(
            "Schedule",
            f"{recipe.schedule.epochs} epochs, batch {recipe.schedule.batch_size}, the same for all",
        ),
        Fact("Seeds", ", ".join(str(seed) for seed in summary.seeds)),
        Fact("Checkpoint", f"{summary.selection}: no label of the target was looked at to choose it"),
        *(Fact(f"Snapshot of {name}", snapshot) for name, snapshot in summary.snapshots.items()),
        *(
            Fact(f"Labelled poses, {recipe.entry(method).label}", f"{poses:,}")
            for method, poses in evidence.trained_on.items()
        ),
        *(
            Fact(f"3D learned, {recipe.entry(method).label}", " and ".join(kinds))
            for method, kinds in evidence.learned.items()
            if kinds
        ),
        *gravity_facts(evidence.placement),
        Fact("3D measured", protocol(summary.protocol).positions),
        Fact("Recipe digest", summary.recipe_digest),
    ]
    if summary.git_commit:
        facts.append(Fact("Commit of the program", summary.git_commit))
    return tuple(facts)


def gravity_facts(placement: Placement | None) -> tuple[Fact, ...]:
    """Say where up is before the target's cameras, by what it is known and how sure that is."""
    if placement is None or placement.gravity is None:
        return ()
    return tuple(Fact(f"Camera {one.camera}", vertical_text(one)) for one in placement.gravity.cameras)


def is_cmu(motions: Sequence[str]) -> bool:
    """Whether any of the data, trained on or tested, is CMU's motion."""
    return any(name in motion.lower() for motion in motions for name in ("cmu", "asf/amc"))
