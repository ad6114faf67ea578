"""What a selection leaves of a store, in one sentence, where that is so little that it may be a mistake."""

from __future__ import annotations

import math

from poseshift.storage.columns import CameraPoses
from poseshift.storage.frame_rates import sampling_hz
from poseshift.storage.names import unmatched_names
from poseshift.storage.reading import Selection
from poseshift.storage.store import PoseStore

LITTLE_SHARE = 0.01
"""Share of a store's views below which what is left is said."""

LITTLE_POSES = 100
"""Number of poses below which what is left is said: fewer than a batch holds."""


def little_left(store: PoseStore, selection: Selection, poses: CameraPoses) -> str | None:
    """Say what a selection leaves of a store where that is little, or where a name selects nothing.

    Parameters
    ----------
    store : PoseStore
        The store.
    selection : Selection
        What was wanted.
    poses : CameraPoses
        What is left.

    Returns
    -------
    str or None
        One line; None where more is left than :data:`LITTLE_SHARE` of the store and :data:`LITTLE_POSES`,
        some of them neighbours in time, and every name selects something.
    """
    catalogue = store.catalogue()
    frames = store.frame_counts(catalogue)
    held = sum(frames[key] * len(attributes.cameras) for key, attributes in catalogue.items())
    told = []
    few = len(poses) < max(LITTLE_SHARE * held, LITTLE_POSES)
    alone = selection.frame_step > 1 and max(frames.values()) > 1 and math.isnan(sampling_hz(poses))
    if len(poses) < held and (few or alone):
        step = f" with frame step {selection.frame_step}" if selection.frame_step > 1 else ""
        apart = ", no two of them of one view" if alone else ""
        told.append(f"{len(poses):,} of {held:,} poses are left{step}{apart}")
    names = unmatched_names(store, selection.subjects, selection.actions, selection.cameras)
    if names is not None:
        told.append(names)
    return f"{store.location}: {'; '.join(told)}" if told else None
