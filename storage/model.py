"""The base of every pydantic model of the project."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FrozenModel(BaseModel):
    """An immutable model without unknown fields; the docstring under a field is its description."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def is_left_out(value: object) -> bool:
    """Whether an optional field is left out: then it is not written either.

    Digests of recipes and stages are of what is written, so one that was made before the field existed keeps
    its digest.
    """
    return value is None
