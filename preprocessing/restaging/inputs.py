"""The motion behind restaged trees, as an input that decides their content."""

from __future__ import annotations

from pathlib import Path

from poseshift.preprocessing.motion.sources import PROCEDURAL
from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import digest_file
from poseshift.storage.schema import SourceFile


class MotionInputs(FrozenModel):
    """The motion behind all stores."""

    motion: str
    """``procedural``, or the name of the file or folder."""
    sha256: tuple[str, ...]
    """Digests of its files, in the order of their names; none for procedural motion."""
    seed: int
    """Of headings and places, and of procedural motion."""


def motion_inputs(motion: str, seed: int) -> MotionInputs:
    """Describe a motion by its content.

    Parameters
    ----------
    motion : str
        An npz bundle, a folder of ASF and AMC files, or ``procedural``.
    seed : int
        Of headings and places, and of procedural motion.
    """
    return MotionInputs(
        motion=motion if motion == PROCEDURAL else Path(motion).name,
        sha256=tuple(file.sha256 for file in _files(motion)),
        seed=seed,
    )


def _files(motion: str) -> tuple[SourceFile, ...]:
    """Digest the files of a motion; what is not there is for :func:`load` to complain about."""
    path = Path(motion)
    if motion == PROCEDURAL:
        return ()
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    return tuple(digest_file(file, file.parent) for file in found if file.is_file())
