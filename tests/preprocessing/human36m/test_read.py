"""Trees as users have them: the release's, the flattened one, archives, with the faults that occur."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from poseshift.geometry.projection import project, world_to_camera
from poseshift.geometry.skeleton import mapping
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.human36m.cdf import read_pose, write_pose
from poseshift.preprocessing.human36m.options import Human36MOptions
from poseshift.preprocessing.human36m.read import plan_human36m
from poseshift.preprocessing.human36m.write import pack_subject, write_trial
from poseshift.preprocessing.raw import RESTAGED_MARKER, RawPlan
from poseshift.storage.schema import Trial, TrialKey

Person = Callable[[int], NDArray[np.float64]]


def trial_of(plan: RawPlan, subject: str, trial: str) -> Trial:
    (planned,) = (entry for entry in plan.trials if entry.key == TrialKey(subject, trial))
    return planned.read()


def folder(tree: Path, subject: str, kind: str) -> Path:
    return tree / subject / "MyPoseFeatures" / kind


def test_a_tree_is_planned_and_read(tree: Path, person: Person) -> None:
    plan = plan_human36m(tree)
    assert not plan.problems
    assert plan.restaged_from is None
    assert [entry.key.path for entry in plan.trials] == [
        "S1/Directions 1",
        "S1/Photo",
        "S9/Greeting",
        "S11/Directions",
    ]
    for entry in plan.trials:
        assert len(entry.sources) == 6, "world positions, four cameras, metadata.xml"
        assert all(source.is_relative_to(plan.root) for source in entry.sources)
    trial = pickle.loads(pickle.dumps(plan.trials[1])).read()  # noqa: S301  # as Dask sends it to a worker
    assert (trial.action, trial.subaction, trial.fps) == ("Photo", "2", 50.0)
    assert trial.options["stem"] == "TakingPhoto"
    joints = mapping("human36m_32", "human36m_17")
    np.testing.assert_allclose(trial.positions_world, joints.apply(person(5)) / 1000, atol=1e-6)
    assert trial.positions_world.dtype == trial.keypoints_2d.dtype == np.float32
    assert trial.positions_world.flags.c_contiguous
    assert trial.keypoints_2d.shape == (4, 5, 17, 2)
    for camera, keypoints in zip(trial.cameras, trial.keypoints_2d, strict=True):
        in_camera = world_to_camera(
            trial.positions_world, np.array(camera.rotation), np.array(camera.translation)
        )
        np.testing.assert_allclose(keypoints, project(in_camera, camera.intrinsics), atol=1e-3)
    assert trial.quality["hip_to_spine_mm"] == pytest.approx(0.1, abs=1e-3)
    assert trial.quality["coinciding_joints_apart_mm"] == 0.0
    assert trial.quality["video_frames_without_pose"] == 1.0


def test_the_flattened_tree_gives_the_same(tree: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    for subject in ("S1", "S9", "S11"):
        for kind in ("D3_Positions", "D2_Positions"):
            target = flat / "extracted" / subject / f"Poses_{kind}"
            shutil.copytree(folder(tree, subject, kind), target)
    shutil.copy(tree / "metadata.xml", flat / "metadata.xml")
    assert_same_trials(plan_human36m(flat), plan_human36m(tree))


def test_archives_give_the_same(tree: Path, tmp_path: Path) -> None:
    downloads, unpacked = tmp_path / "downloads", tmp_path / "unpacked"
    for subject in ("S1", "S9", "S11"):
        pack_subject(tree, subject, downloads / subject)
    shutil.copy(tree / "metadata.xml", downloads / "metadata.xml")
    plan = plan_human36m(downloads, unpack_into=unpacked)
    assert_same_trials(plan, plan_human36m(tree))
    assert plan.root == unpacked
    assert all(source.is_relative_to(unpacked) for entry in plan.trials for source in entry.sources)
    with pytest.raises(RawDataError, match="12 archives, not unpacked"):
        plan_human36m(downloads)


def assert_same_trials(plan: RawPlan, reference: RawPlan) -> None:
    assert not plan.problems
    assert [entry.key for entry in plan.trials] == [entry.key for entry in reference.trials]
    for entry, other in zip(plan.trials, reference.trials, strict=True):
        first, second = entry.read(), other.read()
        assert first.cameras == second.cameras
        np.testing.assert_array_equal(first.positions_world, second.positions_world)
        np.testing.assert_array_equal(first.keypoints_2d, second.keypoints_2d)


def test_positions_from_a_camera_when_the_world_is_missing(tree: Path) -> None:
    reference = trial_of(plan_human36m(tree), "S1", "Directions 1")
    shutil.rmtree(folder(tree, "S1", "D3_Positions"))
    trial = trial_of(plan_human36m(tree), "S1", "Directions 1")
    np.testing.assert_allclose(trial.positions_world, reference.positions_world, atol=2e-6)
    assert trial.options["positions"] == "D3_Positions_mono"


def test_keypoints_by_projection_when_there_are_none(tree: Path) -> None:
    reference = trial_of(plan_human36m(tree), "S9", "Greeting")
    shutil.rmtree(folder(tree, "S9", "D2_Positions"))
    trial = trial_of(plan_human36m(tree), "S9", "Greeting")
    np.testing.assert_allclose(trial.keypoints_2d, reference.keypoints_2d, atol=1e-3)
    assert (trial.options["keypoints"], reference.options["keypoints"]) == ("projected", "D2_Positions")


def test_the_universal_skeleton_on_request(tree: Path) -> None:
    own = trial_of(plan_human36m(tree), "S9", "Greeting")
    plan = plan_human36m(tree, Human36MOptions(skeleton_scale="universal"))
    universal = trial_of(plan, "S9", "Greeting")
    assert plan.options["skeleton_scale"] == universal.options["skeleton_scale"] == "universal"
    assert (own.positions_kind, universal.positions_kind) == ("annotated", "universal")
    hip, knee, ankle = 1, 2, 3

    def leg(trial: Trial) -> float:
        places = trial.positions_world[0]
        return float(
            np.linalg.norm(places[hip] - places[knee]) + np.linalg.norm(places[knee] - places[ankle])
        )

    assert leg(own) == pytest.approx(0.8506, abs=1e-3), "the standing person's"
    assert leg(universal) == pytest.approx(0.8971, abs=1e-4), "subject 1's"
    np.testing.assert_allclose(universal.positions_world[:, 0], own.positions_world[:, 0], atol=2e-6)
    np.testing.assert_array_equal(universal.keypoints_2d, own.keypoints_2d)


def test_s9_drift_is_kept_moved_or_dropped(tree: Path) -> None:
    kept = trial_of(plan_human36m(tree), "S9", "Greeting")
    moved = trial_of(plan_human36m(tree, Human36MOptions(s9_drift="shift_200mm")), "S9", "Greeting")
    np.testing.assert_allclose(
        moved.positions_world - kept.positions_world, np.broadcast_to([-0.2, 0, 0], (6, 17, 3)), atol=1e-6
    )
    camera = moved.cameras[2]
    in_camera = world_to_camera(
        moved.positions_world, np.array(camera.rotation), np.array(camera.translation)
    )
    np.testing.assert_allclose(moved.keypoints_2d[2], project(in_camera, camera.intrinsics), atol=1e-3)
    assert moved.options["s9_drift"] == "shift_200mm"
    assert kept.options["s9_drift"] == "keep"
    dropped = plan_human36m(tree, Human36MOptions(s9_drift="drop"))
    assert [entry.key.subject for entry in dropped.trials] == ["S1", "S1", "S11"]
    other = trial_of(plan_human36m(tree, Human36MOptions(s9_drift="shift_200mm")), "S1", "Photo")
    np.testing.assert_array_equal(
        other.positions_world, trial_of(plan_human36m(tree), "S1", "Photo").positions_world
    )


def test_s11_directions_is_kept_whole_or_loses_a_view(tree: Path) -> None:
    assert len(trial_of(plan_human36m(tree), "S11", "Directions").cameras) == 4
    less = trial_of(
        plan_human36m(tree, Human36MOptions(s11_directions="drop_camera_54138969")), "S11", "Directions"
    )
    assert [camera.name for camera in less.cameras] == ["55011271", "58860488", "60457274"]
    full = trial_of(plan_human36m(tree), "S11", "Directions")
    np.testing.assert_array_equal(less.keypoints_2d, full.keypoints_2d[1:])
    dropped = plan_human36m(tree, Human36MOptions(s11_directions="drop"))
    assert "S11" not in {entry.key.subject for entry in dropped.trials}


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValueError, match="s9_drift"):
        Human36MOptions.model_validate({"s9_drift": "fix"})
    with pytest.raises(ValueError, match="s9_shift"):
        Human36MOptions.model_validate({"s9_shift": True})


@pytest.mark.parametrize(
    ("kind", "old", "new", "found"),
    [
        ("D3_Positions", "Directions 1.cdf", "Directions_1.cdf", "the name 'Directions_1.cdf'"),
        (
            "D3_Positions",
            "Directions 1.cdf",
            "Directions 1.54138969.cdf",
            "the name 'Directions 1.54138969.cdf'",
        ),
        ("D2_Positions", "Directions 1.54138969.cdf", "Directions 1.cdf", "the name 'Directions 1.cdf'"),
        ("D3_Positions", "Directions 1.cdf", "Directions 4.cdf", "the stem 'Directions 4'"),
        ("D3_Positions", "TakingPhoto.cdf", "Photo.cdf", "the stem 'Photo'"),
    ],
)
def test_unknown_names_are_problems(tree: Path, kind: str, old: str, new: str, found: str) -> None:
    place = folder(tree, "S1", kind)
    (place / old).rename(place / new)
    plan = plan_human36m(tree)
    assert any(found in str(problem) and problem.remedy for problem in plan.problems)
    assert len(plan.trials) == 3, "the other trials stay"


def test_a_missing_camera_is_named(tree: Path) -> None:
    (folder(tree, "S1", "D2_Positions") / "Directions 1.58860488.cdf").unlink()
    plan = plan_human36m(tree)
    (problem,) = plan.problems
    assert "Directions 1.58860488.cdf" in str(problem)
    assert "Poses_D2_Positions_S1.tgz" in problem.remedy
    assert TrialKey("S1", "Directions 1") not in {entry.key for entry in plan.trials}
    shutil.rmtree(folder(tree, "S9", "D3_Positions"))
    (folder(tree, "S9", "D3_Positions_mono") / "Greeting.60457274.cdf").unlink()
    assert any("Greeting.60457274.cdf" in str(problem) for problem in plan_human36m(tree).problems)


def test_positions_missing_altogether(tree: Path) -> None:
    (folder(tree, "S1", "D3_Positions") / "TakingPhoto.cdf").unlink()
    assert any("TakingPhoto.cdf" in str(problem) for problem in plan_human36m(tree).problems)
    shutil.rmtree(folder(tree, "S9", "D3_Positions"))
    shutil.rmtree(folder(tree, "S9", "D3_Positions_mono"))
    assert any("no folder of 3D positions" in str(problem) for problem in plan_human36m(tree).problems)


def test_whole_sessions_and_hidden_files_are_left_out(tree: Path) -> None:
    place = folder(tree, "S1", "D3_Positions")
    shutil.copy(place / "TakingPhoto.cdf", place / "_ALL 1.cdf")
    (place / "._TakingPhoto.cdf").write_bytes(b"x")
    plan = plan_human36m(tree)
    assert not plan.problems
    assert len(plan.trials) == 4


def test_rows_must_be_those_of_the_table(tree: Path, person: Person) -> None:
    write_trial(tree, "S1", "Directions 1", person(6))
    with pytest.raises(
        RawDataError, match=r"found 6 rows; expected 7 rows, by the sequence table \(metadata.xml\)"
    ):
        trial_of(plan_human36m(tree), "S1", "Directions 1")
    (tree / "metadata.xml").unlink()
    with pytest.raises(
        RawDataError, match=r"found 5 rows; expected 1036 rows, by the sequence table \(built-in\)"
    ):
        trial_of(plan_human36m(tree), "S1", "Photo")


def test_keypoints_of_another_length_are_refused(tree: Path) -> None:
    path = folder(tree, "S1", "D2_Positions") / "TakingPhoto.55011271.cdf"
    write_pose(path, read_pose(path, 32, 2)[:-1])
    with pytest.raises(RawDataError, match="found 4 rows") as caught:
        trial_of(plan_human36m(tree), "S1", "Photo")
    assert caught.value.path == path


def corrupt_order(poses: NDArray[np.float64]) -> None:
    poses[:, [16, 17]] = poses[:, [17, 16]]


def corrupt_unit(poses: NDArray[np.float64]) -> None:
    poses /= 1000


def corrupt_height(poses: NDArray[np.float64]) -> None:
    poses[..., 2] += 5000


@pytest.mark.parametrize(
    ("corrupt", "found"),
    [
        (corrupt_order, "joints 13 and 16"),
        (corrupt_unit, "thigh of 0.4"),
        (corrupt_height, "heights from 5010"),
    ],
)
def test_values_of_another_kind_are_refused(
    tree: Path, person: Person, corrupt: Callable[[NDArray[np.float64]], None], found: str
) -> None:
    poses = person(7)
    corrupt(poses)
    write_pose(folder(tree, "S1", "D3_Positions") / "Directions 1.cdf", poses)
    with pytest.raises(RawDataError, match=found):
        trial_of(plan_human36m(tree), "S1", "Directions 1")


def test_truncated_files_are_named(tree: Path) -> None:
    path = folder(tree, "S1", "D2_Positions") / "TakingPhoto.60457274.cdf"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RawDataError, match=r"TakingPhoto\.60457274\.cdf") as caught:
        trial_of(plan_human36m(tree), "S1", "Photo")
    assert pickle.loads(pickle.dumps(caught.value)).path == path  # noqa: S301


def test_restaged_trees_say_so(tree: Path) -> None:
    (tree / RESTAGED_MARKER).write_text('{"motion": "a procedural walk"}', encoding="utf-8")
    assert plan_human36m(tree).restaged_from == "a procedural walk"
    (tree / RESTAGED_MARKER).write_text("{", encoding="utf-8")
    with pytest.raises(RawDataError, match="marker"):
        plan_human36m(tree)


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match="no folder of poses"):
        plan_human36m(tmp_path)
    with pytest.raises(RawDataError, match="no folder of poses"):
        plan_human36m(tmp_path / "missing")
