"""Commands about lifters: train, adapt, evaluate, run a recipe, and the demonstration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poseshift.adaptation.config import (
    Adaptation,
    GlobalPositionAdaptation,
    NoAdaptation,
    PoseDAAdaptation,
    SelfTrainingAdaptation,
)
from poseshift.adaptation.global_position import RootForm
from poseshift.adaptation.method import Method
from poseshift.adaptation.methods import METHODS
from poseshift.adaptation.test_time import TEST_TIMES, TestTimeName
from poseshift.augmentation.collapse import CollapseError
from poseshift.flows.commands.console import (
    fail,
    print_json,
    say,
    user_errors,
)
from poseshift.flows.commands.intrinsics import tell_intrinsics
from poseshift.flows.commands.options import (
    Cameras,
    Dask,
    Device,
    FrameStep,
    Jobs,
    Json,
    Keypoints,
    LeastConfidence,
    Plan,
    Plugins,
    Prefect,
    Seed,
    Subjects,
    Threads,
    TrainedLifterName,
)
from poseshift.flows.commands.outcomes import print_evaluation, print_summary, print_training
from poseshift.flows.commands.plans import tell_run_plan
from poseshift.flows.commands.recipes import given_recipe
from poseshift.flows.commands.running import run_shown
from poseshift.flows.commands.selected_poses import selected
from poseshift.flows.demo import DemoOptions
from poseshift.flows.demo import demo as demo_run
from poseshift.flows.evaluate import evaluate_once
from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.launch import LaunchError
from poseshift.flows.experiment.recipe import (
    CheckpointChoice,
    RecipeError,
    StoredData,
    Test,
)
from poseshift.flows.experiment.train import TrainingJob
from poseshift.flows.pipeline import run_recipe
from poseshift.flows.prepare import PrepareFailedError
from poseshift.flows.runtime.cluster import ClusterUnreachableError
from poseshift.flows.runtime.workers import WorkerEndedError
from poseshift.flows.train import adapt as adapt_job
from poseshift.flows.train import train as train_job
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.store import PoseStore, StoreError
from poseshift.training.encoding import EncodingName
from poseshift.training.evaluation.protocols import names_for_store
from poseshift.training.lifters.registry import preset
from poseshift.training.schedule import Schedule
from poseshift.training.shipped import is_shipped

_MENDABLE = (
    ValueError,
    FileNotFoundError,
    RawDataError,
    StoreError,
    ClusterUnreachableError,
    PrepareFailedError,
    CollapseError,
    LaunchError,
    WorkerEndedError,
)
"""What a user can mend; shown as a message, without a traceback."""

StorePath = Annotated[str, typer.Argument(help="A store with 3D labels (made by `poseshift prepare`).")]
Out = Annotated[
    Path, typer.Option(help="Folder for the lifter; its `lifter` folder is what `evaluate` takes.")
]
Preset = Annotated[
    str, typer.Option("--lifter", help="Preset of the network; `poseshift models` lists them.")
]
Encoding = Annotated[EncodingName, typer.Option(help="How pixels become the network's input.")]
Epochs = Annotated[int, typer.Option(min=1, help="Epochs of training.")]
StepsPerEpoch = Annotated[
    int | None, typer.Option(min=1, help="Steps of an epoch. Default: one pass over the data.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Poses in a step.")]
LearningRate = Annotated[float, typer.Option(help="Peak learning rate.")]
Initial = Annotated[
    Path | None,
    typer.Option(
        help="Trained lifter of the same kind to start from: the `lifter` folder that `train` wrote, or the "
        "name of a shipped lifter."
    ),
]


app = typer.Typer()


@app.command()
def train(
    store: StorePath,
    out: Out,
    subject: Subjects = None,
    camera: Cameras = None,
    frame_step: FrameStep = 1,
    keypoints: Keypoints = "ground_truth",
    lifter: Preset = "ampose-small",
    encoding: Encoding = "screen",
    epochs: Epochs = 20,
    steps_per_epoch: StepsPerEpoch = None,
    batch_size: BatchSize = 256,
    learning_rate: LearningRate = 1e-3,
    initial: Initial = None,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = None,
    plugin: Plugins = None,
    prefect: Prefect = False,
    as_json: Json = False,
) -> None:
    """Train one lifter on a labelled store; run it again to resume or to find it done."""
    with user_errors(*_MENDABLE):
        job = TrainingJob(
            labelled=selected(store, subject, camera, frame_step, keypoints),
            target=None,
            adaptation=NoAdaptation(),
            lifter=preset(lifter),
            encoding=encoding,
            schedule=_schedule(epochs, steps_per_epoch, batch_size, learning_rate),
            initial=initial,
            seed=seed,
            device=device,
            threads=threads,
        )
        with run_shown(prefect=prefect) as run:
            record = run(train_job, job, out)
    print_training(record, out, as_json=as_json)


@app.command()
def adapt(
    source: StorePath,
    target: Annotated[
        str, typer.Argument(help="The target's store; only its 2D keypoints and intrinsics are looked at.")
    ],
    out: Out,
    method: Annotated[
        str, typer.Option(help="Method by name; `poseshift models --methods` lists them.")
    ] = "gpa",
    root_form: Annotated[
        RootForm | None,
        typer.Option(
            help="How GPA places roots: along the target's rays, or the wider form. Default: the method's."
        ),
    ] = None,
    subject: Subjects = None,
    camera: Cameras = None,
    target_subject: Annotated[
        list[str] | None, typer.Option(help="Subject of the target; repeat for more.")
    ] = None,
    target_camera: Annotated[
        list[str] | None, typer.Option(help="Camera of the target; repeat for more.")
    ] = None,
    frame_step: FrameStep = 1,
    keypoints: Keypoints = "ground_truth",
    least_confidence: LeastConfidence = 0.0,
    longest_gap: Annotated[
        float,
        typer.Option(
            min=0, help="Fill target joints over time that are not seen for at most so many seconds."
        ),
    ] = 0.0,
    lifter: Preset = "ampose-small",
    encoding: Annotated[
        EncodingName | None, typer.Option(help="Encoding of the input. Default: the method's.")
    ] = None,
    epochs: Epochs = 20,
    steps_per_epoch: StepsPerEpoch = None,
    batch_size: BatchSize = 256,
    learning_rate: LearningRate = 1e-3,
    initial: Initial = None,
    selection: Annotated[
        CheckpointChoice, typer.Option(help="Keep the last epoch's lifter, or choose by the target's 2D.")
    ] = "last",
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = None,
    plugin: Plugins = None,
    prefect: Prefect = False,
    as_json: Json = False,
) -> None:
    """Train a lifter for a target domain without its 3D, by any method that adapts."""
    with user_errors(*_MENDABLE):
        entry = _adapting(method, root_form)
        job = TrainingJob(
            labelled=selected(source, subject, camera, frame_step, "ground_truth"),
            target=selected(
                target, target_subject, target_camera, frame_step, keypoints, least_confidence, longest_gap
            ),
            adaptation=entry.adaptation,
            lifter=preset(lifter),
            encoding=encoding or entry.encoding,
            rays=entry.rays,
            detector_noise=entry.detector_noise,
            schedule=_schedule(epochs, steps_per_epoch, batch_size, learning_rate),
            selection=selection,
            initial=initial,
            seed=seed,
            device=device,
            threads=threads,
        )
        with run_shown(prefect=prefect) as run:
            record = run(adapt_job, job, out)
    print_training(record, out, as_json=as_json)
    if not as_json:
        tell_intrinsics(PoseStore.open(target))


@app.command()
def evaluate(
    lifter: TrainedLifterName,
    store: Annotated[str, typer.Argument(help="The store to test on.")],
    protocols: Annotated[
        list[str] | None,
        typer.Option("--protocol", help="Protocol; repeat for more. Default: all for this data set and 3D."),
    ] = None,
    keypoints: Keypoints = "ground_truth",
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results. Default: beside the lifter.")
    ] = None,
    test_time: Annotated[
        TestTimeName | None,
        typer.Option(
            help="Optimise the lifter's input until its answer projects onto the keypoints; `uao-oracle` "
            "takes the true root for it, which no real use has. Default: as each protocol says."
        ),
    ] = None,
    device: Device = "auto",
    dask: Dask = None,
    plugin: Plugins = None,
    prefect: Prefect = False,
    as_json: Json = False,
) -> None:
    """Measure a trained lifter on a test store, under named protocols."""
    with user_errors(*_MENDABLE):
        opened = PoseStore.open(store)
        dataset = opened.dataset
        if any(one.positions_kind is None for one in opened.catalogue().values()):
            fail(f"{store} has no 3D, so nothing can be measured on it; it can be a target to adapt to")
        names = tuple(protocols) if protocols else names_for_store(opened)
        if not names:
            fail(
                f"no protocol measures {dataset} by the 3D in {store}; `poseshift models --protocols` lists "
                "what each measures"
            )
        test = Test(data=StoredData(dataset=dataset, store=store, keypoints=keypoints), protocols=names)
        if out is None and is_shipped(lifter):
            fail(f"{lifter} ships with PoseShift, where no results are written: give --out a folder")
        folder = out or lifter.parent / ("evaluation" if test_time is None else f"evaluation-{test_time}")
        settings = None if test_time is None else TEST_TIMES[test_time]
        with run_shown(prefect=prefect) as run:
            record = run(evaluate_once, lifter, test, folder, device, dask, settings)
    if as_json:
        print_json(record)
        return
    print_evaluation(record)
    say(f"Results in {folder}")


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file; see recipes/ for examples.")],
    device: Annotated[str | None, typer.Option(help="Use this device instead of the recipe's.")] = None,
    threads: Threads = None,
    jobs: Jobs = None,
    dask: Annotated[
        str | None,
        typer.Option(help="Use this Dask scheduler (tcp://host:8786) to prepare stores and to predict."),
    ] = None,
    prefect: Prefect = False,
    plan: Plan = False,
    as_json: Json = False,
) -> None:
    """Do everything that a recipe names: prepare, train, adapt, evaluate, report."""
    with user_errors(RecipeError, *_MENDABLE):
        loaded = given_recipe(recipe)
        given = {"device": device, "threads": threads, "jobs": jobs, "dask": dask}
        loaded = loaded.model_copy(update={name: value for name, value in given.items() if value is not None})
        if plan:
            tell_run_plan(loaded, as_json=as_json)
            return
        with run_shown(prefect=prefect) as run:
            summary = run(run_recipe, loaded)
    print_summary(summary, RunFolder(loaded.run_dir), as_json=as_json)


@app.command()
def demo(
    motion: Annotated[
        str, typer.Option(help="`procedural`, an npz bundle, or a folder of CMU's ASF/AMC files.")
    ] = "procedural",
    quick: Annotated[
        bool, typer.Option("--quick", help="Train briefly: shows that it runs, not how well.")
    ] = False,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds; three lifters are trained for each.")] = 1,
    jobs: Jobs = None,
    out: Annotated[Path, typer.Option(help="Folder for everything that the demonstration writes.")] = Path(
        "runs/demo"
    ),
    prefect: Prefect = False,
    as_json: Json = False,
) -> None:
    """See the whole path work in a few minutes, on motion that needs no registration.

    Restages free motion as raw trees of both data sets, prepares three stores, trains a source-only lifter,
    one adapted by global position alignment and a target-supervised reference, and measures them on the
    target.
    """
    options = DemoOptions(motion=motion, effort="quick" if quick else "full", seeds=seeds, jobs=jobs, out=out)
    with user_errors(*_MENDABLE), run_shown(prefect=prefect) as run:
        summary = run(demo_run, options)
    print_summary(summary, RunFolder(out), as_json=as_json)


def _schedule(epochs: int, steps_per_epoch: int | None, batch_size: int, learning_rate: float) -> Schedule:
    return Schedule(
        epochs=epochs, steps_per_epoch=steps_per_epoch, batch_size=batch_size, learning_rate=learning_rate
    )


def _adapting(name: str, root_form: RootForm | None) -> Method:
    """Look up a method that adapts, with another form of the roots where one is asked for."""
    entry = METHODS[name]
    adaptation = entry.adaptation
    if entry.role != "adapted" or isinstance(adaptation, NoAdaptation):
        raise ValueError(f"method {name!r} does not adapt; `poseshift train` trains on labels as they are")
    if root_form is None:
        return entry
    return entry.model_copy(update={"adaptation": _with_root_form(adaptation, root_form)})


def _with_root_form(
    adaptation: GlobalPositionAdaptation | PoseDAAdaptation | SelfTrainingAdaptation, root_form: RootForm
) -> Adaptation:
    if isinstance(adaptation, SelfTrainingAdaptation):
        return adaptation.model_copy(update={"alignment": _with_root_form(adaptation.alignment, root_form)})
    if isinstance(adaptation, GlobalPositionAdaptation):
        moved = adaptation.options.model_copy(update={"root_form": root_form})
        return adaptation.model_copy(update={"options": moved})
    placed = adaptation.options.global_position.model_copy(update={"root_form": root_form})
    options = adaptation.options.model_copy(update={"global_position": placed})
    return adaptation.model_copy(update={"options": options})
