"""One thread for a small lifter, those that there are for others, and what somebody asks for before both."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from poseshift.training.lifters.registry import preset
from poseshift.training.threads import computing_with, threads_for


@pytest.fixture(autouse=True)
def _three_threads() -> Iterator[None]:
    with computing_with(3):
        yield


@pytest.mark.parametrize(
    ("lifter", "wanted", "threads"),
    [
        ("ampose-small", None, 1),
        ("simple-baseline-small", None, 1),
        ("semgcn", None, 1),
        ("simple-baseline", None, 3),
        ("ampose-small", 2, 2),
        ("simple-baseline", 1, 1),
    ],
)
def test_threads_by_the_size_of_the_lifter(lifter: str, wanted: int | None, threads: int) -> None:
    assert threads_for(preset(lifter), wanted) == threads


def test_threads_are_as_before_after_the_block_and_after_an_error() -> None:
    with computing_with(1):
        assert torch.get_num_threads() == 1
    with pytest.raises(ZeroDivisionError), computing_with(1):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(("given", "policy"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_wait_without_a_loop_unless_somebody_says_otherwise(
    given: dict[str, str], policy: str
) -> None:
    program = (
        "import os, sys\nfrom poseshift.flows.cli import app\n"
        "try:\n    app(['--version'])\nfinally:\n"
        "    print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    )
    clean = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**clean, **given}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-2:] == [policy, "False"]
