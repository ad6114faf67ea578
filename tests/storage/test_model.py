"""Descriptions of a model's fields in its JSON schema come from the docstrings below them."""

from pydantic import Field

from poseshift.storage.model import FrozenModel


class Plain(FrozenModel):
    """A model."""

    first: int = 0
    """The first
    of two."""
    second: int = Field(default=0, description="Said here.")
    """Not said here."""
    third: int = 0


class Changed(Plain):
    """A model that inherits a description, and takes one away."""

    third: int = 1
    """The third."""
    second: int = 2


class Outer(FrozenModel):
    """A model of models."""

    inner: Plain = Plain()
    """What is inside."""


def described(model: type[FrozenModel]) -> dict[str, str | None]:
    fields = model.model_json_schema()["properties"]
    return {name: field.get("description") for name, field in fields.items()}


def test_docstrings_below_fields_describe_them() -> None:
    assert described(Plain) == {"first": "The first\nof two.", "second": "Said here.", "third": None}


def test_descriptions_are_inherited_unless_the_field_is_defined_anew() -> None:
    assert described(Changed) == {"first": "The first\nof two.", "second": None, "third": "The third."}


def test_models_inside_models_are_described() -> None:
    schema = Outer.model_json_schema()
    assert schema["properties"]["inner"]["description"] == "What is inside."
    assert schema["$defs"]["Plain"]["properties"]["first"]["description"] == "The first\nof two."


def test_a_model_without_a_source_file_has_no_descriptions() -> None:
    space: dict[str, object] = {"FrozenModel": FrozenModel, "__name__": "made"}
    exec('class Made(FrozenModel):\n    one: int = 0\n    """One."""\n', space)  # noqa: S102 - of this text
    made = space["Made"]
    assert isinstance(made, type)
    assert issubclass(made, FrozenModel)
    assert described(made) == {"one": None}
