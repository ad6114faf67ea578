"""Doing a recorded run again, from its recipe and the snapshots that it read, and comparing what comes out.

Weights, learning curves, results and figures are compared as they are, without a tolerance: on a CPU they are
equal bit for bit. What else may explain a difference (commit, packages, machine, device) is listed beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, JsonValue, ValidationError

from poseshift.flows.experiment.evaluate import EvaluationInputs, EvaluationRecord
from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.label_free import LabelFreeSummary
from poseshift.flows.experiment.recipe import Recipe, StoredData, load_recipe
from poseshift.flows.experiment.results import ProtocolFigures, Summary
from poseshift.flows.experiment.stage import DONE, INPUTS, InputsRecord
from poseshift.flows.experiment.train import TrainingInputs, TrainingRecord
from poseshift.flows.pipeline import learn, run_recorded
from poseshift.flows.runtime.environment import Environment
from poseshift.storage.files import write_atomically
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import digest_file
from poseshift.storage.sentences import in_sentences
from poseshift.training.checkpoint import WEIGHTS_FILE
from poseshift.training.threads import computing_with

REPORT = "reproduction.json"

_Model = TypeVar("_Model", bound=BaseModel)
_Data = TypeVar("_Data", bound=StoredData)
_CIRCUMSTANCES = ("git_commit", "python", "platform", "host", "processors", "threads", "gpus")


class ReproductionError(ValueError):
    """A run that cannot be done again; the message says what is missing."""


class Difference(FrozenModel):
    """One thing that is not the same in both runs."""

    what: str
    """What it is, such as `gpa, seed 0: weights`."""
    recorded: JsonValue
    """What the recorded run holds."""
    repeated: JsonValue
    """What the repeated run holds."""


class Reproduction(FrozenModel):
    """How a repeated run compares with the recorded one."""

    run: Path
    """Folder of the recorded run."""
    repeated_in: Path
    """Folder of the repeated run."""
    compared: int
    """Values compared: digests of weights, losses, results and figures."""
    differences: tuple[Difference, ...]
    """Results that differ; empty when the run was reproduced."""
    circumstances: tuple[Difference, ...]
    """Program, packages, machine and device where they differ, which may be why."""

    @property
    def succeeded(self) -> bool:
        """Whether all results are equal."""
        return not self.differences


@dataclass(frozen=True)
class RecordedRun:
    """What a run left in its folder, read and found whole.

    Attributes
    ----------
    folder : RunFolder
        Where it lies.
    recipe : Recipe
        As it was run.
    summary : Summary or LabelFreeSummary
        Its figures; criteria alone of a run without a test.
    environment : Environment or None
        Its circumstances; None for runs that did not keep them.
    trained : Mapping[tuple[str, int], RecordedLifter]
        Per method and seed, what the training left behind.
    """

    folder: RunFolder
    recipe: Recipe
    summary: Summary | LabelFreeSummary
    environment: Environment | None
    trained: Mapping[tuple[str, int], RecordedLifter]


@dataclass(frozen=True)
class RecordedLifter:
    """What a run says of one lifter.

    Attributes
    ----------
    read : TrainingInputs
        Inputs of its training.
    training : TrainingRecord
        Record of its training.
    tested : EvaluationInputs or None
        Inputs of its evaluation, among them the digest of the weights; None in a run without a test.
    evaluation : EvaluationRecord or None
        Its results.
    weights_sha256 : str
        Digest of the weights as they lie in the folder.
    """

    read: TrainingInputs
    training: TrainingRecord
    tested: EvaluationInputs | None
    evaluation: EvaluationRecord | None
    weights_sha256: str


def read_run(path: Path) -> RecordedRun:
    """Read a finished run's folder.

    Raises
    ------
    ReproductionError
        The folder is not that of a finished run, or its files cannot be read.
    RecipeError
        Its recipe is not one of this version.
    """
    folder = RunFolder(path)
    if not folder.recipe.is_file():
        raise ReproductionError(f"{path} holds no {folder.recipe.name}; give the folder of a finished run")
    recipe = load_recipe(folder.recipe)
    environment = _read(folder.environment, Environment) if folder.environment.is_file() else None
    trained = {
        (method, seed): _read_lifter(folder, method, seed, tested=recipe.test is not None)
        for seed in recipe.seeds
        for method in recipe.methods
    }
    summary: Summary | LabelFreeSummary = (
        _read(folder.summary, LabelFreeSummary) if recipe.test is None else _read(folder.summary, Summary)
    )
    return RecordedRun(folder, recipe, summary, environment, trained)


def pinned(run: RecordedRun, into: Path) -> Recipe:
    """Make the recipe that does a run again elsewhere, with every store at the snapshot that the run read.

    Raises
    ------
    ReproductionError
        The run's lifters read different snapshots of one store.
    """
    recipe = run.recipe
    first = next(iter(run.trained.values()))
    source, target = _snapshots_learned_from(run)
    return recipe.model_copy(
        update={
            "name": f"{recipe.name}-repeated",
            "run_dir": into,
            "source": recipe.source if source is None else _at(recipe.source, source),
            "target": recipe.target
            if recipe.target is None or target is None
            else _at(recipe.target, target),
            "test": None
            if recipe.test is None or first.tested is None
            else recipe.test.model_copy(update={"data": _at(recipe.test.data, first.tested.test.snapshot)}),
            "dask": None,  # the cluster of that time changes no result, and may be gone
        }
    )


def reproduce(run: Path, into: Path) -> Reproduction:
    """Do a recorded run again in a new folder and compare the results.

    Parameters
    ----------
    run : Path
        Folder of a finished run.
    into : Path
        Folder for the repeated run; must not exist, or be empty. Gets ``reproduction.json`` as well.

    Raises
    ------
    ReproductionError
        The run cannot be repeated, or ``into`` is taken.
    StoreError
        A store is gone, or has lost the snapshot.
    """
    if into.exists() and any(into.iterdir()):
        raise ReproductionError(f"{into} is not empty; give a new folder, so that nothing is taken over")
    recorded = read_run(run)
    recipe = pinned(recorded, into)
    with computing_with(_threads_of(recorded.environment)), run_recorded(recipe):
        learn(recipe)
    result = compare_runs(recorded, read_run(into))
    write_atomically(into / REPORT, result.model_dump_json(indent=2) + "\n")
    return result


def _threads_of(environment: Environment | None) -> int:
    """As many threads as the recorded run had: sums that are divided otherwise round otherwise."""
    recorded = None if environment is None else environment.threads
    return torch.get_num_threads() if recorded is None else recorded


def compare_runs(recorded: RecordedRun, repeated: RecordedRun) -> Reproduction:
    """Compare two runs of one recipe, value by value."""
    before, after = dict(_results(recorded)), dict(_results(repeated))
    # A run's own records must agree as well: figures changed by hand are no result.
    differences = [*_contradictions(recorded), *_different(before, after)]
    return Reproduction(
        run=recorded.folder.path,
        repeated_in=repeated.folder.path,
        compared=len(before),
        differences=tuple(differences),
        circumstances=tuple(_different(dict(_circumstances(recorded)), dict(_circumstances(repeated)))),
    )


def _results(run: RecordedRun) -> Iterator[tuple[str, JsonValue]]:
    """Everything that must be equal, by name."""
    for (method, seed), lifter in run.trained.items():
        name = f"{method}, seed {seed}"
        yield f"{name}: weights (SHA-256)", lifter.weights_sha256
        yield f"{name}: snapshots", dict(lifter.training.snapshots)
        for point in lifter.training.curve:
            yield f"{name}: loss of epoch {point.epoch}", point.loss
        for found in lifter.training.candidates:
            yield f"{name}: criteria of epoch {found.epoch}", found.criteria.model_dump(mode="json")
        if lifter.evaluation is not None:
            yield f"{name}: test snapshot", lifter.evaluation.snapshot
            for result in lifter.evaluation.results:
                yield from _leaves(f"{name}: {result.protocol}", result.model_dump(mode="json"))
    yield from _figures(run.summary)
    yield "summary: seeds", list(run.summary.seeds)
    yield "summary: snapshots", dict(run.summary.snapshots)


def _figures(summary: Summary | LabelFreeSummary) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(summary, LabelFreeSummary):
        for row in summary.rows:
            yield from _leaves(f"summary: {row.method}, seed {row.seed}", row.model_dump(mode="json"))
        return
    for figures in (summary, *summary.details):
        content = figures.model_dump(mode="json", include=set(ProtocolFigures.model_fields))
        yield from _leaves(f"summary: {figures.protocol}", content)


def _contradictions(run: RecordedRun) -> Iterator[Difference]:
    """Where the files of one run do not belong together."""
    if run.summary.recipe_digest != run.recipe.digest:
        yield Difference(
            what="recipe.yaml is not the recipe that summary.json names (digest)",
            recorded=run.summary.recipe_digest,
            repeated=run.recipe.digest,
        )
    for (method, seed), lifter in run.trained.items():
        if lifter.tested is not None and lifter.tested.weights_sha256 != lifter.weights_sha256:
            yield Difference(
                what=f"{method}, seed {seed}: the weights are not those that were evaluated (SHA-256)",
                recorded=lifter.tested.weights_sha256,
                repeated=lifter.weights_sha256,
            )


def _circumstances(run: RecordedRun) -> Iterator[tuple[str, JsonValue]]:
    for (method, seed), lifter in run.trained.items():
        yield f"{method}, seed {seed}: device", lifter.training.device
    if run.environment is None:
        yield "git_commit", run.summary.git_commit
        yield from run.summary.versions.items()
        return
    content = run.environment.model_dump(mode="json")
    yield from ((name, content[name]) for name in _CIRCUMSTANCES)
    yield from content["packages"].items()


def _different(before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]) -> Iterator[Difference]:
    for what in dict.fromkeys((*before, *after)):
        if before.get(what) != after.get(what):
            yield Difference(what=what, recorded=before.get(what), repeated=after.get(what))


def _leaves(name: str, value: Any) -> Iterator[tuple[str, JsonValue]]:
    """Take a document apart into its numbers and texts."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{name} {key}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(f"{name} {index}", inner)
    else:
        yield name, value


def _snapshots_learned_from(run: RecordedRun) -> tuple[str | None, str | None]:
    """Snapshots of source and target; None for the one that no lifter of the run learned from."""
    source, target = set[str](), set[str]()
    for (method, seed), lifter in run.trained.items():
        labelled = target if run.recipe.entry(method).labels == "target" else source
        labelled.add(lifter.read.labelled.snapshot)
        target |= {seen.snapshot for seen in (lifter.read.target, lifter.read.watched) if seen is not None}
        if max(len(source), len(target)) > 1:
            raise ReproductionError(
                f"{run.folder.path}: {method}, seed {seed} read another snapshot than the lifters before it; "
                "the store was changed in the middle of the run, which therefore is not one experiment"
            )
    return next(iter(source), None), next(iter(target), None)


def _at(data: _Data, snapshot: str) -> _Data:
    return data.model_copy(update={"raw": None, "snapshot": snapshot})


def _read_lifter(folder: RunFolder, method: str, seed: int, *, tested: bool) -> RecordedLifter:
    training, evaluation = folder.training(method, seed), folder.evaluation(method, seed)
    weights = folder.lifter(method, seed) / WEIGHTS_FILE
    if not weights.is_file():
        raise ReproductionError(f"{weights} is missing; only a finished run can be repeated")
    return RecordedLifter(
        read=_read(training / INPUTS, InputsRecord[TrainingInputs]).inputs,
        training=_read(training / DONE, TrainingRecord),
        tested=_read(evaluation / INPUTS, InputsRecord[EvaluationInputs]).inputs if tested else None,
        evaluation=_read(evaluation / DONE, EvaluationRecord) if tested else None,
        weights_sha256=digest_file(weights, weights.parent).sha256,
    )


def _read(path: Path, model: type[_Model]) -> _Model:
    try:
        return model.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ReproductionError(
            f"{path} cannot be read ({error.strerror}); the run is not finished"
        ) from error
    except ValueError as error:
        found = in_sentences(error) if isinstance(error, ValidationError) else str(error)
        raise ReproductionError(f"{path} is not what a run of this version writes: {found}") from error
