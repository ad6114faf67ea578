"""A selection that leaves little is said in one line, with numbers and names; a usual one is not."""

from collections.abc import Callable

import pytest

from poseshift.storage import remaining
from poseshift.storage.reading import Selection, read_camera_poses, read_keypoints
from poseshift.storage.remaining import little_left
from poseshift.storage.schema import Trial
from poseshift.storage.store import PoseStore

MakeTrial = Callable[..., Trial]


@pytest.fixture
def held(store: PoseStore, make_trial: MakeTrial) -> PoseStore:
    """Two trials of 150 frames before two cameras: 600 poses."""
    with store.transaction("write") as transaction:
        for subject in ("S1", "S5"):
            transaction.write(make_trial(subject, "Walking 1", 150))
    return store


def told(store: PoseStore, selection: Selection) -> str | None:
    return little_left(store, selection, read_camera_poses(store, selection))


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (Selection(), None),
        (Selection(subjects=("S1",)), None),
        (Selection(frame_step=5), None),
        (Selection(frame_step=10), "60 of 600 poses are left with frame step 10"),
        (
            Selection(frame_step=5000),
            "4 of 600 poses are left with frame step 5000, no two of them of one view",
        ),
        (Selection(subjects=("S1", "S99")), "no subject S99; there are S1, S5"),
        (Selection(cameras=("54138969", "1")), "no camera 1; there are 54138969, 60457274"),
    ],
)
def test_what_is_said(held: PoseStore, selection: Selection, said: str | None) -> None:
    assert told(held, selection) == (None if said is None else f"{held.location}: {said}")


def test_a_share_below_one_per_cent_is_said(
    held: PoseStore, make_trial: MakeTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remaining, "LITTLE_POSES", 0)
    with held.transaction("write") as transaction:
        transaction.write(make_trial("S6", "Sitting 1", 5))
    assert told(held, Selection(subjects=("S5",))) is None
    assert told(held, Selection(subjects=("S6",))) is None  # 10 of 610
    with held.transaction("write") as transaction:
        transaction.write(make_trial("S7", "Sitting 1", 2))
    said = told(held, Selection(subjects=("S7",)))
    assert said is not None
    assert "4 of 614 poses are left" in said


def test_nothing_left_names_what_there_is(held: PoseStore) -> None:
    for read in (read_camera_poses, read_keypoints):
        with pytest.raises(ValueError, match="no subject S4; there are S1, S5"):
            read(held, Selection(subjects=("S4",)))
