"""Forked programs are as those that a shell starts: words, files, environment, end, settings of Prefect."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from benchmarks.faults import programs

TELL = """
import atexit, json, os, sys
atexit.register(print, "at the end")
print(json.dumps([sys.argv, os.getcwd(), sorted(os.environ), sys.stdin.read(), __name__]))
print("an error", file=sys.stderr)
sys.exit(3)
"""

SETTINGS = """
import os, sys
from pathlib import Path
home = Path(os.environ["PREFECT_HOME"])
os.environ["PREFECT_CLIENT_MAX_RETRIES"] = "7"
print(home.exists())
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, PREFECT_HOME
print(PREFECT_API_URL.value(), PREFECT_CLIENT_MAX_RETRIES.value(), PREFECT_HOME.value() == home)
print(home.exists())
"""


def test_a_program_has_what_it_is_given_and_tells_how_it_ended(tmp_path: Path) -> None:
    done = programs.run("-c", TELL, "a", "b c", environment={"ONE": "1"}, folder=tmp_path, given="input")
    told, at_the_end = done.stdout.splitlines()
    arguments, folder, names, given, name = json.loads(told)
    assert (arguments, folder) == (["-c", "a", "b c"], str(tmp_path))
    assert (names, given, name) == (["ONE"], "input", "__main__")
    assert (done.returncode, done.stderr, at_the_end) == (3, "an error\n", "at the end")


def test_settings_of_prefect_are_those_of_the_program(tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {"PREFECT_HOME": str(home), "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    done = programs.run("-c", SETTINGS, environment=environment)
    assert done.stdout.splitlines() == ["False", "http://127.0.0.1:9/api 7 True", "True"], done.stderr


def test_a_program_leads_its_session_and_is_killed_with_it(tmp_path: Path) -> None:
    told = tmp_path / "told"
    waiting = "import os, time; print(os.getsid(0), flush=True); time.sleep(60)"
    process = programs.start("-c", waiting, environment=os.environ, told=told, new_session=True)
    while not (told.exists() and told.read_text().endswith("\n")):
        assert process.is_alive(), told.read_text()
        time.sleep(0.02)
    assert told.read_text() == f"{process.pid}\n"
    assert process.pid is not None
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_a_program_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "PATIENCE_SECONDS", 1.0)
    with pytest.raises(subprocess.TimeoutExpired) as found:
        programs.run("-c", "import time; print('begun', flush=True); time.sleep(60)", environment=os.environ)
    assert found.value.stdout == b"begun\n"
