"""What can go wrong with a store, told in words that name the place and the remedy."""

from __future__ import annotations


class StoreError(RuntimeError):
    """A place that is not the pose store it should be, or that cannot be written to."""


class StoreUnavailableError(StoreError, OSError):
    """A store that could not be read or written just now, by no fault of what was asked: that may pass."""
