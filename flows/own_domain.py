"""A clip of one's own into a store, in one transaction: what `poseshift domain add` does."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from poseshift.preprocessing.datasets import DATASETS
from poseshift.preprocessing.domain.assemble import ClipRequest, assemble
from poseshift.storage.schema import Dataset
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


def _require_name(name: str) -> None:
    try:
        TypeAdapter(Dataset).validate_python(name)
    except ValidationError as error:
        raise ValueError(
            f"a domain cannot be called {name!r}; use small letters, digits and underscores"
        ) from error
    if name in DATASETS:
        raise ValueError(f"{name} is a data set of its own; call your domain otherwise")
