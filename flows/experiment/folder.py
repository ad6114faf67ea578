"""The folder of an experiment, and the jobs and stores that its recipe comes to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from poseshift.flows.experiment.evaluate import EvaluationRecord
from poseshift.flows.experiment.recipe import PoseData, Recipe, StoredData, Test
from poseshift.flows.experiment.train import CHECKPOINT, GRAVITY, TrainingJob, TrainingRecord
from poseshift.training.evaluation.protocols import protocol


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
    def motions(self) -> Path:
        """The page of what the recipe's own method predicted by the first seed."""
        return self.path / "motions.html"

    @property
    def environment(self) -> Path:
        """The program, the machine and the packages of the latest run."""
        return self.path / "environment.json"

    @property
    def bad_files(self) -> Path:
        """The raw files that ended the latest run before it learned anything; not there after a good one."""
        return self.path / "bad_files.json"

    @property
    def log(self) -> Path:
        """What was logged."""
        return self.path / "run.log"

    def training(self, method: str, seed: int) -> Path:
        """Folder of the stage that trains one lifter."""
        return self.path / "lifters" / method / f"seed-{seed}"

    def gravity(self, method: str, seed: int) -> Path:
        """File of the target cameras' gravity that a training has found."""
        return self.training(method, seed) / GRAVITY

    def lifter(self, method: str, seed: int) -> Path:
        """Folder of a trained lifter."""
        return self.training(method, seed) / CHECKPOINT

    def evaluation(self, method: str, seed: int) -> Path:
        """Folder of the stage that evaluates one lifter."""
        return self.path / "evaluations" / method / f"seed-{seed}"


@dataclass(frozen=True)
class Trained:
    """What became of one lifter."""

    method: str
    seed: int
    training: TrainingRecord
    evaluation: EvaluationRecord


def job(recipe: Recipe, method: str, seed: int) -> TrainingJob:
    """Make the training job of one lifter of a recipe.

    A method that learns the target's own 3D learns the kind that the first protocol measures, unless the
    recipe says which.

    Parameters
    ----------
    recipe : Recipe
        The experiment.
    method : str
        Name of one of its methods.
    seed : int
        Of everything random.

    Raises
    ------
    ValueError
        The method needs a target and the recipe has none.
    """
    entry = recipe.entry(method)
    labelled = recipe.source if entry.labels == "source" else recipe.target
    if labelled is None:
        raise ValueError(f"{method} needs a target; add `target:` to the recipe")
    adapted = entry.role == "adapted"
    return TrainingJob(
        labelled=_as_measured(labelled, recipe.test) if entry.labels == "target" else labelled,
        target=recipe.target if adapted else None,
        watched=recipe.watched,
        adaptation=entry.adaptation,
        lifter=recipe.network,
        encoding=entry.encoding,
        rays=entry.rays,
        detector_noise=entry.detector_noise,
        schedule=recipe.schedule,
        clip_hz=recipe.clip_hz,
        selection=recipe.selection if adapted else "last",
        initial=None if recipe.initial is None else Path(recipe.initial.replace("{seed}", str(seed))),
        seed=seed,
        device=recipe.device,
    )


def _as_measured(target: PoseData, test: Test | None) -> PoseData:
    """Choose the kind of 3D that the first protocol measures, where the recipe chooses none.

    A reference that learns people in their true sizes and is measured by people of one size is charged for
    the difference between the two, which no method could have learned.
    """
    if target.positions is not None or test is None:
        return target
    return target.model_copy(update={"positions": protocol(test.protocols[0]).positions})


def stores(recipe: Recipe) -> tuple[StoredData, ...]:
    """List the data sets that a recipe reads, each store once."""
    named = (recipe.source, recipe.target, None if recipe.test is None else recipe.test.data)
    return tuple({data.store: data for data in named if data is not None}.values())
