"""The base of every pydantic model of the project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator


class FrozenModel(BaseModel):
    """An immutable model without unknown fields; the docstring under a field is its description."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


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
