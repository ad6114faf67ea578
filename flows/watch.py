"""Retraining on change: one look at an experiment's raw trees and stores, and what follows from it.

A look brings the stores up to date, compares the content digests of every lifter's and evaluation's inputs
with what they were made from, and does only what is missing. Times of files play no part. The decision with
its reasons, and how it ended, are a line each in ``watch.jsonl`` of the run's folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

from poseshift.flows.experiment.evaluate import EvaluationRecord, evaluation_inputs
from poseshift.flows.experiment.folder import RunFolder, job
from poseshift.flows.experiment.label_free import LabelFreeSummary
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.experiment.results import Summary
from poseshift.flows.experiment.stage import is_done, recorded_inputs
from poseshift.flows.experiment.train import TrainingRecord, training_inputs
from poseshift.flows.pipeline import artifact_key, learn, prepare_stores, run_recorded
from poseshift.flows.prepare import PrepareFailedError
from poseshift.flows.runtime.logs import recorded, run_id
from poseshift.flows.runtime.notify import failure_told
from poseshift.flows.runtime.orchestrator import orchestrator
from poseshift.preprocessing.failures import Failure
from poseshift.preprocessing.ingest import IngestReport
from poseshift.storage.model import FrozenModel
from poseshift.training.threads import computing_with, threads_for

WATCH_LOG = "watch.jsonl"

Action = Literal["nothing", "report", "evaluate", "train"]
"""The most that is to do; each action includes the ones before it."""

Phase = Literal["decided", "finished", "failed", "missed"]

_ORDER: tuple[Action, ...] = ("nothing", "report", "evaluate", "train")


class Reason(FrozenModel):
    """Why a part of an experiment is to be done again."""

    action: Action
    """What it calls for."""
    part: str
    """The part's folder inside the run's folder."""
    why: str
    """The difference between what it was made from and what there is now."""


class StoreChange(FrozenModel):
    """What a look did to one store."""

    dataset: str
    """Which data set."""
    snapshot: str
    """Its snapshot after the look."""
    written: tuple[str, ...]
    """Trials that were new or had changed."""
    pruned: tuple[str, ...]
    """Trials that were removed."""
    vanished: tuple[str, ...]
    """Trials that the raw tree no longer has."""


class Decision(FrozenModel):
    """What a look found, and what is to be done about it."""

    action: Action
    """The most that is to do."""
    reasons: tuple[Reason, ...]
    """Why, for each part that is not up to date."""
    stores: tuple[StoreChange, ...]
    """The stores that have raw trees, with what changed in them."""


class Look(FrozenModel):
    """One line of the watch's log."""

    at: datetime
    """When the line was written."""
    flow_run: str
    """Prefect's id of the run; ``-`` outside of Prefect."""
    phase: Phase
    """A look that finds work writes two lines: what it decided, and how that ended. Missed: looks that fell
    due while the machine was off, and in whose place one look is made."""
    decision: Decision | None
    """What was decided; None when a look failed before it."""
    seconds: float
    """Since the look began."""
    remark: str
    """The headline, or the error."""
    bad_files: tuple[Failure, ...] = ()
    """Raw files for which the look failed, each with its reason."""


def decide(recipe: Recipe, reports: Sequence[IngestReport] = ()) -> Decision:
    """Compare an experiment's folder with its recipe and its stores as they are now.

    Parameters
    ----------
    recipe : Recipe
        The experiment.
    reports : sequence of IngestReport
        What bringing the stores up to date did, for the record.

    Raises
    ------
    StoreError, WrongDatasetError
        A store is missing, or is not what the recipe says.
    """
    reasons = tuple(_reasons(recipe))
    stores = tuple(
        StoreChange(
            dataset=report.dataset,
            snapshot=report.snapshot,
            written=report.written,
            pruned=report.pruned,
            vanished=report.vanished,
        )
        for report in reports
    )
    called_for = {reason.action for reason in reasons}
    action: Action = max(called_for, key=_ORDER.index) if called_for else "nothing"
    return Decision(action=action, reasons=reasons, stores=stores)


def _reasons(recipe: Recipe) -> Iterator[Reason]:
    folder = RunFolder(recipe.run_dir)
    for seed in recipe.seeds:
        for method in recipe.methods:
            yield from _reasons_of_lifter(recipe, folder, method, seed)
    recorded_recipe = _recipe_of_summary(folder.summary)
    if recorded_recipe is None:
        yield Reason(action="report", part=folder.summary.name, why="there is no summary yet")
    elif recorded_recipe != recipe.digest:
        yield Reason(action="report", part=folder.summary.name, why="the recipe was edited")


def _reasons_of_lifter(recipe: Recipe, folder: RunFolder, method: str, seed: int) -> Iterator[Reason]:
    training = training_reason(recipe, folder, method, seed)
    found = evaluation_reason(recipe, folder, method, seed) if training is None else training
    if found is not None:
        yield found


def training_reason(recipe: Recipe, folder: RunFolder, method: str, seed: int) -> Reason | None:
    """Say why a lifter is to be trained on its stores as they are; None when it is up to date."""
    training = folder.training(method, seed)
    wanted = training_inputs(job(recipe, method, seed))
    if is_done(training, wanted, TrainingRecord):
        return None
    part = training.relative_to(folder.path).as_posix()
    return Reason(action="train", part=part, why=_why(training, wanted))


def evaluation_reason(recipe: Recipe, folder: RunFolder, method: str, seed: int) -> Reason | None:
    """Say why a trained lifter is to be evaluated; None when it is up to date, or nothing tests it."""
    if recipe.test is None:
        return None
    evaluation = folder.evaluation(method, seed)
    tested = evaluation_inputs(folder.lifter(method, seed), recipe.required_test)
    if is_done(evaluation, tested, EvaluationRecord):
        return None
    part = evaluation.relative_to(folder.path).as_posix()
    return Reason(action="evaluate", part=part, why=_why(evaluation, tested))


def _why(folder: Path, wanted: BaseModel) -> str:
    before = recorded_inputs(folder)
    if before is None:
        return "not done yet"
    return "; ".join(_differences(before, wanted.model_dump(mode="json"))) or "begun and not finished"


def _differences(before: object, now: object, name: str = "") -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in sorted(before.keys() | now.keys()):
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}" if name else str(key))
    elif before != now:
        yield f"{name}: {_short(before)} became {_short(now)}"


def _short(value: object) -> str:
    """Show a value in a few words: digests by their beginning, parts of a recipe by their kind."""
    if isinstance(value, Mapping):
        named: Any = value.get("name", value.get("dataset", value.get("method", "a mapping")))
        return str(named)
    return f"{value:.12}" if isinstance(value, str) else str(value)


def _recipe_of_summary(path: Path) -> str | None:
    try:
        content = path.read_text(encoding="utf-8")
        return TypeAdapter(Summary | LabelFreeSummary).validate_json(content).recipe_digest
    except (OSError, ValueError):
        return None


def watch(recipe: Recipe) -> Decision:
    """Look once: prepare what changed, and train, evaluate and report only what that touches."""
    started = perf_counter()
    folder = RunFolder(recipe.run_dir)
    decision = None
    try:
        with failure_told(f"watch {recipe.name}"), recorded(folder.log):
            other = orchestrator().given_way_to()
            if other is not None:
                _record(recipe, None, "missed", started, f"{other} has looked since this look was due")
                return Decision(action="nothing", reasons=(), stores=())
            missed = orchestrator().stand_in_for_missed()
            if missed:
                due = f"{missed[0]:%Y-%m-%d %H:%M} to {missed[-1]:%Y-%m-%d %H:%M} UTC"
                told = f"{len(missed)} more looks were due, {due}; this one is in their place"
                _record(recipe, None, "missed", started, told)
            decision = decide(recipe, prepare_stores(recipe))
            _record(recipe, decision, "decided", started, in_words(decision))
        if decision.action != "nothing":
            with (
                failure_told(f"watch {recipe.name}"),
                computing_with(threads_for(recipe.lifter, recipe.threads)),
                run_recorded(recipe),
            ):
                summary = learn(recipe)
            _record(recipe, decision, "finished", started, _headline(summary))
    except Exception as error:
        bad_files = error.report.failures if isinstance(error, PrepareFailedError) else ()
        _record(recipe, decision, "failed", started, f"{type(error).__name__}: {error}", bad_files)
        raise
    return decision


def in_words(decision: Decision) -> str:
    """Say in one sentence what was decided, and why."""
    if decision.action == "nothing":
        return "nothing changed"
    parts: dict[str, list[str]] = {}
    for reason in decision.reasons:
        parts.setdefault(reason.why, []).append(reason.part)
    return f"{decision.action}: " + "; ".join(f"{', '.join(names)} ({why})" for why, names in parts.items())


def _headline(summary: Summary | LabelFreeSummary) -> str:
    if isinstance(summary, LabelFreeSummary):
        ranks = (f"{row.method} seed {row.seed} rank {row.rank:.1f}" for row in summary.rows)
        return "no test, label-free: " + ", ".join(ranks)
    figures = (f"{row.method} {row.figures.mpjpe_mm} mm" for row in summary.rows)
    return f"{summary.protocol}: " + ", ".join(figures)


def _record(
    recipe: Recipe,
    decision: Decision | None,
    phase: Phase,
    started: float,
    remark: str,
    bad_files: tuple[Failure, ...] = (),
) -> None:
    look = Look(
        at=datetime.now(UTC),
        flow_run=run_id(),
        phase=phase,
        decision=decision,
        seconds=round(perf_counter() - started, 3),
        remark=remark,
        bad_files=bad_files,
    )
    path = recipe.run_dir / WATCH_LOG
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log:
        log.write(look.model_dump_json() + "\n")
    stores = () if decision is None else decision.stores
    reasons = () if decision is None else decision.reasons
    orchestrator().show_text(
        key=f"{artifact_key(recipe)}-watch",
        description=f"{phase}: {remark}",
        markdown="\n".join(
            (
                f"# {recipe.name}: {phase}",
                remark,
                "",
                *(f"- {reason.action} `{reason.part}`: {reason.why}" for reason in reasons),
                *(
                    f"- {store.dataset} at `{store.snapshot}`: {len(store.written)} trials written, "
                    f"{len(store.pruned)} removed, {len(store.vanished)} no longer in the raw tree"
                    for store in stores
                ),
            )
        ),
    )


def read_log(run_dir: Path) -> tuple[Look, ...]:
    """Read the looks of an experiment, oldest first."""
    path = run_dir / WATCH_LOG
    if not path.exists():
        return ()
    return tuple(Look.model_validate_json(line) for line in path.read_text(encoding="utf-8").splitlines())
