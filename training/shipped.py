"""Lifters that ship with the package: their names, and where they lie.

A shipped lifter is a folder as :func:`poseshift.training.checkpoint.save_lifter` writes it. Beside its two
files lie ``README.md`` (its model card), ``recipe.yaml`` and ``record.json`` (what trained it, and what came
of the training). Wherever a trained lifter's folder is asked for, its name will do.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).resolve().parent / "shipped_lifters"
# By path and not by importlib.resources: what reads a lifter takes folders.

CARD_FILE = "README.md"
"""The model card beside a shipped lifter's weights."""


def shipped_lifters() -> tuple[str, ...]:
    """Names of all shipped lifters, in order."""
    return tuple(sorted(card.parent.name for card in _FOLDER.glob(f"*/{CARD_FILE}")))


def is_shipped(named: Path) -> bool:
    """Tell whether a name means a shipped lifter; a folder of that name is meant before it."""
    return not named.exists() and str(named) in shipped_lifters()


def lifter_folder(named: Path) -> Path:
    """Find the folder of a lifter.

    Parameters
    ----------
    named : Path
        A trained lifter's folder, or the name of a shipped lifter where there is no such folder.

    Raises
    ------
    FileNotFoundError
        There is neither.
    """
    if is_shipped(named):
        return _FOLDER / named
    if not named.exists():
        raise FileNotFoundError(
            f"{named} is not a trained lifter: there is no such folder, and the lifters that ship with "
            f"PoseShift are {', '.join(shipped_lifters())}"
        )
    return named
