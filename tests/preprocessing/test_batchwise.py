"""Work on batches by threads; by a cluster's workers it is in `tests/flows/test_clusters.py`."""

import threading
import time

import pytest

from poseshift.preprocessing import batchwise
from poseshift.preprocessing.batchwise import in_threads


def test_there_are_as_many_threads_as_processors_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batchwise, "usable_processors", lambda: 3)
    together = threading.Barrier(3)  # fewer threads would wait for the third
    assert sorted(in_threads(lambda number: together.wait(10), range(3))) == [0, 1, 2]
    monkeypatch.setattr(batchwise, "usable_processors", lambda: 1)
    assert len({*in_threads(lambda number: threading.get_ident(), range(20))}) == 1


def test_every_batch_is_answered_once() -> None:
    assert sorted(in_threads(lambda number: 2 * number, range(50))) == list(range(0, 100, 2))


def test_an_error_ends_the_work_before_the_batches_that_have_not_begun() -> None:
    begun = []

    def work(number: int) -> None:
        begun.append(number)
        time.sleep(0.005)
        if number == 3:
            raise ValueError("the third is bad")

    with pytest.raises(ValueError, match="the third is bad"):
        list(in_threads(work, range(400)))
    assert len(begun) < 400
