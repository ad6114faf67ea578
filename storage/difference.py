"""What lies between two snapshots of a store, by the digests of arrays and the attributes of trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pydantic import JsonValue

from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import StoreAttributes, TrialAttributes, zarr_attributes
from poseshift.storage.store import PoseStore

_Attributes = StoreAttributes | TrialAttributes


class AttributeChange(FrozenModel):
    """One attribute that differs."""

    name: str
    before: JsonValue
    after: JsonValue


class TrialChange(FrozenModel):
    """A trial that both snapshots have and that differs."""

    trial: str
    arrays_added: tuple[str, ...]
    arrays_removed: tuple[str, ...]
    arrays_changed: tuple[str, ...]
    """Arrays of other content."""
    attributes: tuple[AttributeChange, ...]
    """Attributes that differ: cameras, sources, quality figures, options and the like."""


class StoreDifference(FrozenModel):
    """What changed from one snapshot to another."""

    location: str
    before: str
    """Identifier of the one snapshot."""
    after: str
    """Identifier of the other."""
    attributes: tuple[AttributeChange, ...]
    """Attributes of the store itself."""
    added: tuple[str, ...]
    """Trials that only the second has."""
    removed: tuple[str, ...]
    """Trials that only the first has."""
    changed: tuple[TrialChange, ...]
    """Trials that both have and that differ."""
    unchanged: int
    """Number of trials that are the same in both."""

    @property
    def arrays_changed(self) -> Mapping[str, int]:
        """In how many of the changed trials an array was added, removed or given other content, by array."""
        return Counter(
            name
            for one in self.changed
            for name in (*one.arrays_added, *one.arrays_removed, *one.arrays_changed)
        )

    @property
    def attributes_changed(self) -> Mapping[str, int]:
        """In how many of the changed trials an attribute differs, by attribute."""
        return Counter(change.name for one in self.changed for change in one.attributes)


def difference(before: PoseStore, after: PoseStore) -> StoreDifference:
    """Compare two snapshots without reading frames.

    Parameters
    ----------
    before, after : PoseStore
        A store, opened at either snapshot.
    """
    old, new = before.catalogue(), after.catalogue()
    both = [(key.path, old[key], new[key]) for key in old if key in new]
    compared = (_trial_change(*one) for one in both)
    changed = tuple(one for one in compared if one is not None)
    return StoreDifference(
        location=str(after.location),
        before=before.snapshot,
        after=after.snapshot,
        attributes=_attribute_changes(before.attributes, after.attributes),
        added=tuple(key.path for key in new if key not in old),
        removed=tuple(key.path for key in old if key not in new),
        changed=changed,
        unchanged=len(both) - len(changed),
    )


def _trial_change(trial: str, before: TrialAttributes, after: TrialAttributes) -> TrialChange | None:
    attributes = _attribute_changes(before, after)
    if not attributes:
        return None
    old, new = before.digests, after.digests
    return TrialChange(
        trial=trial,
        arrays_added=tuple(sorted(new.keys() - old.keys())),
        arrays_removed=tuple(sorted(old.keys() - new.keys())),
        arrays_changed=tuple(sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
        attributes=tuple(one for one in attributes if one.name != "digests"),
    )


def _attribute_changes(before: _Attributes, after: _Attributes) -> tuple[AttributeChange, ...]:
    # As they are stored: a figure that is no number is a text there, which equals itself.
    old, new = zarr_attributes(before), zarr_attributes(after)
    return tuple(
        AttributeChange(name=name, before=old.get(name), after=new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )
