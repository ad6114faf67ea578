"""The page on performance shows the recorded runs of adapted and newly trained lifters."""

from pathlib import Path

from benchmarks.fine_tuning.__main__ import LINES
from benchmarks.fine_tuning.tables import table

from poseshift.flows.benchmark.lines import read_lines


def test_documents_show_the_recorded_runs() -> None:
    text = (Path(__file__).parents[2] / "docs/performance.md").read_text(encoding="utf-8")
    assert table(read_lines(LINES)) in text, "run: python -m benchmarks.fine_tuning table --document"
