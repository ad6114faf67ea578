"""Whether raw files may have been written to since they were digested."""

import os
import time
from pathlib import Path

import pytest

from poseshift.preprocessing import changes
from poseshift.preprocessing.changes import DigestedTrial
from poseshift.preprocessing.raw import PlannedTrial
from poseshift.storage.schema import TrialKey


def unread() -> None:
    raise AssertionError("nothing is to be read here")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"as downloaded")
    return path


@pytest.fixture
def settled(file: Path, monkeypatch: pytest.MonkeyPatch) -> DigestedTrial:
    """Digested long after the file was written."""
    monkeypatch.setattr(changes, "SETTLED_S", 0.02)
    time.sleep(0.05)
    return DigestedTrial.of(PlannedTrial(TrialKey("S1", "walk"), (file,), unread), file.parent)  # type: ignore[arg-type]


def test_a_file_that_nobody_writes_to_is_untouched(settled: DigestedTrial) -> None:
    assert settled.is_untouched()


def test_a_file_of_a_moment_ago_says_nothing_for_certain(file: Path) -> None:
    digested = DigestedTrial.of(PlannedTrial(TrialKey("S1", "walk"), (file,), unread), file.parent)  # type: ignore[arg-type]
    assert not digested.is_untouched()


def test_a_write_of_as_many_bytes_is_noticed_though_its_time_is_set_back(
    settled: DigestedTrial, file: Path
) -> None:
    before = file.stat()
    with file.open("r+b") as stream:
        stream.write(b"AS")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert not settled.is_untouched()


def test_another_file_in_its_place_is_noticed(settled: DigestedTrial, file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(file.read_bytes())
    other.replace(file)
    assert not settled.is_untouched()
