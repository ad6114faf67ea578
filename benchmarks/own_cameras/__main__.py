"""Somebody's own cameras, restaged: two people before four telephones, and what lifters err there.

    python -m benchmarks.own_cameras make --motion cmu_h36m17_wide_50hz.npz --folder FOLDER
    python -m benchmarks.own_cameras run --folder FOLDER --seeds 0 1 2
    python -m benchmarks.own_cameras table --document docs/domains.md
    python -m benchmarks.own_cameras sizes --folder FOLDER --lifter LIFTER
    python -m benchmarks.own_cameras paired --folder FOLDER --lifter TUNED --control FROM_SCRATCH
    python -m benchmarks.own_cameras make --detector telling --motion MOTION --folder OTHER
    python -m benchmarks.own_cameras estimates --folder OTHER --lifter free-motion-1

``make`` writes COCO results and aniposelib's calibration, adds them by ``poseshift domain add``, and prepares
what lifters learn from: the motion of the other people, as free motion and as a restaged Human3.6M. ``run``
trains, lifts, scores by the 3D that was withheld, and adds a line for each run to ``runs.jsonl`` beside this
file; it goes on where it was interrupted. ``table`` makes the table of docs/domains.md of these lines and
puts it between its marks, or prints it. ``sizes`` scores a lifter in the size of its source and in that which
the cameras see; ``paired`` compares two, or two of several seeds each, over people. ``estimates`` compares
the error estimates of ``predict`` with the errors, before a detector whose confidence tells how far off it
is.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from benchmarks.own_cameras.domain import Stores, make
from benchmarks.own_cameras.predictions import estimates_table, judge, paired_table, sizes_table
from benchmarks.own_cameras.runs import LINES, OwnLine, run_missing
from benchmarks.own_cameras.scene import DETECTORS
from benchmarks.own_cameras.tables import table
from benchmarks.recorded import read_lines

from poseshift.flows.benchmark.tables import replace_section


def main() -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    running = commands.add_parser("run")
    showing = commands.add_parser("table")
    showing.add_argument("--document", type=Path)
    estimating = commands.add_parser("estimates")
    sizing = commands.add_parser("sizes")
    pairing = commands.add_parser("paired")
    for one in (estimating, sizing):
        one.add_argument("--lifter", required=True)
    for name in ("--lifter", "--control"):
        pairing.add_argument(name, nargs="+", required=True)
    making.add_argument("--motion", type=Path, required=True)
    making.add_argument("--seed", type=int, default=0)
    making.add_argument("--detector", choices=list(DETECTORS), default="even")
    running.add_argument("--seeds", type=int, nargs="+", default=[0])
    for one in (making, running, estimating, sizing, pairing):
        one.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()
    if given.command == "make":
        make(given.motion, given.folder, given.seed, DETECTORS[given.detector])
    elif given.command == "run":
        logging.basicConfig(level=logging.WARNING)
        logging.getLogger("benchmarks").setLevel(logging.INFO)
        run_missing(given.seeds, Stores(given.folder), given.folder / "work", LINES)
    elif given.command == "estimates":
        print(estimates_table(judge(Stores(given.folder), given.lifter)))
    elif given.command == "sizes":
        print(sizes_table(Stores(given.folder), given.lifter))
    elif given.command == "paired":
        print(paired_table(Stores(given.folder), given.lifter, given.control))
    elif given.document is None:
        print(table(read_lines(LINES, OwnLine)))
    else:
        replace_section(given.document, "own_cameras", table(read_lines(LINES, OwnLine)))


if __name__ == "__main__":
    main()
