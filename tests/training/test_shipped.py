"""Lifters that ship with the package: they are whole, small, described, and answer as they did."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from poseshift.training.checkpoint import DESCRIPTION_FILE, WEIGHTS_FILE, describe_lifter, load_lifter
from poseshift.training.evaluation.answering import predict
from poseshift.training.licences import licence_of
from poseshift.training.shipped import CARD_FILE, is_shipped, lifter_folder, shipped_lifters

if TYPE_CHECKING:
    from collections.abc import Callable

    from poseshift.storage.columns import CameraPoses

NAME = "free-motion-1"
RECORDED = Path(__file__).parent / "free_motion_1_predictions.json"


def test_a_name_finds_the_folder() -> None:
    assert shipped_lifters() == (NAME,)
    assert is_shipped(Path(NAME))
    assert (lifter_folder(Path(NAME)) / WEIGHTS_FILE).is_file()


def test_a_folder_of_that_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).mkdir()
    assert not is_shipped(Path(NAME))
    assert lifter_folder(Path(NAME)) == Path(NAME)


def test_another_name_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"no such folder, and .* are {NAME}"):
        lifter_folder(tmp_path / "free-motion-9")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        lifter_folder(Path(f"../shipped_lifters/{NAME}"))


@pytest.mark.parametrize("name", shipped_lifters())
def test_a_shipped_lifter_is_whole_and_small(name: str) -> None:
    folder = lifter_folder(Path(name))
    held = {file.name for file in folder.iterdir()}
    assert held == {WEIGHTS_FILE, DESCRIPTION_FILE, CARD_FILE, "recipe.yaml", "record.json"}
    assert sum(file.stat().st_size for file in folder.iterdir()) < 5e6


@pytest.mark.parametrize("name", shipped_lifters())
def test_the_card_names_weights_and_terms(name: str) -> None:
    folder = lifter_folder(Path(name))
    card = (folder / CARD_FILE).read_text(encoding="utf-8")
    assert hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest() in card
    licence = licence_of(name, describe_lifter(folder).provenance)
    assert licence.use == "free"
    for part in licence.parts:
        assert part.data.motion in card
        assert part.data.snapshot in card
    assert "NSF EIA-0196217" in card


@pytest.mark.parametrize("name", shipped_lifters())
def test_the_card_says_what_the_file_says(name: str) -> None:
    folder = lifter_folder(Path(name))
    described = describe_lifter(folder)
    card = (folder / CARD_FILE).read_text(encoding="utf-8")
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    for fact in (
        f"`{described.encoding}`",
        f"`{described.answer.rays.kind}`",
        f"`{described.skeleton}`",
        f"{record['poses']:,}",
        f"{record['seconds']:.0f} s",
        str(described.provenance["git_commit"]),
    ):
        assert fact in card, fact


def test_answers_are_those_that_were_recorded(poses_of: "Callable[[int, int], CameraPoses]") -> None:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    answers = predict(load_lifter(lifter_folder(Path(NAME))), poses_of(2, 0).unlabelled())
    assert np.abs(answers - np.array(recorded["positions_m"])).max() < 1e-4


def test_answers_are_people_of_plausible_size(poses_of: "Callable[[int, int], CameraPoses]") -> None:
    seen = poses_of(8, 1)
    answers = predict(load_lifter(lifter_folder(Path(NAME))), seen.unlabelled())
    truth = seen.positions_camera - seen.positions_camera[:, :1]
    shorter = np.linalg.norm(truth, axis=-1).mean()
    errors = np.linalg.norm(answers - truth, axis=-1)
    assert errors.mean() < shorter / 2
