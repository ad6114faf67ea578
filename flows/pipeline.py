"""Everything that a recipe names, in one run: stores, lifters, evaluations, summary and report.

The tasks are few and large, and each is a plain function that can be called by itself. Work that is
there already for the same inputs is not done again; see :mod:`poseshift.flows.experiment.stage`.

A run's folder holds ``recipe.yaml``, ``environment.json``, ``summary.json``, ``report.html``, ``run.log``,
where raw files were bad ``bad_files.json``,
and, for each method and seed, ``lifters/<method>/seed-<n>`` and ``evaluations/<method>/seed-<n>``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from poseshift.flows.evaluate import evaluate_on
from poseshift.flows.experiment.at_once import lifters_at_once, require_one_way
from poseshift.flows.experiment.evaluate import EvaluationRecord
from poseshift.flows.experiment.fitting import resolve_device
from poseshift.flows.experiment.folder import RunFolder, Trained, job, stores
from poseshift.flows.experiment.label_free import (
    LabelFreeSummary,
    TrainedUntested,
    summarise_label_free,
)
from poseshift.flows.experiment.launch import Launch
from poseshift.flows.experiment.origins import find_origins
from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.flows.experiment.recipe import Recipe, StoredData, save_recipe
from poseshift.flows.experiment.results import Summary, summarise
from poseshift.flows.experiment.train import TrainingRecord, require_shareable
from poseshift.flows.prepare import PrepareFailedError, PrepareRequest, failure_of, prepare_store
from poseshift.flows.prepare import show as show_ingest
from poseshift.flows.report.gather import gather, placement_of
from poseshift.flows.runtime.environment import describe_environment
from poseshift.flows.runtime.events import announce_commit
from poseshift.flows.runtime.logs import recorded
from poseshift.flows.runtime.notify import failure_told
from poseshift.flows.runtime.orchestrator import orchestrator
from poseshift.flows.runtime.retries import patient_task
from poseshift.flows.runtime.workers import in_worker, several_at_once
from poseshift.flows.train import train_with_progress
from poseshift.flows.viewer.clips import Wanted
from poseshift.flows.viewer.evaluated import evaluated_motions
from poseshift.flows.viewer.page import write_motions
from poseshift.preprocessing.datasets import DATASETS
from poseshift.preprocessing.failures import Failure
from poseshift.preprocessing.ingest import IngestReport
from poseshift.storage.files import write_atomically
from poseshift.storage.model import FrozenModel
from poseshift.training.threads import computing_with, threads_for

logger = logging.getLogger(__name__)

_Learned = TypeVar("_Learned")


class BadFiles(FrozenModel):
    """Raw files for which the last run ended before it learned anything."""

    dataset: str
    """Of which data set."""
    files: tuple[Failure, ...]
    """Each with what was found, what was expected and what to do."""


def prepare_request(data: StoredData) -> PrepareRequest | None:
    """Return what brings a store up to date with its raw tree; None when the recipe names no raw tree.

    Raises
    ------
    ValueError
        The data set has no raw release.
    """
    if data.raw is None:
        return None
    known = DATASETS[data.dataset]
    if known.plan is None:
        raise ValueError(f"{data.dataset} has no raw release to prepare {data.store} from; leave out `raw`")
    return PrepareRequest(kind=known.kind, raw=data.raw, store=data.store)


def prepare_data(data: StoredData, dask: str | None = None) -> IngestReport | None:
    """Bring a store up to date with its raw tree; None when the recipe names no raw tree.

    Parameters
    ----------
    data : StoredData
        Where the store lies, and its raw tree.
    dask : str or None
        Address of a Dask scheduler whose workers read the raw files; this machine's threads by default.

    Raises
    ------
    PrepareFailedError
        A raw file is bad.
    ValueError
        The data set has no raw release.
    """
    request = prepare_request(data)
    if request is None:
        return None
    name = f"prepare {data.dataset}"
    report_progress(Step(name, 0, 1))
    report = prepare_store(
        request.model_copy(update={"dask": dask}),
        lambda progress: report_progress(Step(name, progress.done, progress.total, progress.stage)),
    )
    if not report.succeeded:
        raise failure_of(report)
    changed = f"{len(report.written)} trials written" if report.committed else "unchanged"
    report_progress(Step(name, 1, 1, changed))
    return report


def train_method(recipe: Recipe, method: str, seed: int) -> TrainingRecord:
    """Train one lifter of a recipe."""
    folder = RunFolder(recipe.run_dir).training(method, seed)
    name = f"train {recipe.entry(method).label}, seed {seed}"
    return train_with_progress(job(recipe, method, seed), folder, name).result


def evaluate_method(recipe: Recipe, method: str, seed: int) -> EvaluationRecord:
    """Evaluate one lifter of a recipe."""
    name = f"evaluate {recipe.entry(method).label}, seed {seed}"
    report_progress(Step(name, 0, 1))
    folder = RunFolder(recipe.run_dir)
    outcome = evaluate_on(
        folder.lifter(method, seed),
        recipe.required_test,
        folder.evaluation(method, seed),
        "cpu" if recipe.dask else recipe.device,
        recipe.dask,
    )
    headline = outcome.result.under(recipe.required_test.protocols[0])
    report_progress(Step(name, 1, 1, f"{headline.mpjpe_mm.value:.1f} mm"))
    return outcome.result


def publish_untested(recipe: Recipe, trained: tuple[TrainedUntested, ...]) -> LabelFreeSummary:
    """Write summary and report of an experiment without a test into its folder."""
    from poseshift.flows.report.label_free import label_free_view  # what draws takes a second to import
    from poseshift.flows.report.page import write_page

    report_progress(Step("report", 0, 1))
    folder = RunFolder(recipe.run_dir)
    snapshots = {name: snapshot for one in trained for name, snapshot in one.training.snapshots.items()}
    summary = summarise_label_free(recipe, trained, find_origins(recipe), snapshots)
    write_atomically(folder.summary, summary.model_dump_json(indent=2) + "\n")
    write_page(label_free_view(recipe, summary, placement_of(recipe, folder)), folder.report)
    report_progress(Step("report", 1, 1, str(folder.report)))
    return summary


def publish(recipe: Recipe, trained: tuple[Trained, ...]) -> Summary:
    """Write an experiment's summary, its report and the page of its motions into its folder."""
    from poseshift.flows.report.page import write_page  # what draws takes a second to import
    from poseshift.flows.report.view import build_view

    report_progress(Step("report", 0, 1))
    folder = RunFolder(recipe.run_dir)
    results = {
        name: {
            method: [one.evaluation.under(name) for one in trained if one.method == method]
            for method in recipe.methods
        }
        for name in recipe.required_test.protocols
    }
    snapshots = {name: snapshot for one in trained for name, snapshot in one.training.snapshots.items()}
    summary = summarise(
        recipe,
        results,
        snapshots={**snapshots, recipe.required_test.data.dataset: trained[0].evaluation.snapshot},
        origins=find_origins(recipe),
    )
    write_atomically(folder.summary, summary.model_dump_json(indent=2) + "\n")
    evaluated = folder.evaluation(recipe.method.name, recipe.seeds[0])
    shown = evaluated_motions(evaluated, None, recipe.required_test.data.store, Wanted())
    write_motions(shown, folder.motions)
    write_page(build_view(recipe, summary, gather(recipe, trained)), folder.report)
    report_progress(Step("report", 1, 1, str(folder.report)))
    return summary


_prepare_task = patient_task(prepare_data, "prepare store", "prepare {data.dataset}")
_train_task = patient_task(in_worker(train_method), "train lifter", "train {method} seed {seed}")
_evaluate_task = patient_task(in_worker(evaluate_method), "evaluate lifter", "evaluate {method} seed {seed}")
_publish_task = patient_task(publish, "publish")
_publish_untested_task = patient_task(publish_untested, "publish untested")


def run_recipe(recipe: Recipe) -> Summary | LabelFreeSummary:
    """Do everything that a recipe names, skipping what is there already for the same inputs."""
    for method in recipe.methods:  # before hours of work, of which the last part would be refused
        require_shareable(job(recipe, method, recipe.seeds[0]), Launch.here())
    require_one_way(recipe, Launch.here())
    with (
        failure_told(f"run {recipe.name}"),
        computing_with(threads_for(recipe.lifter, recipe.threads)),
        run_recorded(recipe),
    ):
        prepare_stores(recipe)
        return learn(recipe)


@contextmanager
def run_recorded(recipe: Recipe) -> Iterator[None]:
    """Keep the recipe, the circumstances and the log of this block in the run's folder."""
    folder = RunFolder(recipe.run_dir)
    save_recipe(recipe, folder.recipe)
    with recorded(folder.log):
        environment = describe_environment()
        write_atomically(folder.environment, environment.model_dump_json(indent=2) + "\n")
        yield


def prepare_stores(recipe: Recipe) -> tuple[IngestReport, ...]:
    """Bring every store of a recipe up to date, as far as the recipe names raw trees.

    Raises
    ------
    PrepareFailedError
        Raw files are bad; each is in ``bad_files.json`` of the run's folder with its reason.
    """
    reports, bad_files = [], RunFolder(recipe.run_dir).bad_files
    for data in stores(recipe):
        try:
            report = _prepare_task(data, recipe.dask)
        except PrepareFailedError as error:
            found = BadFiles(dataset=error.report.dataset, files=error.report.failures)
            write_atomically(bad_files, found.model_dump_json(indent=2) + "\n")
            show_ingest(error.report)
            raise
        if report is not None:
            announce_commit(report, recipe.name)
            show_ingest(report)
            reports.append(report)
    bad_files.unlink(missing_ok=True)
    return tuple(reports)


def learn(recipe: Recipe) -> Summary | LabelFreeSummary:
    """Train, evaluate and report on a recipe's stores as they are."""
    return learn_untested(recipe) if recipe.test is None else learn_tested(recipe)


def learn_untested(recipe: Recipe) -> LabelFreeSummary:
    """Train a recipe's lifters, and report what can be said of them without a test."""
    trained = _for_every_lifter(
        recipe, lambda method, seed: TrainedUntested(method, seed, _train_task(recipe, method, seed))
    )
    summary: LabelFreeSummary = _publish_untested_task(recipe, trained)
    _show_untested(recipe, summary)
    return summary


def learn_tested(recipe: Recipe) -> Summary:
    """Train, evaluate and report on the stores of a recipe that has a test."""

    def train_and_test(method: str, seed: int) -> Trained:
        training = _train_task(recipe, method, seed)
        return Trained(method, seed, training, _evaluate_task(recipe, method, seed))

    summary: Summary = _publish_task(recipe, _for_every_lifter(recipe, train_and_test))
    show(recipe, summary)
    return summary


def _for_every_lifter(recipe: Recipe, work: Callable[[str, int], _Learned]) -> tuple[_Learned, ...]:
    """Do the work of every lifter, one after the other or several at a time; the first error ends it.

    Parameters
    ----------
    recipe : Recipe
        Names the lifters, and how many at a time.
    work : callable
        Of one method and seed; calls tasks, and those what is computed in a process.

    Returns
    -------
    tuple
        What the work has returned, in the order of seeds and methods.
    """
    lifters = [(method, seed) for seed in recipe.seeds for method in recipe.methods]
    threads = torch.get_num_threads()
    at_once = lifters_at_once(recipe, threads)
    if at_once == 1:
        return tuple(work(*one) for one in lifters)
    logger.info("lifters are trained %d at a time, each in a process with %d thread(s)", at_once, threads)
    learned = {}
    with (
        orchestrator().slot(resolve_device(recipe.device)),  # one for all of them: they are one run
        several_at_once(lambda one: work(*one), lifters, at_once, threads) as ended,
    ):
        for one, answer in ended:
            learned[one] = answer.result()
    return tuple(learned[one] for one in lifters)


def _show_untested(recipe: Recipe, summary: LabelFreeSummary) -> None:
    """Show the criteria of the kept lifters, with what they do not say."""
    key = artifact_key(recipe)
    orchestrator().show_table(
        key=f"{key}-criteria",
        rows=[
            {"lifter": row.label, "seed": row.seed, "mean rank": row.rank, **row.kept_criteria.values}
            for row in summary.rows
        ],
        description=summary.truth,
    )
    address = RunFolder(recipe.run_dir).report.resolve().as_uri()
    orchestrator().show_link(key=f"{key}-report", address=address, text="Report")


def artifact_key(recipe: Recipe) -> str:
    """Return the beginning of the keys under which a recipe's results are shown; a-z, 0-9 and dashes."""
    return recipe.name.lower().replace("_", "-").replace(".", "-")


def show(recipe: Recipe, summary: Summary) -> None:
    """Show the result: the table, what it rests on, and where the report is."""
    key = artifact_key(recipe)
    orchestrator().show_table(
        key=f"{key}-figures",
        rows=[
            {
                "lifter": row.label,
                **{name: str(getattr(row.figures, name)) for name in type(row.figures).model_fields},
                "gain_mm": "" if row.gain_mm is None else str(row.gain_mm),
                **row.parts.model_dump(),
            }
            for row in summary.rows
        ],
        description=f"{summary.protocol}, {summary.frames} frames, seeds {list(summary.seeds)}",
    )
    orchestrator().show_text(
        key=f"{key}-provenance",
        markdown="\n".join(
            (
                f"# {recipe.name}",
                f"Recipe digest `{summary.recipe_digest}`, checkpoint selection `{summary.selection}`.",
                *(
                    f"**Note:** {note}"
                    for note in (
                        summary.restaging,
                        summary.transduction,
                        summary.tested_elsewhere,
                        summary.calibration,
                    )
                    if note
                ),
                *(f"- snapshot of {name}: `{snapshot}`" for name, snapshot in summary.snapshots.items()),
            )
        ),
    )
    address = RunFolder(recipe.run_dir).report.resolve().as_uri()
    orchestrator().show_link(key=f"{key}-report", address=address, text="Report")
