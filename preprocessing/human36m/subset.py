"""Which frames of the recordings a subset has, told by their number: subsets do not name them."""

from __future__ import annotations

from collections.abc import Mapping

from poseshift.preprocessing.human36m.layout import EXPECTED_ROWS, canonical_stem
from poseshift.storage.schema import TrialKey


def frame_step(frames: Mapping[TrialKey, int]) -> int | None:
    """Find n where every trial has as many frames as every n-th frame of its recording.

    Parameters
    ----------
    frames : mapping of TrialKey to int
        Number of frames of each trial, named as the release or VideoPose3D names it.

    Returns
    -------
    int or None
        1 where all frames are there; None where the numbers fit no n, or several.
    """
    rows_of = {
        TrialKey(subject, canonical_stem(stem)): rows for (subject, stem), rows in EXPECTED_ROWS.items()
    }
    named = {TrialKey(key.subject, canonical_stem(key.trial)): count for key, count in frames.items()}
    known = [(count, rows_of[key]) for key, count in named.items() if key in rows_of]
    if not known:
        return None
    fitting = [
        step
        for step in range(1, max(rows for _, rows in known) + 1)
        if all(count in (rows // step, -(-rows // step)) for count, rows in known)
    ]
    return fitting[0] if len(fitting) == 1 else None
