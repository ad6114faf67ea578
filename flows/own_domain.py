"""Clips of one's own into a store, and a look at what is there: what `poseshift domain` does."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from poseshift.flows.experiment.verticals import vertical_findings
from poseshift.preprocessing.datasets import DATASETS
from poseshift.preprocessing.domain.assemble import ClipRequest, assemble
from poseshift.preprocessing.domain.examine import examine
from poseshift.preprocessing.domain.findings import Finding, Level
from poseshift.preprocessing.domain.mending import mended
from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import Dataset, Trial
from poseshift.storage.store import PoseStore, StoreError


@dataclass(frozen=True)
class Added:
    """What was written.

    Attributes
    ----------
    snapshot : str
        Of the store afterwards.
    trials, replaced : tuple[str, ...]
        Paths of the trials that were written, and of those among them that were there before.
    frames : int
        Frames per camera of all of them.
    told : tuple[str, ...]
        Sentences on what was decided.
    """

    snapshot: str
    trials: tuple[str, ...]
    replaced: tuple[str, ...]
    frames: int
    told: tuple[str, ...]


def add_clip(name: str, location: str, request: ClipRequest) -> Added:
    """Read a clip and write it into a store, which is made where there is none.

    Parameters
    ----------
    name : str
        Of the domain: small letters, digits and underscores.
    location : str
        The store.
    request : ClipRequest
        The clip.

    Raises
    ------
    ValueError
        The name is not one that a domain may have.
    RawDataError
        A file is bad; the store is as it was.
    StoreError
        The store holds another domain, or cannot be written to.
    """
    _require_name(name)
    if PoseStore.exists(location) and PoseStore.open(location).dataset != name:
        raise StoreError(
            f"{location}: holds {PoseStore.open(location).dataset}, not {name}; give each domain its store"
        )
    clip = assemble(request)
    store = PoseStore.open_or_create(location, name)
    before = set(store.keys())
    with store.transaction(f"Add clip {clip.trials[0].key.trial}: {len(clip.trials)} trials") as transaction:
        for trial in clip.trials:
            transaction.write(trial)
    return Added(
        snapshot=store.snapshot,
        trials=tuple(trial.key.path for trial in clip.trials),
        replaced=tuple(trial.key.path for trial in clip.trials if trial.key in before),
        frames=sum(trial.frames for trial in clip.trials),
        told=clip.told,
    )


class DomainReport(FrozenModel):
    """What a look at a domain found."""

    dataset: str
    """The domain."""
    snapshot: str
    """The store's snapshot that was looked at, after mending where that was asked for."""
    trials: int
    """Trials looked at."""
    frames: int
    """Frames per camera of all of them."""
    mended: tuple[str, ...]
    """Trials in which sides were exchanged back."""
    findings: tuple[Finding, ...]
    """Everything that was found, problems first."""

    @property
    def problems(self) -> int:
        """Number of problems."""
        return sum(finding.level == "problem" for finding in self.findings)


def check_domain(location: str, *, detector: str | None = None) -> DomainReport:
    """Look at every trial of a domain.

    Parameters
    ----------
    location : str
        The store.
    detector : str or None
        Whose keypoints; None where the store holds those of one.

    Raises
    ------
    StoreError
        There is no store.
    ValueError
        It holds no detections, or of several detectors, or not of this one.
    """
    return _report(PoseStore.open(location), detector, ())


def mend_domain(location: str, *, detector: str | None = None) -> DomainReport:
    """Exchange sides back where they have changed, in one transaction, and look again; raises as a check."""
    store = PoseStore.open(location)
    changed = []
    with store.transaction("Exchange left and right back") as transaction:  # commits nothing if nothing is
        for key in store.keys():
            trial = store.read(key)
            after = mended(trial, _detector(trial, detector))
            if after is not trial:
                transaction.write(after)
                changed.append(key.path)
    return _report(store, detector, tuple(changed))


def _report(store: PoseStore, detector: str | None, changed: tuple[str, ...]) -> DomainReport:
    keys = store.keys()
    if not keys:
        raise ValueError(f"{store.location} holds no trial; add one with `poseshift domain add`")
    order: tuple[Level, ...] = ("problem", "warning", "note")
    found: list[Finding] = []
    for key in keys:
        trial = store.read(key)
        found += examine(trial, _detector(trial, detector))
    found += vertical_findings(store, _detector(store.read(keys[0]), detector))
    return DomainReport(
        dataset=store.dataset,
        snapshot=store.snapshot,
        trials=len(keys),
        frames=sum(store.frames(key) for key in keys),
        mended=changed,
        findings=tuple(sorted(found, key=lambda one: order.index(one.level))),
    )


def _detector(trial: Trial, wanted: str | None) -> str:
    known = sorted(trial.detections)
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted is None or wanted not in trial.detections:
        raise ValueError(
            f"trial {trial.key.path!r} has detections of {', '.join(known) or 'no detector'}; name one of "
            "them with --detector, or look at a store that `poseshift domain add` made"
        )
    return wanted


def _require_name(name: str) -> None:
    try:
        TypeAdapter(Dataset).validate_python(name)
    except ValidationError as error:
        raise ValueError(
            f"a domain cannot be called {name!r}; use small letters, digits and underscores"
        ) from error
    if name in DATASETS:
        raise ValueError(f"{name} is a data set of its own; call your domain otherwise")
