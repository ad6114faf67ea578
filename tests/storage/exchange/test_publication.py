"""Exported files are whole, say what they hold, and are not written over by something else."""

import json
from pathlib import Path

import pytest

from poseshift.storage.exchange.publication import ExportExistsError, ExportOrigin, publish, staged

FIRST = ExportOrigin(layout="mmpose", source="/stores/a", snapshot="AAA", settings={"frame_step": "1"})


def export(place: Path, origin: ExportOrigin, content: str, **options: bool) -> tuple[Path, ...]:
    with staged(place) as draft:
        draft.write_text(content)
        return publish(draft, place, origin, **options)


def write_half(place: Path) -> None:
    with staged(place) as draft:
        draft.write_text("hal")
        raise OSError("the disk is full")


@pytest.mark.parametrize(
    "changed",
    [{"snapshot": "BBB"}, {"settings": {"frame_step": "5"}}, {"layout": "poseaug"}],
    ids=["snapshot", "settings", "layout"],
)
def test_other_content_is_refused_and_replaced_on_demand(tmp_path: Path, changed: dict[str, object]) -> None:
    place, second = tmp_path / "made" / "a.npz", FIRST.model_copy(update=changed)
    assert export(place, FIRST, "first") == (place,)
    with pytest.raises(ExportExistsError) as refused:
        export(place, second, "second")
    assert place.read_text() == "first"
    told = str(refused.value)
    assert str(place) in told
    assert "mmpose (frame_step 1) of /stores/a, snapshot AAA" in told
    assert second.told in told
    assert "--replace" in told
    export(place, second, "second", replace=True)
    assert place.read_text() == "second"
    with pytest.raises(ExportExistsError):
        export(place, FIRST, "first")


def test_the_same_content_is_written_again(tmp_path: Path) -> None:
    export(tmp_path / "a.npz", FIRST, "first")
    moved = FIRST.model_copy(update={"source": "/elsewhere/a"})
    export(tmp_path / "a.npz", moved, "again")
    assert (tmp_path / "a.npz").read_text() == "again"
    record = json.loads((tmp_path / "a.npz.origin.json").read_text())
    assert record["origin"]["source"] == "/elsewhere/a"


def test_a_file_of_somebody_else_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_text("a colleague's")
    with pytest.raises(ExportExistsError, match="holds what nothing beside it describes"):
        export(tmp_path / "a.npz", FIRST, "first")
    export(tmp_path / "b.npz", FIRST, "first")
    (tmp_path / "b.npz").write_text("exchanged by hand")
    with pytest.raises(ExportExistsError, match="not what was exported there"):
        export(tmp_path / "b.npz", FIRST, "first")
    assert (tmp_path / "b.npz").read_text() == "exchanged by hand"


def test_what_breaks_off_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    export(tmp_path / "a.npz", FIRST, "first")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match="disk is full"):
        write_half(tmp_path / "a.npz")
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "a.npz").read_text() == "first"


def test_of_a_folder_all_files_are_written_or_none(tmp_path: Path) -> None:
    place = tmp_path / "set"
    place.mkdir()
    (place / "b.npz").write_text("a colleague's")
    for replace in (False, True):
        with staged(place) as draft:
            draft.mkdir()
            for name in ("a.npz", "b.npz"):
                (draft / name).write_text("ours")
            if replace:
                assert publish(draft, place, FIRST, replace=True) == (place / "a.npz", place / "b.npz")
            else:
                with pytest.raises(ExportExistsError, match=r"b\.npz"):
                    publish(draft, place, FIRST)
                assert not (place / "a.npz").exists()
    assert (place / "b.npz").read_text() == "ours"


def test_nothing_written_and_a_folder_in_the_way_are_said(tmp_path: Path) -> None:
    with staged(tmp_path / "a.npz") as draft, pytest.raises(ValueError, match="gives no file"):
        publish(draft, tmp_path / "a.npz", FIRST)
    (tmp_path / "a.npz").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        export(tmp_path / "a.npz", FIRST, "first", replace=True)
