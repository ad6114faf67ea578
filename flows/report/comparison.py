"""What the page of several runs shows: their figures side by side, paired where frames are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from poseshift.flows.experiment.label_free import LabelFreeSummary
from poseshift.flows.experiment.results import Summary
from poseshift.flows.experiment.side_by_side import (
    ComparedRow,
    ReadRun,
    SameFrames,
    SameKeypoints,
    keypoints_used,
    same_frames,
    same_keypoints,
)
from poseshift.flows.report import charts
from poseshift.flows.report.label_free import LabelFreeLine, criteria_cells, criterion_called
from poseshift.flows.report.placements import Chart
from poseshift.flows.report.view import (
    CMU_NOTICE,
    SHADES,
    Cell,
    Fact,
    figure_cells,
    interval_told,
    is_cmu,
)


@dataclass(frozen=True)
class ComparedLine:
    """One method of one run in a table."""

    shade: str
    run: str
    label: str
    note: str
    parts: tuple[str, ...]
    cells: tuple[Cell, ...]
    saved: Cell | None


@dataclass(frozen=True)
class FramesTable:
    """Methods on the same test frames."""

    title: str
    test_set: str
    first: str
    rows: tuple[ComparedLine, ...]
    chart: Chart


@dataclass(frozen=True)
class CriteriaTable:
    """Lifters without truth on the same keypoints."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[LabelFreeLine, ...]


@dataclass(frozen=True)
class RunFacts:
    """Where a run's figures come from."""

    run: str
    notes: tuple[str, ...]
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class ComparisonView:
    """Everything on the page.

    Attributes
    ----------
    title, lead : str
        Heading and first sentence.
    apart : str or None
        The notice that some of the runs did not measure the same; None where all did.
    tables : tuple[FramesTable, ...]
        Runs with a test.
    criteria : tuple[CriteriaTable, ...]
        Runs without.
    runs : tuple[RunFacts, ...]
        Notices and provenance of each.
    notices : tuple[str, ...]
        Attributions that must be shown.
    """

    title: str
    lead: str
    apart: str | None
    tables: tuple[FramesTable, ...]
    criteria: tuple[CriteriaTable, ...]
    runs: tuple[RunFacts, ...]
    notices: tuple[str, ...]


def comparison_view(runs: Sequence[ReadRun]) -> ComparisonView:
    """Turn several runs into what their page shows."""
    tested, judged = same_frames(runs), same_keypoints(runs)
    motions = [
        motion for run in runs if run.summary.origins is not None for motion in run.summary.origins.motions
    ]
    shown = {run.label: keypoints_used(run.recipe).get("test", "") for run in runs}
    return ComparisonView(
        title=", ".join(run.label for run in runs),
        lead=f"{len(runs)} runs side by side.",
        apart=_apart(len(runs), tested, judged),
        tables=tuple(_frames_table(group, shown) for group in tested),
        criteria=tuple(_criteria_table(group) for group in judged),
        runs=tuple(RunFacts(run.label, _notes(run.summary), _facts(run)) for run in runs),
        notices=(CMU_NOTICE,) if is_cmu(motions) else (),
    )


def _apart(runs: int, tested: Sequence[SameFrames], judged: Sequence[SameKeypoints]) -> str | None:
    members = [{row.run for row in group.rows} for group in tested]
    members += [{row.run for row in one.rows} for one in judged]
    if all(len(found) == runs for found in members):
        return None
    return (
        "Not all of these runs were measured on the same frames under the same protocol. Each table below "
        "holds what was; figures of different tables differ in their data as well, and are not subtracted."
    )


def _frames_table(group: SameFrames, shown: Mapping[str, str]) -> FramesTable:
    """Make the table of a group; ``shown`` are the keypoints that each run's lifters were tested on."""
    kinds = list(dict.fromkeys(shown[one.run] for one in group.rows))
    keypoints = kinds[0] if len(kinds) == 1 else f"not the same: {'; '.join(kinds)}"
    return FramesTable(
        title=group.protocol,
        test_set=(
            f"{group.frames:,} frames of {group.sequences} sequences, snapshot {group.snapshot}; "
            f"keypoints {keypoints}"
        ),
        first=f"{group.rows[0].row.label}, {group.rows[0].run}",
        rows=tuple(_line(one, shown[one.run] if len(kinds) > 1 else "") for one in group.rows),
        chart=Chart(
            svg=charts.intervals(
                [_interval(one) for one in group.rows],
                axis="MPJPE, mm",
                title=f"MPJPE with intervals, {group.protocol}, snapshot {group.snapshot}",
            ),
            caption=f"MPJPE under {group.protocol}: mean over seeds and 95 % interval over test people.",
        ),
    )


def _line(one: ComparedRow, keypoints: str) -> ComparedLine:
    saved = one.saved_mm
    return ComparedLine(
        shade=SHADES[one.row.role],
        run=f"{one.run}, keypoints {keypoints}" if keypoints else one.run,
        label=one.row.label,
        note=one.row.description,
        parts=tuple(one.row.parts.model_dump().values()),
        cells=figure_cells(one.row.figures),
        saved=None if saved is None else Cell(f"{saved.value:.1f}", interval_told(saved, 1.0, ".1f")),
    )


def _interval(one: ComparedRow) -> charts.IntervalRow:
    error = one.row.figures.mpjpe_mm
    label = f"{one.row.label}\n{one.run}"
    return charts.IntervalRow(SHADES[one.row.role], label, error.value, error.low, error.high)


def _criteria_table(group: SameKeypoints) -> CriteriaTable:
    return CriteriaTable(
        title=f"Keypoints of {group.target}, snapshot {group.snapshot}",
        columns=tuple(criterion_called(name) for name in group.rows[0].row.kept_criteria.values),
        rows=tuple(
            LabelFreeLine(
                shade=SHADES[one.row.role],
                label=f"{one.row.label}, seed {one.row.seed}, {one.run}",
                note=one.row.description,
                parts=tuple(one.row.parts.model_dump().values()),
                rank=f"{one.rank:.1f}",
                cells=criteria_cells(one.row.kept_criteria),
            )
            for one in group.rows
        ),
    )


def _notes(summary: Summary | LabelFreeSummary) -> tuple[str, ...]:
    if isinstance(summary, LabelFreeSummary):
        return summary.notes
    told = (
        summary.restaging,
        summary.transduction,
        summary.tested_elsewhere,
        summary.gaps,
        summary.calibration,
    )
    return tuple(note for note in told if note is not None)


def _facts(run: ReadRun) -> tuple[Fact, ...]:
    summary = run.summary
    facts = [
        Fact("Folder", str(run.folder.path)),
        Fact("Method of the run", summary.method),
        Fact("Seeds", ", ".join(str(seed) for seed in summary.seeds)),
        Fact("Checkpoint", summary.selection),
        *(Fact(f"Keypoints of the {part}", told) for part, told in keypoints_used(run.recipe).items()),
        *(Fact(f"Snapshot of {name}", snapshot) for name, snapshot in summary.snapshots.items()),
        Fact("Recipe digest", summary.recipe_digest),
    ]
    if summary.git_commit:
        facts.append(Fact("Commit of the program", summary.git_commit))
    return tuple(facts)
