"""``python -m benchmarks.nights --nights 1000 --seed 0 --out nights.jsonl``: let nights go wrong."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.nights.simulate import Simulation, table


def main() -> int:
    """Simulate, print a table, write a JSON line a night; return 1 when something was not in order."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nights", description=__doc__)
    parser.add_argument("--nights", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the motion and of all faults")
    parser.add_argument("--out", type=Path, help="file for a JSON line of each night")
    options = parser.parse_args()
    started, nights = time.perf_counter(), []
    with tempfile.TemporaryDirectory(prefix="poseshift-nights-") as folder:
        simulation = Simulation(Path(folder), options.seed)
        for night in simulation.nights(options.nights):
            nights.append(night)
            if options.out is not None:
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(night)) + "\n")
            if len(nights) % 100 == 0 or len(nights) == options.nights:
                totals = simulation.totals(len(nights), time.perf_counter() - started)
                print(table(nights), json.dumps(asdict(totals), indent=2), sep="\n", flush=True)
    wrong = [night for night in nights if night.problems]
    for night in wrong:
        print(json.dumps(asdict(night)))
    return 1 if wrong or totals.trained_twice else 0


if __name__ == "__main__":
    raise SystemExit(main())
