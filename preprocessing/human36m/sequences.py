"""The sequence table of Human3.6M: which stem is which action and subaction, and how many rows it has.

Follows ``mapping`` and ``frames`` of the toolkit's ``metadata.xml``. The file names alone do not say which of
an action's two recordings is subaction 1, and the length of a file is known before it is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

MOCAP_SAMPLES_PER_ROW = 4
"""Motion capture at 200 Hz, poses at 50 Hz."""

CALIBRATION_ACTION = 1
"""Action ``Miscellaneous``, stems ``_ALL``: the whole session; it has no poses of its own."""


@dataclass(frozen=True)
class Sequence:
    """One recording of one subject.

    Attributes
    ----------
    subject : str
        ``"S1"``.
    action, subaction : int
        Numbers of the toolkit (actions 1 to 16, subactions 1 and 2).
    stem : str
        File name without camera and suffix, as the release spells it (``"TakingPhoto 1"``).
    video_frames : tuple[int, ...]
        Frames of the four videos.
    mocap_samples : int
        Motion capture samples at 200 Hz.
    """

    subject: str
    action: int
    subaction: int
    stem: str
    video_frames: tuple[int, ...]
    mocap_samples: int

    @property
    def rows(self) -> int:
        """Rows of every pose file: no more than the shortest video, or than the motion capture at 50 Hz."""
        return min(*self.video_frames, self.mocap_samples // MOCAP_SAMPLES_PER_ROW)


class SequenceTable:
    """All sequences of a release, looked up by subject and stem."""

    def __init__(self, actions: Iterable[str], sequences: Iterable[Sequence]) -> None:
        self.actions = tuple(actions)
        self._by_stem = {(sequence.subject, sequence.stem): sequence for sequence in sequences}

    def __iter__(self) -> Iterator[Sequence]:
        return iter(self._by_stem.values())

    def __len__(self) -> int:
        return len(self._by_stem)

    def find(self, subject: str, stem: str) -> Sequence | None:
        """Return the sequence of that name, or None."""
        return self._by_stem.get((subject, stem))

    def stems(self, subject: str) -> tuple[str, ...]:
        """Return the stems of a subject's sequences with poses, in the order of the toolkit."""
        return tuple(
            sequence.stem
            for sequence in self
            if sequence.subject == subject and sequence.action != CALIBRATION_ACTION
        )


@cache
def builtin_sequences() -> SequenceTable:
    """Return the toolkit's table: 32 sequences of each of eleven subjects."""
    table: Any = json.loads(files(__package__).joinpath("sequences.json").read_text(encoding="utf-8"))
    return SequenceTable(
        table["actions"],
        (
            Sequence(subject, action, subaction, stem, tuple(video_frames), mocap_samples)
            for subject, rows in table["subjects"].items()
            for action, subaction, stem, video_frames, mocap_samples in rows
        ),
    )
