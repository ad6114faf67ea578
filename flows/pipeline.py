"""Everything that a recipe names, in one flow: stores, lifters, evaluations, summary and report.

The tasks are few and large, and each is a plain function that can be called without Prefect. Work that is
there already for the same inputs is not done again; see :mod:`poseshift.flows.experiment.stage`.

A run's folder holds ``recipe.yaml``, ``environment.json``, ``summary.json``, ``report.html``, ``run.log``
and, for each kind of lifter and seed, ``lifters/<method>/seed-<n>`` and ``evaluations/<method>/seed-<n>``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from poseshift.flows.adapt import known_gravity, lesson, transforms
from poseshift.flows.evaluate import EvaluationRecord, evaluate_lifter
from poseshift.flows.experiment.data import open_poses, open_store
from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.flows.experiment.recipe import Method, Recipe, StoredData, save_recipe
from poseshift.flows.experiment.results import Summary, summarise
from poseshift.flows.prepare import PrepareFailedError, PrepareRequest, RawKind, failure_of, prepare_store
from poseshift.flows.prepare import show as show_ingest
from poseshift.flows.report.evidence import Evidence
from poseshift.flows.report.gather import placement, sample_poses
from poseshift.flows.report.page import write_page
from poseshift.flows.report.view import METHOD_LABELS, build_view
from poseshift.flows.runtime.environment import describe_environment
from poseshift.flows.runtime.events import announce_commit
from poseshift.flows.runtime.logs import recorded
from poseshift.flows.runtime.retries import patient_task
from poseshift.flows.train import CHECKPOINT, TrainingJob, TrainingRecord, narrated_training, resolve_device
from poseshift.preprocessing.ingest import IngestReport
from poseshift.storage.files import write_atomically
from poseshift.storage.schema import Dataset
from poseshift.training.checkpoint import load_lifter
from poseshift.training.evaluation.protocols import protocol

_RAW_KINDS: Mapping[Dataset, RawKind] = {
    "human36m": "human36m",
    "mpi_inf_3dhp_train": "mpi-inf-3dhp-train",
    "mpi_inf_3dhp_test": "mpi-inf-3dhp-test",
}


@dataclass(frozen=True)
class RunFolder:
    """Where an experiment's files lie."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The recipe as it was run."""
        return self.path / "recipe.yaml"

    @property
    def summary(self) -> Path:
        """The figures and what they depend on."""
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report.html"

    @property
    def environment(self) -> Path:
        """The program, the machine and the packages of the latest run."""
        return self.path / "environment.json"

    @property
    def log(self) -> Path:
        """What was logged."""
        return self.path / "run.log"

    def training(self, method: Method, seed: int) -> Path:
        """Folder of the stage that trains one lifter."""
        return self.path / "lifters" / method / f"seed-{seed}"

    def lifter(self, method: Method, seed: int) -> Path:
        """Folder of a trained lifter."""
        return self.training(method, seed) / CHECKPOINT

    def evaluation(self, method: Method, seed: int) -> Path:
        """Folder of the stage that evaluates one lifter."""
        return self.path / "evaluations" / method / f"seed-{seed}"


@dataclass(frozen=True)
class Trained:
    """What became of one lifter."""

    method: Method
    seed: int
    training: TrainingRecord
    evaluation: EvaluationRecord


def job(recipe: Recipe, method: Method, seed: int) -> TrainingJob:
    """Make the training job of one lifter of a recipe."""
    learned = lesson(recipe, method)
    return TrainingJob(
        labelled=learned.labelled,
        target=learned.target,
        adaptation=learned.adaptation,
        lifter=recipe.lifter,
        encoding=recipe.encoding,
        schedule=recipe.schedule,
        selection=recipe.selection if learned.target is not None else "last",
        seed=seed,
        device=recipe.device,
    )


def prepare_request(data: StoredData) -> PrepareRequest | None:
    """Return what brings a store up to date with its raw tree; None when the recipe names no raw tree.

    Raises
    ------
    ValueError
        The data set has no raw release.
    """
    if data.raw is None:
        return None
    if data.dataset not in _RAW_KINDS:
        raise ValueError(f"{data.dataset} has no raw release to prepare {data.store} from; leave out `raw`")
    return PrepareRequest(kind=_RAW_KINDS[data.dataset], raw=data.raw, store=data.store)


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


def train_method(recipe: Recipe, method: Method, seed: int) -> TrainingRecord:
    """Train one lifter of a recipe."""
    folder = RunFolder(recipe.run_dir).training(method, seed)
    name = f"train {METHOD_LABELS[method]}, seed {seed}"
    return narrated_training(job(recipe, method, seed), folder, name).result


def evaluate_method(recipe: Recipe, method: Method, seed: int) -> EvaluationRecord:
    """Evaluate one lifter of a recipe."""
    name = f"evaluate {METHOD_LABELS[method]}, seed {seed}"
    report_progress(Step(name, 0, 1))
    folder = RunFolder(recipe.run_dir)
    outcome = evaluate_lifter(
        folder.lifter(method, seed),
        recipe.test,
        folder.evaluation(method, seed),
        "cpu" if recipe.dask else recipe.device,
        recipe.dask,
    )
    headline = outcome.result.under(recipe.test.protocols[0])
    report_progress(Step(name, 1, 1, f"{headline.mpjpe_mm.value:.1f} mm"))
    return outcome.result


def publish(recipe: Recipe, trained: tuple[Trained, ...]) -> Summary:
    """Write an experiment's summary and report into its folder."""
    report_progress(Step("report", 0, 1))
    folder = RunFolder(recipe.run_dir)
    results = {
        name: {
            method: [one.evaluation.under(name) for one in trained if one.method == method]
            for method in recipe.methods
        }
        for name in recipe.test.protocols
    }
    snapshots = {name: snapshot for one in trained for name, snapshot in one.training.snapshots.items()}
    first = trained[0]
    summary = summarise(
        recipe,
        results,
        snapshots={**snapshots, recipe.test.data.dataset: first.evaluation.snapshot},
        restaged_from=first.evaluation.restaged_from,
    )
    write_atomically(folder.summary, summary.model_dump_json(indent=2) + "\n")
    write_page(build_view(recipe, summary, gather(recipe, trained)), folder.report)
    report_progress(Step("report", 1, 1, str(folder.report)))
    return summary


def gather(recipe: Recipe, trained: tuple[Trained, ...]) -> Evidence:
    """Collect what the report draws beside the figures."""
    folder = RunFolder(recipe.run_dir)
    seed = recipe.seeds[0]
    device = resolve_device(recipe.device)
    store = open_store(recipe.test.data)
    test = protocol(recipe.test.protocols[0]).read(store, recipe.test.data.keypoints)
    placed = None
    if recipe.target is not None and recipe.adaptation.method != "none":
        target = open_poses(recipe.target).unlabelled()
        source = open_poses(recipe.source).labelled()
        gravity = known_gravity(folder.training(recipe.adaptation.method, seed))
        alignment = transforms(recipe.adaptation, target, resolve_device("cpu"), gravity)
        placed = placement(source, target, alignment, seed=seed)
    return Evidence(
        skeleton=store.skeleton,
        placement=placed,
        poses=sample_poses(
            {method: load_lifter(folder.lifter(method, seed), device) for method in recipe.methods}, test
        ),
        curves={
            method: tuple(one.training.curve for one in trained if one.method == method)
            for method in recipe.methods
        },
        trained_on={one.method: one.training.poses for one in trained},
    )


_prepare_task = patient_task(prepare_data, "prepare store", "prepare {data.dataset}")
_train_task = patient_task(train_method, "train lifter", "train {method} seed {seed}")
_evaluate_task = patient_task(evaluate_method, "evaluate lifter", "evaluate {method} seed {seed}")
_publish_task = patient_task(publish, "publish")


@flow(name="run", flow_run_name="run {recipe.name}", timeout_seconds=72 * 3600)
def run_recipe(recipe: Recipe) -> Summary:
    """Do everything that a recipe names, skipping what is there already for the same inputs."""
    with run_recorded(recipe):
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
    """Inside a flow: bring every store of a recipe up to date, as far as the recipe names raw trees."""
    reports = []
    for data in stores(recipe):
        try:
            report = _prepare_task(data, recipe.dask)
        except PrepareFailedError as error:
            show_ingest(error.report)
            raise
        if report is not None:
            announce_commit(report, recipe.name)
            show_ingest(report)
            reports.append(report)
    return tuple(reports)


def learn(recipe: Recipe) -> Summary:
    """Inside a flow: train, evaluate and report on a recipe's stores as they are."""
    trained = []
    for seed in recipe.seeds:
        for method in recipe.methods:
            training = _train_task(recipe, method, seed)
            trained.append(Trained(method, seed, training, _evaluate_task(recipe, method, seed)))
    summary = _publish_task(recipe, tuple(trained))
    show(recipe, summary)
    return summary


def artifact_key(recipe: Recipe) -> str:
    """Return the beginning of the keys of a recipe's artifacts; Prefect allows a-z, 0-9 and dashes."""
    return recipe.name.lower().replace("_", "-").replace(".", "-")


def show(recipe: Recipe, summary: Summary) -> None:
    """Put the result into the Prefect UI: the table, what it rests on, and where the report is."""
    key = artifact_key(recipe)
    create_table_artifact(
        key=f"{key}-figures",
        table=[
            {
                "lifter": METHOD_LABELS[method],
                **{name: str(getattr(figures, name)) for name in type(figures).model_fields},
            }
            for method in recipe.methods
            if (figures := summary.of(method)) is not None
        ],
        description=f"{summary.protocol}, {summary.frames} frames, seeds {list(summary.seeds)}",
    )
    create_markdown_artifact(
        key=f"{key}-provenance",
        markdown="\n".join(
            (
                f"# {recipe.name}",
                f"Recipe digest `{summary.recipe_digest}`, checkpoint selection `{summary.selection}`.",
                f"**Restaged motion, not original recordings:** {summary.restaged_from}"
                if summary.restaged_from
                else "",
                *(f"- snapshot of {name}: `{snapshot}`" for name, snapshot in summary.snapshots.items()),
            )
        ),
    )
    create_link_artifact(
        key=f"{key}-report", link=RunFolder(recipe.run_dir).report.resolve().as_uri(), link_text="Report"
    )


def stores(recipe: Recipe) -> tuple[StoredData, ...]:
    """List the data sets that a recipe reads, each store once."""
    named = (recipe.source, recipe.target, recipe.test.data)
    return tuple({data.store: data for data in named if data is not None}.values())
