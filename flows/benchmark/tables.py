"""Tables from the lines of a benchmark: runs pooled over seeds, in markdown and as rows for a terminal.

Every table carries its protocol, its motion, its seeds and numbers of frames and sequences; every figure its
interval. The headline is the last checkpoint; what the test's own labels would choose stands beside it for
comparison alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from poseshift.adaptation.methods import METHODS
from poseshift.flows.benchmark.domains import DOMAINS
from poseshift.flows.benchmark.lines import CHOICES, Choice, JobLabel, RunLine
from poseshift.flows.experiment.compare import gap_closed
from poseshift.storage.files import write_atomically
from poseshift.training.evaluation.intervals import Estimate
from poseshift.training.evaluation.results import PooledResult, SeedEstimate, pool_seeds
from poseshift.training.schedule import Schedule

BOOTSTRAP_SEED = 0

COLUMNS = (
    *("lifter", "method", "seeds", "MPJPE last", "MPJPE label-free", "MPJPE oracle"),
    *("PA-MPJPE", "PCK@150", "AUC", "gap closed", "camera gap closed", "rank corr.", "collapses", "s / run"),
)

OVERVIEW = "MPJPE of the last checkpoint, mm, mean ± standard deviation between seeds (their number):"

READING = (
    "Mean over seeds ± standard deviation between seeds [95 % bootstrap interval over test people]; MPJPE "
    "and PA-MPJPE in mm, PCK and AUC in per cent. PA-MPJPE, PCK, AUC and the gaps closed are those of the "
    "last checkpoint. `oracle` chooses by the test's labels and is no result. Gap closed: share of the MPJPE "
    "between source_only and target_supervised of the same lifter. Camera gap closed: the same between "
    "source_only and source_there, which has the source's people and motion. A dash stands where there is no "
    "such gap. Rank corr.: Spearman's correlation over epochs of the label-free rank with the true error, "
    "mean over seeds."
)


@dataclass(frozen=True)
class Cell:
    """All seeds of one lifter, method and domain.

    Attributes
    ----------
    lines : tuple[RunLine, ...]
        Of the runs that reached their end, by seed.
    given_up : tuple[RunLine, ...]
        Of those that collapsed for good.
    """

    lines: tuple[RunLine, ...]
    given_up: tuple[RunLine, ...]

    @property
    def job(self) -> JobLabel:
        """One of the jobs; they differ in their seeds."""
        return (*self.lines, *self.given_up)[0].job

    def pooled(self, choice: Choice) -> PooledResult | None:
        """Figures over the seeds; None when no run reached its end."""
        if not self.lines:
            return None
        return pool_seeds([line.under(choice) for line in self.lines], BOOTSTRAP_SEED)

    @property
    def rank_correlation(self) -> float | None:
        """Mean over the seeds for which there is one."""
        known = [line.rank_correlation for line in self.lines if line.rank_correlation is not None]
        return float(np.mean(known)) if known else None

    @property
    def collapses(self) -> int:
        """Times that the augmentation collapsed, over all seeds."""
        return sum(len(line.collapses) for line in (*self.lines, *self.given_up)) + len(self.given_up)

    @property
    def seconds(self) -> float:
        """Mean wall-clock time of a run."""
        return float(np.mean([line.seconds for line in (*self.lines, *self.given_up)]))


@dataclass(frozen=True)
class DomainTable:
    """The cells that may be compared, lifter by lifter: one domain, one motion."""

    cells: tuple[Cell, ...]

    @property
    def job(self) -> JobLabel:
        """One of the jobs."""
        return self.cells[0].job

    def gap_closed(self, cell: Cell, reference: str = "target_supervised") -> Estimate | None:
        """Share of the gap that a cell closes, by the last checkpoint; None without both ends or a gap.

        Parameters
        ----------
        cell : Cell
            Of this table.
        reference : str
            The method at the gap's other end; source_only is at this one.
        """
        ends = [self._beside(cell, name) for name in ("source_only", reference)]
        if cell in ends or not cell.lines or not all(end is not None and end.lines for end in ends):
            return None
        before, best = ([line.under("last") for line in end.lines] for end in ends if end is not None)
        return gap_closed(before, [line.under("last") for line in cell.lines], best, BOOTSTRAP_SEED)

    def _beside(self, cell: Cell, method: str) -> Cell | None:
        """Find another method of the same lifter and schedule."""
        wanted = (cell.job.lifter, cell.job.schedule, method)
        found = (one for one in self.cells if (one.job.lifter, one.job.schedule, one.job.method) == wanted)
        return next(found, None)


def tables(lines: Sequence[RunLine]) -> tuple[DomainTable, ...]:
    """Pool lines over seeds and sort them into tables, domain by domain."""

    def setup(line: RunLine) -> tuple[object, ...]:
        job = line.job
        content = (job.source_digest, job.target_digest, job.test_digest, job.source_there_digest)
        return (_place(job.domain, DOMAINS), content)

    def cell(line: RunLine) -> tuple[object, ...]:
        job = line.job
        settings = json.dumps(line.settings, sort_keys=True)
        return (job.lifter, job.schedule.model_dump_json(), _place(job.method, METHODS), settings)

    ordered = sorted(lines, key=lambda line: (*setup(line), *cell(line), line.job.seed))
    return tuple(
        DomainTable(
            tuple(
                Cell(
                    lines=tuple(line for line in same if line.given_up is None),
                    given_up=tuple(line for line in same if line.given_up is not None),
                )
                for same in (list(part) for _, part in groupby(together, key=cell))
            )
        )
        for together in (list(part) for _, part in groupby(ordered, key=setup))
    )


def rows(table: DomainTable) -> Iterator[tuple[str, ...]]:
    """Give the text of a table's rows, in the order of :data:`COLUMNS`."""
    for cell in table.cells:
        pooled = {choice: cell.pooled(choice) for choice in CHOICES}
        last = pooled["last"]
        shares = [table.gap_closed(cell, reference) for reference in ("target_supervised", "source_there")]
        correlation = cell.rank_correlation
        yield (
            cell.job.lifter,
            cell.job.method,
            str(len(cell.lines)),
            *(_shown(None if one is None else one.mpjpe_mm) for one in pooled.values()),
            *(_shown(None if last is None else one) for one in _further(last)),
            *("—" if share is None else _per_cent(share) for share in shares),
            "—" if correlation is None else f"{correlation:+.2f}",
            str(cell.collapses),
            f"{cell.seconds:.0f}",
        )


def heading(table: DomainTable) -> str:
    """Say what a table measures, on what, with which seeds."""
    job = table.job
    domain = DOMAINS[job.domain]
    seeds = sorted({line.job.seed for cell in table.cells for line in cell.lines})
    sizes = sorted({(r.frames, r.sequences) for c in table.cells for line in c.lines for r in line.results})
    counted = "; ".join(f"n = {frames:,} frames of {sequences} sequences" for frames, sequences in sizes)
    devices = sorted({line.device for cell in table.cells for line in (*cell.lines, *cell.given_up)})
    return (
        f"{domain.description} Protocol `{domain.protocol.name}`; {counted or 'no finished run'}; "
        f"seeds {', '.join(map(str, seeds)) or 'none'}; {_lengths(table)}; on {', '.join(devices)}. "
        f"Restaged motion, not the data sets' recordings: {job.motion}."
    )


def markdown(lines: Sequence[RunLine]) -> str:
    """Write all tables as markdown."""
    parts = []
    for table in tables(lines):
        parts += [f"### {table.job.domain}", "", heading(table), ""]
        parts += [OVERVIEW, "", *_overview(table), "", _markdown_row(COLUMNS)]
        parts += ["|" + "---|" * 2 + "---:|" * (len(COLUMNS) - 2)]
        parts += [*map(_markdown_row, rows(table)), ""]
    used = {line.job.method for line in lines}
    named = "; ".join(
        f"`{name}`: {method.description.rstrip('.')} ({method.parts})"
        for name, method in METHODS.items()
        if name in used
    )
    parts += [READING, "", f"Methods: {named}."]
    commits = sorted({line.git_commit or "none recorded" for line in lines})
    parts += ["", f"{len(lines)} runs; commit {', '.join(commits)}."]
    return "\n".join(parts) + "\n"


def _overview(table: DomainTable) -> Iterator[str]:
    """Give a row per lifter and schedule, a column per method."""
    methods = list(dict.fromkeys(cell.job.method for cell in table.cells))
    yield _markdown_row(("lifter", *(f"`{name}`" for name in methods)))
    yield "|---|" + "---:|" * len(methods)
    for (lifter, _), same in groupby(table.cells, key=lambda cell: (cell.job.lifter, cell.job.schedule)):
        shown = {cell.job.method: _brief(cell) for cell in same}
        yield _markdown_row((lifter, *(shown.get(name, "") for name in methods)))


def _brief(cell: Cell) -> str:
    pooled = cell.pooled("last")
    if pooled is None:
        return "—"
    error = pooled.mpjpe_mm
    spread = "" if error.std is None else f" ± {error.std:.1f}"
    return f"{error.value:.1f}{spread} ({pooled.seeds})"


class SectionError(ValueError):
    """A document that has no place for the tables."""


def replace_section(document: Path, name: str, text: str) -> None:
    """Put tables between the marks ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` of a document.

    Raises
    ------
    SectionError
        The document does not have both marks, once each and in this order.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    content = document.read_text(encoding="utf-8")
    before, found, rest = content.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end) or begin in rest or end in after:
        raise SectionError(f"{document}: needs the lines {begin!r} and {end!r}, once each, in this order")
    write_atomically(document, f"{before}{begin}\n\n{text}\n{end}{after}")


def _further(result: PooledResult | None) -> tuple[SeedEstimate | None, ...]:
    if result is None:
        return (None, None, None)
    return (result.pa_mpjpe_mm, result.pck150, result.auc)


def _shown(figure: SeedEstimate | None) -> str:
    return "—" if figure is None else str(figure)


def _per_cent(share: Estimate) -> str:
    interval = ""
    if share.low is not None and share.high is not None:
        interval = f" [{100 * share.low:.0f}, {100 * share.high:.0f}]"
    return f"{100 * share.value:.0f} %{interval}"


def _lengths(table: DomainTable) -> str:
    """Say which lifters learned for how long."""
    lifters: dict[str, list[str]] = {}
    for cell in table.cells:
        named = lifters.setdefault(_in_words(cell.job.schedule), [])
        if cell.job.lifter not in named:
            named.append(cell.job.lifter)
    return "; ".join(f"{', '.join(named)}: {words}" for words, named in lifters.items())


def _in_words(schedule: Schedule) -> str:
    length = "one pass" if schedule.steps_per_epoch is None else f"{schedule.steps_per_epoch} steps"
    rate = f"rate {schedule.learning_rate:g}"
    return f"{schedule.epochs} epochs of {length} of {schedule.batch_size} clips at {rate}"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _place(name: str, order: Iterable[str]) -> int:
    """Where a name stands in an order; names of earlier versions come last."""
    names = list(order)
    return names.index(name) if name in names else len(names)
