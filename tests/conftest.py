"""Raw trees that every room's tests may read: small, in the true layouts, made once per test process."""

import os
from pathlib import Path

# Two threads each of two test processes on two cores make torch fifty times slower, not faster.
# Set before anything imports it, and inherited by the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from preprocessing.motion.procedural import generate
from preprocessing.motion.restage import restage


@pytest.fixture(scope="session")
def restaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``human36m`` and ``mpi_inf_3dhp`` trees of 21 subjects; do not write into it."""
    out = tmp_path_factory.mktemp("raw") / "trees"
    motions = generate(seed=7, clips_per_subject=2, frames_per_clip=40)
    restage(motions, out, seed=7, motion="procedural motion of the tests")
    return out
