"""What every lifter's configuration is, and the open list by which a name finds its class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from poseshift.storage.model import FrozenModel
from poseshift.storage.registry import Registry, UnknownNameError
from poseshift.storage.sentences import in_sentences
from poseshift.training.lifters.lifter import Lifter


class LifterConfigBase(FrozenModel, ABC):
    """Size and choices of one kind of lifter; a subclass declares ``name`` as a literal with a default."""

    name: str
    """Which kind of lifter this is."""

    @abstractmethod
    def build(self, channels: int) -> Lifter:
        """Build the network for an encoding with this many channels per joint."""


CONFIGS = Registry[type[LifterConfigBase]]("lifter")
"""The class of every kind of lifter by its name."""


class LifterConfigError(ValueError):
    """A lifter's configuration that does not fit its kind.

    Attributes
    ----------
    name : str
        The kind of lifter.
    problems : list
        What is wrong, as pydantic describes it.
    """

    def __init__(self, name: str, error: ValidationError) -> None:
        self.name = name
        self.problems: list[ErrorDetails] = error.errors()
        super().__init__(f"lifter {name!r}: {in_sentences(error)}")


def _by_name(value: object) -> LifterConfigBase:
    if isinstance(value, LifterConfigBase):
        return value
    if not isinstance(value, Mapping) or "name" not in value:
        raise ValueError(f"a lifter's configuration names its kind, such as {{name: {next(iter(CONFIGS))}}}")
    try:
        kind = CONFIGS[str(value["name"])]
    except UnknownNameError as error:
        raise ValueError(f"{error}; a lifter of your own needs its module (`plugins:`, --plugin)") from error
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise LifterConfigError(str(value["name"]), error) from error


class _ByName:
    """Lets pydantic find the class of a configuration in the list, which plugins add to."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(
            lambda config, info: config.model_dump(mode=info.mode), info_arg=True
        )
        return core_schema.no_info_plain_validator_function(_by_name, serialization=written)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        known = [handler(TypeAdapter(kind).core_schema) for kind in CONFIGS.values()]
        added = {
            "title": "A lifter of a plugin",
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
        }
        return {"anyOf": [*known, added]}


LifterConfig = Annotated[LifterConfigBase, _ByName()]
"""Any lifter's configuration, told apart by ``name``."""
