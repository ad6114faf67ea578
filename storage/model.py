"""The base of every pydantic model of the project."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    GetJsonSchemaHandler,
)

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


class FrozenModel(BaseModel):
    """An immutable model without unknown fields; the docstring under a field is its description.

    Descriptions are read when a JSON schema is asked for, and not by pydantic's ``use_attribute_docstrings``,
    which parses the source of every model when it is imported: a second of the start of most commands.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return pydantic's schema with the descriptions of fields."""
        schema = handler(core_schema)
        fields = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in _texts_below_fields(cls).items():
            if name in fields:
                fields[name].setdefault("description", text)
        return schema


@cache
def _texts_below_fields(model: type[BaseModel]) -> Mapping[str, str]:
    """Find the docstrings below the fields of a model, those that it inherits included."""
    texts: dict[str, str] = {}
    for one in reversed(model.__mro__):
        if issubclass(one, FrozenModel) and one is not FrozenModel:
            said_anew = inspect.get_annotations(one)
            texts = {name: text for name, text in texts.items() if name not in said_anew}
            texts |= _texts_in_source(one)
    return texts


def _texts_in_source(model: type[BaseModel]) -> Mapping[str, str]:
    try:
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    except (OSError, TypeError):  # made without a source file
        return {}
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - it is the source of a class
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(definition.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def home_written_out(path: Path) -> Path:
    """Put the home folder for ``~`` at the beginning of a path; ValueError for a home that nobody has."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: {error}; write the folder out") from error


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


UserPath = Annotated[Path, AfterValidator(home_written_out)]
"""A path that a person writes; ``~`` is their home folder, and never a folder of that name."""

Name = Annotated[str, BeforeValidator(_as_text)]
"""A name that may look like a number (camera 8, subject 1): YAML then takes it for one."""


def is_left_out(value: object) -> bool:
    """Whether an optional field is left out: then it is not written either.

    Digests of recipes and stages are of what is written, so one that was made before the field existed keeps
    its digest.
    """
    return value is None


def is_still(default: object) -> Callable[[object], bool]:
    """Make the test of whether a later field says nothing yet: then it is not written, see `is_left_out`."""
    return lambda value: value == default


def told_by_kind(default: str) -> Discriminator:
    """Tell the members of a union apart by their field ``kind``; without one, it is the first that there was.

    Parameters
    ----------
    default : str
        The kind of what was written before there were others.
    """

    def kind(value: object) -> object:
        return value.get("kind", default) if isinstance(value, dict) else getattr(value, "kind", None)

    return Discriminator(kind)
