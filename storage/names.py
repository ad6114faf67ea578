"""Names of a store: those that select nothing, told with those that there are, and as parts of files."""

from __future__ import annotations

import re
from collections.abc import Iterable

from poseshift.storage.store import PoseStore


def unmatched_names(
    store: PoseStore,
    subjects: Iterable[str] | None,
    actions: Iterable[str] | None,
    cameras: Iterable[str] | None,
) -> str | None:
    """Name the subjects, actions and cameras that a store does not have, with those it has; None without."""
    catalogue = store.catalogue()
    trials = catalogue.values()
    told = (
        _unmatched("subject", subjects, {key.subject for key in catalogue}),
        _unmatched("action", actions, {trial.action for trial in trials}),
        _unmatched("camera", cameras, {camera.name for trial in trials for camera in trial.cameras}),
    )
    return "; ".join(one for one in told if one) or None


def file_part(name: str) -> str:
    """Make a name of a store fit for a file: letters, digits, blanks and ``._-``, no leading full stop.

    Examples
    --------
    >>> file_part("../S1: walk")
    '_S1_ walk'
    """
    return re.sub(r"[^\w .-]", "_", name).strip().lstrip(".") or "_"


def _unmatched(kind: str, wanted: Iterable[str] | None, held: set[str]) -> str:
    missing = [name for name in wanted or () if name not in held]
    if not missing:
        return ""
    return f"no {kind} {', '.join(missing)}; there are {', '.join(sorted(held))}"
