"""Reading what is to be shown from a folder, whichever command wrote it."""

from __future__ import annotations

from pathlib import Path

from poseshift.flows.viewer.clips import Motions, Wanted
from poseshift.flows.viewer.evaluated import evaluated_motions


def read_motions(folder: Path, protocol: str | None, store: str | None, wanted: Wanted) -> Motions:
    """Read the clips of an evaluation; see :func:`evaluated_motions` for what it raises."""
    return evaluated_motions(folder, protocol, store, wanted)
