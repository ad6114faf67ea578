"""Parts of a training with a state: what the training loop keeps for them, and what it tells them.

A plain transform is a function of a batch and of random numbers. An adversarial one has weights, optimisers,
pools and counters that change with every batch; a loss beside that of the labelled batch counts the steps
and records what it saw. The loop saves and restores them with the run's own state, so that an interrupted run
still ends as if undisturbed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from poseshift.training.batches import Batch
from poseshift.training.encoding import Encoding
from poseshift.training.lifters.lifter import Lifter


@dataclass(frozen=True)
class TrainingRun:
    """The run that a transform or a loss is part of.

    Attributes
    ----------
    lifter : Lifter
        Being trained, with its current weights; a transform may use it but leaves its weights, its gradients
        and its mode as they are.
    encoding : Encoding
        What the lifter sees.
    total_steps : int
        Length of the run, for schedules.
    clip_hz : float or None
        Frames per second of the clips that the lifter learns; None for those of the rows.
    """

    lifter: Lifter
    encoding: Encoding
    total_steps: int
    clip_hz: float | None = None


class PartOfRun(Protocol):
    """Anything with a state that the training loop keeps."""

    def attach(self, run: TrainingRun) -> None:
        """Be told of the run, before its first step and before any state is restored."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs: tensors, numbers, strings and containers of them."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that :meth:`state_dict` gave."""


@runtime_checkable
class PlacesAnew(Protocol):
    """A transform that projects every clip anew: nobody after it sees a ray of the labelled keypoints."""

    places_anew: Literal[True]


@runtime_checkable
class StatefulTransform(PartOfRun, Protocol):
    """A :data:`~training.batches.BatchTransform` with a state, called exactly once per training step."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Turn a batch into another one, and learn from it."""


class LossBeside(PartOfRun, Protocol):
    """A loss of unlabelled clips beside that of each labelled batch; asked exactly once per training step."""

    def draw(self, generator: torch.Generator) -> Batch | None:
        """Draw the unlabelled clips of a step, lifted together with the labelled ones; None for none."""

    def whole(self, labelled: Tensor, answers: Tensor) -> Tensor:
        """Turn the labelled loss and the answers to the clips drawn into the loss of the whole step.

        Parameters
        ----------
        labelled : Tensor
            Scalar.
        answers : Tensor
            (n, frames or 1, joints, 3), metres, relative to the root, camera axes.
        """
