"""A recipe and the benchmark train by one path, and a report tells every method's parts apart."""

from pathlib import Path

import pytest
import torch
from benchmarks.brief import brief, brief_data
from safetensors.torch import load_file

from poseshift.adaptation.config import PoseDAAdaptation
from poseshift.flows.benchmark.data import BenchmarkData
from poseshift.flows.benchmark.domains import DOMAINS
from poseshift.flows.benchmark.plan import Plan
from poseshift.flows.benchmark.run import run_job
from poseshift.flows.experiment.fitting import CANDIDATES
from poseshift.flows.experiment.folder import RunFolder, Trained, job
from poseshift.flows.experiment.recipe import PoseData, Recipe, StoredData, Test, load_recipe
from poseshift.flows.experiment.train import train_lifter
from poseshift.flows.pipeline import evaluate_method, publish, train_method
from poseshift.training.checkpoint import load_lifter
from poseshift.training.lifters.registry import preset
from poseshift.training.schedule import Schedule

SHIPPED = Path(__file__).parents[3] / "recipes" / "human36m_to_3dhp_all_cameras.yaml"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkData:
    return brief_data(tmp_path_factory.mktemp("one-path"), 40)


@pytest.mark.parametrize(
    "name",
    [
        "source_only",
        "random_augmentation",
        "gpa_viewpoint",
        "poseda",
        "everything",
        "target_supervised",
        "diverse_both_mixed_detected_seen",
    ],
)
def test_recipe_and_benchmark_give_the_same_weights(name: str, data: BenchmarkData, tmp_path: Path) -> None:
    method, domain = brief(name), DOMAINS["high-and-ceiling"]
    schedule = Schedule(epochs=2, steps_per_epoch=4, batch_size=16)
    (measured,) = Plan(
        lifters=("simple-baseline-small",),
        methods=(name,),
        domains=(domain.name,),
        seeds=1,
        splits=(0,),
        schedule=schedule,
    ).jobs({0: data})
    measured = measured.model_copy(update={"adaptation": method.adaptation})
    line = run_job(measured, data, tmp_path, torch.device("cpu"))
    theirs = load_file(tmp_path / measured.digest[:16] / CANDIDATES / "epoch-0002.safetensors")

    recipe = Recipe(
        name="same",
        run_dir=tmp_path / "run",
        source=PoseData(dataset="human36m", store=str(data.folder / "stores" / "human36m")),
        target=PoseData(
            dataset="mpi_inf_3dhp_train",
            store=str(data.folder / "stores" / domain.train),
            cameras=domain.train_cameras,
        ),
        test=Test(
            data=StoredData(
                dataset="mpi_inf_3dhp_test", store=str(data.folder / "stores" / "mpi_inf_3dhp_test")
            ),
            protocols=("3dhp-annot3",),
        ),
        lifter=preset("simple-baseline-small"),
        method=method,
        schedule=schedule,
        device="cpu",
    )
    checks = train_lifter(job(recipe, name, 0), tmp_path / "stage").result.augmentation
    ours = load_lifter(tmp_path / "stage" / "lifter").lifter.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert bool(checks) == isinstance(method.adaptation, PoseDAAdaptation)
    assert line.augmentation == (checks[-1] if checks else None)
    assert all(0 <= one.angles_by_pose + one.angles_common <= 1 for one in checks)


def test_the_shipped_recipe_has_a_row_for_every_part(prepared: Recipe, tmp_path: Path) -> None:
    """The report of the recipe for all cameras does not credit one part with what another did."""
    shipped = load_recipe(SHIPPED)
    recipe = prepared.model_copy(
        update={
            "run_dir": tmp_path / "run",
            "method": brief(shipped.method.name),
            "compare": tuple(brief(entry.name) for entry in shipped.compare),
            "lifter": preset("simple-baseline-small"),
            "seeds": (0,),
        }
    )
    assert recipe.methods == (
        "source_only",
        *("gpa", "gpa_viewpoint", "poseda", "everything"),
        "target_supervised",
    )
    trained = tuple(
        Trained(method, 0, train_method(recipe, method, 0), evaluate_method(recipe, method, 0))
        for method in recipe.methods
    )
    summary = publish(recipe, trained)
    errors = {row.method: row.figures.mpjpe_mm.value for row in summary.rows}
    assert len(set(errors.values())) == len(errors)
    made_of = {row.method: row.parts.model_dump() for row in summary.rows}
    assert made_of["gpa"]["viewpoint"] == "as in the data"
    assert made_of["gpa_viewpoint"]["viewpoint"] == "aligned, learned gravity"
    assert made_of["gpa"]["augmentation"] == made_of["gpa_viewpoint"]["augmentation"] == "none"
    assert made_of["everything"]["augmentation"].startswith("learned")
    assert {row.method for row in summary.rows if row.gain_mm is not None} == {
        *("gpa", "gpa_viewpoint", "poseda", "everything")
    }
    page = RunFolder(recipe.run_dir).report.read_text()
    for row in summary.rows:
        assert row.label in page
        for name, part in row.parts.model_dump().items():
            assert f"{name}: {part}" in page
