"""Stages on disk: work that is done once for the same inputs.

A stage is a folder. ``inputs.json`` says what it was made from; ``done.json`` holds its result and is written
last and atomically, so a stage is either complete or to be done. Inputs are compared by content digest, never
by time. A folder whose inputs differ is set aside, not deleted.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from poseshift.storage.files import write_atomically
from poseshift.storage.lock import writer_lock
from poseshift.storage.provenance import digest_json

logger = logging.getLogger(__name__)

INPUTS = "inputs.json"
DONE = "done.json"
SUPERSEDED = "superseded"

Figure = str | int | float | bool

Inputs = TypeVar("Inputs", bound=BaseModel)
Result = TypeVar("Result", bound=BaseModel)


class InputsRecord(BaseModel, Generic[Inputs]):
    """What a stage was made from, with the program's version and the digest of both."""

    model_config = ConfigDict(frozen=True)

    poseshift: str
    inputs: Inputs

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of this record."""
        return digest_json(self)


@dataclass(frozen=True)
class StageOutcome(Generic[Result]):
    """A stage's result and whether it was there already."""

    result: Result
    reused: bool


def run_stage(
    folder: Path, inputs: Inputs, result_type: type[Result], work: Callable[[Path], Result]
) -> StageOutcome[Result]:
    """Return a stage's result, doing the work only when it is not there for the same inputs.

    Parameters
    ----------
    folder : Path
        The stage's folder. An unfinished stage of the same inputs is handed to ``work`` as it is, so that the
        work can resume; a folder of other inputs is moved to ``superseded/`` beside it.
    inputs : BaseModel
        Everything that decides the result: options, seeds, and the digests or snapshots of the data.
    result_type : type
        The pydantic model of the result.
    work : Callable
        Does the work inside the folder and returns the result.

    Raises
    ------
    StoreLockedError
        Another run is at work in the folder.
    """
    record = _record(inputs)
    done = _finished(folder, record, result_type)
    if done is not None:
        return done
    with writer_lock(stage_lock(folder), f"work in {folder}"):
        done = _finished(folder, record, result_type)  # by a run that has just let go of the lock
        return _begin(folder, record, work) if done is None else done


def stage_lock(folder: Path) -> Path:
    """Name the lock file of whoever is at work in a stage's folder; it lies beside the folder."""
    return folder.with_name(f".{folder.name}.lock")


def _finished(
    folder: Path, record: InputsRecord[Inputs], result_type: type[Result]
) -> StageOutcome[Result] | None:
    digest = record.digest
    if _recorded_digest(folder) != digest:
        return None
    result = _read_result(folder / DONE, result_type)
    if result is None:
        return None
    logger.info("%s is there already for the same inputs (%s)", folder, digest[:12])
    return StageOutcome(result, reused=True)


def _begin(
    folder: Path, record: InputsRecord[Inputs], work: Callable[[Path], Result]
) -> StageOutcome[Result]:
    digest = record.digest
    found = _recorded_digest(folder)
    if found != digest and folder.exists() and any(folder.iterdir()):
        target = set_aside(folder)
        logger.warning("%s was made from other inputs; moved to %s", folder, target)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(
        folder / INPUTS, json.dumps({"digest": digest, **record.model_dump(mode="json")}, indent=2) + "\n"
    )
    started = perf_counter()
    result = work(folder)
    write_atomically(folder / DONE, result.model_dump_json(indent=2) + "\n")
    log_stage(str(folder), perf_counter() - started, {**_figures(result), "inputs": digest[:12]})
    return StageOutcome(result, reused=False)


def log_stage(name: str, seconds: float, figures: Mapping[str, Figure]) -> None:
    """Log one line for a stage that is done: what, how long, and its counts.

    Parameters
    ----------
    name : str
        The stage, such as ``prepare human36m`` or a stage's folder.
    seconds : float
        Wall-clock time.
    figures : mapping
        Counts and other short facts; fields of their own in JSON.
    """
    told = ", ".join(f"{key} {value}" for key, value in figures.items())
    logger.info(
        "stage %s: %.1f s%s",
        name,
        seconds,
        f", {told}" if told else "",
        extra={"stage": name, "seconds": round(seconds, 3), "figures": dict(figures)},
    )


def is_done(folder: Path, inputs: BaseModel, result_type: type[BaseModel]) -> bool:
    """Tell whether a stage is complete for these inputs, so that running it would do nothing."""
    current = _recorded_digest(folder) == _record(inputs).digest
    return current and _read_result(folder / DONE, result_type) is not None


def recorded_inputs(folder: Path) -> dict[str, Any] | None:
    """Read what a stage was last made (or begun) from, as plain JSON; None when there is no stage."""
    content = _read_inputs(folder)
    inputs = None if content is None else content.get("inputs")
    return inputs if isinstance(inputs, dict) else None


def _record(inputs: Inputs) -> InputsRecord[Inputs]:
    return InputsRecord[Inputs](poseshift=version("poseshift"), inputs=inputs)


def _figures(result: BaseModel) -> dict[str, Figure]:
    """Collect the short facts of a result, for its line in the log."""
    facts = ((name, getattr(result, name)) for name in type(result).model_fields)
    return {name: fact for name, fact in facts if name != "seconds" and isinstance(fact, str | int | float)}


def _recorded_digest(folder: Path) -> str | None:
    content = _read_inputs(folder)
    digest = None if content is None else content.get("digest")
    return digest if isinstance(digest, str) else None


def _read_inputs(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / INPUTS).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None
    return content if isinstance(content, dict) else None


def _read_result(path: Path, result_type: type[Result]) -> Result | None:
    try:
        return result_type.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def set_aside(folder: Path) -> Path:
    """Move a stage's folder to ``superseded/`` beside it, and return where it lies then."""
    digest = _recorded_digest(folder) or "unknown"
    place = folder.parent / SUPERSEDED
    place.mkdir(exist_ok=True)
    target = place / f"{folder.name}-{digest[:12]}"
    number = 1
    while target.exists():
        number += 1
        target = place / f"{folder.name}-{digest[:12]}-{number}"
    folder.rename(target)
    target.touch()  # what was set aside today is not old, however long ago it was made
    return target
