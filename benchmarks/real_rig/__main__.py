r"""What lifters err on a rig of real cameras, and whether one setting is better than another over seeds.

    poseshift predict LIFTER STORE --keypoints detected --smooth none --out PREDICTION
    python -m benchmarks.real_rig score --prediction PREDICTION --landmarks landmarks.npz \
        --truth triangulated.npz
    python -m benchmarks.real_rig run --source data/stores/free_motion --target data/stores/my_rig \
        --landmarks landmarks.npz --truth triangulated.npz --work WORK --seeds 0 1 2 3 4
    python -m benchmarks.real_rig table --document docs/domains.md

``score`` prints the errors of one prediction; with ``--store``, also without the frames in which ``domain
check --mend`` exchanged sides: the detector's own 3D was never mended. ``run`` trains methods over seeds and
adds a line for each run to ``runs.jsonl`` beside this file; it goes on where it was interrupted. ``table``
makes the tables of docs/domains.md of these lines and puts them between its marks, or prints them.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from benchmarks.real_rig.runs import LINES, VARIANTS, Rig, RigLine, jobs, run_missing
from benchmarks.real_rig.scoring import compare, mended_frames, show
from benchmarks.real_rig.tables import document_tables
from benchmarks.recorded import read_lines

from poseshift.flows.benchmark.tables import replace_section


def main() -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    scoring = commands.add_parser("score")
    running = commands.add_parser("run")
    showing = commands.add_parser("table")
    showing.add_argument("--document", type=Path)
    scoring.add_argument("--prediction", type=Path, required=True)
    scoring.add_argument("--store")
    for one in (scoring, running):
        one.add_argument("--landmarks", type=Path, required=True)
        one.add_argument("--truth", type=Path, required=True)
    running.add_argument("--source", required=True)
    running.add_argument("--target", required=True)
    running.add_argument("--keypoints", default="detected")
    running.add_argument("--work", type=Path, required=True)
    running.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    running.add_argument("--methods", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    given = parser.parse_args()
    if given.command == "score":
        show("All frames", compare(given.prediction, given.landmarks, given.truth, {}))
        if given.store is not None:
            mended = mended_frames(given.store, given.prediction)
            rows = compare(given.prediction, given.landmarks, given.truth, mended)
            show("Frames that were not mended", rows)
    elif given.command == "run":
        logging.basicConfig(level=logging.WARNING)
        logging.getLogger("benchmarks").setLevel(logging.INFO)
        rig = Rig(given.source, given.target, given.keypoints, given.landmarks, given.truth)
        run_missing(jobs(rig, given.methods, given.seeds), rig, given.work, LINES)
    else:
        tables = document_tables(read_lines(LINES, RigLine))
        if given.document is None:
            print(tables)
        else:
            replace_section(given.document, "real_rig", tables)


if __name__ == "__main__":
    main()
