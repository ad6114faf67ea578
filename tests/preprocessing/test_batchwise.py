"""Work on batches by threads; by a cluster's workers it is in `tests/flows/test_clusters.py`."""

import time

import pytest

from poseshift.preprocessing.batchwise import in_threads


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
