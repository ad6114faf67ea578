"""A store at a glance: what it holds and where that came from, without reading frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import IntrinsicsOrigin, PositionsKind, TrialAttributes, TrialKey
from poseshift.storage.store import PoseStore

CALIBRATION_TOLERANCE_PX = 1.0
"""Distance between annotated 2D and 3D projected by a calibration file above which the two contradict."""

CALIBRATION_RESIDUAL = "calibration_residual_median_px"
"""Quality figure of a trial whose annotations were compared with a calibration file."""


class TrialIntrinsics(FrozenModel):
    """Where the intrinsics of a trial come from, and how far a calibration file is from its annotations."""

    trial: str
    """The trial's path in its store."""
    origin: IntrinsicsOrigin
    """A calibration file, the reader's own table, or a fit to the trial's 3D and 2D annotations."""
    calibration_residual_px: float | None = None
    """Median distance between annotated 2D and 3D projected by the file; None where not compared."""

    @property
    def contradicted(self) -> bool:
        """Whether the calibration file and the annotations do not belong together."""
        residual = self.calibration_residual_px
        return residual is not None and not residual <= CALIBRATION_TOLERANCE_PX


class TrialSummary(FrozenModel):
    """One trial of a store."""

    trial: str
    action: str
    frames: int
    cameras: tuple[str, ...]
    arrays: tuple[str, ...]
    positions_kind: PositionsKind | None
    intrinsics: IntrinsicsOrigin | None
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
    intrinsics: tuple[TrialIntrinsics, ...]
    subjects: tuple[SubjectSummary, ...]


def describe(store: PoseStore) -> StoreDescription:
    """Describe a store from its metadata alone."""
    catalogue = store.catalogue()
    frames = store.frame_counts(catalogue)
    by_subject = groupby(catalogue.items(), key=lambda item: item[0].subject)
    return StoreDescription(
        location=str(store.location),
        snapshot=store.snapshot,
        dataset=store.dataset,
        skeleton=store.skeleton,
        created_by=store.attributes.created_by,
        restaged_from=store.attributes.restaged_from,
        intrinsics=_intrinsics_among(catalogue),
        subjects=tuple(
            SubjectSummary(
                subject=subject, trials=tuple(_summarise(key, one, frames[key]) for key, one in trials)
            )
            for subject, trials in by_subject
        ),
    )


def find_intrinsics(store: PoseStore) -> tuple[TrialIntrinsics, ...]:
    """Look up where the intrinsics of every trial come from that says so."""
    return _intrinsics_among(store.catalogue())


def _intrinsics_among(catalogue: Mapping[TrialKey, TrialAttributes]) -> tuple[TrialIntrinsics, ...]:
    return tuple(
        TrialIntrinsics(
            trial=key.path,
            origin=attributes.intrinsics,
            calibration_residual_px=attributes.quality.get(CALIBRATION_RESIDUAL),
        )
        for key, attributes in catalogue.items()
        if attributes.intrinsics is not None
    )


def intrinsics_told(trials: Sequence[TrialIntrinsics]) -> str | None:
    """Say whose intrinsics are made of their own annotations, and whose file contradicts them; or None."""
    sentences = []
    fitted = [one.trial for one in trials if one.origin == "fitted"]
    if fitted:
        sentences.append(
            f"Intrinsics of {', '.join(fitted)} are fitted to their own 3D and 2D annotations: a lifter "
            "that is tested there is shown something of the answers."
        )
    assumed = [one.trial for one in trials if one.origin == "assumed"]
    if assumed:
        sentences.append(
            f"Intrinsics of {', '.join(assumed)} are assumed, not calibrated: where people stand and how "
            "tall they are, and what is adapted to it, is as wrong as they are."
        )
    for one in trials:
        if one.contradicted:
            kept = "the fit is used" if one.origin == "fitted" else "the file is used"
            sentences.append(
                f"The calibration file of {one.trial} contradicts its annotations by "
                f"{one.calibration_residual_px:.1f} px (median); {kept}."
            )
    return " ".join(sentences) or None


def _summarise(key: TrialKey, attributes: TrialAttributes, frames: int) -> TrialSummary:
    return TrialSummary(
        trial=key.trial,
        action=attributes.action,
        frames=frames,
        cameras=tuple(camera.name for camera in attributes.cameras),
        arrays=tuple(sorted(attributes.digests)),
        positions_kind=attributes.positions_kind,
        intrinsics=attributes.intrinsics,
        source_files=len(attributes.sources),
        options=attributes.options,
        quality=attributes.quality,
    )
