"""A store's description against what was written into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from poseshift.storage.inspection import describe, intrinsics_told
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


def test_intrinsics_that_are_made_of_the_answers_or_contradict_them_are_told(
    tmp_path: Path, make_trial: MakeTrial
) -> None:
    store = PoseStore.create(tmp_path / "store", "mpi_inf_3dhp_test")
    residual = "calibration_residual_median_px"
    with store.transaction("write") as transaction:
        transaction.write(make_trial("S1", "unsaid", 2))
        transaction.write(replace(make_trial("TS1", "TS1", 2), intrinsics="fitted", quality={}))
        filed = replace(make_trial("TS2", "TS2", 2), intrinsics="calibration file")
        transaction.write(replace(filed, quality={residual: 4.83}))
        transaction.write(replace(make_trial("TS5", "TS5", 2), intrinsics="fitted", quality={residual: 0.02}))
    found = describe(store)
    assert [(one.trial, one.origin, one.contradicted) for one in found.intrinsics] == [
        ("TS1/TS1", "fitted", False),
        ("TS2/TS2", "calibration file", True),
        ("TS5/TS5", "fitted", False),
    ]
    assert [trial.intrinsics for one in found.subjects for trial in one.trials] == [
        *(None, "fitted", "calibration file", "fitted")
    ]
    told = intrinsics_told(found.intrinsics)
    assert told is not None
    assert "Intrinsics of TS1/TS1, TS5/TS5 are fitted to their own 3D and 2D annotations" in told
    assert (
        "calibration file of TS2/TS2 contradicts its annotations by 4.8 px (median); the file is used" in told
    )
    assert intrinsics_told([one for one in found.intrinsics if one.trial == "TS0"]) is None
