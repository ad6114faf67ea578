"""The benchmark on tiny motion: derived stores, runs that survive SIGKILL, tables made of recorded lines."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import psutil
import pytest
import torch
from benchmarks.faults import programs
from numpy.typing import NDArray
from torch import nn
from typer.testing import CliRunner

from poseshift.adaptation.gravity import GravityConfig
from poseshift.adaptation.methods import METHODS
from poseshift.adaptation.selection import SelectionConfig
from poseshift.adaptation.viewpoint import AlignedViewpoint
from poseshift.augmentation.generator import GeneratorConfig, PoseGenerator
from poseshift.flows.benchmark import forms
from poseshift.flows.benchmark.content import content_of, errors_by_content
from poseshift.flows.benchmark.data import BenchmarkData, prepare_benchmark
from poseshift.flows.benchmark.domains import DOMAINS
from poseshift.flows.benchmark.execute import WORK, execute
from poseshift.flows.benchmark.forms import FORMS, NOISE_OF_SIZE, is_upright
from poseshift.flows.benchmark.lines import (
    LINES_FILE,
    Job,
    LinesError,
    RaysKind,
    RunLine,
    append_line,
    read_lines,
)
from poseshift.flows.benchmark.plan import PLANS, Plan
from poseshift.flows.benchmark.plots import write_plots
from poseshift.flows.benchmark.pooling import pooled, saved_within
from poseshift.flows.benchmark.run import run_job
from poseshift.flows.benchmark.suites import ABLATED, COMPARED
from poseshift.flows.benchmark.tables import SectionError, markdown, replace_section, tables
from poseshift.flows.cli import app
from poseshift.flows.experiment.initial import describe_initial
from poseshift.geometry.bones import bone_lengths
from poseshift.geometry.projection import project
from poseshift.geometry.skeleton import skeleton
from poseshift.preprocessing.motion.procedural import generate
from poseshift.preprocessing.restaging.casting import cast
from poseshift.storage.reading import Selection
from poseshift.training.answer import RaysSnap
from poseshift.training.checkpoint import save_lifter
from poseshift.training.encoding import encoding
from poseshift.training.lifters.config import CONFIGS, LifterConfigBase
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.registry import PRESETS, build, preset
from poseshift.training.lifters.videopose3d import VideoPose3DConfig
from poseshift.training.run_state import STATE_FILE
from poseshift.training.schedule import Schedule

METHODS_RUN = ("poseda", "source_only")
EPOCHS, STEPS = 4, 6


@dataclass(frozen=True)
class Tiny:
    """Motion of nine people, and the benchmark's stores of it."""

    motion: Path
    folder: Path
    data: BenchmarkData


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    place = tmp_path_factory.mktemp("benchmark")
    motions = generate(seed=7, subjects=9, clips_per_subject=2, frames_per_clip=40)
    path = place / "tiny.npz"
    np.savez(path, **{motion.name: motion.positions for motion in motions})
    return Tiny(path, place / "data", prepare_benchmark(str(path), place / "data", seed=0, split=0))


@pytest.fixture(scope="module")
def jobs(tiny: Tiny) -> tuple[Job, ...]:
    short = PLANS["adaptation", "short"]
    plan = Plan(
        lifters=("simple-baseline-small",),
        methods=METHODS_RUN,
        domains=("chest-height",),
        seeds=1,
        splits=(0,),
        schedule=short.schedule.model_copy(update={"epochs": EPOCHS, "steps_per_epoch": STEPS}),
    )
    return plan.jobs(dict.fromkeys(plan.splits, tiny.data))


@pytest.fixture(scope="module")
def undisturbed(
    tiny: Tiny, jobs: tuple[Job, ...], tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunLine, ...]:
    folder = tmp_path_factory.mktemp("undisturbed")
    return tuple(run_job(job, tiny.data, folder, torch.device("cpu")) for job in jobs)


@pytest.mark.slow
def test_killed_inside_a_training_it_goes_on_to_the_same_figures(
    tiny: Tiny, jobs: tuple[Job, ...], undisturbed: tuple[RunLine, ...], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    options = {
        "--motion": tiny.motion,
        "--out": out,
        "--data": tiny.folder,
        "--lifters": "simple-baseline-small",
        "--cameras": "chest-height",
        "--seeds": 1,
        "--splits": 0,
        "--epochs": EPOCHS,
        "--steps": STEPS,
        "--jobs": 1,
        "--device": "cpu",
    }
    command = ["-m", "poseshift.flows.cli", "benchmark", "adaptation"]
    command += [str(part) for option in options.items() for part in option]
    command += [part for name in METHODS_RUN for part in ("--methods", name)]
    log = tmp_path / "log"
    process = programs.start(*command, environment=os.environ, told=log)
    assert process.pid is not None
    give_up = time.monotonic() + 300  # a busy machine is slow to begin
    while not list(out.glob(f"{WORK}/*/training/{STATE_FILE}")):
        assert process.is_alive(), log.read_text()[-4000:]
        assert time.monotonic() < give_up
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.join()
    assert not psutil.wait_procs(children, timeout=60)[1], "its processes outlive it"
    assert len(read_lines(out)) < len(jobs)

    executed = execute(jobs, {0: tiny.data}, out, processes=1, device="cpu")
    assert [line.figures for line in executed.lines] == [line.figures for line in undisturbed]
    assert not [path for path in (out / WORK).iterdir() if path.is_dir()]

    again = execute(jobs, {0: tiny.data}, out, processes=1, device="cpu")
    assert again.reused == len(jobs)
    assert again.lines == executed.lines


def test_a_line_says_what_was_chosen_and_how_well(undisturbed: tuple[RunLine, ...]) -> None:
    for line in undisturbed:
        errors = [epoch.mpjpe_mm for epoch in line.epochs]
        assert [epoch.epoch for epoch in line.epochs] == list(range(1, EPOCHS + 1))
        assert line.chosen["last"] == EPOCHS
        assert line.chosen["oracle"] == 1 + int(np.argmin(errors))
        for choice, epoch in line.chosen.items():
            assert line.under(choice).mpjpe_mm.value == errors[epoch - 1]
            assert line.under(choice).protocol == "placed-at-chest-height"
            assert {row.subject for row in line.under(choice).per_sequence} <= {f"TS{n}" for n in range(1, 7)}
        assert line.rank_correlation is None or -1 <= line.rank_correlation <= 1
        assert len(line.results) == len(set(line.chosen.values()))


def test_an_epoch_whose_record_was_lost_is_recorded_on_resuming(
    tiny: Tiny, jobs: tuple[Job, ...], undisturbed: tuple[RunLine, ...], tmp_path: Path
) -> None:
    run_job(jobs[1], tiny.data, tmp_path, torch.device("cpu"))
    table = tmp_path / jobs[1].digest[:16] / "candidates" / "candidates.json"
    table.write_text(json.dumps(json.loads(table.read_text())[:-1]))
    state = tmp_path / jobs[1].digest[:16] / "training" / STATE_FILE
    written = state.stat().st_mtime_ns
    line = run_job(jobs[1], tiny.data, tmp_path, torch.device("cpu"))
    assert line.figures == undisturbed[1].figures
    assert state.stat().st_mtime_ns == written, "the training went on from its end"


def test_lifters_of_clips_and_aligned_viewpoints(tiny: Tiny, tmp_path: Path) -> None:
    everything = METHODS["everything"]
    viewpoint = AlignedViewpoint(gravity=GravityConfig(steps=3, width=32, batch_size=32))
    plan = Plan(
        lifters=("videopose3d-27f-small",),
        methods=("everything",),
        domains=("high-and-ceiling",),
        seeds=1,
        splits=(0,),
        schedule=Schedule(epochs=3, steps_per_epoch=2, batch_size=16),
    )
    (job,) = plan.jobs(dict.fromkeys(plan.splits, tiny.data))
    adaptation = everything.adaptation.model_copy(update={"viewpoint": viewpoint})
    job = job.model_copy(update={"adaptation": adaptation})
    line = run_job(job, tiny.data, tmp_path, torch.device("cpu"))
    assert {row.camera for row in line.under("last").per_sequence} == {"3", "6", "9", "10", "11", "12", "13"}
    assert all(epoch.mpjpe_mm > 0 for epoch in line.epochs)
    assert len(list(tmp_path.glob("gravity-*.json"))) == 1


class WholeClips(Lifter):
    """A small lifter that answers for all frames of a clip, as any of that kind does."""

    def __init__(self, config: WholeClipsConfig, channels: int) -> None:
        super().__init__(frames=9, output="all", channels=channels, skeleton="human36m_17")
        self.over_time = nn.Linear(9, 9)
        self.head = nn.Linear(channels, 3)

    def lift(self, keypoints: torch.Tensor) -> torch.Tensor:
        over_time: torch.Tensor = self.over_time(keypoints.movedim(1, -1)).movedim(-1, 1)
        answers: torch.Tensor = self.head(over_time)
        return answers


class WholeClipsConfig(LifterConfigBase):
    name: Literal["whole-clips-of-this-test"] = "whole-clips-of-this-test"

    def build(self, channels: int) -> Lifter:
        return WholeClips(self, channels)


class MiddleOfClipsConfig(LifterConfigBase):
    name: Literal["middle-of-clips-of-this-test"] = "middle-of-clips-of-this-test"

    def build(self, channels: int) -> Lifter:
        return VideoPose3DConfig(filter_widths=(3, 3), width=8).build(channels)


@pytest.mark.parametrize("kind", [WholeClipsConfig, MiddleOfClipsConfig])
def test_lifters_of_clips_go_through_every_kind_of_method(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[LifterConfigBase]
) -> None:
    """One that answers for all frames and one for the middle: both learn clips at the test's 25 Hz."""
    config = kind()
    monkeypatch.setattr(CONFIGS, "_entries", {**CONFIGS, config.name: kind})
    monkeypatch.setattr(PRESETS, "_entries", {**PRESETS, config.name: config})
    methods = ("source_only", "gpa", "everything", "diverse_viewpoint")
    plan = Plan(
        lifters=(config.name,),
        methods=methods,
        domains=("high-and-ceiling",),
        seeds=1,
        splits=(0,),
        schedule=Schedule(epochs=1, steps_per_epoch=2, batch_size=16, loss="mixste-3"),
    )
    viewpoint = AlignedViewpoint(gravity=GravityConfig(steps=3, width=32, batch_size=32))
    for job in plan.jobs(dict.fromkeys(plan.splits, tiny.data)):
        if isinstance(getattr(job.adaptation, "viewpoint", None), AlignedViewpoint):
            adaptation = job.adaptation.model_copy(update={"viewpoint": viewpoint})
            job = job.model_copy(update={"adaptation": adaptation})
        line = run_job(job, tiny.data, tmp_path, torch.device("cpu"))
        (result,) = line.results
        assert 0 < result.mpjpe_mm.value < 3000
        assert result.mpjpe_mm.value == line.epochs[0].mpjpe_mm
        assert result.mpjve_mm is not None
        assert result.mpjve_mm.value > 0
        assert result.sampling_hz == 5.0, "every fifth frame is measured"


@pytest.mark.parametrize(
    "name", ["mixste-small", "ktpformer-small", "hot-mixste-small", "convformer-small", "gla-gcn-small"]
)
def test_published_lifters_of_clips_go_through_everything(tiny: Tiny, tmp_path: Path, name: str) -> None:
    plan = Plan(
        lifters=(name,),
        methods=("everything",),
        domains=("chest-height",),
        seeds=1,
        splits=(0,),
        schedule=Schedule(epochs=1, steps_per_epoch=2, batch_size=4),
        own_selections={name: SelectionConfig(clips=4)},
    )
    (job,) = plan.jobs(dict.fromkeys(plan.splits, tiny.data))
    viewpoint = AlignedViewpoint(gravity=GravityConfig(steps=3, width=32, batch_size=32))
    job = job.model_copy(update={"adaptation": job.adaptation.model_copy(update={"viewpoint": viewpoint})})
    line = run_job(job, tiny.data, tmp_path, torch.device("cpu"))
    assert 0 < line.under("last").mpjpe_mm.value < 3000
    assert line.given_up is None
    assert set(line.by_rays) == set(get_args(RaysKind))


@pytest.mark.parametrize("name", ["test_from_above", "train_outdoor", "test_outdoor", "source_from_above"])
def test_derived_stores_show_the_same_people_before_other_cameras(tiny: Tiny, name: str) -> None:
    store = tiny.data.open(name)
    people = {"test": "mpi_inf_3dhp_test", "train": "mpi_inf_3dhp_train", "source": "human36m"}
    of = tiny.data.open(people[name.split("_")[0]])
    assert store.attributes.restaged_from == of.attributes.restaged_from
    bodies = {
        key.subject: bone_lengths(of.read(key).positions_world, skeleton(of.skeleton)) for key in of.keys()
    }
    assert {key.subject for key in store.keys()} == set(bodies)
    for key in store.keys():
        trial = store.read(key)
        lengths = bone_lengths(trial.positions_world, skeleton(store.skeleton))
        np.testing.assert_allclose(lengths.mean(0), bodies[key.subject].mean(0), atol=2e-3)
        assert trial.positions_world[..., 2].min() > -0.02, "nobody stands below the floor"
        assert trial.positions_world[..., 2].max() > 1.0
        for camera, seen in zip(trial.cameras, trial.keypoints_2d, strict=True):
            matrix = np.array(
                [
                    [camera.focal_px[0], 0, camera.centre_px[0]],
                    [0, camera.focal_px[1], camera.centre_px[1]],
                    [0, 0, 1],
                ]
            )
            before = trial.positions_world @ np.array(camera.rotation).T + np.array(camera.translation)
            pixels = before @ matrix.T
            assert before[..., 2].min() > 0.5
            np.testing.assert_allclose(seen, pixels[..., :2] / pixels[..., 2:], atol=0.02)
            if name.endswith("outdoor"):
                assert camera.size_px == (1920, 1080)


def test_domains_train_and_test_on_different_people(tiny: Tiny) -> None:
    for domain in DOMAINS.values():
        train = {key.subject for key in tiny.data.open(domain.train).keys()}
        assert not train & set(domain.protocol.subjects)
        assert domain.protocol.read(tiny.data.open(domain.test))


def test_test_people_stand_where_the_targets_people_do(tiny: Tiny) -> None:
    """Depth, height and apparent size are those of the training part, so that methods are judged there."""
    for domain in (DOMAINS["chest-height"], DOMAINS["high-and-ceiling"]):
        trained = tiny.data.read(domain.train, Selection(cameras=domain.train_cameras))
        tested = domain.protocol.read(tiny.data.open(domain.test))
        assert {one.name for one in tested.cameras} == {one.name for one in trained.cameras}
        moments = []
        for poses in (trained, tested):
            size = np.ptp(poses.keypoints_px, axis=1).sum(axis=-1)
            root = poses.positions_camera[:, 0]
            moments.append((size.mean(), root[:, 2].mean(), root[:, 1].mean()))
        (size, depth, height), (test_size, test_depth, test_height) = moments
        assert test_size == pytest.approx(size, rel=0.2)
        assert test_depth == pytest.approx(depth, rel=0.15)
        assert test_height == pytest.approx(height, abs=0.3)


def test_divisions_differ_and_none_tests_whom_it_trains_on(tmp_path: Path) -> None:
    motions = generate(seed=7, subjects=12, clips_per_subject=1, frames_per_clip=20)
    divisions = [cast(motions, division).groups for division in range(4)]
    for groups in divisions:
        people = [person for group in groups.values() for person in group]
        assert len(people) == len(set(people)) == 12
    assert len({groups["target_test"] for groups in divisions}) > 1
    assert cast(motions, 2).groups == divisions[2]


def test_forms_change_what_they_say_and_keep_the_rest(tiny: Tiny) -> None:
    poses = tiny.data.read("test_at_chest_height", Selection(frame_step=3))
    body = skeleton(poses.skeleton)
    assert FORMS["exact"].target(poses, 1) is poses

    detected = FORMS["detected"].target(poses, 1)
    assert detected.positions_camera is poses.positions_camera
    limbs = [joint for joint, name in enumerate(body.joint_names) if name.startswith(("left", "right"))]
    error = np.linalg.norm(detected.keypoints_px - poses.keypoints_px, axis=-1)[:, limbs]
    size = np.ptp(poses.keypoints_px, axis=1).max(axis=-1)
    assert np.median(error / size[:, None]) == pytest.approx(NOISE_OF_SIZE * 1.18, rel=0.15)
    assert 0 < (error > 0.15 * size[:, None]).mean() < 0.05, "a few joints are lost or swapped"
    np.testing.assert_array_equal(detected.keypoints_px, FORMS["detected"].target(poses, 1).keypoints_px)

    left, right, middle = (body.joint_names.index(name) for name in ("left_hip", "right_hip", "pelvis"))
    seen = detected.keypoints_px
    np.testing.assert_allclose(seen[:, middle], (seen[:, left] + seen[:, right]) / 2, atol=1e-3)

    for name in ("skeleton", "postures", "laboratory"):
        changed = FORMS[name].target(poses, 1)
        assert not np.allclose(changed.positions_camera, poses.positions_camera, atol=0.01)
        seen = project(changed.positions_camera.astype(float), changed.intrinsics[changed.camera])
        off = np.linalg.norm(seen - changed.keypoints_px, axis=-1)
        assert (np.median(off) > 1) == FORMS[name].detected

    hip = body.joint_names.index("left_hip")
    wide = FORMS["skeleton"].target(poses, 1).positions_camera
    widths = [
        np.linalg.norm(one[:, hip] - one[:, 0], axis=-1).mean() for one in (poses.positions_camera, wide)
    ]
    assert 0.01 < widths[1] - widths[0] < 0.05

    lying = FORMS["postures"].target(poses, 1)
    lengths = [bone_lengths(one.positions_camera.astype(float), body) for one in (poses, lying)]
    np.testing.assert_allclose(lengths[0], lengths[1], atol=1e-4)
    upright = [is_upright(FORMS["postures"].target(poses, seed)).mean() for seed in range(8)]
    assert min(upright) < is_upright(poses).mean() - 0.05, "some segments lie or lean"
    # All cameras see the same turned person: distances between joints of one frame are the same in each.
    keys = lying.trial.astype(int) * 10_000 + lying.frame
    spans = np.linalg.norm(lying.positions_camera[:, 3] - lying.positions_camera[:, 13], axis=-1)
    for key in np.unique(keys)[:50]:
        assert np.ptp(spans[keys == key]) < 1e-4
    assert is_upright(FORMS["postures"].source(lying)).all()


def test_what_decides_recorded_forms_is_as_it_was_recorded() -> None:
    """A job's digest holds a form's name and not its constants.

    Who changes one of these gives the form another name, or records all of its runs anew.
    """
    constants = {
        name: getattr(forms, name)
        for name in dir(forms)
        if name.strip("_").isupper() and name not in ("FORMS", "_CHUNK")
    }
    flags = {name: asdict(form) for name, form in FORMS.items()}
    told = json.dumps([constants, flags], sort_keys=True, default=dict)
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "413b1a890818c032"


def test_contents_are_told_apart_by_trunk_and_legs(tiny: Tiny) -> None:
    """One person, bent by hand: the camera's up is the world's, and every posture is built from its bones."""
    poses = tiny.data.read("test_at_chest_height", Selection(frame_step=50)).take(np.zeros(6, dtype=np.intp))
    names = skeleton(poses.skeleton).joint_names
    up = np.array(poses.cameras[poses.camera[0]].up)
    across = np.cross(up, [0.0, 0.0, 1.0])
    across /= np.linalg.norm(across)
    forward = np.cross(across, up)
    standing = {"left_hip": -0.1 * across, "right_hip": 0.1 * across, "thorax": 0.5 * up}

    def body(thigh: NDArray[np.float64], shin: NDArray[np.float64]) -> NDArray[np.float64]:
        made = np.zeros((len(names), 3))
        for name, place in standing.items():
            made[names.index(name)] = place
        for side in ("left", "right"):
            hip = standing[f"{side}_hip"]
            made[names.index(f"{side}_knee")] = hip + 0.45 * thigh
            made[names.index(f"{side}_ankle")] = hip + 0.45 * (thigh + shin)
        return made

    def tilted(pose: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
        angle = np.radians(degrees)
        along, ahead = pose @ up, pose @ forward
        turned = (along * np.cos(angle) - ahead * np.sin(angle))[:, None] * up
        turned = turned + (along * np.sin(angle) + ahead * np.cos(angle))[:, None] * forward
        return np.asarray(turned + (pose @ across)[:, None] * across)

    upright = body(-up, -up)
    postures = [
        upright,
        body(forward, -up),  # on a chair
        body(forward, -forward),  # on the heels
        tilted(upright, 45),
        tilted(upright, 85),
        tilted(upright, 30),
    ]
    shown = replace(poses, positions_camera=np.array(postures, dtype=np.float32) + 4)
    assert content_of(shown).tolist() == ["upright", "sitting", "crouching", "leaning", "lying", "upright"]

    told = errors_by_content(np.array(postures), shown, DOMAINS["chest-height"].protocol)
    assert {name: error.frames for name, error in told.items()} == {
        "upright": 2,
        "sitting": 1,
        "crouching": 1,
        "leaning": 1,
        "lying": 1,
    }
    assert all(error.mpjpe_mm < 0.01 for error in told.values())


def test_preparing_again_finds_everything_there(tiny: Tiny) -> None:
    before = {path: path.stat().st_mtime_ns for path in tiny.folder.rglob("*") if path.is_file()}
    again = prepare_benchmark(str(tiny.motion), tiny.folder, seed=0, split=0)
    assert again == tiny.data
    assert {path: path.stat().st_mtime_ns for path in tiny.folder.rglob("*") if path.is_file()} == {**before}


def test_jobs_are_told_apart_by_all_that_decides_their_figures(jobs: tuple[Job, ...]) -> None:
    job = jobs[0]
    others = [
        job.model_copy(update={"seed": 1}),
        job.model_copy(update={"split": 1}),
        job.model_copy(update={"form": "detected"}),
        job.model_copy(update={"rays": RaysSnap()}),
        job.model_copy(update={"test_digest": "0"}),
        job.model_copy(update={"lifter_config": preset("ampose-small")}),
        job.model_copy(update={"adaptation": METHODS["gpa"].adaptation}),
        job.model_copy(update={"encoding": "ray"}),
        job.model_copy(update={"initial": describe_initial(Path("free-motion-1"))}),
        job.model_copy(update={"schedule": job.schedule.model_copy(update={"epochs": 7})}),
    ]
    assert len({one.digest for one in (job, *others)}) == 1 + len(others)
    assert Job.model_validate_json(job.model_dump_json()).digest == job.digest


def test_a_job_starts_from_the_weights_that_it_names(
    tiny: Tiny, jobs: tuple[Job, ...], tmp_path: Path
) -> None:
    still = jobs[0].schedule.model_copy(update={"epochs": 1, "steps_per_epoch": 1, "learning_rate": 1e-12})
    first = jobs[0].model_copy(update={"schedule": still, "seed": 1})
    config = first.lifter_config
    weights = build(config, encoding(first.encoding).channels, seed=1)
    save_lifter(tmp_path / "lifter", config, first.encoding, weights, {})
    device = torch.device("cpu")
    started = first.model_copy(update={"seed": 2, "initial": describe_initial(tmp_path / "lifter")})
    ours = run_job(started, tiny.data, tmp_path, device, tmp_path / "lifter")
    theirs = run_job(first, tiny.data, tmp_path, device)
    # Batch normalisation saw other rows.
    assert ours.under("last").mpjpe_mm.value == pytest.approx(theirs.under("last").mpjpe_mm.value, rel=1e-3)
    with pytest.raises(ValueError, match="starts from"):
        run_job(started, tiny.data, tmp_path, device)


def test_plans_name_known_methods_and_unknown_ones_are_refused(tiny: Tiny) -> None:
    assert set(COMPARED) | set(ABLATED) <= set(METHODS)
    for plan in PLANS.values():
        expected = len(plan.lifters) * len(plan.methods) * len(plan.domains) * len(plan.forms)
        expected *= len(plan.splits) * plan.seeds
        assert len({job.digest for job in plan.jobs(dict.fromkeys(plan.splits, tiny.data))}) == expected
    result = CliRunner().invoke(app, ["benchmark", "adaptation", "--out", "x", "--methods", "magic"])
    assert result.exit_code == 1
    assert "no method 'magic'" in result.output


@pytest.mark.parametrize(
    ("bones", "moved"), [("angles", (True, False)), ("lengths", (False, True)), ("none", (False, False))]
)
def test_an_operator_alone_leaves_the_others_out(bones: str, moved: tuple[bool, bool]) -> None:
    torch.manual_seed(0)
    generator = PoseGenerator(GeneratorConfig(bones=bones, width=16), skeleton("human36m_17"))
    up = torch.tensor([[0.0, -1.0, 0.0]]).expand(8, 3)
    parameters = generator(torch.randn(8, 17, 3), torch.Generator().manual_seed(0), up)
    assert (bool(parameters.angles.any()), bool(parameters.gains.any())) == moved
    assert parameters.axis_angle.any()


def test_a_line_that_a_crash_cut_short_is_dropped(undisturbed: tuple[RunLine, ...], tmp_path: Path) -> None:
    append_line(tmp_path, undisturbed[0])
    with (tmp_path / LINES_FILE).open("a") as file:
        file.write(undisturbed[1].model_dump_json()[:500])
    assert read_lines(tmp_path) == undisturbed[:1]
    append_line(tmp_path, undisturbed[1])
    assert read_lines(tmp_path) == undisturbed


def test_a_damaged_line_is_named(undisturbed: tuple[RunLine, ...], tmp_path: Path) -> None:
    append_line(tmp_path, undisturbed[0])
    with (tmp_path / LINES_FILE).open("a") as file:
        file.write('{"digest": 3}\n')
    with pytest.raises(LinesError, match="line 2"):
        read_lines(tmp_path)
    result = CliRunner().invoke(app, ["benchmark", "table", str(tmp_path)])
    assert result.exit_code == 1


def _with(line: RunLine, *, seed: int = 0, method: str = "source_only", shift_mm: float = 0.0) -> RunLine:
    """The same run with another seed or method, all of its errors moved."""

    def moved(value: object) -> object:
        if isinstance(value, dict):
            return {
                name: part + shift_mm if name == "mpjpe_mm" and isinstance(part, float) else moved(part)
                for name, part in value.items()
            }
        return [moved(part) for part in value] if isinstance(value, list | tuple) else value

    content = line.model_dump(mode="json")
    content["results"] = moved(content["results"])
    for result in content["results"]:
        result["mpjpe_mm"]["value"] += shift_mm
    content["job"] |= {"seed": seed, "method": method}
    return RunLine.model_validate(content)


def test_tables_pool_runs_and_pair_methods_with_their_controls(
    undisturbed: tuple[RunLine, ...], tmp_path: Path
) -> None:
    line = undisturbed[1]
    error = line.under("last").mpjpe_mm.value
    lines = (
        _with(line, seed=0),
        _with(line, seed=1, shift_mm=4.0),
        _with(line, method="positions_shuffled", shift_mm=-20.0),
        _with(line, method="gpa", shift_mm=-28.0),
        _with(line, seed=1, method="gpa", shift_mm=-30.0),
    )
    (table,) = tables(lines)
    source, gpa, _ = table.cells
    found = source.figure("last")
    assert found.value == pytest.approx(error + 2)
    assert found.std == pytest.approx(np.sqrt(8))
    assert table.saved(gpa, "source_only").value == pytest.approx((28 + 34) / 2)
    saved = table.saved(gpa, "positions_shuffled")
    assert saved.value == pytest.approx(8), "one seed alone has both"
    assert (saved.low, saved.high) == (None, None), "fewer than five people are tested here"
    assert table.saved(source, "target_supervised") is None

    text = markdown(lines)
    assert f"| simple-baseline-small | source_only | 2 | {error + 2:.1f} ± 2.8 |" in text
    assert "| positions_shuffled | 8.0 |" in text
    assert "| source_only | 31.0 |" in markdown(lines, against="source_only")
    assert f"| simple-baseline-small | {error + 2:.1f} ± 2.8 (2) | {error - 29:.1f} ± 1.4 (2) |" in text
    for stated in (
        "Protocol `placed-at-chest-height`",
        "seeds 0, 1",
        "frames of",
        "95 % bootstrap",
        "Restaged motion",
    ):
        assert stated in text
    assert len(write_plots((table,), tmp_path)) == 2
    assert (tmp_path / "chest-height-exact-errors.svg").read_bytes().count(b"</svg>") == 1


def test_a_lifter_of_several_schedules_is_named_by_them(undisturbed: tuple[RunLine, ...]) -> None:
    line = undisturbed[1]
    shorter = line.job.schedule.model_copy(update={"epochs": 1, "steps_per_epoch": 5, "batch_size": 8})
    lines = (line, line.model_copy(update={"job": line.job.model_copy(update={"schedule": shorter})}))
    long = f"simple-baseline-small, {EPOCHS * STEPS} x {line.job.schedule.batch_size}"
    text = markdown(lines)
    for name in ("simple-baseline-small, 5 x 8", long):
        assert text.count(f"| {name} |") >= 2, "once in the overview, once in the rows"
    assert "simple-baseline-small, " not in markdown(lines[:1]).split("| lifter |", 1)[1]
    slower = line.job.schedule.model_copy(update={"learning_rate": line.job.schedule.learning_rate / 2})
    lines = (line, line.model_copy(update={"job": line.job.model_copy(update={"schedule": slower})}))
    overview = markdown(lines).split("| lifter |", 1)[1].split("\n\n", 1)[0]
    assert overview.count(f"| {long} |") == 2, "also of rates alone: each schedule has its row"


def test_one_body_is_compared_with_each_frames_own(undisturbed: tuple[RunLine, ...]) -> None:
    line = undisturbed[1]
    kinds = {"off", "snap", "blend", "near", "snap-body", "near-body"}
    assert set(line.by_rays) == kinds
    (table,) = tables([line])
    (cell,) = table.cells
    frame, view = cell.by_rays("snap"), cell.by_rays("snap-body")
    saved = saved_within(cell.lines, lambda one: one.by_rays["snap"], lambda one: one.by_rays["snap-body"])
    assert saved.value == pytest.approx(frame.value - view.value)
    assert f"| {frame.value:.1f} | {view.value:.1f} | {saved.value:.1f} |" in markdown([line])
    # Runs that were recorded before it was measured have no row, and no part in a difference.
    older = {kind: result for kind, result in line.by_rays.items() if not kind.endswith("body")}
    before = _with(line.model_copy(update={"by_rays": older}), seed=1, shift_mm=9.0)
    (both,) = tables([line, before])
    assert both.cells[0].answering("snap-body").lines == (line,)
    assert "One body" not in markdown([before])


def test_a_person_of_several_splits_is_drawn_once(undisturbed: tuple[RunLine, ...]) -> None:
    line = undisturbed[1]
    often = [
        _with(line),
        _with(line, shift_mm=6.0).model_copy(update={"job": line.job.model_copy(update={"split": 1})}),
    ]
    once = pooled(often[:1], lambda one: one.under("last"), "mpjpe_mm")
    both = pooled(often, lambda one: one.under("last"), "mpjpe_mm")
    assert both.value == pytest.approx(once.value + 3)
    if once.low is not None and once.high is not None:
        assert both.high - both.low == pytest.approx(once.high - once.low, abs=1e-6)
    others = {f"TS{number}": f"other{number}" for number in range(1, 7)}
    apart = pooled(
        [often[0], often[1].model_copy(update={"people": others})], lambda one: one.under("last"), "mpjpe_mm"
    )
    assert apart.value == pytest.approx(both.value)


def test_a_run_that_was_given_up_is_a_collapse_and_no_figure(undisturbed: tuple[RunLine, ...]) -> None:
    lost = undisturbed[0].model_copy(
        update={"given_up": "collapsed", "epochs": (), "chosen": {}, "results": (), "rank_correlation": None}
    )
    (table,) = tables((lost, undisturbed[1]))
    assert [cell.collapses for cell in table.cells] == [0, 1]
    row = next(row for row in markdown((lost,)).splitlines() if "poseda | 0" in row)
    assert row.split(" | ")[2:7] == ["0", "—", "—", "—", "—"]


def test_tables_are_put_between_the_marks_of_a_document(
    undisturbed: tuple[RunLine, ...], tmp_path: Path
) -> None:
    for line in undisturbed:
        append_line(tmp_path, line)
    document = tmp_path / "results.md"
    document.write_text("Before\n<!-- begin adaptation -->\nold\n<!-- end adaptation -->\nAfter\n")
    command = ["benchmark", "table", str(tmp_path), "--into", str(document)]
    assert CliRunner().invoke(app, command).exit_code == 0
    first = document.read_text()
    assert "old" not in first
    assert "### chest-height, exact" in first
    assert first.startswith("Before\n")
    assert first.endswith("\nAfter\n")
    assert CliRunner().invoke(app, command).exit_code == 0
    assert document.read_text() == first
    with pytest.raises(SectionError, match="begin ablation"):
        replace_section(document, "ablation", "text")
    refused = CliRunner().invoke(app, [*command, "--against", "magic"])
    assert refused.exit_code == 1
    assert "no method 'magic'" in refused.output


def test_documents_show_the_recorded_runs_of_every_lifter() -> None:
    root = Path(__file__).parents[2]
    lines = read_lines(root / "benchmarks/lifters")
    text = (root / "docs/lifters.md").read_text(encoding="utf-8")
    assert markdown(lines, "source_only") in text, "see benchmarks/lifters/README.md"
