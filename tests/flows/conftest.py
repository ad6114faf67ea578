"""A small experiment from restaged raw trees, run once per test process."""

from pathlib import Path

import pytest

from flows.pipeline import Trained, evaluate_method, prepare_data, publish, train_method
from flows.recipe import GlobalPositionAdaptation, PoseData, Recipe, StoredData, Test
from training.lifters.registry import preset
from training.schedule import Schedule


def experiment(trees: Path, folder: Path) -> Recipe:
    """A recipe over restaged trees that trains three lifters for a few steps."""
    target = trees / "mpi_inf_3dhp"
    return Recipe(
        name="small",
        run_dir=folder / "run",
        source=PoseData(
            dataset="human36m",
            store=str(folder / "human36m"),
            raw=trees / "human36m",
            subjects=("S1", "S5"),
        ),
        target=PoseData(
            dataset="mpi_inf_3dhp_train",
            store=str(folder / "train"),
            raw=target,
            subjects=("S1", "S2"),
            cameras=("0", "8"),
        ),
        test=Test(
            data=StoredData(dataset="mpi_inf_3dhp_test", store=str(folder / "test"), raw=target),
            protocols=("3dhp-annot3", "3dhp-official"),
        ),
        lifter=preset("ampose-small"),
        adaptation=GlobalPositionAdaptation(),
        compare=("source_only", "target_supervised"),
        schedule=Schedule(epochs=2, steps_per_epoch=3, batch_size=16),
        seeds=(0, 1),
        device="cpu",
    )


@pytest.fixture(scope="session")
def prepared(restaged: Path, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """The experiment with its three stores prepared and nothing trained."""
    recipe = experiment(restaged, tmp_path_factory.mktemp("experiment"))
    for data in (recipe.source, recipe.target, recipe.test.data):
        assert data is not None
        prepare_data(data)
    return recipe


@pytest.fixture(scope="session")
def finished(prepared: Recipe) -> tuple[Recipe, tuple[Trained, ...]]:
    """The experiment after training, evaluation and report."""
    trained = tuple(
        Trained(method, seed, train_method(prepared, method, seed), evaluate_method(prepared, method, seed))
        for seed in prepared.seeds
        for method in prepared.methods
    )
    publish(prepared, trained)
    return prepared, trained
