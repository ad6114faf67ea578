"""Published figures beside measured ones, stage by stage, and the first stage that departs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from poseshift.flows.papers.settings import DEPARTURES, Origin, PoseDASettings, Setting, Stage
from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import Dataset
from poseshift.training.evaluation.results import EvaluationResult, SeedEstimate, pool_seeds

Verdict = Literal["inside", "inside by the oracle alone", "outside"]
"""Where the measured MPJPE lies; the oracle is the epoch with the least error on the test itself."""


class Published(FrozenModel):
    """Figures of one stage as they were published, and where."""

    label: str
    """Name of the stage in words."""
    mpjpe_mm: float
    """Mean per-joint position error."""
    pck150: float
    """Joints within 150 mm, per cent."""
    auc: float
    """Area under the PCK curve, per cent."""
    origin: Origin
    """Kind of the source."""
    where: str
    """Its source."""


_README = "PoseDA's README: VideoPose3D, true keypoints, Human3.6M to MPI-INF-3DHP"

PUBLISHED: Mapping[Stage, Published] = MappingProxyType(
    {
        "source_only": Published(
            label="Source only", mpjpe_mm=82.55, pck150=85.71, auc=53.35, origin="code", where=_README
        ),
        "gpa": Published(label="GPA", mpjpe_mm=66.07, pck150=90.87, auc=60.07, origin="code", where=_README),
        "gpa_lpa": Published(
            label="GPA + LPA",
            mpjpe_mm=61.3,
            pck150=92.0,
            auc=62.5,
            origin="paper",
            where="arXiv 2303.16456: MPJPE in the abstract, which names no lifter; PCK and AUC by a survey",
        ),
    }
)


class TestedEpoch(FrozenModel):
    """One epoch's lifter on the test."""

    __test__ = False  # not a test case, whatever pytest thinks of its name

    epoch: int
    """From 1."""
    mpjpe_mm: float
    """Mean per-joint position error."""
    pck150: float
    """Joints within 150 mm, per cent."""
    auc: float
    """Area under the PCK curve, per cent."""


class Oracle(FrozenModel):
    """The epochs that are best on the test, one per seed: known only to who knows the test's answers."""

    mpjpe_mm: float
    """Mean over the seeds."""
    per_seed: tuple[TestedEpoch, ...]
    """The epoch with the least MPJPE, by seed."""
    epochs_tested: tuple[int, ...]
    """Epochs that were measured, by seed."""


class StageOutcome(FrozenModel):
    """One stage: what was published, what was expected, what was measured."""

    stage: Stage
    """Name."""
    published: Published
    """What was published."""
    expected_mm: tuple[float, float]
    """MPJPE within which the stage counts as reproduced."""
    mpjpe_mm: SeedEstimate
    """MPJPE of the last epoch's lifter."""
    pck150: SeedEstimate
    """Its PCK."""
    auc: SeedEstimate
    """Its AUC."""
    best_on_test_oracle: Oracle
    """The epoch that is best on the test, by which the published figures are likely chosen."""
    verdict: Verdict
    """Whether MPJPE is as expected."""


class PaperOutcome(FrozenModel):
    """What came out of a paper's experiment."""

    paper: str = "PoseDA (Chai et al., ICCV 2023), arXiv 2303.16456"
    """Which one."""
    protocol: str
    """How the test was measured."""
    frames: int
    """Test frames measured."""
    target: Dataset
    """Data set whose keypoints were adapted to."""
    seeds: tuple[int, ...]
    """One lifter of each stage was trained per seed."""
    not_comparable: tuple[str, ...]
    """Why the figures are not comparable with published ones; empty when they are."""
    notes: tuple[str, ...]
    """What else a reader must know."""
    stages: tuple[StageOutcome, ...]
    """The stages in the order of their training."""
    first_outside: Stage | None
    """First stage whose MPJPE is not as expected, by either choice of the epoch; None when all are."""
    settings: tuple[Setting, ...]
    """The published settings, each with where it is from."""
    shortened: dict[str, int] = Field(default_factory=dict)
    """Settings that a short try has replaced."""
    departures: tuple[str, ...] = DEPARTURES
    """What is done otherwise than in the code that the settings are from."""
    snapshots: dict[str, str]
    """Store snapshot of source, target and test."""
    git_commit: str | None
    """Commit of the program, when it runs from a checkout."""
    versions: dict[str, str]
    """Versions of the software."""


def stage_outcome(
    stage: Stage,
    settings: PoseDASettings,
    last: Sequence[EvaluationResult],
    tested: Sequence[Sequence[TestedEpoch]],
) -> StageOutcome:
    """Put a stage's figures beside the published ones.

    Parameters
    ----------
    stage : Stage
        Which one.
    settings : PoseDASettings
        Hold the width of the band.
    last : sequence of EvaluationResult
        Per seed, of the last epoch's lifter.
    tested : sequence of sequence of TestedEpoch
        Per seed, of every epoch's lifter.
    """
    published, pooled = PUBLISHED[stage], pool_seeds(last, 0)
    expected = (published.mpjpe_mm - settings.band_mm, published.mpjpe_mm + settings.band_mm)
    best = tuple(min(epochs, key=lambda one: one.mpjpe_mm) for epochs in tested)
    oracle = sum(one.mpjpe_mm for one in best) / len(best)
    return StageOutcome(
        stage=stage,
        published=published,
        expected_mm=expected,
        mpjpe_mm=pooled.mpjpe_mm,
        pck150=pooled.pck150,
        auc=pooled.auc,
        best_on_test_oracle=Oracle(
            mpjpe_mm=oracle, per_seed=best, epochs_tested=tuple(len(epochs) for epochs in tested)
        ),
        verdict=_verdict(pooled.mpjpe_mm.value, oracle, expected),
    )


def first_outside(stages: Sequence[StageOutcome]) -> Stage | None:
    """Name the first stage that departs by either choice of the epoch; None when none does."""
    return next((one.stage for one in stages if one.verdict == "outside"), None)


def told(outcome: PaperOutcome) -> str:
    """Say in a sentence where the figures depart."""
    if outcome.first_outside is None:
        return "Every stage is inside its expected band."
    stage = next(one for one in outcome.stages if one.stage == outcome.first_outside)
    low, high = stage.expected_mm
    return (
        f"First stage outside its expected band: {stage.published.label}, {stage.mpjpe_mm.value:.1f} mm "
        f"(best on test {stage.best_on_test_oracle.mpjpe_mm:.1f}) where {low:.2f} to {high:.2f} was expected."
    )


COLUMNS = (
    "stage",
    "published MPJPE mm",
    "expected",
    "measured, last epoch",
    "best on test (oracle)",
    "verdict",
    "PCK published",
    "PCK measured",
    "AUC published",
    "AUC measured",
)
"""Heads of the table of stages."""


def rows(outcome: PaperOutcome) -> tuple[tuple[str, ...], ...]:
    """Write the table of stages, one row each, in the order of :data:`COLUMNS`."""
    return tuple(_row(stage) for stage in outcome.stages)


def markdown(outcome: PaperOutcome) -> str:
    """Write the whole outcome as a Markdown document."""
    lines = [f"# {outcome.paper}", ""]
    if outcome.not_comparable:
        lines += ["**The figures are not comparable with published ones:**", ""]
        lines += [*(f"- {reason}" for reason in outcome.not_comparable), ""]
    lines += [f"Protocol {outcome.protocol}, {outcome.frames:,} frames, seeds {list(outcome.seeds)}.", ""]
    lines += _table(COLUMNS, rows(outcome))
    lines += ["", told(outcome), "", *(f"- {note}" for note in outcome.notes), ""]
    lines += ["## Where the published figures are from", ""]
    lines += [
        f"- {stage.published.label}: {stage.published.where} ({stage.published.origin})"
        for stage in outcome.stages
    ]
    lines += ["", "## Settings", ""]
    lines += _table(
        ("setting", "value", "origin", "where"),
        [(one.name, f"`{one.value}`", one.origin, one.where) for one in outcome.settings],
    )
    if outcome.shortened:
        lines += ["", "Shortened: " + ", ".join(f"{name} {n}" for name, n in outcome.shortened.items())]
    lines += ["", "## Departures from the code that the settings are from", ""]
    lines += [f"- {one}" for one in outcome.departures]
    lines += ["", f"Commit {outcome.git_commit or 'unknown'}. Snapshots: "]
    lines += [f"- {part}: `{snapshot}`" for part, snapshot in outcome.snapshots.items()]
    return "\n".join(lines) + "\n"


def _table(heads: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *body)]


def _row(stage: StageOutcome) -> tuple[str, ...]:
    low, high = stage.expected_mm
    oracle = stage.best_on_test_oracle
    epochs = ", ".join(str(one.epoch) for one in oracle.per_seed)
    return (
        stage.published.label,
        f"{stage.published.mpjpe_mm:g}",
        f"{low:.2f} to {high:.2f}",
        str(stage.mpjpe_mm),
        f"{oracle.mpjpe_mm:.1f} (epoch {epochs})",
        stage.verdict,
        f"{stage.published.pck150:g}",
        f"{stage.pck150.value:.1f}",
        f"{stage.published.auc:g}",
        f"{stage.auc.value:.1f}",
    )


def _verdict(last: float, oracle: float, expected: tuple[float, float]) -> Verdict:
    low, high = expected
    if low <= last <= high:
        return "inside"
    return "inside by the oracle alone" if low <= oracle <= high else "outside"
