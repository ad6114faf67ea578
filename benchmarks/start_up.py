"""What a command costs before it does anything: seconds and modules, side by side for checkouts of the code.

    python -m benchmarks.start_up --code before=/path/to/checkout --code after=. --out runs/start_up.jsonl

Commands run on a store of small restaged recordings, with one thread each. Checkouts take turns, so that
other work on the machine falls on all of them alike. Each line is one command of one checkout.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.checkouts import add_measurements, checkouts, environment

from poseshift.preprocessing.motion.procedural import generate
from poseshift.preprocessing.restaging.restage import restage
from poseshift.storage.provenance import software_versions

PROGRAM = """
import atexit, sys
sys.argv[0] = "poseshift"
atexit.register(lambda: print("\\nmodules", len(sys.modules), file=sys.stderr))
from poseshift.flows.cli import main
main()
"""

TAB: Mapping[str, str] = {
    "_POSESHIFT_COMPLETE": "complete_bash",
    "COMP_WORDS": "poseshift ex",
    "COMP_CWORD": "1",
}
"""Variables by which a shell asks for words that begin with ``ex``."""


@dataclass(frozen=True)
class Command:
    """A command that is measured: what the table calls it, its words, and its part of the environment."""

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Measurement:
    """One command of one checkout; times in seconds, one per repetition, and their medians."""

    benchmark: str
    code: str
    command: str
    cpu_s: float
    wall_s: float
    modules: int
    all_cpu_s: tuple[float, ...]
    all_wall_s: tuple[float, ...]
    load: tuple[float, float, float]
    python: str
    versions: Mapping[str, str]


def commands(folder: Path) -> tuple[Command, ...]:
    """Make raw trees and say what is measured on them; the first run of ``prepare`` makes the store."""
    restage(
        generate(seed=7, clips_per_subject=2, frames_per_clip=40),
        folder / "trees",
        seed=7,
        motion="procedural motion of the benchmark",
    )
    raw, store = str(folder / "trees" / "human36m"), str(folder / "store")
    return (
        Command("prepare, unchanged", ("prepare", "human36m", raw, store), {}),
        Command("--help", ("--help",), {}),
        Command("a tab in the shell", (), TAB),
        Command("inspect", ("inspect", store), {}),
        Command("history", ("history", store), {}),
        Command("models", ("models",), {}),
    )


def run_once(code: Path, command: Command) -> tuple[float, float, int]:
    """Run a command with the code of a checkout; return processor and wall seconds and imported modules."""
    with tempfile.TemporaryFile() as said:
        started = perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *command.words],
            env={**environment(code), **command.environment},
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        _, status, used = os.wait4(process.pid, 0)
        wall_s = perf_counter() - started
        said.seek(0)
        text = said.read().decode()
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"{command.name} of {code} failed: {text[-2000:]}")
    return used.ru_utime + used.ru_stime, wall_s, int(text.rsplit("modules", 1)[1])


def measure(codes: Mapping[str, Path], repeats: int) -> Sequence[Measurement]:
    """Measure every command of every checkout, in turns, after one run of each that is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for command in commands(Path(folder)):
            for code in codes.values():
                run_once(code, command)
            runs = [{name: run_once(code, command) for name, code in codes.items()} for _ in range(repeats)]
            for name in codes:
                cpu_s, wall_s, modules = zip(*(run[name] for run in runs), strict=True)
                found.append(
                    Measurement(
                        benchmark="start_up",
                        code=name,
                        command=command.name,
                        cpu_s=round(median(cpu_s), 3),
                        wall_s=round(median(wall_s), 3),
                        modules=modules[0],
                        all_cpu_s=tuple(round(one, 3) for one in cpu_s),
                        all_wall_s=tuple(round(one, 3) for one in wall_s),
                        load=os.getloadavg(),
                        python=platform.python_version(),
                        versions=software_versions(),
                    )
                )
        return found


def table(found: Sequence[Measurement]) -> str:
    """Set the checkouts side by side; ratios are of processor time, to the last checkout."""
    names = list(dict.fromkeys(one.code for one in found))
    by_place = {(one.command, one.code): one for one in found}
    lines = [
        "| command | "
        + " | ".join(f"{name}, CPU s (wall s; modules)" for name in names)
        + " | ratio |\n|---|"
        + "---|" * (len(names) + 1)
    ]
    for command in dict.fromkeys(one.command for one in found):
        cells = [by_place[command, name] for name in names]
        figures = " | ".join(f"{one.cpu_s:.2f} ({one.wall_s:.2f}; {one.modules})" for one in cells)
        lines.append(f"| {command} | {figures} | {cells[0].cpu_s / cells[-1].cpu_s:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print; add a JSON line per measurement to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--code", action="append", required=True, help="NAME=CHECKOUT; repeat to compare")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    found = measure(checkouts(given.code), given.repeats)
    add_measurements(given.out, found)
    print(table(found))


if __name__ == "__main__":
    main()
