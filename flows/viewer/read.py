"""Reading what is to be shown from a folder, whichever command wrote it."""

from __future__ import annotations

from pathlib import Path

from poseshift.flows.viewer.clips import Motions, Wanted
from poseshift.flows.viewer.evaluated import evaluated_motions
from poseshift.flows.viewer.predicted import is_prediction, predicted_motions


def read_motions(folder: Path, protocol: str | None, store: str | None, wanted: Wanted) -> Motions:
    """Read the clips of an evaluation or of a prediction.

    Parameters
    ----------
    folder : Path
        That `evaluate` or `predict` wrote.
    protocol : str or None
        Of an evaluation; None for its first one.
    store : str or None
        The store; None for the one that the run's recipe or the prediction names.
    wanted : Wanted
        Which clips.

    Raises
    ------
    FileNotFoundError, ValueError, StoreError
        As :func:`evaluated_motions` and :func:`predicted_motions`; ValueError as well for the protocol of a
        prediction.
    """
    if not is_prediction(folder):
        return evaluated_motions(folder, protocol, store, wanted)
    if protocol is not None:
        raise ValueError(f"{folder} is a prediction, which no protocol measures; leave out --protocol")
    return predicted_motions(folder, store, wanted)
