"""The table of lifters that were adapted from a trained lifter, beside those from scratch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from poseshift.flows.benchmark.lines import RunLine
from poseshift.flows.benchmark.pooling import paired, pooled
from poseshift.training.evaluation.results import EvaluationResult

COLUMNS = (
    "domain",
    "form",
    "method",
    "splits",
    "from scratch, mm",
    "tuned, mm",
    "tuned costs, mm",
    "tuned over scratch",
    "CPU s from scratch",
    "CPU s tuned",
)


def table(lines: Sequence[RunLine]) -> str:
    """Write a row for each domain, form and method, as Markdown."""
    cells: dict[tuple[str, str, str], list[RunLine]] = defaultdict(list)
    for line in lines:
        cells[line.job.domain, line.job.form, line.job.method].append(line)
    head = f"| {' | '.join(COLUMNS)} |\n|---|---|---|---|{'---:|' * (len(COLUMNS) - 4)}"
    return "\n".join((head, *(_row(*cell, same) for cell, same in cells.items())))


def _row(domain: str, form: str, method: str, lines: Sequence[RunLine]) -> str:
    tuned = [line for line in lines if "initial" in line.settings]
    scratch = [line for line in lines if "initial" not in line.settings]
    before, after = (pooled(part, _last, "mpjpe_mm") for part in (scratch, tuned))
    saved = paired(scratch, tuned, _last)
    splits = ", ".join(str(one) for one in sorted({line.job.split for line in tuned}))
    return (
        f"| `{domain}` | `{form}` | `{method}` | {splits} | {before.value:.1f} | {after.value:.1f} | {saved} "
        f"| {after.value / before.value - 1:+.1%} | {_cpu(scratch)} | {_cpu(tuned)} |"
    )


def _last(line: RunLine) -> EvaluationResult:
    return line.under("last")


def _cpu(lines: Iterable[RunLine]) -> str:
    seconds = [line.cpu_seconds for line in lines if line.cpu_seconds is not None]
    return f"{min(seconds):.0f} to {max(seconds):.0f}"
