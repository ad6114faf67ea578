"""What commands about lifters print when they have finished."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from poseshift.flows.commands.console import print_json, say, show
from poseshift.flows.experiment.evaluate import EvaluationRecord
from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.label_free import LabelFreeSummary
from poseshift.flows.experiment.results import Figures, Summary
from poseshift.flows.experiment.train import CHECKPOINT, TrainingRecord
from poseshift.storage.inspection import intrinsics_told
from poseshift.training.evaluation.intervals import Estimate
from poseshift.training.evaluation.results import EvaluationResult, gaps_told


def print_training(record: TrainingRecord, out: Path, *, as_json: bool) -> None:
    """Print what was trained and where it lies, or the record as JSON."""
    if as_json:
        print_json(record)
        return
    say(
        f"Trained on {record.poses:,} poses in {record.seconds:.0f} s on {record.device}; "
        f"last loss {record.curve[-1].loss:.4f}"
    )
    say(f"Lifter in {out / CHECKPOINT}")
    for whose, count in (("labelled", record.left_out), ("target", record.target_left_out)):
        if count:
            say(f"{count:,} {whose} poses lack keypoints and were left out", "yellow")


def print_evaluation(record: EvaluationRecord) -> None:
    """Print a table of protocols, and what it leaves out or rests on."""
    how = "" if record.test_time is None else f"; {record.test_time}"
    table = Table(title=f"Mean with 95 % interval over test people (none with fewer than five){how}")
    table.add_column("protocol", no_wrap=True)
    for column in ("frames", "MPJPE mm", "PA-MPJPE mm", "PCK@150 %", "AUC %"):
        table.add_column(column, justify="right")
    for result in record.results:
        table.add_row(result.protocol, f"{result.frames:,}", *(_figures(result)))
    show(table)
    for one in record.coverage:
        say(f"{one.protocol}: share of joints within the balls that should hold so many: {one}")
    for result in record.results:
        gaps = gaps_told(result.interpolated, result.frames)
        if gaps is not None:
            say(f"{result.protocol}: {gaps}", "yellow")
    if record.restaged_from:
        say(f"Restaged motion, not the original recordings: {record.restaged_from}", "yellow")
    told = intrinsics_told(record.intrinsics)
    if told is not None:
        say(told, "yellow")


def _figures(result: EvaluationResult | Figures) -> tuple[str, ...]:
    """Write the four figures of a row, each with its interval on the next line: that fits 80 columns."""
    estimates = (result.mpjpe_mm, result.pa_mpjpe_mm, result.pck150, result.auc)
    return tuple(str(estimate).replace(" [", "\n[") for estimate in estimates)


def print_summary(summary: Summary | LabelFreeSummary, folder: RunFolder, *, as_json: bool) -> None:
    """Print a run's figures, or the criteria without labels where there is no truth; or all as JSON."""
    if as_json:
        print_json(summary)
        return
    if isinstance(summary, LabelFreeSummary):
        _print_label_free(summary)
        say(f"Report: {folder.report}")
        say(f"Figures: {folder.summary}")
        return
    table = Table(title=f"{summary.name}: {summary.protocol}, {summary.frames:,} test frames")
    table.add_column("method", no_wrap=True)
    for column in ("MPJPE mm", "PA-MPJPE mm", "PCK@150 %", "AUC %"):
        table.add_column(column, justify="right")
    for row in summary.rows:
        table.add_row(row.label, *_figures(row.figures))
    show(table)
    for row in summary.rows:
        say(f"{row.label}: {row.parts}")
    for row in summary.rows:
        if row.gain_mm is not None:
            share = "" if row.gap_closed is None else f"; share of the gap closed: {_share(row.gap_closed)}"
            say(f"Gained by {row.label}: {row.gain_mm} mm MPJPE{share}")
    for note in (
        summary.restaging,
        summary.transduction,
        summary.tested_elsewhere,
        summary.gaps,
        summary.calibration,
    ):
        if note is not None:
            say(note, "yellow")
    say(f"Report: {folder.report}")
    say(f"Figures: {folder.summary}")


def _print_label_free(summary: LabelFreeSummary) -> None:
    table = Table(title=f"{summary.name}: no truth; criteria on keypoints of {summary.target}")
    table.add_column("lifter")
    for column in ("rank", *summary.rows[0].kept_criteria.values):
        table.add_column(column.replace("_", " "), justify="right", min_width=6)
    for row in summary.rows:
        values = (f"{value:.3g}" for value in row.kept_criteria.values.values())
        table.add_row(f"{row.label}, seed {row.seed}", f"{row.rank:.1f}", *values)
    show(table)
    for note in summary.notes:
        say(note, "yellow")


def _share(share: Estimate) -> str:
    bounds = "" if share.low is None or share.high is None else f" [{share.low:.0%}, {share.high:.0%}]"
    return f"{share.value:.0%}{bounds}"
