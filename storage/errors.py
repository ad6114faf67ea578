"""What can go wrong with a store, told in words that name the place and the remedy."""

from __future__ import annotations


class StoreError(RuntimeError):
    """A place that is not the pose store it should be, or that cannot be written to."""
