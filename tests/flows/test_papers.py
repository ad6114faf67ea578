"""A paper's experiment on tiny restaged stores: everything but the figures themselves."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from poseshift.flows.cli import app
from poseshift.flows.commands import papers
from poseshift.flows.experiment.folder import RunFolder, job
from poseshift.flows.experiment.recipe import Recipe
from poseshift.flows.experiment.train import TrainingInputs, training_inputs
from poseshift.flows.papers.outcome import PUBLISHED, PaperOutcome, markdown, stage_outcome, told
from poseshift.flows.papers.poseda import REPORT, TABLE, PaperRequest, find_data, stage_job
from poseshift.flows.papers.settings import STAGES, PoseDASettings
from poseshift.storage.provenance import digest_file
from poseshift.training.checkpoint import WEIGHTS_FILE, load_lifter
from poseshift.training.evaluation.results import EvaluationResult

SETTINGS = PoseDASettings()
NARROW = SETTINGS.lifter.model_copy(update={"width": 32})
"""The paper's lifter with few channels: with all 1,024, writing its states takes longer than the rest."""


def arguments(recipe: Recipe, out: Path) -> list[str]:
    """The command on the stores of a recipe, for a handful of steps."""
    assert recipe.target is not None
    stores = ["--human36m", recipe.source.store, "--target", recipe.target.store]
    return [
        *("reproduce-paper", "poseda", *stores, "--test", recipe.test.data.store, "--out", str(out)),
        *("--epochs", "2", "--steps-per-epoch", "2", "--batch-size", "16", "--device", "cpu"),
    ]


@pytest.fixture(scope="module", autouse=True)
def _narrow() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        settings = SETTINGS.model_copy(update={"lifter": NARROW})
        patch.setattr(papers, "PaperRequest", partial(PaperRequest, settings=settings))
        yield


@pytest.fixture(scope="module")
def out(prepared: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a short try with two seeds."""
    place = tmp_path_factory.mktemp("paper") / "poseda"
    result = CliRunner().invoke(app, [*arguments(prepared, place), "--seed", "0", "--seed", "1"])
    assert result.exit_code == 0, result.output
    assert "not comparable" in result.output
    return place


def read(out: Path) -> PaperOutcome:
    return PaperOutcome.model_validate_json((out / REPORT).read_bytes())


def test_every_setting_says_where_it_is_from() -> None:
    assert {one.name for one in SETTINGS.told} == set(PoseDASettings.model_fields)
    assert len(SETTINGS.told) == len(PoseDASettings.model_fields)
    assert all(one.where for one in SETTINGS.told)
    described = PoseDASettings.model_json_schema()["properties"]
    assert all(described[name].get("description") for name in PoseDASettings.model_fields)


def test_schedules_are_the_published_ones() -> None:
    first, second, third = (SETTINGS.schedule(stage) for stage in STAGES)
    assert (first.optimizer, first.loss, first.batch_size, first.epochs) == ("adam", "mse", 1024, 50)
    assert first.rate_factor(0, 100) == first.rate_factor(99, 100) == 1
    assert (second.learning_rate, second.epochs, third.epochs) == (1e-4, 50, 100)
    # 1 - e / 51 at the beginning of PoseAug's epoch e, of which each is two passes here
    for epoch in range(50):
        assert third.rate_factor(epoch * 20, 1000) == pytest.approx(1 - epoch / 51, abs=0.001)


def test_the_table_has_published_expected_and_measured(out: Path) -> None:
    outcome = read(out)
    assert [stage.stage for stage in outcome.stages] == list(STAGES)
    assert [stage.published.mpjpe_mm for stage in outcome.stages] == [82.55, 66.07, 61.3]
    for stage in outcome.stages:
        low, high = stage.expected_mm
        assert low < stage.published.mpjpe_mm < high
        assert len(stage.mpjpe_mm.per_seed) == 2
        oracle = stage.best_on_test_oracle
        assert oracle.epochs_tested == (2, 2)
        assert oracle.mpjpe_mm <= stage.mpjpe_mm.value + 1e-9
    text = (out / TABLE).read_text()
    assert text == markdown(outcome)
    for wanted in ("82.55", "66.07", "61.3", "best on test (oracle)", "79.55 to 85.55", "inferred"):
        assert wanted in text
    assert all(f"| {one.name} |" in text for one in SETTINGS.told)


def test_a_try_and_restaged_stores_say_that_figures_are_not_comparable(out: Path) -> None:
    reasons = " ".join(read(out).not_comparable)
    assert "short try (epochs 2, steps_per_epoch 2, batch_size 16)" in reasons
    for part in ("source", "target", "test"):
        assert f"The {part} is restaged" in reasons
    assert "the published test has 2,929" in reasons


def test_adaptation_starts_from_the_first_stage(out: Path) -> None:
    folder = RunFolder(out)
    for seed in (0, 1):
        first = folder.lifter("source_only", seed)
        digest = digest_file(first / WEIGHTS_FILE, first).sha256
        assert load_lifter(first).lifter.skeleton == "poseaug_16"
        for stage in ("gpa", "gpa_lpa"):
            record = json.loads((folder.training(stage, seed) / "inputs.json").read_text())
            inputs = TrainingInputs.model_validate(record["inputs"])
            assert inputs.initial is not None
            assert inputs.initial.weights_sha256 == digest


def test_a_recipe_tries_something_else_from_the_first_stage(prepared: Recipe, out: Path) -> None:
    tried = {
        "lifter": NARROW.model_dump(),
        "initial": f"{out}/lifters/source_only/seed-{{seed}}/lifter",
        "method": {"name": "wide", "adaptation": {"method": "gpa", "options": {"root_form": "wide"}}},
        "test": prepared.test.model_copy(update={"protocols": ("3dhp-poseaug16",)}),
    }
    recipe = Recipe.model_validate({**dict(prepared), **tried})
    inputs = [training_inputs(job(recipe, "wide", seed)) for seed in (0, 1)]
    assert inputs[0].initial is not None
    assert inputs[0].initial != inputs[1].initial


def test_the_last_epoch_on_the_test_is_the_one_that_is_kept(out: Path) -> None:
    for stage in read(out).stages:
        for seed in (0, 1):
            table = json.loads(
                (RunFolder(out).training(stage.stage, seed) / "best_on_test_oracle.json").read_text()
            )
            assert [one["epoch"] for one in table] == [1, 2]
            assert table[-1]["mpjpe_mm"] == pytest.approx(stage.mpjpe_mm.per_seed[seed], abs=1e-3)


def test_again_nothing_is_trained(prepared: Recipe, out: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.rglob("lifter.safetensors")}
    result = CliRunner().invoke(app, [*arguments(prepared, out), "--seed", "0", "--seed", "1", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["first_outside"] == read(out).first_outside
    assert {path: path.stat().st_mtime_ns for path in out.rglob("lifter.safetensors")} == before


def test_the_first_stage_that_departs_is_named(out: Path) -> None:
    outcome = read(out)
    found = {one.stage: one.verdict for one in outcome.stages}
    departing = [stage for stage in STAGES if found[stage] == "outside"]
    assert outcome.first_outside == (departing[0] if departing else None)
    inside = outcome.stages[0].model_copy(update={"verdict": "inside"})
    assert told(outcome.model_copy(update={"stages": (inside,), "first_outside": None})).startswith("Every")
    gpa = outcome.model_copy(update={"first_outside": "gpa"})
    assert "band: GPA, " in told(gpa)
    assert "63.07 to 69.07 was expected" in told(gpa)


def test_a_band_is_about_the_published_figure(out: Path) -> None:
    record = json.loads((RunFolder(out).evaluation("gpa", 0) / "done.json").read_text())["results"][0]
    result = EvaluationResult.model_validate(record)
    mpjpe = result.mpjpe_mm.value
    tested = read(out).stages[1].best_on_test_oracle.per_seed[:1]
    wide = PoseDASettings(band_mm=abs(mpjpe - PUBLISHED["gpa"].mpjpe_mm) + 1)
    assert stage_outcome("gpa", wide, [result], [tested]).verdict == "inside"
    near = tested[0].model_copy(update={"mpjpe_mm": 66.0})
    narrow = PoseDASettings(band_mm=0.1)
    assert stage_outcome("gpa", narrow, [result], [[near]]).verdict == "inside by the oracle alone"
    assert stage_outcome("gpa", narrow, [result], [tested]).verdict == "outside"


def test_stores_of_other_data_are_refused(prepared: Recipe, tmp_path: Path) -> None:
    swapped = arguments(prepared, tmp_path)
    swapped[swapped.index("--human36m") + 1] = prepared.test.data.store
    result = CliRunner().invoke(app, swapped)
    assert result.exit_code == 1
    assert "holds mpi_inf_3dhp_test, but the paper's source is human36m" in " ".join(result.stderr.split())


def test_the_test_set_may_be_the_target(prepared: Recipe, tmp_path: Path) -> None:
    test = prepared.test.data.store
    request = PaperRequest(human36m=prepared.source.store, target=test, test=test, out=tmp_path)
    data = find_data(request)
    assert data.target.dataset == "mpi_inf_3dhp_test"
    last = stage_job(request, data, "gpa_lpa", 3)
    assert last.target == data.target
    assert last.initial == RunFolder(tmp_path).lifter("source_only", 3)
    assert stage_job(request, data, "source_only", 3).target is None
