"""What an experiment found, as one JSON document: figures with intervals, under the protocol's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from poseshift.flows.experiment.compare import gain_mm, gap_closed
from poseshift.flows.experiment.recipe import CheckpointChoice, Method, Recipe
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import git_commit, software_versions
from poseshift.training.evaluation.intervals import Estimate
from poseshift.training.evaluation.results import EvaluationResult, SeedEstimate, pool_seeds

BOOTSTRAP_SEED = 0

Results = Mapping[Method, Sequence[EvaluationResult]]
"""One result per seed for each kind of lifter, in the order of the recipe's seeds, under any protocols."""


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


class ProtocolFigures(FrozenModel):
    """All kinds of lifter under one protocol."""

    protocol: str
    """Name of the protocol."""
    frames: int
    """Test frames measured."""
    sequences: int
    """Test sequences measured."""
    source_only: Figures | None = None
    """Trained on the labelled source as it is."""
    gpa: Figures | None = None
    """Trained on the source after global position alignment to the target."""
    poseda: Figures | None = None
    """Trained on the source by PoseDA: aligned poses and augmented ones."""
    target_supervised: Figures | None = None
    """Trained on the target's own labels: the reference, not a competitor."""
    gain_mm: Estimate | None = None
    """MPJPE that the adaptation saves against source_only, paired by test sequence."""
    gap_closed: Estimate | None = None
    """Share of the MPJPE gap between source_only and target_supervised that the adaptation closes."""

    @property
    def adapted(self) -> Figures | None:
        """The adapted lifter; by PoseDA, where alignment alone is there for comparison."""
        return self.poseda or self.gpa

    def of(self, method: Method) -> Figures | None:
        """Find the figures of one kind of lifter."""
        return {
            "source_only": self.source_only,
            "gpa": self.gpa,
            "poseda": self.poseda,
            "target_supervised": self.target_supervised,
        }[method]


class Summary(ProtocolFigures):
    """An experiment's headline, and what it depends on."""

    name: str
    """Name of the experiment."""
    restaged_from: str | None
    """The motion behind restaged test data; None for recordings of the data set's own people."""
    seeds: tuple[int, ...]
    """One lifter of each kind was trained per seed."""
    selection: CheckpointChoice
    """How the checkpoints of adapted lifters were chosen; the others are the last ones."""
    interval: str = "95 % bootstrap over test sequences"
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


def compare(protocol: str, results: Results) -> ProtocolFigures:
    """Compare kinds of lifter under one protocol.

    Parameters
    ----------
    protocol : str
        Its name.
    results : mapping
        One result per seed under that protocol for each kind of lifter.
    """
    pooled = {method: pool_seeds(seeds, BOOTSTRAP_SEED) for method, seeds in results.items()}
    first = next(iter(pooled.values()))
    figures = {
        method: Figures(mpjpe_mm=one.mpjpe_mm, pa_mpjpe_mm=one.pa_mpjpe_mm, pck150=one.pck150, auc=one.auc)
        for method, one in pooled.items()
    }
    share = None
    source_only, reference = results.get("source_only"), results.get("target_supervised")
    adapted = results.get("poseda", results.get("gpa"))
    gain, share = None, None
    if source_only is not None and adapted is not None:
        gain = gain_mm(source_only, adapted, BOOTSTRAP_SEED)
        if reference is not None:
            share = gap_closed(source_only, adapted, reference, BOOTSTRAP_SEED)
    return ProtocolFigures(
        protocol=protocol,
        frames=first.frames,
        sequences=first.sequences,
        source_only=figures.get("source_only"),
        gpa=figures.get("gpa"),
        poseda=figures.get("poseda"),
        target_supervised=figures.get("target_supervised"),
        gain_mm=gain,
        gap_closed=share,
    )


def summarise(
    recipe: Recipe,
    results: Mapping[str, Results],
    *,
    snapshots: Mapping[str, str],
    restaged_from: str | None,
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
    restaged_from : str or None
        The motion behind restaged test data.
    """
    headline, *details = (compare(name, results[name]) for name in recipe.test.protocols)
    return Summary(
        **{name: getattr(headline, name) for name in ProtocolFigures.model_fields},
        name=recipe.name,
        restaged_from=restaged_from,
        seeds=recipe.seeds,
        selection=recipe.selection,
        details=tuple(details),
        snapshots=dict(snapshots),
        recipe_digest=recipe.digest,
        git_commit=git_commit(),
        versions=software_versions(),
    )
