"""What lies in a release's folder and is not read is named; what operating systems drop there is not."""

import shutil
import tarfile
from pathlib import Path

import pytest

from poseshift.flows.prepare import PrepareRequest, prepare_store
from poseshift.preprocessing.human36m.read import plan_human36m
from poseshift.preprocessing.mpi_inf_3dhp.read import MpiInf3dhpOptions, plan_test, plan_train
from poseshift.preprocessing.raw import RawPlan
from poseshift.preprocessing.unread import IncompleteReleaseError, is_dropping, told
from poseshift.storage.store import PoseStore

DROPPINGS = (
    *("Thumbs.db", "THUMBS.DB", "desktop.ini", ".DS_Store", "._Posing.cdf", "__MACOSX", "~$notes"),
    *("Walking 1.cdf:Zone.Identifier", "Walking 1.cdf_Zone.Identifier", "a:Zone.Identifier:$DATA"),
    *(".Trashes", "$RECYCLE.BIN", "System Volume Information", "Icon\r"),
)


@pytest.mark.parametrize("name", DROPPINGS)
def test_droppings_are_known(name: str) -> None:
    assert is_dropping(name)


@pytest.mark.parametrize(
    "name", ["Walking 1.cdf", "S1", "annot.mat", "Thumbs.cdf", "desktop.ini.cdf", "Zone"]
)
def test_data_are_no_droppings(name: str) -> None:
    assert not is_dropping(name)


@pytest.fixture
def human36m(restaged: Path, tmp_path: Path) -> Path:
    """A tree of three subjects that may be written into; without the marker, it passes for the release."""
    raw = tmp_path / "h"
    raw.mkdir()
    shutil.copy(restaged / "human36m" / "metadata.xml", raw)
    for subject in ("S1", "S5", "S9"):
        shutil.copytree(restaged / "human36m" / subject, raw / subject)
    return raw


@pytest.fixture
def mpi_inf_3dhp(restaged: Path, tmp_path: Path) -> Path:
    """The 3DHP tree, to be written into."""
    return Path(shutil.copytree(restaged / "mpi_inf_3dhp", tmp_path / "m"))


def named(plan: RawPlan) -> set[str]:
    """Paths of what is not read, below the tree."""
    return {str(one.path.relative_to(plan.root)) for one in plan.unread}


def test_a_whole_tree_has_nothing_to_name(human36m: Path, mpi_inf_3dhp: Path) -> None:
    for plan in (
        plan_human36m(human36m),
        plan_train(mpi_inf_3dhp, MpiInf3dhpOptions()),
        plan_test(mpi_inf_3dhp, MpiInf3dhpOptions()),
    ):
        assert plan.unread == ()
        assert plan.problems == ()


def test_droppings_are_passed_over_everywhere(human36m: Path, mpi_inf_3dhp: Path) -> None:
    before = plan_human36m(human36m)
    for folder in [human36m, mpi_inf_3dhp, *human36m.rglob("*/"), *mpi_inf_3dhp.rglob("*/")]:
        if folder.is_dir():
            for name in DROPPINGS:
                (folder / name).touch()
    after = plan_human36m(human36m)
    assert (after.problems, after.unread) == ((), ())
    assert [trial.key for trial in after.trials] == [trial.key for trial in before.trials]
    assert plan_train(mpi_inf_3dhp, MpiInf3dhpOptions()).unread == ()
    assert plan_test(mpi_inf_3dhp, MpiInf3dhpOptions()).unread == ()


@pytest.mark.parametrize("name", ["s5", "S05", "S5 (1)", "S5_old", "Subject5", "subject 5", "S5 - Copy"])
def test_subjects_in_another_spelling_are_named(human36m: Path, name: str) -> None:
    (human36m / "S5").rename(human36m / name)
    plan = plan_human36m(human36m)
    assert named(plan) == {name}
    assert "S5" in plan.missing


def test_other_kinds_of_folders_are_no_subjects(human36m: Path) -> None:
    for name in ("Release-v1.2", "Videos", "scripts2", "S2", "S10"):  # S2 and S10 have no poses
        (human36m / name).mkdir()
    (human36m / "S1" / "MyPoseFeatures" / "RawAngles").mkdir()
    assert plan_human36m(human36m).unread == ()


def test_folders_of_poses_in_another_spelling_and_empty_subjects_are_named(human36m: Path) -> None:
    features = human36m / "S1" / "MyPoseFeatures"
    (features / "D2_Positions").rename(features / "D2 Positions")
    (human36m / "S11").mkdir()
    plan = plan_human36m(human36m)
    assert named(plan) == {"S1/MyPoseFeatures/D2 Positions", "S11"}
    assert {"S6", "S7", "S8", "S11"} <= set(plan.missing)


def packed(raw: Path, subject: str, kind: str, name: str) -> None:
    """Put an archive of a subject's poses into the tree."""
    with tarfile.open(raw / name, "w:gz") as archive:
        archive.add(raw / subject / "MyPoseFeatures" / kind, f"{subject}/MyPoseFeatures/{kind}")


def test_archives_beside_a_tree_are_named_unless_they_are_unpacked(human36m: Path) -> None:
    for kind in ("D2_Positions", "D3_Positions"):
        packed(human36m, "S1", kind, f"Poses_{kind}_S1.tgz")  # unpacked already
        packed(human36m, "S5", kind, f"Poses_{kind}_S5.tgz")
    packed(human36m, "S9", "D3_Positions", "Poses_D3_Positions_S9 (1).tgz")
    (human36m / "Poses_D3_Positions_S6.tgz.crdownload").touch()
    shutil.rmtree(human36m / "S5")
    assert named(plan_human36m(human36m)) == {
        "Poses_D2_Positions_S5.tgz",
        "Poses_D3_Positions_S5.tgz",
        "Poses_D3_Positions_S9 (1).tgz",
        "Poses_D3_Positions_S6.tgz.crdownload",
    }


def test_in_a_folder_of_archives_second_copies_are_named(human36m: Path, tmp_path: Path) -> None:
    archives = tmp_path / "archives"
    archives.mkdir()
    for kind in ("D2_Positions", "D3_Positions"):
        packed(human36m, "S1", kind, f"Poses_{kind}_S1.tgz")
        (human36m / f"Poses_{kind}_S1.tgz").rename(archives / f"Poses_{kind}_S1.tgz")
    shutil.copy(archives / "Poses_D2_Positions_S1.tgz", archives / "Poses_D2_Positions_S5 (1).tgz")
    plan = plan_human36m(archives, unpack_into=tmp_path / "unpacked")
    assert {one.path.name for one in plan.unread} == {"Poses_D2_Positions_S5 (1).tgz"}
    assert plan.trials


def test_subjects_in_the_other_of_two_places_are_named(human36m: Path) -> None:
    (human36m / "extracted").mkdir()
    (human36m / "S9").rename(human36m / "extracted" / "S9")
    assert named(plan_human36m(human36m)) == {"extracted/S9"}


def test_misspelt_sequences_and_second_copies_of_3dhp_are_named(mpi_inf_3dhp: Path) -> None:
    (mpi_inf_3dhp / "S1" / "Seq2").rename(mpi_inf_3dhp / "S1" / "seq2")
    (mpi_inf_3dhp / "S2").rename(mpi_inf_3dhp / "s2")
    shutil.copy(mpi_inf_3dhp / "S3/Seq1/annot.mat", mpi_inf_3dhp / "S3/Seq1/annot (1).mat")
    (mpi_inf_3dhp / "S9.zip").touch()
    (mpi_inf_3dhp / "mpi_inf_3dhp_test_set.zip").touch()  # of the other part
    (mpi_inf_3dhp / "RESTAGED.json").unlink()
    plan = plan_train(mpi_inf_3dhp, MpiInf3dhpOptions())
    assert named(plan) == {"S1/seq2", "s2", "S3/Seq1/annot (1).mat", "S9.zip"}
    assert {"S1/Seq2", "S2/Seq1", "S2/Seq2"} <= set(plan.missing)


def test_misspelt_test_sequences_and_archives_are_named(mpi_inf_3dhp: Path) -> None:
    place = next(mpi_inf_3dhp.rglob("TS1")).parent
    (place / "TS3").rename(place / "ts3")
    (mpi_inf_3dhp / "mpi_inf_3dhp_test_set.zip").touch()
    (mpi_inf_3dhp / "RESTAGED.json").unlink()
    plan = plan_test(mpi_inf_3dhp, MpiInf3dhpOptions())
    assert {one.path.name for one in plan.unread} == {"ts3", "mpi_inf_3dhp_test_set.zip"}
    assert plan.missing == ("TS3",)


def test_restaged_trees_miss_nothing(restaged: Path) -> None:
    assert plan_human36m(restaged / "human36m").missing == ()


def test_all_of_it_is_in_the_report_or_with_strict_an_error(human36m: Path, tmp_path: Path) -> None:
    (human36m / "S5").rename(human36m / "s5")
    store = str(tmp_path / "store")
    request = PrepareRequest(kind="human36m", raw=human36m, store=store)
    with pytest.raises(IncompleteReleaseError, match="s5") as caught:
        prepare_store(request.model_copy(update={"on_unread": "refuse"}))
    assert str(human36m / "s5") in str(caught.value)
    assert not PoseStore.exists(store)
    report = prepare_store(request)
    assert [Path(one.path).name for one in report.unread] == ["s5"]
    assert "S5" in report.missing
    assert report.committed


def test_the_line_counts_what_it_does_not_spell_out(human36m: Path) -> None:
    for number in range(9):
        (human36m / f"S1_{number}").mkdir()
    plan = plan_human36m(human36m)
    line = told(plan.unread, ())
    assert line == "9 in the folder not read: S1_0, S1_1, S1_2, S1_3, S1_4 and 4 more"
    assert told((), ()) is None
