"""Restaged trees are read by the true readers, and give back the motion that went in."""

import json

import numpy as np
import pytest

from poseshift.geometry.projection import project
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.human36m.layout import canonical_stem
from poseshift.preprocessing.human36m.options import Human36MOptions
from poseshift.preprocessing.human36m.read import plan_human36m
from poseshift.preprocessing.motion import procedural
from poseshift.preprocessing.mpi_inf_3dhp.read import MpiInf3dhpOptions, plan_test, plan_train
from poseshift.preprocessing.restaging.casting import classify
from poseshift.preprocessing.restaging.placement import to_camera
from poseshift.preprocessing.restaging.report import RestageReport
from poseshift.preprocessing.restaging.restage import (
    REFERENCE_HEIGHT_M,
    RestageOptions,
    at_rate,
    body_height,
    camera_of_test_sequence,
    restage,
)

SEED = 11
LABEL = "six people of the procedural motion"


@pytest.fixture(scope="module")
def motions():
    return procedural.generate(4, subjects=6, clips_per_subject=3, frames_per_clip=60)


@pytest.fixture(scope="module")
def tree(tmp_path_factory, motions):
    out = tmp_path_factory.mktemp("raw") / "restaged"
    report = restage(motions, out, SEED, motion=LABEL)
    return out, report


def read(plan):
    assert plan.problems == ()
    assert plan.restaged_from == LABEL
    return {(trial.key.subject, trial.key.trial): trial.read() for trial in plan.trials}


def staged(clip, motions):
    """World positions of a staged clip, computed from the motion and the report alone."""
    motion = next(motion for motion in motions if motion.name == clip.name)
    return clip.placement.apply(at_rate(motion, clip.fps).positions[: clip.rows])


def test_source_comes_back_from_human36m(tree, motions):
    out, report = tree
    trials = read(plan_human36m(out / "human36m", Human36MOptions()))
    clips = [clip for clip in report.clips if clip.group == "source"]
    assert len(trials) == len(clips) > 0
    for clip in clips:
        trial = trials[clip.subject, canonical_stem(clip.trial)]
        np.testing.assert_allclose(trial.positions_world, staged(clip, motions), atol=2e-6)
        for view, camera in enumerate(trial.cameras):
            pixels = project(to_camera(staged(clip, motions), camera), camera.intrinsics)
            np.testing.assert_allclose(trial.keypoints_2d[view], pixels, atol=2e-3)


def test_target_train_comes_back_from_3dhp(tree, motions):
    out, report = tree
    trials = read(plan_train(out / "mpi_inf_3dhp", MpiInf3dhpOptions()))
    clips = [clip for clip in report.clips if clip.group == "target_train"]
    assert {(clip.subject, clip.trial) for clip in clips} == set(trials)
    for clip in clips:
        trial = trials[clip.subject, clip.trial]
        rows = slice(clip.first_row, clip.first_row + clip.rows)
        assert trial.fps == clip.fps
        np.testing.assert_allclose(trial.positions_world[rows], staged(clip, motions), atol=2e-5)
    assert sum(len(trial.positions_world) for trial in trials.values()) == report.rows("target_train")


def test_target_test_comes_back_before_its_camera_with_activities_and_valid_rows(tree, motions):
    out, report = tree
    trials = read(plan_test(out / "mpi_inf_3dhp", MpiInf3dhpOptions()))
    clips = [clip for clip in report.clips if clip.group == "target_test"]
    assert {(clip.subject, clip.trial) for clip in clips} == set(trials)
    for clip in clips:
        trial = trials[clip.subject, clip.trial]
        rows = slice(clip.first_row, clip.first_row + clip.rows)
        seen = to_camera(staged(clip, motions), camera_of_test_sequence(clip.subject))
        np.testing.assert_allclose(trial.positions_world[rows], seen, atol=2e-5)
        motion = next(motion for motion in motions if motion.name == clip.name)
        assert (trial.activity[rows] == classify(motion.description).activity).all()
        if clip.first_row:
            assert not trial.valid[clip.first_row - 5 : clip.first_row + 5].any()
    for trial in trials.values():
        assert trial.valid.mean() > 0.5
        inside = (trial.keypoints_2d[0] >= 0) & (trial.keypoints_2d[0] < trial.cameras[0].size_px)
        assert inside[trial.valid].all()


def test_universal_poses_have_the_reference_height(tree):
    out, _ = tree
    trials = read(plan_train(out / "mpi_inf_3dhp", MpiInf3dhpOptions())).values()
    for trial in trials:
        assert body_height(trial.positions_universal) == pytest.approx(REFERENCE_HEIGHT_M, abs=1e-3)


def test_no_person_is_in_two_parts_and_no_clip_is_lost(tree, motions):
    _, report = tree
    people = [subject.person for subject in report.subjects]
    assert sorted(people) == sorted({motion.subject for motion in motions})
    assert sorted(clip.name for clip in (*report.clips, *report.left_out)) == sorted(m.name for m in motions)
    group_of = {subject.person: subject.group for subject in report.subjects}
    assert all(group_of[clip.name.split("/")[0]] == clip.group for clip in report.clips)


def test_both_trees_carry_the_report(tree):
    out, report = tree
    for folder in ("human36m", "mpi_inf_3dhp"):
        text = (out / folder / "RESTAGED.json").read_text()
        assert RestageReport.model_validate_json(text) == report
        assert json.loads(text)["motion"] == LABEL


def test_a_seed_gives_the_same_numbers_and_another_seed_other_places(tree, tmp_path, motions):
    out, report = tree
    again = tmp_path / "again"
    assert restage(motions, again, SEED, motion=LABEL) == report
    for path in sorted((out / "human36m").rglob("*.cdf")):
        assert path.read_bytes() == (again / path.relative_to(out)).read_bytes()
    first, second = (read(plan_train(root / "mpi_inf_3dhp", MpiInf3dhpOptions())) for root in (out, again))
    for key, trial in first.items():
        assert trial.positions_world.tobytes() == second[key].positions_world.tobytes()
        assert trial.keypoints_2d.tobytes() == second[key].keypoints_2d.tobytes()
    other = restage(motions, again, SEED + 1, motion=LABEL)
    assert [clip.trial for clip in other.clips] == [clip.trial for clip in report.clips]
    assert all(a.heading_rad != b.heading_rad for a, b in zip(other.clips, report.clips, strict=True))


def test_options_shorten_clips_and_choose_pose_files(tmp_path, motions):
    options = RestageOptions(max_frames_per_clip=20, human36m_kinds=frozenset({"D3_Positions"}))
    report = restage(motions, tmp_path / "out", SEED, options=options)
    assert max(clip.rows / clip.fps for clip in report.clips) <= 0.4
    kinds = {path.parent.name for path in (tmp_path / "out").rglob("*.cdf")}
    assert kinds == {"D3_Positions"}


def test_a_folder_with_anything_else_is_left_alone(tmp_path, motions):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("all my work")
    with pytest.raises(RawDataError, match=r"thesis\.txt"):
        restage(motions, out, SEED)
    assert (out / "thesis.txt").read_text() == "all my work"


def test_a_failure_leaves_the_earlier_tree_and_no_rubbish(tmp_path, motions, monkeypatch):
    out = tmp_path / "out"
    options = RestageOptions(max_frames_per_clip=10)
    restage(motions, out, SEED, options=options)
    before = (out / "human36m" / "RESTAGED.json").read_bytes()

    def full_disk(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("poseshift.preprocessing.restaging.restage.write_test_calibration", full_disk)
    with pytest.raises(OSError, match="No space"):
        restage(motions, out, SEED + 1, options=options)
    assert (out / "human36m" / "RESTAGED.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_two_people_are_refused(tmp_path, motions):
    two = [motion for motion in motions if motion.subject in {"proc01", "proc02"}]
    with pytest.raises(ValueError, match="2 subject"):
        restage(two, tmp_path / "out", SEED)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("fps", "frames"), [(50.0, 60), (25.0, 30), (10.0, 12), (30.0, 36)])
def test_rates_keep_the_duration(motions, fps, frames):
    slower = at_rate(motions[0], fps)
    assert slower.fps == fps
    assert abs(slower.frames - frames) <= 1
    third = int(fps * 0.4)
    at = third / fps * 50
    low = motions[0].positions[int(at)].astype(np.float64)
    high = motions[0].positions[int(np.ceil(at))].astype(np.float64)
    np.testing.assert_allclose(slower.positions[third], low + (high - low) * (at - int(at)), atol=1e-5)
