"""What the report's page shows, as plain values: the template only places them.

:func:`build_view` turns an experiment's summary and evidence into a :class:`ReportView`: numbers become text
with their unit, charts become SVG, and everything that a reader must know about the data becomes a notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from poseshift.flows.experiment.recipe import Method, Recipe
from poseshift.flows.experiment.results import Figures, ProtocolFigures, Summary
from poseshift.flows.report import charts
from poseshift.flows.report.evidence import Evidence, Placement
from poseshift.geometry.skeleton import skeleton
from poseshift.training.evaluation.intervals import Estimate

METHOD_LABELS: Mapping[Method, str] = {
    "source_only": "Source only",
    "gpa": "Adapted (GPA)",
    "poseda": "Adapted (PoseDA)",
    "target_supervised": "Target-supervised",
}
METHOD_NOTES: Mapping[Method, str] = {
    "source_only": "labelled source, nothing of the target",
    "gpa": "labelled source, plus the target's 2D keypoints and intrinsics",
    "poseda": "the same, plus augmented poses from an adversarial generator",
    "target_supervised": "the target's own 3D labels: the reference",
}
ROLES: Mapping[Method, str] = {
    "source_only": "source_only",
    "gpa": "adapted",
    "poseda": "adapted",
    "target_supervised": "target_supervised",
}
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
class Row:
    """One kind of lifter in a table."""

    role: str
    label: str
    note: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ResultTable:
    """The figures under one protocol."""

    protocol: str
    test_set: str
    gain: Cell | None
    gap: Cell | None
    rows: tuple[Row, ...]


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
    title, lead : heading and first sentence.
    restaged : the notice about restaged data; None for real recordings.
    headline : the first protocol's table.
    intervals : chart of the headline's MPJPE.
    details : tables of the other protocols.
    placement_charts, placement_rows : root and scale before and after; empty without adaptation.
    poses : predicted and true skeletons, one tuple per test frame.
    curves : training loss.
    facts, versions : provenance.
    notices : attributions that must be shown.
    """

    title: str
    lead: str
    restaged: str | None
    headline: ResultTable
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
        restaged=summary.restaged_from,
        headline=_table(summary),
        intervals=_interval_chart(summary),
        details=tuple(_table(figures) for figures in summary.details),
        placement_charts=_placement_charts(evidence.placement),
        placement_rows=_placement_rows(evidence.placement),
        poses=_pose_charts(evidence),
        curves=_curve_chart(recipe, evidence),
        facts=_facts(recipe, summary, evidence),
        versions=tuple(Fact(name, value) for name, value in sorted(summary.versions.items())),
        notices=(CMU_NOTICE,) if _is_cmu(summary.restaged_from) else (),
    )


def _lead(recipe: Recipe, summary: Summary) -> str:
    if summary.source_only is None or summary.adapted is None:
        best = next(figures for method in recipe.methods if (figures := summary.of(method)) is not None)
        return f"{best.mpjpe_mm.value:.1f} mm MPJPE on {summary.frames:,} test frames ({summary.protocol})."
    before, after = summary.source_only.mpjpe_mm.value, summary.adapted.mpjpe_mm.value
    method = "Global position alignment" if summary.poseda is None else "PoseDA"
    change = "lowers" if after < before else "raises"
    text = (
        f"{method} {change} the error on the target domain from {before:.1f} to "
        f"{after:.1f} mm MPJPE, without a single 3D label of the target"
    )
    if summary.gap_closed is not None and 0 < summary.gap_closed.value < 1:
        text += f": {_share(summary.gap_closed).value} of the gap to training on the target's labels"
    gain = summary.gain_mm
    if gain is not None and gain.low is not None and gain.high is not None and gain.low <= 0 <= gain.high:
        return text + ". The test sequences do not exclude that this is chance."
    return text + "."


def _table(figures: ProtocolFigures) -> ResultTable:
    present = [(method, found) for method in METHOD_LABELS if (found := figures.of(method)) is not None]
    return ResultTable(
        protocol=figures.protocol,
        test_set=f"{figures.frames:,} frames of {figures.sequences} sequences",
        gain=None
        if figures.gain_mm is None
        else Cell(f"{figures.gain_mm.value:.1f}", _range(figures.gain_mm, 1.0, ".1f")),
        gap=None if figures.gap_closed is None else _share(figures.gap_closed),
        rows=tuple(
            Row(ROLES[method], METHOD_LABELS[method], METHOD_NOTES[method], _cells(found))
            for method, found in present
        ),
    )


def _cells(figures: Figures) -> tuple[Cell, ...]:
    return tuple(
        Cell(f"{estimate.value:.1f}", _range(estimate, 1.0, ".1f"))
        for estimate in (figures.mpjpe_mm, figures.pa_mpjpe_mm, figures.pck150, figures.auc)
    )


def _share(share: Estimate) -> Cell:
    return Cell(f"{100 * share.value:.0f} %", _range(share, 100.0, ".0f"))


def _range(estimate: Estimate, factor: float, form: str) -> str:
    if estimate.low is None or estimate.high is None:
        return "no interval"
    return f"{factor * estimate.low:{form}} to {factor * estimate.high:{form}}"


def _interval_chart(summary: Summary) -> Chart:
    rows = [
        charts.IntervalRow(
            ROLES[method], label, found.mpjpe_mm.value, found.mpjpe_mm.low, found.mpjpe_mm.high
        )
        for method, label in METHOD_LABELS.items()
        if (found := summary.of(method)) is not None
    ]
    return Chart(
        svg=charts.intervals(rows, axis="MPJPE, mm", title=f"MPJPE with intervals, {summary.protocol}"),
        caption=f"MPJPE under {summary.protocol}: mean over seeds and {summary.interval}. Smaller is better.",
    )


_QUANTITIES = (
    ("root_x", "root x", "projected root, horizontal"),
    ("root_y", "root y", "projected root, vertical"),
    ("scale", "scale s", "2D size of the person"),
)


def _placement_charts(placement: Placement | None) -> tuple[Chart, ...]:
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


def _placement_rows(placement: Placement | None) -> tuple[PlacementRow, ...]:
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


def _pose_charts(evidence: Evidence) -> tuple[tuple[Chart, ...], ...]:
    joints = skeleton(evidence.skeleton)
    return tuple(
        tuple(
            Chart(
                svg=charts.skeletons(
                    pose.truth,
                    predicted,
                    ROLES[method],
                    joints,
                    title=f"{pose.label}, {METHOD_LABELS[method]}: true and predicted skeleton",
                ),
                caption=f"{METHOD_LABELS[method]}: {pose.errors_mm[method]:.0f} mm ({pose.label})",
            )
            for method, predicted in pose.predicted.items()
        )
        for pose in evidence.poses
    )


def _curve_chart(recipe: Recipe, evidence: Evidence) -> Chart:
    millimetres = recipe.schedule.loss == "mpjpe"
    unit = "training loss, mm" if millimetres else f"training loss ({recipe.schedule.loss})"
    curves = {
        ROLES[method]: [
            np.array([point.loss for point in curve]) * (1000 if millimetres else 1) for curve in seeds
        ]
        for method, seeds in evidence.curves.items()
    }
    return Chart(
        svg=charts.learning_curves(curves, axis=unit, title="Training loss by epoch"),
        caption="Training loss by epoch, one line per lifter. Each is measured on its own training data, "
        "so the lines say whether training settled, not which lifter is better on the target.",
    )


def _facts(recipe: Recipe, summary: Summary, evidence: Evidence) -> tuple[Fact, ...]:
    facts = [
        Fact("Protocol", summary.protocol),
        Fact("Lifter", f"{recipe.lifter.name}, encoding {recipe.encoding}"),
        Fact(
            "Schedule",
            f"{recipe.schedule.epochs} epochs, batch {recipe.schedule.batch_size}, the same for all",
        ),
        Fact("Seeds", ", ".join(str(seed) for seed in summary.seeds)),
        Fact("Checkpoint", f"{summary.selection}: no label of the target was looked at to choose it"),
        *(Fact(f"Snapshot of {name}", snapshot) for name, snapshot in summary.snapshots.items()),
        *(
            Fact(f"Labelled poses, {METHOD_LABELS[method]}", f"{poses:,}")
            for method, poses in evidence.trained_on.items()
        ),
        Fact("Recipe digest", summary.recipe_digest),
    ]
    if summary.git_commit:
        facts.append(Fact("Commit of the program", summary.git_commit))
    return tuple(facts)


def _is_cmu(restaged_from: str | None) -> bool:
    label = (restaged_from or "").lower()
    return "cmu" in label or "asf/amc" in label
