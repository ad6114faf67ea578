"""Free motion in a world with z up, by person: what scenes of known verticals are made of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from poseshift.preprocessing.motion.motion import Motion

ROWS_PER_SECOND = 25.0
"""Rate that motion is thinned to, nearly."""


@dataclass(frozen=True)
class Motions:
    """Motion of Human3.6M's 17 joints with z up; rows of a recording stand together.

    Attributes
    ----------
    positions : Tensor
        (n, 17, 3), metres, z up.
    first, last : Tensor
        (n,), first and last row of the recording that each row is of.
    person : Tensor
        (n,), row of ``people``.
    people : tuple[str, ...]
        Names of the people.
    seconds : Tensor
        (n,), between one row and the next of its recording.
    """

    positions: Tensor
    first: Tensor
    last: Tensor
    person: Tensor
    people: tuple[str, ...]
    seconds: Tensor

    @classmethod
    def of(cls, recordings: Sequence[Motion], people: Collection[str]) -> Motions:
        """Put the recordings of some people one after the other.

        Raises
        ------
        ValueError
            There is none.
        """
        chosen = [one for one in recordings if one.subject in people]
        if not chosen:
            raise ValueError(f"no recording is of {', '.join(sorted(people)) or 'nobody'}")
        steps = [max(1, round(one.fps / ROWS_PER_SECOND)) for one in chosen]
        thinned = [one.positions[::step] for one, step in zip(chosen, steps, strict=True)]
        lengths = np.array([len(one) for one in thinned])
        starts = np.cumsum(lengths) - lengths
        names = tuple(dict.fromkeys(one.subject for one in chosen))
        numbers = [names.index(one.subject) for one in chosen]
        seconds = [step / one.fps for one, step in zip(chosen, steps, strict=True)]
        return cls(
            positions=torch.as_tensor(np.concatenate(thinned)),
            first=torch.as_tensor(np.repeat(starts, lengths)),
            last=torch.as_tensor(np.repeat(starts + lengths - 1, lengths)),
            person=torch.as_tensor(np.repeat(numbers, lengths)),
            people=names,
            seconds=torch.as_tensor(np.repeat(seconds, lengths), dtype=torch.float32),
        )
