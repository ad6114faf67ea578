"""A store at a glance: what it holds and where that came from, without reading frames."""

from __future__ import annotations

from itertools import groupby

from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import PositionsKind, TrialKey
from poseshift.storage.store import PoseStore


class TrialSummary(FrozenModel):
    """One trial of a store."""

    trial: str
    action: str
    frames: int
    cameras: tuple[str, ...]
    arrays: tuple[str, ...]
    positions_kind: PositionsKind
    source_files: int
    options: dict[str, str]
    quality: dict[str, float]


class SubjectSummary(FrozenModel):
    """One subject of a store."""

    subject: str
    trials: tuple[TrialSummary, ...]

    @property
    def frames(self) -> int:
        """Frames of all trials."""
        return sum(trial.frames for trial in self.trials)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras that see any of the trials."""
        return tuple(sorted({camera for trial in self.trials for camera in trial.cameras}))


class StoreDescription(FrozenModel):
    """What a store holds at one snapshot."""

    location: str
    snapshot: str
    dataset: str
    skeleton: str
    created_by: str
    restaged_from: str | None
    subjects: tuple[SubjectSummary, ...]


def describe(store: PoseStore) -> StoreDescription:
    """Describe a store from its metadata alone."""
    by_subject = groupby(store.keys(), key=lambda key: key.subject)
    return StoreDescription(
        location=str(store.location),
        snapshot=store.snapshot,
        dataset=store.dataset,
        skeleton=store.skeleton,
        created_by=store.attributes.created_by,
        restaged_from=store.attributes.restaged_from,
        subjects=tuple(
            SubjectSummary(subject=subject, trials=tuple(_summarise(store, key) for key in keys))
            for subject, keys in by_subject
        ),
    )


def _summarise(store: PoseStore, key: TrialKey) -> TrialSummary:
    attributes = store.trial_attributes(key)
    return TrialSummary(
        trial=key.trial,
        action=attributes.action,
        frames=store.frames(key),
        cameras=tuple(camera.name for camera in attributes.cameras),
        arrays=tuple(sorted(attributes.digests)),
        positions_kind=attributes.positions_kind,
        source_files=len(attributes.sources),
        options=attributes.options,
        quality=attributes.quality,
    )
