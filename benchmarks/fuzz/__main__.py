"""Command line of the fuzzing: ``python -m benchmarks.fuzz --mutations 10000 --out fuzz.json``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

# One thread, so that the children may be forked, and so that address space means memory.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.fuzz.campaign import Bounds, Tally, run
from benchmarks.fuzz.child import mutated
from benchmarks.fuzz.targets import Target, targets

from poseshift.storage.provenance import git_commit, software_versions

KEPT_PER_TARGET = 10


def main() -> int:
    """Fuzz the chosen formats, print a table, write the report; returns 1 when there are defects."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="fuzz-seeds-") as folder:
        chosen = [one for one in targets(Path(folder)) if options.only is None or options.only in one.name]
    if not chosen:
        print(f"no format's name holds {options.only!r}", file=sys.stderr)
        return 2
    bounds = Bounds(options.memory_mib << 20, options.seconds)
    print(
        f"{'format':30}{'files':>8}{'read':>8}{'refused':>9}{'defects':>9}{'slowest':>10}{'peak':>9}{'total':>8}"
    )
    tallies = []
    for target in chosen:
        tally = run(target, options.mutations, options.seed, bounds, options.first)
        tallies.append(tally)
        print(_row(tally), flush=True)
        for outcome in tally.defects[:KEPT_PER_TARGET]:
            print(f"    {outcome.index}: {outcome.kind}: {outcome.detail}")
            _keep(target, options.seed, outcome.index, options.keep)
        _write(options, tallies)
    return int(any(tally.defects for tally in tallies))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--mutations", type=int, default=10_000, help="mutated files of each format")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation (to repeat one)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the mutations")
    parser.add_argument("--only", help="formats whose name holds this")
    parser.add_argument("--memory-mib", type=int, default=1024, help="address space for reading a file")
    parser.add_argument("--seconds", type=float, default=20.0, help="time for reading a file")
    parser.add_argument("--out", type=Path, help="report, a JSON file")
    parser.add_argument("--keep", type=Path, help="folder for the first files that show a defect")
    return parser.parse_args()


def _row(tally: Tally) -> str:
    return (
        f"{tally.target:30}{sum(tally.counts.values()):8}"
        f"{tally.counts.get('read', 0):8}{tally.counts.get('refused', 0):9}"
        f"{len(tally.defects):9}{tally.slowest_seconds:8.2f} s{tally.peak_bytes / 2**20:6.0f}MiB"
        f"{tally.total_seconds:6.0f} s"
    )


def _keep(target: Target, seed: int, index: int, folder: Path | None) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{index}-{target.filename}").write_bytes(mutated(target, seed, index))


def _write(options: argparse.Namespace, tallies: list[Tally]) -> None:
    if options.out is None:
        return
    content = {
        "mutations": options.mutations,
        "seed": options.seed,
        "bounds": {"memory_mib": options.memory_mib, "seconds": options.seconds},
        "git_commit": git_commit(),
        "versions": software_versions(),
        "formats": [asdict(tally) for tally in tallies],
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
