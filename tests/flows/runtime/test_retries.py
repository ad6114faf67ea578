"""Attempts after errors that may pass: how many, with which pauses, and for whom."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from poseshift.flows.runtime import retries
from poseshift.flows.runtime.orchestrator import Orchestrator, looked_after_by
from poseshift.flows.runtime.retries import patient_task
from poseshift.storage.lock import StoreLockedError


class AtNight(Orchestrator):
    """Looks after runs with nobody there."""

    @property
    def unattended(self) -> bool:
        return True


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, none of which takes any time."""
    pauses: list[float] = []
    monkeypatch.setattr(retries.time, "sleep", pauses.append)
    monkeypatch.setattr(retries.os, "getpid", lambda: 100)
    return pauses


def failing(times: int, error: Exception) -> Callable[[int], int]:
    """A function that fails some times and then doubles its argument."""
    left = [error] * times

    def work(number: int) -> int:
        if left:
            raise left.pop()
        return 2 * number

    return work


@pytest.mark.parametrize("times", [0, 1, 3])
def test_what_passes_within_three_attempts_more_is_no_error(
    times: int, paused: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "poseshift"):
        assert patient_task(failing(times, OSError("no answer")), "read")(4) == 8
    assert paused == [20.0, 40.0, 80.0][:times]
    assert [one.split(" in ")[0] for one in caplog.messages] == times * [
        "read: no answer; this may pass, so it is tried again"
    ]


def test_what_does_not_pass_is_raised_in_the_end(paused: list[float]) -> None:
    with pytest.raises(OSError, match="no answer"):
        patient_task(failing(4, OSError("no answer")), "read")(4)
    assert len(paused) == 3


def test_two_processes_do_not_meet_again(paused: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (7, 8):
        monkeypatch.setattr(retries.os, "getpid", lambda process=number: process)
        assert patient_task(failing(1, OSError("no answer")), "read")(4) == 8
    first, second = paused
    assert 20.0 < first < second < 25.0


def test_what_somebody_must_mend_is_raised_at_once(paused: list[float]) -> None:
    with pytest.raises(FileNotFoundError):
        patient_task(failing(1, FileNotFoundError("absent")), "read")(4)
    assert paused == []


def test_another_writer_is_waited_for_at_night_alone(paused: list[float]) -> None:
    locked = StoreLockedError(Path("store.lock"), "another run")
    with pytest.raises(StoreLockedError):
        patient_task(failing(1, locked), "prepare")(4)
    with looked_after_by(AtNight()):
        assert patient_task(failing(1, locked), "prepare")(4) == 8
    assert paused == [20.0]
