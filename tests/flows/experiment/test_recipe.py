"""Recipes: what they accept, what they say when they refuse, and that their digest follows their content."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from poseshift.flows.experiment.recipe import Recipe, RecipeError, load_recipe, save_recipe

SHIPPED = Path(__file__).parents[3] / "recipes"


def shipped() -> dict[str, Any]:
    content = yaml.safe_load((SHIPPED / "human36m_to_3dhp.yaml").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def refusal(content: Any, folder: Path) -> str:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(RecipeError) as error:
        load_recipe(path)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_recipes_survive_a_round_trip(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    save_recipe(recipe, tmp_path / "again.yaml")
    again = load_recipe(tmp_path / "again.yaml")
    assert again == recipe
    assert again.digest == recipe.digest


def test_a_preset_and_its_full_configuration_are_the_same_recipe() -> None:
    by_name = Recipe.model_validate(shipped())
    in_full = Recipe.model_validate({**shipped(), "lifter": by_name.lifter.model_dump()})
    assert in_full.digest == by_name.digest


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": [0, 1]},
        {"encoding": "ray"},
        {"method": {"name": "gpa", "adaptation": {"method": "gpa", "options": {"root_form": "wide"}}}},
        {"lifter": "ampose-small"},
        {"detector_noise": "fitted"},
        {"detector_noise": {"kind": "fixed", "spread": 0.02}},
    ],
)
def test_the_digest_follows_the_content(change: dict[str, Any]) -> None:
    assert Recipe.model_validate({**shipped(), **change}).digest != Recipe.model_validate(shipped()).digest


def test_every_field_is_explained_in_the_schema() -> None:
    schema = Recipe.model_json_schema()
    for model in (schema, *schema["$defs"].values()):
        for name, field in model.get("properties", {}).items():
            if "const" not in field:  # a tag that tells the members of a union apart
                assert field.get("description"), f"{model['title']}.{name} has no description"


def test_a_misspelt_field_is_answered_with_the_right_one(tmp_path: Path) -> None:
    content = shipped()
    content["shedule"] = content.pop("schedule")
    assert "did you mean 'schedule'" in refusal(content, tmp_path)


def test_misspelt_fields_are_found_inside_parts_and_unions(tmp_path: Path) -> None:
    content = shipped()
    content["target"]["camera"] = ["0"]
    adaptation = {"method": "gpa", "options": {"root_from": "ray"}}
    content["method"] = {"name": "mine", "adaptation": adaptation}
    message = refusal(content, tmp_path)
    assert "target.camera: is not a field of a recipe; did you mean 'cameras'" in message
    assert "did you mean 'root_form'" in message


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    content = shipped()
    del content["source"]["store"]
    content["source"]["frame_step"] = 0
    content["seeds"] = [1, 1]
    message = refusal(content, tmp_path)
    assert "source.store: is missing" in message
    assert "source.frame_step" in message
    assert "give each seed once" in message


def test_after_three_problems_the_others_are_counted(tmp_path: Path) -> None:
    content = shipped()
    content |= {f"nonsense_{number}": number for number in range(40)}
    message = refusal(content, tmp_path)
    assert message.count("is not a field of a recipe") == 3
    assert message.splitlines()[-1].strip() == "and 37 more problems"


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"target": None}, "add `target:`"),
        ({"lifter": "ampose-smal"}, "ampose-small"),
        ({"name": "../elsewhere"}, "name"),
    ],
)
def test_refusals_say_how_to_mend(change: dict[str, Any], remedy: str, tmp_path: Path) -> None:
    assert remedy in refusal({**shipped(), **change}, tmp_path)


def test_a_protocol_of_another_data_set_is_refused_with_those_that_fit(tmp_path: Path) -> None:
    content = shipped()
    content["test"]["protocols"] = ["human36m-p1"]
    message = refusal(content, tmp_path)
    assert "human36m-p1 measures human36m" in message
    assert "3dhp-annot3" in message


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    assert "mapping" in refusal(["a", "list"], tmp_path)
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "absent.yaml")
    (tmp_path / "broken.yaml").write_text("name: [unclosed", encoding="utf-8")
    with pytest.raises(RecipeError, match="not valid YAML"):
        load_recipe(tmp_path / "broken.yaml")


def test_yaml_cannot_run_code(tmp_path: Path) -> None:
    path = tmp_path / "evil.yaml"
    path.write_text("name: !!python/object/apply:os.system ['touch pwned']", encoding="utf-8")
    with pytest.raises(RecipeError, match="not valid YAML"):
        load_recipe(path)


def test_detector_noise_is_of_labelled_projections_alone() -> None:
    content = {**shipped(), "compare": ["source_only", "target_supervised"], "detector_noise": "fitted"}
    kinds = {one.name: one.detector_noise.kind for one in Recipe.model_validate(content).entries}
    assert kinds.pop("target_supervised") == "off"  # its keypoints are the detector's own
    assert set(kinds.values()) == {"fitted"}
    with pytest.raises(ValueError, match="needs a target"):
        Recipe.model_validate({**content, "target": None, "compare": [], "method": "source_only"})


def test_what_says_nothing_is_not_written() -> None:
    plain = Recipe.model_validate(shipped())
    written = plain.model_dump_json()
    for name in ("detector_noise", "least_confidence", "longest_gap_s", "farthest"):
        assert name not in written


def test_methods_are_ordered_by_their_role() -> None:
    recipe = Recipe.model_validate(shipped())
    assert recipe.methods == ("source_only", "gpa", "target_supervised")
    alone = Recipe.model_validate({**shipped(), "method": "source_only", "compare": [], "target": None})
    assert alone.methods == ("source_only",)


def test_recipes_cannot_be_changed() -> None:
    recipe = Recipe.model_validate(shipped())
    assert isinstance(recipe, BaseModel)
    with pytest.raises(ValueError, match="frozen"):
        recipe.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_recipes_of_other_editors_are_the_same_recipe(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes((SHIPPED / "human36m_to_3dhp.yaml").read_text(encoding="utf-8").encode(encoding))
    assert load_recipe(path).digest == Recipe.model_validate(shipped()).digest


def test_another_encoding_is_named_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes("name: Grüße".encode("latin-1"))
    with pytest.raises(RecipeError, match=r"mine\.yaml: is not text in UTF-8"):
        load_recipe(path)


def test_the_home_folder_may_be_written_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    content = {**shipped(), "run_dir": "~/runs", "initial": "~/lifters/seed-{seed}/lifter"}
    content["source"] = {**content["source"], "raw": "~/raw"}
    recipe = Recipe.model_validate(content)
    assert recipe.run_dir == tmp_path / "runs"
    assert recipe.source.raw == tmp_path / "raw"
    assert recipe.initial == f"{tmp_path}/lifters/seed-{{seed}}/lifter"


def test_a_home_of_nobody_is_refused(tmp_path: Path) -> None:
    told = refusal({**shipped(), "run_dir": "~no-such-user-here/runs"}, tmp_path)
    assert "run_dir: ~no-such-user-here/runs" in told


def test_names_that_look_like_numbers_are_names(tmp_path: Path) -> None:
    content = shipped()
    content["source"] = {**content["source"], "cameras": [54138969, "55011271"], "subjects": [1]}
    recipe = Recipe.model_validate(content)
    assert recipe.source.cameras == ("54138969", "55011271")
    assert recipe.source.subjects == ("1",)
    content["source"] = {**content["source"], "cameras": [True]}
    assert "source.cameras.0" in refusal(content, tmp_path)
