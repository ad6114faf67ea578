"""Several runs beside each other: their summaries, and what is paired where they measured the same frames.

A difference between two lifters is only paired where both answered the same test frames of the same snapshot
under the same protocol; figures of other runs stand beside them and are not subtracted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from poseshift.adaptation.selection import combined_rank
from poseshift.flows.experiment.compare import gain_mm
from poseshift.flows.experiment.evaluate import EvaluationRecord
from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.label_free import LabelFreeRow, LabelFreeSummary
from poseshift.flows.experiment.recipe import PoseData, Recipe, StoredData, load_recipe
from poseshift.flows.experiment.results import BOOTSTRAP_SEED, Row, Summary
from poseshift.flows.experiment.runs import read_summary
from poseshift.flows.experiment.stage import DONE
from poseshift.storage.sentences import in_sentences
from poseshift.training.evaluation.intervals import Estimate
from poseshift.training.evaluation.results import EvaluationResult

Results = Mapping[tuple[str, str], tuple[EvaluationResult, ...]]
"""By protocol and method: one result per seed."""


@dataclass(frozen=True)
class ReadRun:
    """A finished run.

    Attributes
    ----------
    label : str
        What it is called beside the others: the recipe's name, or the folder where two share one.
    folder : RunFolder
        Where it lies.
    summary : Summary or LabelFreeSummary
        What it found.
    results : Results
        Behind the figures of a summary with a test; empty without.
    recipe : Recipe
        What was run.
    """

    label: str
    folder: RunFolder
    summary: Summary | LabelFreeSummary
    results: Results
    recipe: Recipe


@dataclass(frozen=True)
class ComparedRow:
    """One method of one run under a protocol.

    Attributes
    ----------
    run : str
        Label of the run.
    row : Row
        Its figures.
    saved_mm : Estimate or None
        MPJPE saved against the first row of the same frames, paired by test person; None for that row.
    """

    run: str
    row: Row
    saved_mm: Estimate | None


@dataclass(frozen=True)
class SameFrames:
    """Methods that were measured on the same frames.

    Attributes
    ----------
    protocol, snapshot : str
        The protocol, and the snapshot of the test store.
    frames, sequences : int
        How many.
    rows : tuple of ComparedRow
        In the order of the runs and their methods.
    """

    protocol: str
    snapshot: str
    frames: int
    sequences: int
    rows: tuple[ComparedRow, ...]


@dataclass(frozen=True)
class RankedRow:
    """One lifter without truth; the rank is among all lifters on the same keypoints."""

    run: str
    row: LabelFreeRow
    rank: float


@dataclass(frozen=True)
class SameKeypoints:
    """Lifters whose label-free criteria are of the same keypoints."""

    target: str
    snapshot: str
    rows: tuple[RankedRow, ...]


def read_runs(folders: Sequence[Path]) -> tuple[ReadRun, ...]:
    """Read finished runs.

    Parameters
    ----------
    folders : sequence of Path
        Each one a recipe's run.

    Raises
    ------
    FileNotFoundError
        A folder holds no run, or one that is not finished.
    ValueError
        Fewer than two runs, the same one twice, or files that cannot be read.
    """
    places = [folder.resolve() for folder in folders]
    if len(set(places)) < max(2, len(places)):
        raise ValueError("give two or more different runs to compare")
    read = [_read(RunFolder(folder)) for folder in folders]
    names = [summary.name for summary, _, _ in read]
    labels = [
        name if names.count(name) == 1 else f"{name} ({folder})"
        for name, folder in zip(names, folders, strict=True)
    ]
    return tuple(
        ReadRun(label, RunFolder(folder), summary, results, recipe)
        for label, folder, (summary, results, recipe) in zip(labels, folders, read, strict=True)
    )


def _read(folder: RunFolder) -> tuple[Summary | LabelFreeSummary, Results, Recipe]:
    for path in (folder.recipe, folder.summary):
        if not path.is_file():
            raise FileNotFoundError(
                f"{folder.path} is not a finished run: {path.name} is missing; give a folder that "
                "`poseshift run` has finished, see `poseshift runs`"
            )
    recipe = load_recipe(folder.recipe)
    try:
        summary = read_summary(folder)
    except ValidationError as error:
        raise ValueError(f"{folder.summary} is no summary of this version: {in_sentences(error)}") from error
    if summary.recipe_digest != recipe.digest:
        raise ValueError(f"{folder.summary} is of another recipe than {folder.recipe}: finish the run first")
    if isinstance(summary, LabelFreeSummary):
        return summary, {}, recipe
    protocols = [summary.protocol, *(one.protocol for one in summary.details)]
    results = {}
    for row in summary.rows:
        records = [_record(folder.evaluation(row.method, seed) / DONE) for seed in summary.seeds]
        for name in protocols:
            results[name, row.method] = tuple(record.under(name) for record in records)
    return summary, results, recipe


def _record(path: Path) -> EvaluationRecord:
    try:
        return EvaluationRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path} is no evaluation of this version: {in_sentences(error)}") from error


def keypoints_used(recipe: Recipe) -> dict[str, str]:
    """Say which 2D keypoints a recipe's lifters learned from, were adapted to and were tested on.

    Returns
    -------
    dict of str to str
        By part of the recipe: source, target, test; only the parts that it has.
    """
    parts: dict[str, StoredData | None] = {
        "source": recipe.source,
        "target": recipe.target,
        "test": None if recipe.test is None else recipe.test.data,
    }
    return {name: _keypoints_told(data) for name, data in parts.items() if data is not None}


def _keypoints_told(data: StoredData) -> str:
    told = data.keypoints.replace("ground_truth", "ground truth")
    options = []
    if data.least_confidence:
        options.append(f"confidence of {data.least_confidence:g} and more")
    if isinstance(data, PoseData) and data.longest_gap_s:
        options.append(f"gaps up to {data.longest_gap_s:g} s filled")
    return told if not options else f"{told} ({', '.join(options)})"


def same_frames(runs: Sequence[ReadRun]) -> tuple[SameFrames, ...]:
    """Put the methods of all runs into groups that measured the same frames, in the order in which they come.

    Each is compared with the first of its group.
    """
    groups: dict[object, list[tuple[str, Row, tuple[EvaluationResult, ...]]]] = {}
    for run in runs:
        if isinstance(run.summary, LabelFreeSummary):
            continue
        for figures in (run.summary, *run.summary.details):
            for row in figures.rows:
                results = run.results[figures.protocol, row.method]
                groups.setdefault(_measured(results[0]), []).append((run.label, row, results))
    return tuple(_group(members) for members in groups.values())


def _measured(result: EvaluationResult) -> object:
    """Collect what two results must share to be paired."""
    frames = tuple((row.name, row.frames) for row in result.per_sequence)
    return result.protocol, result.snapshot, frames


def _group(members: Sequence[tuple[str, Row, tuple[EvaluationResult, ...]]]) -> SameFrames:
    (_, _, first), *_ = members
    return SameFrames(
        protocol=first[0].protocol,
        snapshot=first[0].snapshot,
        frames=first[0].frames,
        sequences=first[0].sequences,
        rows=tuple(
            ComparedRow(run, row, None if results is first else gain_mm(first, results, BOOTSTRAP_SEED))
            for run, row, results in members
        ),
    )


def same_keypoints(runs: Sequence[ReadRun]) -> tuple[SameKeypoints, ...]:
    """Put the lifters of runs without a test into groups judged on the same keypoints, ranked among them."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[tuple[str, LabelFreeRow]]] = {}
    for run in runs:
        summary = run.summary
        if not isinstance(summary, LabelFreeSummary):
            continue
        for row in summary.rows:
            criteria = tuple(row.kept_criteria.values)
            judged = (summary.target, summary.snapshots[summary.target], criteria)
            groups.setdefault(judged, []).append((run.label, row))
    return tuple(
        SameKeypoints(
            target,
            snapshot,
            tuple(
                RankedRow(run, row, float(rank))
                for (run, row), rank in zip(
                    members, combined_rank([row.kept_criteria for _, row in members]), strict=True
                )
            ),
        )
        for (target, snapshot, _), members in groups.items()
    )
