"""How many frames of every clip fit on a page, and which.

A page has room for a number of frames. Short clips are shown whole; the others share what is left, each with
one stretch of consecutive rows and, where errors are known, its best and its median frame. What is not shown
is counted, so that the page can say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseshift.flows.viewer.clips import Clip, Errors

LEAST_FRAMES = 50
"""Fewer frames of a long clip are not worth showing: the page then leaves whole clips out instead."""

MOST_CLIPS = 150
"""More are not put on one page."""

_SINGLE_FRAMES = 2
"""Frames beside the stretch: the best and the median one."""


@dataclass(frozen=True)
class Jumps:
    """Rows of a shown clip that a reader may want to see first."""

    best: int
    median: int
    worst: int


@dataclass(frozen=True)
class Shown:
    """A clip as the page has it.

    Attributes
    ----------
    clip : Clip
        Cut to the frames that are shown.
    frames_in_all : int
        How many frames there are.
    mean_mm : float or None
        Mean of the frames' errors over all of them; None where nothing is known.
    jumps : Jumps or None
        Of all frames, as rows of those that are shown; None where nothing is known.
    """

    clip: Clip
    frames_in_all: int
    mean_mm: float | None
    jumps: Jumps | None


@dataclass(frozen=True)
class Choice:
    """What fits on a page: the shown clips, and how many clips and frames of all were left out."""

    shown: tuple[Shown, ...]
    clips_left_out: int
    frames_left_out: int


def choose(clips: Sequence[Clip], room: int) -> Choice:
    """Choose what to show.

    Parameters
    ----------
    clips : sequence of Clip
        All that are wanted.
    room : int
        Frames that fit.

    Raises
    ------
    ValueError
        There is not even room for one clip.
    """
    if room < LEAST_FRAMES:
        raise ValueError(f"room for {room} frames is too little; at least {LEAST_FRAMES} are needed")
    kept, least = 0, 0
    for clip in clips[:MOST_CLIPS]:
        least += min(len(clip.frame), LEAST_FRAMES)
        if least > room:
            break
        kept += 1
    parts = shares([len(clip.frame) for clip in clips[:kept]], room)
    shown = tuple(_cut(clip, part) for clip, part in zip(clips[:kept], parts, strict=True))
    there = sum(len(clip.frame) for clip in clips)
    return Choice(shown, len(clips) - kept, there - sum(len(one.clip.frame) for one in shown))


def shares(lengths: Sequence[int], room: int) -> tuple[int, ...]:
    """Divide room among clips: none gets more than it has, and no long one less than another long one.

    Examples
    --------
    >>> shares([10, 100, 200], 110)
    (10, 50, 50)
    """
    given = [0] * len(lengths)
    order = sorted(range(len(lengths)), key=lambda number: lengths[number])
    for place, number in enumerate(order):
        given[number] = min(lengths[number], room // (len(order) - place))
        room -= given[number]
    return tuple(given)


def _cut(clip: Clip, part: int) -> Shown:
    length, errors = len(clip.frame), clip.errors
    if errors is None:
        return Shown(_rows(clip, np.arange(part)), length, None, None)
    order = np.argsort(errors.frame_mm, kind="stable")
    best, median, worst = int(order[0]), int(order[(length - 1) // 2]), int(order[-1])
    rows = np.arange(length)
    if part < length:
        stretch = part - _SINGLE_FRAMES
        first = min(max(worst - stretch // 2, 0), length - stretch)
        rows = np.unique([*range(first, first + stretch), best, median])
    places = np.searchsorted(rows, [best, median, worst])
    return Shown(
        clip=_rows(clip, rows),
        frames_in_all=length,
        mean_mm=float(errors.frame_mm.mean()),
        jumps=Jumps(*(int(place) for place in places)),
    )


def _rows(clip: Clip, rows: NDArray[np.intp]) -> Clip:
    errors = clip.errors
    return replace(
        clip,
        frame=clip.frame[rows],
        predicted=clip.predicted[rows],
        truth=None if clip.truth is None else clip.truth[rows],
        keypoints_px=None if clip.keypoints_px is None else clip.keypoints_px[rows],
        errors=None
        if errors is None
        else Errors(errors.name, errors.measured, errors.frame_mm[rows], errors.joints_mm[rows]),
    )
