"""``python -m benchmarks.faults --trials 30 --out faults.jsonl``: kill runs, repeat them, count losses."""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from benchmarks.faults.scene import set_scene
from benchmarks.faults.stages import STAGES
from benchmarks.faults.trial import Trial, trial, undisturbed
from benchmarks.faults.unattended import STAGE, UNATTENDED


def main() -> int:
    """Run the trials, print one JSON line each and a table; return 1 when one did not survive."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--trials", type=int, default=32, help="how many, shared out among the stages")
    parser.add_argument("--out", type=Path, help="file for the JSON lines, beside printing them")
    parser.add_argument(
        "--stage", choices=(*STAGES, *UNATTENDED), action="append", help="only this one; repeatable"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the motion and of the kills")
    options = parser.parse_args()

    names = tuple(options.stage or (*STAGES, *UNATTENDED))
    compared = dict.fromkeys(STAGE if name in UNATTENDED else name for name in names)
    done: list[Trial] = []
    with tempfile.TemporaryDirectory(prefix="poseshift-faults-") as folder:
        scene = set_scene(Path(folder) / "scene", options.seed)
        references = {name: undisturbed(name, scene, Path(folder) / "reference" / name) for name in compared}
        for number in range(options.trials):
            stage = names[number % len(names)]
            rng = np.random.default_rng([options.seed, number])
            place = Path(folder) / f"trial-{number}"
            if stage in UNATTENDED:
                one = UNATTENDED[stage](number, scene, place, references[STAGE], rng)
            else:
                one = trial(stage, number, scene, place, references[stage], rng)
            done.append(one)
            line = json.dumps({**asdict(one), "survived": one.survived})
            print(line, flush=True)
            if options.out is not None:
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
    print(table(done))
    return 0 if all(one.survived for one in done) else 1


def table(trials: list[Trial]) -> str:
    """Sum up trials by stage, as a Markdown table."""
    rows = ["| stage | trials | kills | survived | bytes lost |", "|---|---|---|---|---|"]
    for stage in (*dict.fromkeys(one.stage for one in trials), "all"):
        own = [one for one in trials if stage in (one.stage, "all")]
        kills = sum(len(one.killed_after_s) for one in own)
        survived = sum(one.survived for one in own)
        rows.append(f"| {stage} | {len(own)} | {kills} | {survived} | {sum(one.bytes_lost for one in own)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    raise SystemExit(main())
