"""Writing into a store: forks for workers, and the transaction that commits them together.

A fork is a picklable copy of the transaction's session; a worker writes trials into it (the chunks go
straight to the store, invisible) and sends it back. Nothing is seen by a reader until the transaction has
merged all forks and committed once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import icechunk
import zarr
from icechunk.session import ForkSession

from poseshift.storage.arrays import remove_trial
from poseshift.storage.schema import StoreAttributes, Trial, TrialKey, zarr_attributes
from poseshift.storage.validation import require_valid
from poseshift.storage.writing import write_trial


@dataclass
class Fork:
    """A worker's share of a transaction; picklable both ways.

    Attributes
    ----------
    session : ForkSession
        The worker's fork of the Icechunk session.
    attributes : StoreAttributes
        The store's attributes, against which trials are checked.
    touched : set[TrialKey]
        Keys that this fork has written or removed.
    """

    session: ForkSession
    attributes: StoreAttributes
    touched: set[TrialKey] = field(default_factory=set)

    def write(self, trial: Trial) -> None:
        """Write a trial, replacing one of the same key.

        Raises
        ------
        ValueError
            When the trial is not one that a store can hold
            (:func:`poseshift.storage.validation.require_valid`).
        """
        require_valid(trial, self.attributes.skeleton)
        write_trial(self.session.store, trial)
        self.touched.add(trial.key)

    def remove(self, key: TrialKey) -> None:
        """Remove a trial.

        Raises
        ------
        KeyError
            When the store has no such trial.
        """
        remove_trial(zarr.open_group(self.session.store, mode="r+", zarr_format=3), key)
        self.touched.add(key)


class Transaction:
    """A set of changes that is committed whole or not at all; made by :meth:`PoseStore.transaction`."""

    def __init__(self, session: icechunk.Session, attributes: StoreAttributes) -> None:
        self._session = session
        self._before = attributes
        self._attributes = attributes
        self._own = self.fork()
        self._merged: list[Fork] = []
        self._facts: dict[str, str] = {}

    def fork(self) -> Fork:
        """Make a fork for one worker, with the store as it was when the transaction began."""
        return Fork(self._session.fork(), self._before)

    def write(self, trial: Trial) -> None:
        """Write a trial in this process, replacing one of the same key; ValueError when it is not valid."""
        self._own.write(trial)

    def remove(self, key: TrialKey) -> None:
        """Remove a trial in this process; KeyError when there is none."""
        self._own.remove(key)

    def set_attributes(self, attributes: StoreAttributes) -> None:
        """Replace the store's own attributes with the same commit."""
        self._attributes = attributes

    def note(self, facts: Mapping[str, str]) -> None:
        """Put facts into the history with this commit, that are known only when the work is done."""
        self._facts.update(facts)

    def merge(self, forks: Iterable[Fork]) -> None:
        """Take up what the workers' forks have written: all of them or, on an error, none.

        Raises
        ------
        ValueError
            When two forks touched the same trial: one of them would be lost without a word.
        """
        arrived = tuple(forks)
        touched = Counter(key for fork in (self._own, *self._merged, *arrived) for key in fork.touched)
        both = sorted(key.path for key, times in touched.items() if times > 1)
        if both:
            raise ValueError(f"trials written by more than one worker: {', '.join(both)}")
        self._merged += arrived

    def commit(self, message: str, metadata: Mapping[str, str]) -> str:
        """Merge all forks and commit once; with nothing changed, commit nothing.

        Returns
        -------
        str
            Identifier of the new snapshot, or of the old one when there was nothing to commit.
        """
        self._session.merge(self._own.session, *(fork.session for fork in self._merged))
        if self._attributes != self._before:
            root = zarr.open_group(self._session.store, mode="r+", zarr_format=3)
            root.attrs.put(zarr_attributes(self._attributes))
        if not self._session.has_uncommitted_changes:
            return self._session.snapshot_id
        return self._session.commit(message, metadata={**metadata, **self._facts})
