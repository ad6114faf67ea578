"""What SIGKILL leaves in folders: found, explained, mended on request; what lives is not touched."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.doctor import servers
from poseshift.flows.doctor.disk import look
from poseshift.flows.doctor.finding import Findings
from poseshift.flows.experiment.stage import DONE, INPUTS, run_stage
from poseshift.flows.runtime.processes import ProcessIdentity
from poseshift.storage.model import FrozenModel
from poseshift.storage.store import PoseStore

WEEK = timedelta(days=7)
NOW = timedelta(0)

STAGE = """
import sys, time
from pathlib import Path
from poseshift.flows.experiment.stage import run_stage
from poseshift.storage.model import FrozenModel

class Wanted(FrozenModel):
    seed: int

def work(folder):
    (folder / "checkpoint").write_text("half way")
    (folder / ".done.json.ab12cd_9").write_text("{")
    print("at work", flush=True)
    time.sleep(120)
    return Wanted(seed=0)

run_stage(Path(sys.argv[1]), Wanted(seed=0), Wanted, work)
"""

CREATION = """
import sys, time
from poseshift.storage import store

def slow(place, attributes):
    from pathlib import Path
    Path(place.path).mkdir()
    print("at work", flush=True)
    time.sleep(120)

store._create_repository = slow
store.PoseStore.create(sys.argv[1], "my_data")
"""


class Wanted(FrozenModel):
    seed: int


@pytest.fixture(autouse=True)
def _machine_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary servers that others have left on this machine are no business of these tests."""
    monkeypatch.setattr(servers, "look", lambda: iter(()))


@contextmanager
def at_work(program: str, place: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", program, str(place)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        yield process
    finally:
        process.kill()
        process.wait()


def doctor(*arguments: str) -> tuple[int, Findings]:
    result = CliRunner().invoke(app, ["doctor", "--json", *arguments])
    return result.exit_code, Findings.model_validate_json(result.stdout)


def on_disk(found: Findings) -> list[tuple[str, str, str]]:
    return [
        (one.kind, Path(one.where).name, one.state) for one in found.findings if "Prefect" not in one.where
    ]


def grow_old(folder: Path, days: float) -> None:
    then = time.time() - days * 86400
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (then, then))


def test_a_killed_stage(tmp_path: Path) -> None:
    stage = tmp_path / "run" / "seed-0"
    with at_work(STAGE, stage) as process:
        assert list(look(tmp_path, NOW)) == []  # somebody is at work
        code, found = doctor("--mend", "--keep-days", "0", str(tmp_path))
        assert (code, on_disk(found)) == (0, [])
        assert (stage / "checkpoint").exists()
        process.send_signal(signal.SIGKILL)

    # Young: the lock is a leftover, the stage goes on from where it was.
    code, found = doctor(str(tmp_path))
    assert code == 1
    assert on_disk(found) == [("lock", ".seed-0.lock", "leftover"), ("half stage", "seed-0", "note")]
    (lock, _) = (one for one in found.findings if one.kind in ("lock", "half stage"))
    assert str(process.pid) in lock.why
    assert (stage.parent / ".seed-0.lock").exists()
    before = sorted(path.name for path in tmp_path.rglob("*"))
    assert doctor(str(tmp_path)) == (code, found)  # a look changes nothing
    assert sorted(path.name for path in tmp_path.rglob("*")) == before

    grow_old(stage, days=8)
    code, found = doctor("--mend", str(tmp_path))
    assert code == 0
    assert on_disk(found) == [
        ("lock", ".seed-0.lock", "mended"),
        ("half file", ".done.json.ab12cd_9", "mended"),
        ("half stage", "seed-0", "mended"),
    ]
    (aside,) = (stage.parent / "superseded").iterdir()
    assert sorted(path.name for path in aside.iterdir()) == ["checkpoint", INPUTS]

    # What was set aside today stays for a week, however old its files are; then it goes.
    assert on_disk(doctor("--mend", str(tmp_path))[1]) == [("superseded folder", aside.name, "note")]
    grow_old(aside, days=8)
    assert on_disk(doctor("--mend", str(tmp_path))[1]) == [("superseded folder", aside.name, "mended")]
    assert not aside.exists()
    assert doctor(str(tmp_path))[0] == 0


def test_a_stage_that_is_taken_up_again_before_it_is_mended_stays(tmp_path: Path) -> None:
    stage = tmp_path / "seed-0"
    with at_work(STAGE, stage):
        pass
    found = [one for one in look(tmp_path, NOW) if one.finding.kind == "half stage"]
    run_stage(stage, Wanted(seed=0), Wanted, lambda folder: Wanted(seed=0))
    (one,) = found
    assert one.cure is not None
    with pytest.raises(RuntimeError, match="finished in the meantime"):
        one.cure()
    assert (stage / DONE).exists()


def test_a_killed_creation_of_a_store(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with at_work(CREATION, store):
        assert list(look(tmp_path)) == []
    kinds = [(one.finding.kind, Path(one.finding.where).name) for one in look(tmp_path)]
    assert kinds == [("lock", "store.lock"), ("half store", "store.creating")]
    assert doctor("--mend", str(tmp_path))[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["store.lock"]
    PoseStore.create(store, "my_data")
    assert list(look(tmp_path)) == []


def test_another_machines_lock_is_not_touched(tmp_path: Path) -> None:
    stage = tmp_path / "seed-0"
    stage.mkdir()
    (stage / INPUTS).write_text("{}")
    grow_old(stage, days=30)
    (tmp_path / ".seed-0.lock").touch()
    holder = tmp_path / ".seed-0.holder"
    holder.write_text("process 1 on elsewhere since 2026-01-01T00:00:00+00:00: work")
    code, found = doctor("--mend", str(tmp_path))
    assert (code, on_disk(found)) == (0, [("lock", ".seed-0.lock", "note")])
    assert stage.exists()
    assert holder.exists()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--json", str(tmp_path / "nowhere")])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "file_not_found"


def test_a_process_is_not_taken_for_a_later_one_of_its_number() -> None:
    here = ProcessIdentity.here()
    assert here.lives() is True
    assert here.model_copy(update={"started_s": here.started_s - 60}).lives() is False
    assert here.model_copy(update={"boot": "another"}).lives() is False
    assert here.model_copy(update={"host": "elsewhere"}).lives() is None
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    named = here.model_copy(update={"pid": child.pid})
    assert named.lives() is False  # the number is right, its start is not
    child.kill()
    child.wait()
    assert named.lives() is False
