"""Methods learn and are measured on a device that is not the processor; steps need not move or wait."""

import pytest
from benchmarks.brief import brief_data
from benchmarks.transfers import FRAMES, Traffic, measure

from poseshift.flows.benchmark.data import BenchmarkData

NOTHING = Traffic(to_device=0, from_device=0, waited_for=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkData:
    return brief_data(tmp_path_factory.mktemp("transfers"), FRAMES)


@pytest.mark.parametrize(
    "method",
    [
        "everything",
        "diverse_both_mixed_detected_found_views",
    ],
)
def test_every_part_of_a_method_runs_on_a_device(method: str, data: BenchmarkData) -> None:
    measured = measure("simple-baseline-small", method, data)
    assert measured.difference == 0.0
    assert measured.least == NOTHING
