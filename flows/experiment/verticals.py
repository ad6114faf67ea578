"""What people before the cameras of a domain show of where up is, beside what is known of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from poseshift.adaptation.found_viewpoint import CALIBRATION_DEGREES, rig_rotations
from poseshift.adaptation.gravity import FoundGravity
from poseshift.adaptation.vertical.finder import shipped_finder
from poseshift.adaptation.viewpoint import FoundViewpoint
from poseshift.preprocessing.domain.camera_checks import attitude
from poseshift.preprocessing.domain.findings import Finding
from poseshift.preprocessing.domain.verticals import angle_degrees
from poseshift.storage.reading import Selection, read_keypoints
from poseshift.storage.store import PoseStore


def vertical_findings(store: PoseStore, detector: str) -> Iterator[Finding]:
    """Say of every camera where up is by the people before it, and whether that is what is known.

    Parameters
    ----------
    store : PoseStore
        A domain without 3D.
    detector : str
        Whose keypoints.
    """
    poses = read_keypoints(store, Selection(keypoints=detector))
    found = shipped_finder().find(poses, rig_rotations(poses))
    for row, one in enumerate(found):
        trials = [poses.trials[number].key.path for number in np.unique(poses.trial[poses.camera == row])]
        level, text = "note", vertical_text(one)
        known = poses.ups[row]
        if one.up is not None and known is not None:
            away = angle_degrees(np.asarray(one.up), np.asarray(known))
            text += f"; what is known of up is {away:.1f} degrees from it"
            stated = poses.verticals[row] if poses.verticals else None
            held = CALIBRATION_DEGREES if stated is None else stated.interval_degrees
            if away > (one.interval_degrees or 180.0) + held:
                level = "warning"
                text += ", which people seldom are: look at --world-up, or at what was stated"
        yield Finding.model_validate(
            {
                "level": level,
                "check": "up by people",
                "trial": trials[0] if trials else store.dataset,
                "camera": one.camera,
                "count": one.poses,
                "text": text,
            }
        )


def vertical_text(found: FoundGravity) -> str:
    """Say where up is before a camera, by what, and how sure that is."""
    if found.up is None:
        return "no pose of the camera has all of its keypoints, so people say nothing of where up is"
    held = (
        ""
        if found.interval_degrees is None
        else f", within {found.interval_degrees:.1f} degrees in 9 of 10 cases"
    )
    where = f"the camera moves, up is {_in_axes(found.up)}" if found.moves else attitude(found.up)
    if found.kind == "given":
        return f"up as given: {where}{held}"
    by = "before all cameras of the rig" if found.kind == "rig" else f"in {found.poses} poses"
    if (found.interval_degrees or 0.0) > FoundViewpoint().widest_degrees:
        return (
            f"what people do {by} cannot tell where up is ({where}{held}); viewpoint `found` "
            "takes random ones within that"
        )
    return f"up by what people do {by}: {where}{held}"


def _in_axes(up: tuple[float, float, float]) -> str:
    """Say which axis of a world points up, and how far it is from doing so."""
    largest = int(np.argmax(np.abs(up)))
    sign = "-" if up[largest] < 0 else ""
    away = np.degrees(np.arccos(min(1.0, abs(up[largest]))))
    return f"{away:.1f} degrees from {sign}{'xyz'[largest]} of its world"
