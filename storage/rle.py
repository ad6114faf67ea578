"""Run-length encoded masks, as COCO's annotation files hold them.

Runs go down the columns, the first is of zeros. As text every run is a number in groups of five bits, lowest
first, each in one character from "0" on; bit 6 says that another group follows and the highest bit of the
last group is the sign. From the fourth run on it is the difference from the run two before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_FIRST, _MORE, _SIGN = 48, 0x20, 0x10
_LONGEST = 7
"""Groups of a run: 35 bits, more than any picture has pixels."""


def decode_rle(counts: str | Sequence[int], height: int, width: int) -> NDArray[np.bool_]:
    """Draw a mask.

    Parameters
    ----------
    counts : str or sequence of int
        Runs, as COCO's text or as plain numbers.
    height, width : int
        Of the picture.

    Returns
    -------
    array (height, width).

    Raises
    ------
    ValueError
        The text is no such encoding, or the runs are not as long together as the picture has pixels.

    Examples
    --------
    >>> decode_rle([1, 2, 1], 2, 2).astype(int).tolist()
    [[0, 1], [1, 0]]
    """
    runs = _runs(counts) if isinstance(counts, str) else list(counts)
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise ValueError(
            f"the runs are {sum(runs)} pixels long together; expected {height * width}, none of them negative"
        )
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(width, height).T


def _runs(text: str) -> list[int]:
    runs: list[int] = []
    value = groups = 0
    for character in text:
        group = ord(character) - _FIRST
        if not 0 <= group < 2 * _MORE or groups == _LONGEST:
            raise ValueError(f"{character!r} cannot stand there in COCO's run-length text")
        value |= (group & (_MORE - 1)) << (5 * groups)
        groups += 1
        if group & _MORE:
            continue
        if group & _SIGN:
            value -= 1 << (5 * groups)
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = groups = 0
    if groups:
        raise ValueError("the run-length text ends inside a number")
    return runs
