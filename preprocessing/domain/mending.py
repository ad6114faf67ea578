"""Exchanging sides back in a trial's keypoints, with a record of what was exchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from poseshift.preprocessing.domain.swaps import find_swaps, mend_swaps
from poseshift.storage.schema import Trial

MENDED = "mended_swaps."
"""Begin of the options that say in which frames of a camera sides were exchanged back."""


def mended(trial: Trial, detector: str) -> Trial:
    """Exchange back every run in which legs or arms have changed sides; the trial itself where there is none.

    Parameters
    ----------
    trial : Trial
        Of a store.
    detector : str
        Whose keypoints.
    """
    keypoints = trial.detections[detector]
    options = dict(trial.options)
    views = []
    for camera, seen in zip(trial.cameras, keypoints, strict=True):
        swaps = find_swaps(seen, trial.fps)
        views.append(mend_swaps(seen, swaps))
        if swaps:
            runs = " ".join(f"{swap.limbs}:{swap.first}-{swap.last}" for swap in swaps)
            earlier = options.get(f"{MENDED}{camera.name}")
            options[f"{MENDED}{camera.name}"] = runs if earlier is None else f"{earlier} {runs}"
    if options == dict(trial.options):
        return trial
    return replace(trial, detections={**trial.detections, detector: np.stack(views)}, options=options)
