"""Trials that must not be written are refused with trial, array, found and expected in the message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from poseshift.storage.schema import Trial, TrialKey
from poseshift.storage.store import PoseStore
from poseshift.storage.validation import require_valid

MakeTrial = Callable[..., Trial]


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.copy()
    changed[0, 3, 2] = value
    return changed


CASES: list[tuple[Callable[[Trial], Trial], str]] = [
    (lambda t: replace(t, positions_world=t.positions_world[:, :16]), r"positions_world .*\(7, 16, 3\).*17"),
    (lambda t: replace(t, keypoints_2d=t.keypoints_2d[:1]), "keypoints_2d has shape"),
    (lambda t: replace(t, keypoints_2d=t.keypoints_2d[:, :6]), "keypoints_2d has shape"),
    (lambda t: replace(t, positions_world=t.positions_world[:0]), "positions_world has shape"),
    (lambda t: replace(t, positions_world=t.positions_world.astype(np.float64)), "float64; expected float32"),
    (
        lambda t: replace(t, positions_world=with_value(t.positions_world, np.nan)),
        r"1 numbers .* \(0, 3, 2\)",
    ),
    (lambda t: replace(t, keypoints_2d=np.full_like(t.keypoints_2d, np.inf)), "keypoints_2d has 476 numbers"),
    (lambda t: replace(t, valid=np.ones(7, dtype=np.int8)), "valid has dtype int8; expected bool"),
    (lambda t: replace(t, activity=np.ones(8, dtype=np.int8)), "activity has shape"),
    (lambda t: replace(t, detections={"cpn": t.keypoints_2d}), "keypoints_2d_cpn has shape"),
    (lambda t: replace(t, cameras=(), keypoints_2d=t.keypoints_2d[:0]), "at least one"),
    (lambda t: replace(t, cameras=t.cameras[:1] * 2), "each name once"),
    (lambda t: replace(t, key=TrialKey("S1", "a/b")), "cannot name a Zarr node"),
    (lambda t: replace(t, key=TrialKey("..", "a")), "cannot name a Zarr node"),
    (lambda t: replace(t, key=TrialKey("S1", "")), "cannot name a Zarr node"),
    (lambda t: replace(t, detections={"a/b": np.ones((2, 7, 17, 3), np.float32)}), "cannot name a Zarr node"),
]


@pytest.mark.parametrize(("change", "message"), CASES)
def test_refused(make_trial: MakeTrial, change: Callable[[Trial], Trial], message: str) -> None:
    trial = change(make_trial())
    with pytest.raises(ValueError, match=message) as refusal:
        require_valid(trial, "human36m_17")
    assert str(refusal.value).startswith(f"trial {trial.key.path!r}: ")


def test_a_valid_trial_passes(make_trial: MakeTrial) -> None:
    require_valid(make_trial("S1", "Photo 1 ü"), "human36m_17")


def test_a_refused_trial_leaves_no_trace(store: PoseStore, make_trial: MakeTrial) -> None:
    trial = make_trial()
    with store.transaction("bad") as transaction, pytest.raises(ValueError, match="not finite"):
        transaction.write(replace(trial, keypoints_2d=np.full_like(trial.keypoints_2d, np.nan)))
    assert store.keys() == ()


def test_a_store_of_another_skeleton_wants_its_joints(make_trial: MakeTrial) -> None:
    with pytest.raises(ValueError, match="positions_world"):
        require_valid(make_trial(), "poseaug_16")
    with pytest.raises(LookupError, match="no skeleton named"):
        require_valid(make_trial(), "octopus")
