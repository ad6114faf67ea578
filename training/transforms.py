"""Batch transforms that learn: what the training loop keeps for them, and what it tells them.

A plain transform is a function of a batch and of random numbers. An adversarial one has weights, optimisers,
pools and counters that change with every batch. The loop saves and restores them with the run's own state, so
that an interrupted run still ends as if undisturbed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from poseshift.training.batches import Batch
from poseshift.training.encoding import Encoding
from poseshift.training.lifters.lifter import Lifter


@dataclass(frozen=True)
class TrainingRun:
    """The run that a transform is part of.

    Attributes
    ----------
    lifter : Lifter
        Being trained, with its current weights; a transform may use it but leaves its weights, its gradients
        and its mode as they are.
    encoding : Encoding
        What the lifter sees.
    total_steps : int
        Length of the run, for schedules.
    """

    lifter: Lifter
    encoding: Encoding
    total_steps: int


@runtime_checkable
class StatefulTransform(Protocol):
    """A :data:`~training.batches.BatchTransform` with a state, called exactly once per training step."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Turn a batch into another one, and learn from it."""

    def attach(self, run: TrainingRun) -> None:
        """Be told of the run, before its first step and before any state is restored."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs: tensors, numbers, strings and containers of them."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that :meth:`state_dict` gave."""
