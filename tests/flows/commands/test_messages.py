"""What a user reads: whole paths, text as it is, one JSON document, a line now and then."""

import io
import json
import logging
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from benchmarks.faults import programs
from pydantic import BaseModel, Field, ValidationError
from rich.console import Console
from rich.table import Table
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.commands import console, stores
from poseshift.flows.commands.console import error_code, say, show
from poseshift.flows.commands.steps import lines, shown_on
from poseshift.flows.experiment.progress import Step, report_progress
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.lock import StoreLockedError
from poseshift.storage.sentences import in_sentences


def poseshift(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with its output in pipes, as under cron: 80 columns and no terminal."""
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "PREFECT_API_URL")}
    command = ("-m", "poseshift.flows.cli", *map(str, arguments))
    return programs.run(*command, environment={**clean, **environment})


@pytest.mark.parametrize("name", ["data [raw]", "[/d]", "[bold]x[/bold]", ":smile: 1:2", "back\\[slash"])
def test_names_are_printed_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (tmp_path / name).mkdir(parents=True)
    told = CliRunner().invoke(app, ["inspect", str(tmp_path / name)])
    assert told.exit_code == 1
    assert str(tmp_path / name) in told.stderr


def test_result_lines_keep_long_names_with_brackets_whole(capsys: pytest.CaptureFixture[str]) -> None:
    name = "/folder [old]/" + 200 * "x" + "[/red]"
    say(f"Lifter in {name}", "yellow")
    assert f"Lifter in {name}" in capsys.readouterr().out.splitlines()


def test_cells_of_tables_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("trial")
    table.add_row("Posing [old]")
    show(table)
    assert "Posing [old]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (("inspect", "none [here]", "--json"), "store", 1),
        (("history", "none", "--json"), "store", 1),
        (("inspect", "none", "--json", "--no-such-option"), "usage", 2),
        (("no-such-command", "--json"), "usage", 2),
        (("restage", "--motion", "none.npz", "--out", "x", "--json"), "raw_data", 1),
        (("evaluate", "none", "none", "--protocol", "none", "--json"), "store", 1),
    ],
)
def test_errors_are_one_document_too(arguments: tuple[str, ...], code: str, status: int) -> None:
    told = CliRunner().invoke(app, list(arguments))
    error = json.loads(told.stdout)["error"]
    assert (error["code"], told.exit_code) == (code, status)
    assert error["message"].splitlines()[0] in told.stderr


def test_two_stores_are_one_document(restaged: Path, tmp_path: Path) -> None:
    raw = restaged / "mpi_inf_3dhp"
    done = poseshift("prepare", "mpi-inf-3dhp", raw, tmp_path / "store", "--json", PREFECT_HOME=str(tmp_path))
    answer = json.loads(done.stdout)
    assert [store["dataset"] for store in answer["stores"]] == ["mpi_inf_3dhp_train", "mpi_inf_3dhp_test"]
    assert answer["error"] is None

    alone = tmp_path / "raw"  # the test part is missing: the training part is prepared, and the error told
    alone.mkdir()
    (alone / "S1").symlink_to(raw / "S1")
    done = poseshift(
        "prepare", "mpi-inf-3dhp", alone, tmp_path / "other", "--json", PREFECT_HOME=str(tmp_path)
    )
    answer = json.loads(done.stdout)
    assert done.returncode == 1
    assert [store["dataset"] for store in answer["stores"]] == ["mpi_inf_3dhp_train"]
    assert answer["error"]["code"] == "raw_data"


def test_bad_file_is_named_on_a_line_of_its_own(restaged: Path, tmp_path: Path) -> None:
    raw = tmp_path / "a folder with a name of some length" / "and one more [copy]"
    (raw / "S1").mkdir(parents=True)
    shared = raw / "S1" / "MyPoseFeatures"
    shutil.copytree(restaged / "human36m" / "S1" / "MyPoseFeatures", shared)
    bad = sorted((shared / "D3_Positions").glob("*.cdf"))[0]
    bad.write_bytes(bad.read_bytes()[:100])
    done = poseshift("prepare", "human36m", raw, tmp_path / "store", PREFECT_HOME=str(tmp_path / "home"))
    assert done.returncode == 1
    assert str(bad) in [line.strip() for line in done.stderr.splitlines()]
    assert "Traceback" not in done.stderr


def test_a_folder_without_rights_is_named(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("in the way of a folder")
    out = blocker / "trees"
    told = CliRunner().invoke(app, ["restage", "--out", str(out), "--json"])
    assert told.exit_code == 1
    assert json.loads(told.stdout)["error"]["code"] == "file_exists"
    assert str(blocker) in told.stderr


def test_unexpected_errors_answer_in_json_and_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(place: object, snapshot: object = None) -> None:
        raise ZeroDivisionError("a mistake of the program")

    monkeypatch.setattr(stores.PoseStore, "open", broken)
    told = CliRunner().invoke(app, ["inspect", "store", "--json"])
    assert json.loads(told.stdout)["error"]["code"] == "unexpected"
    assert isinstance(told.exception, ZeroDivisionError)


def test_codes_are_the_names_of_the_errors() -> None:
    assert error_code(StoreLockedError(Path("x"), "me")) == "store_locked"
    assert error_code(RawDataError("x", found="a", expected="b", remedy="c")) == "raw_data"
    assert error_code(FileNotFoundError()) == "file_not_found"


def test_help_has_a_short_name_and_the_version_is_told() -> None:
    for arguments in (["-h"], ["inspect", "-h"], ["prepare", "human36m", "-h"]):
        assert CliRunner().invoke(app, arguments).exit_code == 0
    assert re.fullmatch(r"poseshift \d+\.\d+.*\n", CliRunner().invoke(app, ["--version"]).stdout)


def test_steps_are_lines_where_there_is_no_terminal() -> None:
    written = io.StringIO()
    with shown_on(Console(file=written, width=80, markup=False)):
        for done in range(3):
            report_progress(Step("train [a]", done, 2, "loss 1"))
    told = written.getvalue().splitlines()
    assert [line.split("] ", 1)[1] for line in told] == [
        "train [a] 0/2 (loss 1)",
        "train [a] 2/2: done (loss 1)",
    ]


def test_warnings_are_shown_where_the_work_is_shown() -> None:
    """A folder that is set aside, a selection that leaves little: the log alone is read too late."""
    written, logger = io.StringIO(), logging.getLogger("poseshift.flows.experiment.stage")
    with shown_on(Console(file=written, width=80, markup=False)):
        logger.warning("%s was made from other inputs; moved to %s", "runs/[a]", "superseded/" + 90 * "a")
        logger.error("raised as well, and told by who catches it")
    logger.warning("after the block")
    assert f"runs/[a] was made from other inputs; moved to superseded/{90 * 'a'}" in written.getvalue()
    assert "raised as well" not in written.getvalue()
    assert "after the block" not in written.getvalue()


def test_json_lines_are_mixed_with_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Steps are records then, in a terminal as well, and as often."""
    monkeypatch.setenv("POSESHIFT_LOG_JSON", "1")
    written = io.StringIO()
    with (
        caplog.at_level(logging.INFO, "poseshift"),
        shown_on(Console(file=written, force_terminal=True), silence_s=0.05),
    ):
        report_progress(Step("train", 0, 9))
        time.sleep(0.3)
        report_progress(Step("train", 9, 9))
    assert written.getvalue() == ""
    assert sum("train 0/9" in one for one in caplog.messages) >= 3
    assert "train 9/9: done" in caplog.messages[-1]


def test_every_line_of_log_json_is_json(tmp_path: Path, restaged: Path) -> None:
    """Steps, warnings and the error at the end; the result alone is on standard output."""
    raw = tmp_path / "raw [a]"
    shutil.copytree(restaged / "mpi_inf_3dhp" / "S1", raw / "S1")
    bad = raw / "S1" / "Seq1" / "annot.mat"
    bad.write_bytes(bad.read_bytes()[:200])
    home = str(tmp_path / "home")
    done = poseshift(
        "--log-json", "prepare", "mpi-inf-3dhp", raw, tmp_path / "store", "--part", "train", PREFECT_HOME=home
    )
    assert done.returncode == 1, done.stderr
    records = [json.loads(line) for line in done.stderr.splitlines()]
    told = [record["message"] for record in records]
    assert any(re.search(r"\] prepare .* done", one) for one in told)
    assert any(one.startswith("Error: 1 raw file is bad") and str(bad) in one for one in told)
    assert records[-1]["level"] == "ERROR"


def test_long_silence_is_broken_with_what_goes_on() -> None:
    told: list[str] = []
    with lines(told.append, silence_s=0.05):
        report_progress(Step("train", 0, 9))
        report_progress(Step("train", 4, 9))
        time.sleep(0.3)
    assert sum("train 4/9" in line for line in told) >= 2
    before = len(told)
    time.sleep(0.15)
    assert len(told) == before, "nothing is said after the end"


class _Row(BaseModel):
    """A row with one bounded field."""

    x: int = Field(ge=0)


def test_problems_of_validation_are_sentences_with_a_count() -> None:
    with pytest.raises(ValidationError) as caught:
        BaseModel.__class__("Rows", (BaseModel,), {"__annotations__": {"rows": list[_Row]}})(
            rows=[{"x": -1}] * 400
        )
    told = in_sentences(caught.value)
    assert told.startswith("rows.0.x: input should be greater than or equal to 0; got -1; rows.1.x")
    assert told.endswith("and 397 more problems")
    assert len(told) < 400


def test_console_takes_no_markup_anywhere() -> None:
    for one in (console.console, console.error_console):
        assert str(one.render_str("[bold]x[/]")) == "[bold]x[/]"


@pytest.mark.parametrize("arguments", [("--out=~/trees",), ("--out", "~/trees")])
def test_the_home_folder_is_meant_where_the_shell_leaves_it(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(app, ["restage", "--motion", "none.npz", *arguments])
    assert told.exit_code == 1
    assert not (tmp_path / "~").exists()
    told = CliRunner().invoke(app, ["inspect", "--snapshot=~/x", "~/store"])
    assert str(tmp_path / "home" / "store") in told.stderr
