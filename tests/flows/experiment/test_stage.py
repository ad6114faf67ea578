"""Stages: done once for the same inputs, never half done, never thrown away."""

import os
from pathlib import Path

import pytest
from pydantic import BaseModel

from poseshift.flows.experiment.stage import DONE, INPUTS, SUPERSEDED, run_stage


class Inputs(BaseModel):
    number: int


class Result(BaseModel):
    square: int


class Work:
    def __init__(self) -> None:
        self.calls = 0
        self.fails = False

    def __call__(self, folder: Path) -> Result:
        self.calls += 1
        number = int((folder / "number").read_text()) if (folder / "number").exists() else 0
        (folder / "number").write_text(str(number + 1))
        if self.fails:
            raise RuntimeError("interrupted")
        return Result(square=self.calls**2)


def test_the_same_inputs_are_worked_on_once(tmp_path: Path) -> None:
    work = Work()
    first = run_stage(tmp_path / "stage", Inputs(number=1), Result, work)
    second = run_stage(tmp_path / "stage", Inputs(number=1), Result, work)
    assert (first.reused, second.reused, work.calls) == (False, True, 1)
    assert second.result == first.result


def test_times_do_not_count(tmp_path: Path) -> None:
    work = Work()
    run_stage(tmp_path / "stage", Inputs(number=1), Result, work)
    os.utime(tmp_path / "stage" / INPUTS, (0, 0))
    os.utime(tmp_path / "stage" / DONE, (0, 0))
    assert run_stage(tmp_path / "stage", Inputs(number=1), Result, work).reused


def test_other_inputs_set_the_old_stage_aside(tmp_path: Path) -> None:
    work = Work()
    run_stage(tmp_path / "stage", Inputs(number=1), Result, work)
    assert not run_stage(tmp_path / "stage", Inputs(number=2), Result, work).reused
    (kept,) = (tmp_path / SUPERSEDED).iterdir()
    assert (kept / DONE).exists()
    assert (tmp_path / "stage" / "number").read_text() == "1"


def test_interrupted_work_is_not_done_and_goes_on_where_it_was(tmp_path: Path) -> None:
    work = Work()
    work.fails = True
    with pytest.raises(RuntimeError, match="interrupted"):
        run_stage(tmp_path / "stage", Inputs(number=1), Result, work)
    assert not (tmp_path / "stage" / DONE).exists()
    work.fails = False
    assert not run_stage(tmp_path / "stage", Inputs(number=1), Result, work).reused
    assert (tmp_path / "stage" / "number").read_text() == "2"


def test_a_damaged_result_is_made_again(tmp_path: Path) -> None:
    work = Work()
    run_stage(tmp_path / "stage", Inputs(number=1), Result, work)
    (tmp_path / "stage" / DONE).write_text('{"square": "not')
    assert not run_stage(tmp_path / "stage", Inputs(number=1), Result, work).reused
    assert work.calls == 2


def test_a_folder_that_is_no_stage_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "thesis.txt").write_text("precious")
    run_stage(tmp_path / "stage", Inputs(number=1), Result, Work())
    (kept,) = (tmp_path / SUPERSEDED).iterdir()
    assert (kept / "thesis.txt").read_text() == "precious"
