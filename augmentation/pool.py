"""A history of made samples, so that a discriminator does not forget what it has seen.

Follows Shrivastava et al., "Learning from Simulated and Unsupervised Images" (CVPR 2017), as PoseAug uses it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class HistoryPool:
    """The last samples of a generator, and an exchange with them.

    Until the pool is full it takes every sample and gives it back. Then each sample is, with even chances,
    given back as it is, or kept in place of a random older one, which is given back instead.

    Parameters
    ----------
    capacity : int
        Samples kept; 0 switches the history off.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._count = 0
        self._kept: Tensor | None = None

    def __len__(self) -> int:
        return self._count

    def exchange(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """Give samples (n, ...), detached, and get as many, some of them older.

        The places of a batch are distinct, so that no sample of it displaces another one; when a batch is
        larger than the pool, only as many of its samples as there are places can be exchanged.
        """
        samples = samples.detach()
        if self.capacity == 0:
            return samples
        if self._kept is None:
            self._kept = samples.new_zeros(self.capacity, *samples.shape[1:])
        entering = min(len(samples), self.capacity - self._count)
        if entering:
            self._kept[self._count : self._count + entering] = samples[:entering]
            self._count += entering
        late = samples[entering:]
        if not len(late):
            return samples
        device = samples.device
        places = torch.randperm(self.capacity, generator=generator, device=device)[: len(late)]
        swapped = torch.rand(len(places), generator=generator, device=device) < 0.5
        shape = (-1, *[1] * (samples.ndim - 1))
        older, newer = self._kept[places], late[: len(places)]
        self._kept[places] = torch.where(swapped.reshape(shape), newer, older)
        given = torch.where(swapped.reshape(shape), older, newer)
        return torch.cat([samples[:entering], given, late[len(places) :]])

    def state_dict(self) -> dict[str, Any]:
        """Everything kept."""
        kept = None if self._kept is None else self._kept[: self._count].clone()
        return {"kept": kept}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Take up a state."""
        kept = state["kept"]
        self._count = 0 if kept is None else len(kept)
        self._kept = None
        if kept is not None:
            self._kept = torch.zeros(self.capacity, *kept.shape[1:], dtype=kept.dtype, device=device)
            self._kept[: self._count] = kept.to(device)
