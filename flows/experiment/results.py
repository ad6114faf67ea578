"""What an experiment found, as one JSON document: figures with intervals, under the protocol's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import Field

from poseshift.adaptation.method import Method, Role
from poseshift.adaptation.parts import Parts
from poseshift.flows.experiment.compare import gain_mm, gap_closed
from poseshift.flows.experiment.origins import (
    Origins,
    elsewhere_told,
    restaging_told,
    transduction_told,
)
from poseshift.flows.experiment.recipe import CheckpointChoice, Recipe
from poseshift.storage.inspection import intrinsics_told
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import git_commit, software_versions
from poseshift.training.evaluation.intervals import Estimate
from poseshift.training.evaluation.results import EvaluationResult, SeedEstimate, gaps_told, pool_seeds

BOOTSTRAP_SEED = 0

Results = Mapping[str, Sequence[EvaluationResult]]
"""By name of the method: one result per seed, in the order of the recipe's seeds, under any protocols."""


class Figures(FrozenModel):
    """The figures of one kind of lifter under one protocol, means over seeds."""

    mpjpe_mm: SeedEstimate
    """Mean per-joint position error."""
    pa_mpjpe_mm: SeedEstimate
    """The same after a similarity fit of each pose."""
    pck150: SeedEstimate
    """Joints within 150 mm, per cent."""
    auc: SeedEstimate
    """Area under the PCK curve, per cent."""
    further: dict[str, SeedEstimate] = Field(default_factory=dict)
    """Metrics that were added to the built-in ones, by name."""


class Row(FrozenModel):
    """One method in a table."""

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
    figures: Figures
    """Its figures, means over seeds."""
    gain_mm: Estimate | None = None
    """MPJPE saved against the baseline, paired by test person; None for baseline and references."""
    gap_closed: Estimate | None = None
    """Share closed of the MPJPE gap between the baseline and a lifter that learns the target's labels."""


class ProtocolFigures(FrozenModel):
    """All methods under one protocol."""

    protocol: str
    """Name of the protocol."""
    frames: int
    """Test frames measured."""
    sequences: int
    """Test sequences measured."""
    interpolated: int = 0
    """Test frames in which a keypoint was not detected; lifters answered to one interpolated in time."""
    rows: tuple[Row, ...]
    """One per method, in the order of the recipe's entries."""

    @property
    def gaps(self) -> str | None:
        """A sentence on test frames that lack keypoints; None where none do."""
        return gaps_told(self.interpolated, self.frames)

    def of(self, method: str) -> Row | None:
        """Find a method's row by its name; None when it was not trained."""
        return next((row for row in self.rows if row.method == method), None)


class Summary(ProtocolFigures):
    """An experiment's headline, and what it depends on."""

    name: str
    """Name of the experiment."""
    method: str
    """Name of the method that the experiment is for."""
    restaged_from: str | None
    """The motion behind restaged test data; None for recordings of the data set's own people."""
    origins: Origins | None = None
    """Where source, target and test data come from; None in summaries that do not say."""
    seeds: tuple[int, ...]
    """One lifter of each method was trained per seed."""
    selection: CheckpointChoice
    """How the checkpoints of adapted lifters were chosen; the others are the last ones."""
    interval: str = "95 % bootstrap over test people; none with fewer than five"
    """What `low` and `high` are."""
    details: tuple[ProtocolFigures, ...]
    """The figures under the recipe's other protocols."""
    snapshots: dict[str, str]
    """Store snapshot of each data set that was read."""
    recipe_digest: str
    """SHA-256 of the recipe's canonical JSON."""
    git_commit: str | None
    """Commit of the program, when it runs from a checkout."""
    versions: dict[str, str]
    """Versions of the software."""

    @property
    def headline(self) -> Row:
        """The row of the method that the experiment is for."""
        return next(row for row in self.rows if row.method == self.method)

    @property
    def restaging(self) -> str | None:
        """Sentences on which of the data are restaged; None where none are."""
        return None if self.origins is None else restaging_told(self.origins)

    @property
    def calibration(self) -> str | None:
        """Sentences on cameras that are assumed, made of the answers, or contradict them; None where none."""
        if self.origins is None:
            return None
        tested = self.origins.test_intrinsics
        assumed = [one for one in self.origins.target_intrinsics if one.origin == "assumed"]
        return intrinsics_told((*tested, *(one for one in assumed if one not in tested)))

    @property
    def tested_elsewhere(self) -> str | None:
        """A sentence on figures that are not of the target; None where they are."""
        if self.origins is None:
            return None
        return elsewhere_told(self.origins, [row.label for row in self.rows if row.role == "adapted"])

    @property
    def transduction(self) -> str | None:
        """Sentences on lifters that have seen the frames of their test; None where none have."""
        if self.origins is None:
            return None
        adapted = [row.label for row in self.rows if row.role == "adapted"]
        references = [row.label for row in self.rows if row.role == "reference"]
        return transduction_told(self.origins, self.frames, adapted, references)


def compare(protocol: str, entries: Sequence[Method], results: Results) -> ProtocolFigures:
    """Compare methods under one protocol.

    Parameters
    ----------
    protocol : str
        Its name.
    entries : sequence of Method
        The methods, in the order of the rows. Gains are measured against the first baseline among them,
        shares of the gap up to the first one that learns the target's labels.
    results : mapping
        By name of the method, one result per seed under that protocol.
    """
    baseline = next((entry.name for entry in entries if entry.role == "baseline"), None)
    reference = next((entry.name for entry in entries if entry.labels == "target"), None)
    first = pool_seeds(results[entries[0].name], BOOTSTRAP_SEED)
    return ProtocolFigures(
        protocol=protocol,
        frames=first.frames,
        sequences=first.sequences,
        interpolated=results[entries[0].name][0].interpolated,
        rows=tuple(_row(entry, results, baseline, reference) for entry in entries),
    )


def _row(entry: Method, results: Results, baseline: str | None, reference: str | None) -> Row:
    pooled = pool_seeds(results[entry.name], BOOTSTRAP_SEED)
    gain, share = None, None
    if entry.role == "adapted" and baseline is not None:
        gain = gain_mm(results[baseline], results[entry.name], BOOTSTRAP_SEED)
        if reference is not None:
            share = gap_closed(results[baseline], results[entry.name], results[reference], BOOTSTRAP_SEED)
    return Row(
        method=entry.name,
        label=entry.label,
        description=entry.description,
        role=entry.role,
        parts=entry.parts,
        figures=Figures(**{name: getattr(pooled, name) for name in Figures.model_fields}),
        gain_mm=gain,
        gap_closed=share,
    )


def summarise(
    recipe: Recipe,
    results: Mapping[str, Results],
    *,
    snapshots: Mapping[str, str],
    origins: Origins,
) -> Summary:
    """Put an experiment's figures and provenance into one document.

    Parameters
    ----------
    recipe : Recipe
        What was run; its first protocol is the headline.
    results : mapping
        Results by protocol.
    snapshots : mapping
        Snapshot of each data set that was read.
    origins : Origins
        Where the data come from.
    """
    headline, *details = (
        compare(name, recipe.entries, results[name]) for name in recipe.required_test.protocols
    )
    return Summary(
        **{name: getattr(headline, name) for name in ProtocolFigures.model_fields},
        name=recipe.name,
        method=recipe.method.name,
        restaged_from=next(one.restaged_from for one in origins.parts if one.part == "test"),
        origins=origins,
        seeds=recipe.seeds,
        selection=recipe.selection,
        details=tuple(details),
        snapshots=dict(snapshots),
        recipe_digest=recipe.digest,
        git_commit=git_commit(),
        versions=software_versions(),
    )
