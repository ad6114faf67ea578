"""Writing a trained lifter as one file with its card beside it, never over what holds something else."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from poseshift.flows.experiment.evaluate import EvaluationRecord
from poseshift.flows.experiment.folder import RunFolder
from poseshift.flows.experiment.stage import DONE, recorded_inputs
from poseshift.storage.exchange.publication import ExportOrigin, publish, require_free, staged
from poseshift.storage.files import write_atomically
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import digest_file
from poseshift.training.checkpoint import DESCRIPTION_FILE, WEIGHTS_FILE, load_lifter
from poseshift.training.evaluation.results import EvaluationResult
from poseshift.training.export.card import Described, card
from poseshift.training.export.formats import MODEL_FORMATS, FormatName
from poseshift.training.export.lifter import CHECKED_POSES, export_lifter
from poseshift.training.shipped import CARD_FILE, is_shipped, lifter_folder

CARD_SUFFIX = ".md"
"""What the card's name adds to the file's."""


class ExportedModel(FrozenModel):
    """What was written."""

    model: str
    """The file."""
    card: str
    """Its card."""
    format: FormatName
    """Its format."""
    bytes: int
    """Size of the file."""
    difference_m: float
    """Largest difference between its answers and the lifter's on drawn poses, metres."""
    poses: int = CHECKED_POSES
    """How many poses."""


def format_of(name: str | None, file: Path) -> FormatName:
    """Choose a format by its name, else by the file's ending.

    Raises
    ------
    ValueError
        Neither says one, or they contradict each other.
    """
    by_ending = next((one.name for one in MODEL_FORMATS.values() if one.suffix == file.suffix), None)
    known = ", ".join(MODEL_FORMATS)
    if name is not None and name not in MODEL_FORMATS:
        raise ValueError(f"no model format {name!r}; there are {known}")
    if name is not None and by_ending not in (None, name):
        raise ValueError(f"{file} is named as {by_ending}, and --format says {name}; change one of them")
    chosen = by_ending if name is None else MODEL_FORMATS[name].name
    if chosen is None:
        raise ValueError(
            f"{file} does not say by its ending which format it is to have; say --format: {known}"
        )
    return chosen


def export_model(lifter: Path, file: Path, kind: FormatName, *, replace: bool = False) -> ExportedModel:
    """Write a trained lifter as one file, and its card beside it.

    Parameters
    ----------
    lifter : Path
        A trained lifter's folder, or the name of a shipped lifter.
    file : Path
        Where to write.
    kind : FormatName
        The format.
    replace : bool
        Whether files that hold something else are overwritten.

    Raises
    ------
    FileNotFoundError, ValueError
        There is no lifter, or a file lies there that holds something else.
    ModuleNotFoundError
        A library that the format needs is missing.
    poseshift.training.export.lifter.ExportError
        The file would not answer as the lifter does.
    """
    place = lifter_folder(lifter)
    weights, described = (
        digest_file(place / name, place).sha256 for name in (WEIGHTS_FILE, DESCRIPTION_FILE)
    )
    trained = load_lifter(place)
    origin = ExportOrigin(
        layout=kind, source=str(lifter), snapshot=weights, settings={"description": described}
    )
    beside = file.with_name(file.name + CARD_SUFFIX)
    require_free((file, beside), origin, replace=replace)  # before work that takes a while
    found = export_lifter(trained, MODEL_FORMATS[kind])
    about = Described(
        lifter=str(lifter) if is_shipped(lifter) else place.name,
        file=file.name,
        kind=kind,
        difference_m=found.difference_m,
        poses=CHECKED_POSES,
        weights_sha256=weights,
        results=_recorded(place, weights),
        own_card=_own_card(place),
    )
    with staged(file) as draft:
        write_atomically(draft, found.content)
        write_atomically(draft.with_name(beside.name), card(trained, about))
        publish(draft, file, origin, replace=replace)
    return ExportedModel(
        model=str(file),
        card=str(beside),
        format=kind,
        bytes=len(found.content),
        difference_m=found.difference_m,
    )


def _own_card(place: Path) -> str | None:
    path = place / CARD_FILE
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _recorded(place: Path, weights_sha256: str) -> tuple[EvaluationResult, ...]:
    """Find the figures of a lifter that lies in a run's folder, where they are of these weights."""
    try:
        training = place.resolve().parent
        method, run = training.parent.name, RunFolder(training.parents[2])
        seed = int(training.name.removeprefix("seed-"))
    except (IndexError, ValueError):  # it lies elsewhere
        return ()
    evaluation = run.evaluation(method, seed)
    if (recorded_inputs(evaluation) or {}).get("weights_sha256") != weights_sha256:
        return ()
    try:
        record = EvaluationRecord.model_validate_json((evaluation / DONE).read_bytes())
    except (OSError, ValidationError):  # it was never finished
        return ()
    return record.results
