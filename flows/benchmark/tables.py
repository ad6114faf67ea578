"""Tables from the lines of a benchmark: runs pooled over splits and seeds, in markdown and for a terminal.

Every table carries its protocol, its motion, its runs and numbers of frames and people; every figure its
interval, and every method the paired difference from its control. The headline is the last checkpoint; what
the test's own labels would choose stands beside it for comparison alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

import numpy as np

from poseshift.adaptation.methods import METHODS
from poseshift.flows.benchmark.content import CONTENTS
from poseshift.flows.benchmark.domains import DOMAINS
from poseshift.flows.benchmark.forms import FORMS
from poseshift.flows.benchmark.lines import Choice, JobLabel, RaysKind, RunLine
from poseshift.flows.benchmark.pooling import ResultOf, paired, pooled, saved_within
from poseshift.flows.benchmark.suites import control_of
from poseshift.storage.files import write_atomically
from poseshift.training.evaluation.intervals import Estimate
from poseshift.training.evaluation.results import Errors, EvaluationResult, SeedEstimate
from poseshift.training.schedule import Schedule

COLUMNS = (
    *("lifter", "method", "runs", "MPJPE", "saved against", "mm saved", "PA-MPJPE"),
    *("rays off", "snap", "blend", "label-free", "oracle", "rank corr.", "collapses", "s / run"),
)

OVERVIEW = "MPJPE of the last checkpoint, mm, mean ± standard deviation between runs (their number):"

BY_CONTENT = "MPJPE of the last checkpoint by what people do, mm (frames of a run):"

ONE_BODY = (
    "One body in all frames of a view, against each frame's own, of the same networks (answers {}, `{}`), mm:"
)

READING = (
    "Mean over test people and runs ± standard deviation between runs (splits and seeds) [95 % bootstrap "
    "interval over test people, none with fewer than five], mm. MPJPE and PA-MPJPE are those of the last "
    "checkpoint with the method's own rays; `rays off`, `snap` and `blend` are the same network's MPJPE with "
    "its joints off their rays, on them, and between. `mm saved` is the paired difference from the method "
    "named before it, on the same people, splits and seeds: positive is better. `label-free` is the epoch "
    "that the target's keypoints choose; `oracle` chooses by the test's labels and is no result. Rank corr.: "
    "Spearman's correlation over epochs of the label-free rank with the true error, mean over runs."
)


@dataclass(frozen=True)
class Cell:
    """All runs of one lifter, method, domain and form.

    Attributes
    ----------
    lines : tuple[RunLine, ...]
        Of the runs that reached their end, by split and seed.
    given_up : tuple[RunLine, ...]
        Of those that collapsed for good.
    """

    lines: tuple[RunLine, ...]
    given_up: tuple[RunLine, ...]

    @property
    def job(self) -> JobLabel:
        """One of the jobs; they differ in their splits and seeds."""
        return (*self.lines, *self.given_up)[0].job

    def figure(self, choice: Choice, metric: str = "mpjpe_mm") -> SeedEstimate | None:
        """Pool a figure over the runs; None when no run reached its end."""
        return pooled(self.lines, lambda line: line.under(choice), metric) if self.lines else None

    def answering(self, rays: RaysKind) -> Cell:
        """Take the runs that were measured with this done to their answers."""
        return Cell(tuple(line for line in self.lines if rays in line.by_rays), ())

    def by_rays(self, rays: RaysKind, metric: str = "mpjpe_mm") -> SeedEstimate | None:
        """Figure of the last checkpoint by what is done with rays; None where a run was not measured so."""
        if not self.lines or any(rays not in line.by_rays for line in self.lines):
            return None
        return pooled(self.lines, _by(rays), metric)

    @property
    def rank_correlation(self) -> float | None:
        """Mean over the runs for which there is one."""
        known = [line.rank_correlation for line in self.lines if line.rank_correlation is not None]
        return float(np.mean(known)) if known else None

    @property
    def collapses(self) -> int:
        """Times that the augmentation collapsed, over all runs."""
        return sum(len(line.collapses) for line in (*self.lines, *self.given_up)) + len(self.given_up)

    @property
    def seconds(self) -> float:
        """Mean wall-clock time of a run."""
        return float(np.mean([line.seconds for line in (*self.lines, *self.given_up)]))


@dataclass(frozen=True)
class DomainTable:
    """The cells that may be compared, lifter by lifter: one domain, one form, one motion."""

    cells: tuple[Cell, ...]

    @property
    def job(self) -> JobLabel:
        """One of the jobs."""
        return self.cells[0].job

    @property
    def title(self) -> str:
        """Domain and form."""
        return f"{self.job.domain}, {self.job.form}"

    def name_of(self, job: JobLabel) -> str:
        """Name a job's lifter; with its steps and clips where it has learned by several schedules here."""
        if job.lifter not in self._of_several_schedules:
            return job.lifter
        schedule = job.schedule
        steps = "one pass" if schedule.steps_per_epoch is None else schedule.epochs * schedule.steps_per_epoch
        return f"{job.lifter}, {steps} x {schedule.batch_size}"

    @cached_property
    def _of_several_schedules(self) -> frozenset[str]:
        taught = {(cell.job.lifter, cell.job.schedule) for cell in self.cells}
        counts = Counter(lifter for lifter, _ in taught)
        return frozenset(lifter for lifter, schedules in counts.items() if schedules > 1)

    def saved(self, cell: Cell, control: str, rays: RaysKind | None = None) -> Estimate | None:
        """MPJPE that a cell saves against another method of the same lifter and schedule.

        Parameters
        ----------
        cell : Cell
            Of this table.
        control : str
            Name of the other method.
        rays : RaysKind or None
            What is done to the answers of both, in runs that were measured so; None: what each method does.

        Returns
        -------
        Estimate or None
            None without runs of both.
        """
        wanted = (cell.job.lifter, cell.job.schedule, control)
        found = [one for one in self.cells if (one.job.lifter, one.job.schedule, one.job.method) == wanted]
        if not found or found[0] is cell:
            return None
        if rays is None:
            return paired(cell.lines, found[0].lines, _last)
        return paired(cell.answering(rays).lines, found[0].answering(rays).lines, _by(rays))


def _by(rays: RaysKind) -> ResultOf:
    return lambda line: line.by_rays[rays]


def _last(line: RunLine) -> EvaluationResult:
    return line.under("last")


def tables(lines: Sequence[RunLine]) -> tuple[DomainTable, ...]:
    """Pool lines over splits and seeds and sort them into tables, domain by domain and form by form."""

    def setup(line: RunLine) -> tuple[object, ...]:
        job = line.job
        return (_place(job.domain, DOMAINS), _place(job.form, FORMS), job.motion)

    def cell(line: RunLine) -> tuple[object, ...]:
        job = line.job
        settings = json.dumps(line.settings, sort_keys=True)
        return (job.lifter, job.schedule.model_dump_json(), _place(job.method, METHODS), settings)

    ordered = sorted(lines, key=lambda line: (*setup(line), *cell(line), line.job.split, line.job.seed))
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


def rows(table: DomainTable, against: str | None = None) -> Iterator[tuple[str, ...]]:
    """Give the text of a table's rows, in the order of :data:`COLUMNS`.

    Parameters
    ----------
    table : DomainTable
        Whose rows.
    against : str or None
        The method that all others are compared with; None: each one's control.
    """
    for cell in table.cells:
        control = against or control_of(cell.job.method)
        saved = None if control is None else table.saved(cell, control)
        correlation = cell.rank_correlation
        yield (
            table.name_of(cell.job),
            cell.job.method,
            str(len(cell.lines)),
            _shown(cell.figure("last")),
            "—" if saved is None or control is None else control,
            _shown(saved),
            _shown(cell.figure("last", "pa_mpjpe_mm")),
            *(_shown(cell.by_rays(rays)) for rays in _RAYS),
            *(_shown(cell.figure(choice)) for choice in _CHOSEN),
            "—" if correlation is None else f"{correlation:+.2f}",
            str(cell.collapses),
            f"{cell.seconds:.0f}",
        )


_RAYS: tuple[RaysKind, ...] = ("off", "snap", "blend")
_CHOSEN: tuple[Choice, ...] = ("label-free", "oracle")


def heading(table: DomainTable) -> str:
    """Say what a table measures, on what, with which runs."""
    job = table.job
    domain = DOMAINS[job.domain]
    finished = [line for cell in table.cells for line in cell.lines]
    splits, seeds = (sorted({getattr(line.job, name) for line in finished}) for name in ("split", "seed"))
    people = {line.people.get(r.subject, r.subject) for line in finished for r in _last(line).per_sequence}
    frames = {line.job.split: _last(line).frames for line in finished}
    devices = sorted({line.device for cell in table.cells for line in (*cell.lines, *cell.given_up)})
    return (
        f"{domain.description} {FORMS[job.form].description} Protocol `{domain.protocol.name}`; "
        f"{sum(frames.values()):,} frames of {len(people)} people; splits {_listed(splits)}, seeds "
        f"{_listed(seeds)}; {_lengths(table)}; on {', '.join(devices)}. "
        f"Restaged motion, not the data sets' recordings: {job.motion}."
    )


def markdown(lines: Sequence[RunLine], against: str | None = None) -> str:
    """Write all tables as markdown; ``against`` as in :func:`rows`."""
    parts = []
    for table in tables(lines):
        parts += [f"### {table.title}", "", heading(table), ""]
        parts += [OVERVIEW, "", *_overview(table), "", _markdown_row(COLUMNS)]
        parts += ["|" + "---|" * 2 + "---:|" * (len(COLUMNS) - 2)]
        parts += [*map(_markdown_row, rows(table, against)), "", *_one_body(table, against)]
        parts += _by_content(table)
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
    for _, same in groupby(table.cells, key=lambda cell: (cell.job.lifter, cell.job.schedule)):
        shown = {cell.job.method: cell for cell in same}
        lifter = table.name_of(next(iter(shown.values())).job)
        yield _markdown_row((lifter, *(_brief(shown[name]) if name in shown else "" for name in methods)))


def _one_body(table: DomainTable, against: str | None) -> Iterator[str]:
    """Give a row per method that was measured so, under a line of explanation."""
    detected = FORMS[table.job.form].detected
    frame: RaysKind = "near" if detected else "snap"
    view: RaysKind = "near-body" if detected else "snap-body"
    cells = [found for cell in table.cells if (found := cell.answering(view)).lines]
    if not cells:
        return
    yield ONE_BODY.format("where near" if detected else "on rays", "near" if detected else "snap")
    yield ""
    columns = ("lifter", "method", "runs", "each frame's body", "one body", "saved by it", "PA-MPJPE")
    yield _markdown_row((*columns, "one body: PA-MPJPE", "saved against", "one body: mm saved"))
    yield "|" + "---|" * 2 + "---:|" * 8
    for cell in cells:
        control = against or control_of(cell.job.method)
        saved = None if control is None else table.saved(cell, control, view)
        yield _markdown_row(
            (
                table.name_of(cell.job),
                f"`{cell.job.method}`",
                str(len(cell.lines)),
                _shown(cell.by_rays(frame)),
                _shown(cell.by_rays(view)),
                _shown(saved_within(cell.lines, _by(frame), _by(view))),
                _shown(cell.by_rays(frame, "pa_mpjpe_mm")),
                _shown(cell.by_rays(view, "pa_mpjpe_mm")),
                "—" if saved is None or control is None else control,
                _shown(saved),
            )
        )
    yield ""


def _by_content(table: DomainTable) -> Iterator[str]:
    """Give a row per method that was measured so, a column per content, under a line of explanation."""
    measured = [cell for cell in table.cells if cell.lines and all(line.by_content for line in cell.lines)]
    if not measured:
        return
    shown = [
        one for one in CONTENTS if any(one in line.by_content for cell in measured for line in cell.lines)
    ]
    yield BY_CONTENT
    yield ""
    yield _markdown_row(("lifter", "method", "runs", *shown))
    yield "|" + "---|" * 2 + "---:|" * (1 + len(shown))
    for cell in measured:
        errors = [[line.by_content[one] for line in cell.lines if one in line.by_content] for one in shown]
        yield _markdown_row(
            (
                table.name_of(cell.job),
                f"`{cell.job.method}`",
                str(len(cell.lines)),
                *map(_over_frames, errors),
            )
        )
    yield ""


def _over_frames(errors: Sequence[Errors]) -> str:
    """MPJPE over the frames of all runs, and how many frames a run has in the mean."""
    frames = np.array([one.frames for one in errors], dtype=np.float64)
    if not frames.any():
        return "—"
    value = np.average([one.mpjpe_mm for one in errors], weights=frames)
    return f"{value:.1f} ({frames.mean():,.0f})"


def _brief(cell: Cell) -> str:
    error = cell.figure("last")
    if error is None:
        return "—"
    spread = "" if error.std is None else f" ± {error.std:.1f}"
    return f"{error.value:.1f}{spread} ({len(cell.lines)})"


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


def _shown(figure: Estimate | None) -> str:
    return "—" if figure is None else str(figure)


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"


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
