"""What an experiment without a test can say: label-free criteria of every lifter and epoch, and no error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from poseshift.adaptation.method import Role
from poseshift.adaptation.parts import Parts
from poseshift.adaptation.selection import Criteria, combined_rank
from poseshift.flows.experiment.origins import Origins, restaging_told
from poseshift.flows.experiment.recipe import CheckpointChoice, Recipe
from poseshift.flows.experiment.train import TrainingRecord
from poseshift.storage.inspection import intrinsics_told
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import git_commit, software_versions
from poseshift.storage.schema import Dataset

NO_TRUTH = (
    "The recipe names no test, so no answer was compared with 3D. The criteria say whether a lifter's "
    "answers agree with their keypoints, with bodies and with each other. A lifter that is wrong in the same "
    "way everywhere passes all of them: they are no errors, and a lower figure proves no better lifter."
)

NO_TARGET = (
    "The recipe names no target either: the criteria were measured on keypoints of the source, which the "
    "lifters have learned, and say nothing of other cameras or people."
)


@dataclass(frozen=True)
class TrainedUntested:
    """What became of one lifter that nothing tests."""

    method: str
    seed: int
    training: TrainingRecord


class EpochCriteria(FrozenModel):
    """One epoch of one lifter."""

    epoch: int
    """Counted from 1."""
    criteria: Criteria
    """Measured on the target's keypoints."""


class LabelFreeRow(FrozenModel):
    """One lifter: a method with a seed."""

    method: str
    """Name of the method."""
    label: str
    """A few words for people."""
    description: str
    """One sentence."""
    role: Role
    """Baseline, adapted, or a reference that sees target labels."""
    parts: Parts
    """What it is made of."""
    seed: int
    """Its seed."""
    kept: int
    """Epoch whose lifter was kept."""
    rank: float
    """Mean rank of the kept lifter over the criteria among all kept lifters, from 1 for the best."""
    epochs: tuple[EpochCriteria, ...]
    """Every epoch."""

    @property
    def kept_criteria(self) -> Criteria:
        """Criteria of the epoch that was kept."""
        return next(one.criteria for one in self.epochs if one.epoch == self.kept)


class LabelFreeSummary(FrozenModel):
    """An experiment without truth, and what it depends on."""

    name: str
    """Name of the experiment."""
    method: str
    """Name of the method that the experiment is for."""
    target: Dataset
    """Data on whose keypoints the criteria were measured: the target, or else the source."""
    truth: str = NO_TRUTH
    """What the criteria say, and what they do not."""
    rows: tuple[LabelFreeRow, ...]
    """One per lifter, in the order of the recipe's methods and seeds."""
    origins: Origins
    """Where source and target come from."""
    seeds: tuple[int, ...]
    """One lifter of each method was trained per seed."""
    selection: CheckpointChoice
    """How the checkpoints of adapted lifters were chosen; the others are the last ones."""
    snapshots: dict[str, str]
    """Store snapshot of each data set that was read."""
    recipe_digest: str
    """SHA-256 of the recipe's canonical JSON."""
    git_commit: str | None
    """Commit of the program, when it runs from a checkout."""
    versions: dict[str, str]
    """Versions of the software."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that a reader must know: no truth, restaged data, assumed cameras."""
        told = (self.truth, restaging_told(self.origins), intrinsics_told(self.origins.target_intrinsics))
        return tuple(note for note in told if note is not None)


def summarise_label_free(
    recipe: Recipe, trained: Sequence[TrainedUntested], origins: Origins, snapshots: Mapping[str, str]
) -> LabelFreeSummary:
    """Put the criteria of an experiment's lifters into one document.

    Parameters
    ----------
    recipe : Recipe
        What was run, without a test.
    trained : sequence of TrainedUntested
        Its lifters, whose records have every epoch's criteria.
    origins : Origins
        Where the data come from.
    snapshots : mapping
        Snapshot of each data set that was read.
    """
    if recipe.watched is None:
        raise ValueError(f"recipe {recipe.name} has a test, which measures its lifters")
    order = {method: number for number, method in enumerate(recipe.methods)}
    ordered = sorted(trained, key=lambda one: (order[one.method], one.seed))
    kept = [
        next(found.criteria for found in one.training.candidates if found.epoch == one.training.epoch)
        for one in ordered
    ]
    ranks = combined_rank(kept)
    return LabelFreeSummary(
        name=recipe.name,
        method=recipe.method.name,
        target=recipe.watched.dataset,
        truth=NO_TRUTH if recipe.target is not None else f"{NO_TRUTH} {NO_TARGET}",
        rows=tuple(_row(recipe, one, float(rank)) for one, rank in zip(ordered, ranks, strict=True)),
        origins=origins,
        seeds=recipe.seeds,
        selection=recipe.selection,
        snapshots=dict(snapshots),
        recipe_digest=recipe.digest,
        git_commit=git_commit(),
        versions=software_versions(),
    )


def _row(recipe: Recipe, one: TrainedUntested, rank: float) -> LabelFreeRow:
    entry = recipe.entry(one.method)
    return LabelFreeRow(
        method=entry.name,
        label=entry.label,
        description=entry.description,
        role=entry.role,
        parts=entry.parts,
        seed=one.seed,
        kept=one.training.epoch,
        rank=rank,
        epochs=tuple(
            EpochCriteria(epoch=found.epoch, criteria=found.criteria) for found in one.training.candidates
        ),
    )
