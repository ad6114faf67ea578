import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from poseshift.flows.commands.listing import shipped_listing
from poseshift.training.lifters.config import LifterConfig
from poseshift.training.lifters.registry import build, describe, preset, presets


def test_every_preset_builds_survives_json_and_is_described() -> None:
    # What `describe()` gives of all of them: the listing's own test says so.
    rows = {row.name: row for row in shipped_listing().lifters}
    assert set(rows) == set(presets())
    for name, config in presets().items():
        assert TypeAdapter(LifterConfig).validate_json(config.model_dump_json()) == config
        with torch.device("meta"):  # shapes are what is compared
            lifter = build(config, 2)
        assert rows[name].parameters == sum(p.numel() for p in lifter.parameters())
        assert rows[name].frames == lifter.frames


def test_multiply_adds_of_the_small_ampose_by_hand() -> None:
    config = preset("ampose-small")
    joints, width = 17, config.width
    linear = (4 + 2 * config.mlp_ratio + 6) * width**2 * joints
    attention = 2 * joints**2 * width
    mixing = 2 * 3 * joints**2 * width
    expected = config.pairs * (linear + attention + mixing) + joints * width * (2 + 3)
    (row,) = describe(["ampose-small"])
    assert row.multiply_adds == expected


def test_weights_come_from_the_seed_and_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    first, again, other = (build(preset("ampose-small"), 2, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embed.weight"], other["embed.weight"])


def test_unknown_preset_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match="ampose-small"):
        preset("no-such-lifter")


def test_every_option_is_explained_and_typing_errors_are_refused() -> None:
    for config in presets().values():
        fields = type(config).model_fields
        assert all(field.description for name, field in fields.items() if name != "name")
    with pytest.raises(ValidationError):
        TypeAdapter(LifterConfig).validate_python({"name": "ampose", "widht": 3})
