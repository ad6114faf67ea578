"""Where motion comes from: the procedural generator, an npz bundle, or a folder of ASF and AMC files."""

from __future__ import annotations

from pathlib import Path

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.motion import bundle, cmu, procedural
from poseshift.preprocessing.motion.motion import Motion

PROCEDURAL = "procedural"
"""The source name of motion that needs no file."""


def load(source: str | Path, *, seed: int = 0) -> tuple[Motion, ...]:
    """Read or make the motions of a source.

    Parameters
    ----------
    source : str or Path
        ``"procedural"``, the path of an ``.npz`` bundle, or a folder with ASF and AMC files.
    seed : int
        Seed of the procedural motion; files do not need it.

    Returns
    -------
    tuple of Motion
        In a fixed order that depends on the source alone.

    Raises
    ------
    RawDataError
        When the path is none of the three or its files cannot be read.
    """
    if source == PROCEDURAL:
        return procedural.generate(seed)
    path = Path(source)
    if path.is_dir():
        return cmu.read_folder(path)
    if path.suffix == ".npz":
        return bundle.read_bundle(path)
    raise RawDataError(
        path,
        found="neither a folder nor a file that ends in .npz" if path.exists() else "nothing",
        expected="'procedural', an .npz bundle or a folder with ASF and AMC files",
        remedy="Check the spelling of the motion's path.",
    )


def title(source: str | Path, *, seed: int = 0) -> str:
    """Name a source in one line, as restaged data sets carry it in their label."""
    if source == PROCEDURAL:
        return f"procedural motion, seed {seed}"
    path = Path(source)
    return bundle.title(path) if path.suffix == ".npz" else f"ASF/AMC motion from {path.name}"
