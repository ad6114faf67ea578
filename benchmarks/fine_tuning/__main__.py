"""Adapting a trained lifter to new cameras in a fraction of a training, beside the training from scratch.

    python -m benchmarks.fine_tuning run --motion cmu_h36m17_core_50hz.npz --data DATA --work WORK
    python -m benchmarks.fine_tuning table --document docs/performance.md

``run`` trains a lifter of the source (`no_target`), then adapts it to each domain, and trains one from
scratch by the same method; splits, domains, forms and methods can be given. Each line in ``runs.jsonl``
beside this file has the errors and the processor time of one run, measuring every epoch included. It goes on
with the next run when it is started again. ``table`` puts the table of these lines between its marks in a
document, or prints it.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from benchmarks.fine_tuning.runs import Asked, run_missing
from benchmarks.fine_tuning.tables import table

from poseshift.flows.benchmark.domains import DOMAINS
from poseshift.flows.benchmark.forms import FORMS
from poseshift.flows.benchmark.lines import read_lines
from poseshift.flows.benchmark.plan import REPORTED_SPLITS
from poseshift.flows.benchmark.tables import replace_section

LINES = Path(__file__).parent


def main() -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("--motion", required=True)
    running.add_argument("--data", type=Path, required=True)
    running.add_argument("--work", type=Path, required=True)
    running.add_argument("--splits", type=int, nargs="+", default=list(REPORTED_SPLITS))
    running.add_argument("--domains", nargs="+", choices=list(DOMAINS), default=list(DOMAINS))
    running.add_argument("--forms", nargs="+", choices=list(FORMS), default=["exact"])
    running.add_argument("--methods", nargs="+", default=["diverse_viewpoint"])
    running.add_argument("--seeds", type=int, nargs="+", default=[0])
    showing = commands.add_parser("table")
    showing.add_argument("--document", type=Path)
    given = parser.parse_args()
    if given.command == "run":
        logging.basicConfig(level=logging.WARNING)
        logging.getLogger("benchmarks").setLevel(logging.INFO)
        asked = Asked(given.motion, given.splits, given.domains, given.forms, given.methods, given.seeds)
        run_missing(asked, given.data, given.work, LINES)
    elif given.document is None:
        print(table(read_lines(LINES)))
    else:
        replace_section(given.document, "fine_tuning", table(read_lines(LINES)))


if __name__ == "__main__":
    main()
