"""Logs: JSON lines on standard error, text in a run's folder."""

import json
import logging
import subprocess
import sys
from pathlib import Path

from poseshift.flows.experiment.stage import log_stage
from poseshift.flows.runtime.logs import recorded

SCRIPT = """
import logging
from poseshift.flows.experiment.stage import log_stage
from poseshift.flows.runtime.logs import log_as_json
log_as_json()
log_as_json()
logging.getLogger("poseshift.training.fit").info("epoch %d", 3)
logging.getLogger("poseshift.training.fit").debug("not shown")
log_stage("prepare human36m", 1.25, {"written": 4, "snapshot": "ABC"})
"""


def test_json_lines_carry_run_id_and_figures_once() -> None:
    finished = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    epoch, stage = (json.loads(line) for line in finished.stderr.splitlines())
    assert (epoch["logger"], epoch["level"], epoch["message"]) == (
        "poseshift.training.fit",
        "INFO",
        "epoch 3",
    )
    assert epoch["run_id"] == "-"
    assert stage["stage"] == "prepare human36m"
    assert stage["seconds"] == 1.25
    assert stage["figures"] == {"written": 4, "snapshot": "ABC"}


def test_a_record_ends_with_its_block_and_leaves_the_loggers_as_they_were(tmp_path: Path) -> None:
    room = logging.getLogger("flows")
    before = (room.level, list(room.handlers))
    with recorded(tmp_path / "run" / "run.log"):
        log_stage("evaluate", 2.0, {"protocols": 3})
    log_stage("afterwards", 1.0, {})
    assert (room.level, list(room.handlers)) == before
    (line,) = (tmp_path / "run" / "run.log").read_text().splitlines()
    assert line.endswith("poseshift.flows.experiment.stage: stage evaluate: 2.0 s, protocols 3")
