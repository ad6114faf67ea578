"""Detections beside the labels of a store that is there: what `poseshift import detections` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from poseshift.preprocessing.detected import recording_rows, with_detections
from poseshift.storage.exchange.detection_files import Wanted, detections_of
from poseshift.storage.exchange.npz import ObjectArrays
from poseshift.storage.provenance import digest_file
from poseshift.storage.store import PoseStore


@dataclass(frozen=True)
class Attached:
    """What was written.

    Attributes
    ----------
    snapshot : str
        Of the store afterwards.
    trials, missing : tuple[str, ...]
        Paths of the trials that have the detections now, and of those that the file does not have.
    without_confidence : bool
        Whether every joint counts as seen, with confidence 1.
    """

    snapshot: str
    trials: tuple[str, ...]
    missing: tuple[str, ...]
    without_confidence: bool


def attach(
    location: str, place: Path, detector: str, object_arrays: ObjectArrays = "refuse", first_frame: int = 0
) -> Attached:
    """Read detections of a store's trials and write them into it, all of them or none.

    Raises
    ------
    ExchangeError
        A file is not in its layout.
    UnfitDetectionsError
        Detections are not of the store's trials.
    ValueError
        The file has no detections of any trial.
    StoreError
        There is no store, or it cannot be written to.
    """
    store = PoseStore.open(location)
    wanted = []
    for key in store.keys():
        trial = store.read(key)
        names = tuple(camera.name for camera in trial.cameras)
        wanted.append(Wanted(key, names, int(recording_rows(trial)[-1]) + 1))
    digests = {place: digest_file(place, place.parent)} if place.is_file() else {}
    done, certain = [], True
    with store.transaction(f"Attach detections {detector}") as transaction:
        for found in detections_of(place, wanted, object_arrays, first_frame):
            files = [digests.get(path) or digest_file(path, place) for path in found.files]
            trial = with_detections(store.read(found.key), detector, found.views, files)
            transaction.write(trial)
            certain = certain and bool((trial.detections[detector][..., 2] == 1).all())
            done.append(found.key.path)
        if not done:
            first = wanted[0].key.path if wanted else "none"
            raise ValueError(
                f"{place} has no detections of any trial of {location}, such as {first}; subjects, trials "
                "and cameras must be called as `poseshift inspect` shows them"
            )
    missing = tuple(one.key.path for one in wanted if one.key.path not in done)
    return Attached(store.snapshot, tuple(done), missing, certain)
