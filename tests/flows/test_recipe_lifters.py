"""How recipes name lifters."""

from pathlib import Path

import pytest
import yaml

from poseshift.flows.experiment.recipe import RecipeError, load_recipe, save_recipe
from poseshift.training.evaluation.protocols import names_for
from poseshift.training.lifters.registry import presets


def _write(path: Path, lifter: object) -> Path:
    recipe = {
        "name": "lifters",
        "run_dir": "runs/lifters",
        "source": {"dataset": "human36m", "store": "stores/h36m"},
        "test": {
            "data": {"dataset": "mpi_inf_3dhp_test", "store": "stores/3dhp"},
            "protocols": [names_for("mpi_inf_3dhp_test")[0]],
        },
        "lifter": lifter,
    }
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", sorted(presets()))
def test_presets_by_name_and_written_out_survive_the_file(name, tmp_path) -> None:
    by_name = load_recipe(_write(tmp_path / "a.yaml", name))
    assert by_name.lifter == presets()[name]
    written_out = load_recipe(_write(tmp_path / "b.yaml", presets()[name].model_dump(mode="json")))
    assert written_out == by_name
    save_recipe(by_name, tmp_path / "c.yaml")
    assert load_recipe(tmp_path / "c.yaml") == by_name


def test_options_are_checked_against_the_lifter_that_is_named(tmp_path) -> None:
    recipe = load_recipe(_write(tmp_path / "a.yaml", {"name": "videopose3d", "filter_widths": [3, 5]}))
    assert recipe.lifter.frames == 15


@pytest.mark.parametrize(
    ("lifter", "message"),
    [
        ("videopose", "no lifter preset 'videopose'; there are ampose, .*videopose3d-27f"),
        ({"name": "simple-baseline", "widht": 64}, r"lifter\.simple-baseline\.widht: .*did you mean 'width'"),
        ({"name": "st-gcn", "part_widht": 64}, r"did you mean 'part_width'"),
        ({"name": "simple-baseline", "pairs": 2}, "known fields: name, skeleton, width, blocks, dropout"),
        ({"name": "lstm"}, "no lifter 'lstm'; there are ampose, .*simple-baseline"),
        ({"width": 64}, "names its kind, such as"),
        ({"name": "videopose3d", "filter_widths": [3, 2]}, "a filter of width 2 has no middle frame"),
    ],
    ids=str,
)
def test_mistakes_are_named_with_their_remedy(lifter, message, tmp_path) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(_write(tmp_path / "recipe.yaml", lifter))
