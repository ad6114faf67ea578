"""The script that scores predictions of a real rig, on a rig whose errors are known by construction."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks.real_rig.runs import (
    LINES,
    SCHEDULE,
    VARIANTS,
    RaysKind,
    RigJob,
    RigLine,
    Score,
    Scored,
    SmoothingKind,
)
from benchmarks.real_rig.scoring import SCORED, compare, frames_of
from benchmarks.real_rig.tables import detector_line, differences_table, document_tables, methods_table
from benchmarks.recorded import read_lines
from scipy.spatial.transform import Rotation

from poseshift.flows.experiment.data import StoreInputs
from poseshift.flows.experiment.predict import (
    RECORD,
    MotionRecord,
    PredictionInputs,
    PredictionOptions,
    PredictionRecord,
)
from poseshift.geometry.detectors import MEDIAPIPE_33
from poseshift.geometry.skeleton import skeleton
from poseshift.training.lifters.registry import preset

FRAMES = 6
JOINTS = skeleton("human36m_17").joint_names


def motion(camera: str) -> MotionRecord:
    return MotionRecord(
        subject="person-1",
        trial="clip",
        camera=camera,
        cameras=(camera,),
        frames=FRAMES,
        fps=60.0,
        axes="world",
        floor_m=0.0,
        scale_factor=1.0,
        lifted_height_m=None,
        height_from=None,
        interpolated_frames=1,
        median_error_mm=0.0,
        error_kind="none",
        files={"npz": f"{camera}.npz"},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lifter that is right but for its root, a detector that answers people a tenth too large."""
    rng = np.random.default_rng(0)
    world = rng.normal(size=(FRAMES, 17, 3))
    rotations = Rotation.random(2, rng=rng).as_matrix()
    landmarks = {}
    for camera, rotation in zip(("cam01", "cam02"), rotations, strict=True):
        lifted = world + 3.0  # elsewhere in the room
        lifted[:, 0] += 0.5  # the pelvis is not scored
        interpolated = np.zeros((FRAMES, 17), dtype=bool)
        interpolated[2, 5] = True
        np.savez(
            tmp_path / f"{camera}.npz",
            positions=lifted,
            rotation=rotation,
            frame=np.arange(FRAMES),
            interpolated=interpolated,
        )
        own = np.zeros((FRAMES, 33, 3))
        for name in SCORED:
            own[:, MEDIAPIPE_33.joint_names.index(name)] = 1.1 * (world @ rotation.T)[:, JOINTS.index(name)]
        own[4] *= -1  # a frame whose sides are exchanged, say
        landmarks[f"{camera}_mediapipe_world"] = own
    np.savez(tmp_path / "landmarks.npz", **landmarks)
    np.savez(tmp_path / "truth.npz", positions_world=world, R=rotations)
    record = PredictionRecord(
        lifter="any",
        store="any",
        restaged_from=None,
        inputs=PredictionInputs(
            weights_sha256="",
            description_sha256="",
            store=StoreInputs(dataset="my_rig", snapshot="", keypoints="detected"),
            options=PredictionOptions(),
        ),
        skeleton="human36m_17",
        assumptions=(),
        motions=(motion("cam02"), motion("cam01")),
        device="cpu",
        git_commit=None,
        versions={},
    )
    (tmp_path / RECORD).write_text(record.model_dump_json())
    return tmp_path


def test_scores_are_those_of_the_construction(folder: Path) -> None:
    files = (folder, folder / "landmarks.npz", folder / "truth.npz")
    rows = compare(*files, {"cam01": {4}, "cam02": {4}})
    assert [(row.camera, row.frames) for row in rows] == [("cam01", 4), ("cam02", 4), ("all", 8)]
    with np.load(folder / "truth.npz") as held:
        picked = held["positions_world"][[0, 1, 3, 5]][:, [JOINTS.index(name) for name in SCORED]]
    hips = picked[:, :2].mean(axis=1, keepdims=True)
    expected = 100 * np.linalg.norm(picked - hips, axis=-1).mean()  # a tenth, in millimetres
    for row in rows:
        np.testing.assert_allclose(row.lifter, (0, 0), atol=1e-6)
        np.testing.assert_allclose(row.detector, (expected, 0), rtol=1e-9, atol=1e-6)


def test_cameras_together_are_scored_of_both_in_the_same_way(folder: Path) -> None:
    record = PredictionRecord.model_validate_json((folder / RECORD).read_bytes())
    with np.load(folder / "truth.npz") as held:
        world = held["positions_world"]
    np.savez(folder / "fused.npz", positions=1.2 * world[1:] + 2.0, frame=np.arange(1, FRAMES))
    both = (*record.motions, motion("fused"))
    (folder / RECORD).write_text(record.model_copy(update={"motions": both}).model_dump_json())
    files = (folder, folder / "landmarks.npz", folder / "truth.npz")
    rows = compare(*files, {"cam01": {4}, "cam02": {4}})
    assert [(row.camera, row.frames) for row in rows[-2:]] == [("all", 8), ("fused", 4)]
    fused = rows[-1]
    assert fused.lifter[0] == pytest.approx(2 * fused.detector[0])  # a fifth and a tenth too large
    assert fused.lifter[1] == pytest.approx(0, abs=1e-6)
    once = compare(*files, {"cam01": {4}})[-1]
    assert (once.frames, once.detector[1] > 0) == (5, True)  # cam02 alone says something of frame 4


def test_frames_that_are_not_left_out_count(folder: Path) -> None:
    rows = compare(folder, folder / "landmarks.npz", folder / "truth.npz", {"cam02": {4}})
    assert [row.frames for row in rows] == [5, 4, 9]
    assert rows[0].detector[0] > 2 * rows[1].detector[0]


def test_frames_of_a_mended_trial() -> None:
    assert frames_of("arms:36-36 legs:41-43 arms:42-44") == {36, 41, 42, 43, 44}


def line(name: str, seed: int, mpjpe_mm: float) -> RigLine:
    """A run whose two cameras err by 10 mm less and more than the given mean."""
    scores = tuple(
        Score(
            camera=camera,
            frames=frames,
            mpjpe_mm=error,
            pa_mpjpe_mm=error / 2,
            detector_mpjpe_mm=100.0,
            detector_pa_mpjpe_mm=80.0,
        )
        for camera, frames, error in (("a", 90, mpjpe_mm - 10), ("b", 10, mpjpe_mm + 10), ("all", 100, 0.0))
    )
    ways: list[tuple[RaysKind, SmoothingKind]] = [("own", "none"), ("off", "none"), ("own", "savgol")]
    return RigLine(
        digest="",
        job=RigJob(
            name=name,
            method=VARIANTS[name],
            lifter=preset("simple-baseline-small"),
            schedule=SCHEDULE,
            seed=seed,
            source_digest="",
            target_digest="",
        ),
        results=tuple(Scored(rays=rays, smoothing=smoothing, scores=scores) for rays, smoothing in ways),
        cpu_seconds=1.0,
        git_commit=None,
        versions={},
    )


def test_tables_average_cameras_and_pair_seeds() -> None:
    control, method = "both_mixed_random", "diverse_both_mixed"
    lines = [line(control, seed, 100.0 + seed) for seed in range(3)]
    lines += [line(method, seed, 98.0 + seed) for seed in (2, 1)]  # seed 0 is not there yet
    assert "| `both_mixed_random` | 3 | 101.0 ± 1.0 / 50.5 ± 0.5 |" in methods_table(lines)
    assert methods_table(lines).endswith("| – | – |")
    *_, paired = differences_table(lines, ("own", "none", "source")).splitlines()
    assert paired == (
        "| `both_mixed_random` | `diverse_both_mixed` | 2 | -2.0 ± 0.0 | 2 of 2 | 0.5 | -1.0 ± 0.0 | 2 of 2 |"
    )
    assert detector_line(lines) == "The detector's own 3D on the same 100 frames: 100.0 / 80.0."


def test_documents_show_the_recorded_runs() -> None:
    text = (Path(__file__).parents[2] / "docs/domains.md").read_text(encoding="utf-8")
    shown = document_tables(read_lines(LINES, RigLine))
    assert shown in text, "run: python -m benchmarks.real_rig table --document"


@pytest.mark.parametrize(
    ("base", "name", "viewpoint"),
    [
        ("diverse_both_mixed", "both_mixed_random", "random"),
        ("diverse_both_mixed_detected", "detected_random", "random"),
        ("diverse_random_viewpoint", "found_from_keypoints", "found"),
        ("diverse_random_viewpoint", "diverse_known_viewpoint", "known"),
        ("detected_random", "diverse_both_mixed_detected_found", "found"),
        ("detected_random", "detected_found_from_keypoints", "found"),
    ],
)
def test_variants_differ_in_the_viewpoint_alone(base: str, name: str, viewpoint: str) -> None:
    own, kept = (
        VARIANTS[one].model_dump(mode="json", exclude={"name", "label", "description"})
        for one in (name, base)
    )
    assert own["adaptation"].pop("viewpoint")["kind"] == viewpoint
    assert kept["adaptation"].pop("viewpoint")["kind"] != viewpoint
    assert own == kept
