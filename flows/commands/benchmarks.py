"""Commands about benchmarks: run one, and make tables of what it recorded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.table import Table

from poseshift.adaptation.methods import METHODS
from poseshift.flows.benchmark.data import prepare_benchmark
from poseshift.flows.benchmark.execute import BenchmarkBusyError, execute
from poseshift.flows.benchmark.lines import LinesError, RunLine, read_lines
from poseshift.flows.benchmark.plan import PLANS, Effort, Plan, Suite
from poseshift.flows.benchmark.plots import write_plots
from poseshift.flows.benchmark.tables import (
    COLUMNS,
    SectionError,
    heading,
    markdown,
    replace_section,
    rows,
    tables,
)
from poseshift.flows.commands.console import error_console, fail, say, show, user_errors, warn
from poseshift.flows.commands.steps import shown_on
from poseshift.flows.experiment.fitting import resolve_device
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.files import write_atomically
from poseshift.storage.sentences import in_sentences

app = typer.Typer()
benchmark_app = typer.Typer(
    help="Compare lifters and methods over several target domains and seeds.", no_args_is_help=True
)
app.add_typer(benchmark_app, name="benchmark")

TABLE_FILE, PLOTS = "table.md", "plots"

_SHOWN = [COLUMNS.index(name) for name in ("lifter", "method", "runs", "MPJPE", "saved against", "mm saved")]
"""What fits into a terminal; the file has all columns."""


@benchmark_app.command("adaptation")
def adaptation(
    out: Annotated[Path, typer.Option(help="Folder for the results; finished runs there are kept.")],
    motion: Annotated[
        str, typer.Option(help="An npz bundle, a folder of CMU's ASF/AMC files, or 'procedural'.")
    ] = "procedural",
    suite: Annotated[Suite, typer.Option(help="Compare methods, or take them apart.")] = "adaptation",
    effort: Annotated[
        Effort, typer.Option(help="'short' is for two CPU cores and half an hour, 'full' for a GPU.")
    ] = "short",
    lifters: Annotated[list[str] | None, typer.Option(help="Presets of lifters; repeat the option.")] = None,
    methods: Annotated[list[str] | None, typer.Option(help="Methods; repeat the option.")] = None,
    cameras: Annotated[list[str] | None, typer.Option(help="Target cameras; repeat the option.")] = None,
    forms: Annotated[
        list[str] | None,
        typer.Option(help="exact, detected, gaps, skeleton, laboratory or postures; repeat the option."),
    ] = None,
    splits: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Divisions of the people, 0 for the one that settings are chosen on."),
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Number of seeds, from 0.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of every run.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of an epoch.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Clips of a step.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at the same time, one CPU thread each.")] = 2,
    data: Annotated[
        Path | None, typer.Option(help="Folder for restaged data and stores; by default OUT/data.")
    ] = None,
    restage_seed: Annotated[int, typer.Option(help="Seed of the placement before the cameras.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:<n>.")] = "auto",
) -> None:
    """Train every lifter by every method for every target; continue where an earlier call stopped."""
    with user_errors(RawDataError, LinesError, BenchmarkBusyError, ValueError):
        length = {"epochs": epochs, "steps_per_epoch": steps, "batch_size": batch}
        plan = _plan(PLANS[suite, effort], lifters, methods, cameras, forms, splits, seeds, length)
        with shown_on(error_console):
            ready = {
                split: prepare_benchmark(motion, data or out / "data", restage_seed, split)
                for split in plan.splits
            }
            executed = execute(plan.jobs(ready), ready, out, jobs, str(resolve_device(device)))
    if executed.lines:
        _publish(executed.lines, out)
    for failure in executed.failures:
        warn(f"{failure.job.title}: {failure.message}")
    if executed.failures:
        fail(f"{len(executed.failures)} runs were not finished; the same command tries them again")


@benchmark_app.command("table")
def table(
    folder: Annotated[Path, typer.Argument(help="The folder of a benchmark's results.")],
    into: Annotated[
        Path | None, typer.Option(help="Also refresh the tables in this document, between its marks.")
    ] = None,
    section: Annotated[
        str, typer.Option(help="Name of the marks: <!-- begin NAME --> and <!-- end NAME -->.")
    ] = "adaptation",
    against: Annotated[
        str | None,
        typer.Option(help="Method that all others are compared with, in place of each one's control."),
    ] = None,
) -> None:
    """Make tables and plots of the runs that a benchmark has recorded, finished or not."""
    with user_errors(LinesError, SectionError, OSError, ValueError):
        if against is not None:
            METHODS[against]
        lines = read_lines(folder)
        if not lines:
            fail(
                f"{folder} holds no finished run; start with `poseshift benchmark adaptation --out {folder}`"
            )
        _publish(lines, folder, against)
        if into is not None:
            replace_section(into, section, markdown(lines, against))


def _plan(
    plan: Plan,
    lifters: list[str] | None,
    methods: list[str] | None,
    cameras: list[str] | None,
    forms: list[str] | None,
    splits: list[int] | None,
    seeds: int | None,
    length: Mapping[str, int | None],
) -> Plan:
    asked = {name: n for name, n in length.items() if n is not None}
    given = {
        "lifters": lifters,
        "methods": methods,
        "domains": cameras,
        "forms": forms,
        "splits": splits,
        "seeds": seeds,
    }
    chosen = {
        **{name: value for name, value in given.items() if value is not None},
        "schedule": plan.schedule.model_copy(update=asked),
        "own_schedules": {name: own.model_copy(update=asked) for name, own in plan.own_schedules.items()},
    }
    try:
        return Plan.model_validate({**plan.model_dump(), **chosen})
    except ValidationError as error:
        raise ValueError(in_sentences(error)) from None


def _publish(lines: tuple[RunLine, ...], out: Path, against: str | None = None) -> None:
    made = tables(lines)
    for one in made:
        shown = Table(*(COLUMNS[column] for column in _SHOWN), title=one.title, caption=heading(one))
        for row in rows(one, against):
            shown.add_row(*(row[column] for column in _SHOWN))
        show(shown)
    write_atomically(out / TABLE_FILE, markdown(lines, against))
    write_plots(made, out / PLOTS)
    say(f"{len(lines)} runs\nTable: {out / TABLE_FILE}\nPlots: {out / PLOTS}")
