"""A store's description against what was written into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from poseshift.storage.inspection import describe
from poseshift.storage.schema import Trial
from poseshift.storage.store import PoseStore

MakeTrial = Callable[..., Trial]


def test_description(tmp_path: Path, make_trial: MakeTrial) -> None:
    store = PoseStore.create(tmp_path / "store", "human36m", restaged_from="a walk")
    with store.transaction("write") as transaction:
        transaction.write(make_trial("S1", "Walking", 5))
        transaction.write(make_trial("S1", "Photo 1", 3, cameras=("c",)))
        transaction.write(make_trial("S11", "Photo", 2))
    found = describe(store)
    assert (found.dataset, found.restaged_from, found.snapshot) == ("human36m", "a walk", store.snapshot)
    assert [(one.subject, one.frames, one.cameras) for one in found.subjects] == [
        ("S1", 8, ("54138969", "60457274", "c")),
        ("S11", 2, ("54138969", "60457274")),
    ]
    photo = found.subjects[0].trials[0]
    assert (photo.trial, photo.frames, photo.arrays) == ("Photo 1", 3, ("keypoints_2d", "positions_world"))
    assert photo.positions_kind == "annotated"
    assert (photo.source_files, photo.options) == (1, {"s9_drift": "keep"})
